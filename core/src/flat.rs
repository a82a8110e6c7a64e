//! Reading an enum that stands in JSON as a flat object, with one word for its variant.
//!
//! serde derives that from `tag` and `flatten`, but first puts the whole object into a form that
//! can hold anything, and compiles all that is in it twice: for text, and for that form. The page
//! would weigh an eighth more. So such an enum is read as one private struct that has the fields of
//! all its variants, each of which may be missing, and is made of that:
//!
//! - the struct's fields are called as in JSON, so that what is missing is called by that name;
//! - a field is taken out when it is used, so what is left over can be told.
//!
//! Writing is derived as ever.

use std::fmt;

use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, Visitor};

/// A field of a flat struct that has to be there, or the error that says that it is not.
#[doc(hidden)]
#[macro_export]
macro_rules! need {
    ($flat:ident.$field:ident) => {
        $flat.$field.take().ok_or_else(|| {
            <serde::de::value::Error as serde::de::Error>::missing_field(stringify!($field))
        })
    };
}

/// The word for the variant, which has to be there under this name.
#[doc(hidden)]
#[macro_export]
macro_rules! tag {
    ($flat:ident.$field:ident, $name:literal) => {{
        let word = std::mem::take(&mut $flat.$field);
        if word.is_empty() {
            return Err(<serde::de::value::Error as serde::de::Error>::missing_field($name));
        }
        word
    }};
}

/// The same for a number that stands in a wider type, since other variants have it wider.
#[doc(hidden)]
#[macro_export]
macro_rules! need_narrow {
    ($flat:ident.$field:ident) => {
        $crate::need!($flat.$field).and_then(|wide| {
            wide.try_into().map_err(|_| {
                let text = concat!(stringify!($field), " is out of range");
                <serde::de::value::Error as serde::de::Error>::custom(text)
            })
        })
    };
}

/// The same for a word that stands as text, since it is one of other words in other variants.
#[doc(hidden)]
#[macro_export]
macro_rules! need_word {
    ($flat:ident.$field:ident) => {
        $crate::need!($flat.$field).and_then(|word| {
            use serde::de::IntoDeserializer;
            serde::Deserialize::deserialize(
                IntoDeserializer::<serde::de::value::Error>::into_deserializer(word),
            )
        })
    };
}

/// What is made of the fields of a flat struct that are called like its own, and of the values
/// that are given. Leaves the function with an error where a field is missing.
#[doc(hidden)]
#[macro_export]
macro_rules! take {
    (@ $flat:ident.$field:ident) => { $crate::need!($flat.$field)? };
    (@ $flat:ident.$field:ident $value:expr) => { $value };
    ($flat:ident, $($kind:ident)::+ { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        $($kind)::+ { $($field: $crate::take!(@ $flat.$field $($value)?)),* }
    };
}

/// The error about a word that names no variant.
#[doc(hidden)]
#[macro_export]
macro_rules! unknown {
    ($tag:literal, $word:expr) => {
        Err(<serde::de::value::Error as serde::de::Error>::custom(format_args!(
            concat!("unknown ", $tag, " `{}`"),
            $word
        )))
    };
}

/// Reads a struct of which each field may be missing, and is then as by default. serde derives that
/// as well, with ten times the code to notice that a field comes twice; here the last one counts.
/// What has another name is passed over, or refused where `only` these may stand there.
#[doc(hidden)]
#[macro_export]
macro_rules! fields {
    ($type:ident { $($field:ident $(= $name:literal)?),* $(,)? }) => {
        $crate::fields!(@ $type, false, $($field $($name)?),*);
    };
    ($type:ident only { $($field:ident $(= $name:literal)?),* $(,)? }) => {
        $crate::fields!(@ $type, true, $($field $($name)?),*);
    };
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@ $type:ident, $only:literal, $($field:ident $($name:literal)?),*) => {
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
                const NAMES: &[&str] = &[$($crate::fields!(@name $field $($name)?)),*];
                #[allow(non_camel_case_types, reason = "called like the fields")]
                enum Place { $($field),* }
                struct Fields;
                impl<'de> serde::de::Visitor<'de> for Fields {
                    type Value = $type;

                    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                        f.write_str("an object")
                    }

                    fn visit_map<A: serde::de::MapAccess<'de>>(
                        self,
                        mut map: A,
                    ) -> Result<$type, A::Error> {
                        let mut read = <$type>::default();
                        // All of them have to be listed.
                        let $type { $($field: _),* } = &read;
                        let seed = $crate::flat::PlaceIn { names: NAMES, only: $only };
                        while let Some(place) = map.next_key_seed(seed)? {
                            match place {
                                $(place if place == Place::$field as usize => {
                                    read.$field = map.next_value()?;
                                })*
                                _ => drop(map.next_value::<serde::de::IgnoredAny>()?),
                            }
                        }
                        Ok(read)
                    }
                }
                from.deserialize_struct(stringify!($type), NAMES, Fields)
            }
        }
    };
}

/// Reads a name as its place among these; how many there are where it is none of them.
#[derive(Clone, Copy)]
pub struct PlaceIn {
    /// The names, in their order.
    pub names: &'static [&'static str],
    /// Whether there may be no other.
    pub only: bool,
}

impl<'de> DeserializeSeed<'de> for PlaceIn {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, name: D) -> Result<usize, D::Error> {
        name.deserialize_identifier(self)
    }
}

impl Visitor<'_> for PlaceIn {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        match self.names.iter().position(|it| *it == name) {
            Some(place) => Ok(place),
            None if self.only => Err(E::unknown_field(name, self.names)),
            None => Ok(self.names.len()),
        }
    }
}
