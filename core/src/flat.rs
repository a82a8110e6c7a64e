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

/// A field of a flat struct that has to be there, or the error that says that it is not.
macro_rules! need {
    ($flat:ident.$field:ident) => {
        $flat.$field.take().ok_or_else(|| {
            <serde::de::value::Error as serde::de::Error>::missing_field(stringify!($field))
        })
    };
}

/// The same for a number that stands in a wider type, since other variants have it wider.
macro_rules! need_narrow {
    ($flat:ident.$field:ident) => {
        need!($flat.$field).and_then(|wide| {
            wide.try_into().map_err(|_| {
                let text = concat!(stringify!($field), " is out of range");
                <serde::de::value::Error as serde::de::Error>::custom(text)
            })
        })
    };
}

/// The same for a word that stands as text, since it is one of other words in other variants.
macro_rules! need_word {
    ($flat:ident.$field:ident) => {
        need!($flat.$field).and_then(|word| {
            use serde::de::IntoDeserializer;
            serde::Deserialize::deserialize(
                IntoDeserializer::<serde::de::value::Error>::into_deserializer(word),
            )
        })
    };
}

/// What is made of the fields of a flat struct that are called like its own, and of the values
/// that are given. Leaves the function with an error where a field is missing.
macro_rules! take {
    (@ $flat:ident.$field:ident) => { need!($flat.$field)? };
    (@ $flat:ident.$field:ident $value:expr) => { $value };
    ($flat:ident, $($kind:ident)::+ { $($field:ident $(: $value:expr)?),* $(,)? }) => {
        $($kind)::+ { $($field: take!(@ $flat.$field $($value)?)),* }
    };
}

/// The error about a word that names no variant.
macro_rules! unknown {
    ($tag:literal, $word:expr) => {
        Err(<serde::de::value::Error as serde::de::Error>::custom(format_args!(
            concat!("unknown ", $tag, " `{}`"),
            $word
        )))
    };
}
