//! Decodes enums whose JSON is one object with a tag, field by field.
//!
//! - The decoder of an enum is a `match` on the tag, with one call of [`Fields::take`] for each
//!   field. Its code exists once for each type of a field. serde's derive generates several
//!   functions for each variant and each deserializer, which made a tenth of the page.
//! - As with the derive: missing and duplicate fields are errors, and unknown ones are ignored
//!   unless the type calls [`Fields::deny_unknown`].
//! - Encoding remains derived.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{
    Deserialize, Deserializer, EnumAccess, Error as _, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

/// Why fields could not be decoded.
pub type Error = serde_json::Error;

/// The fields of one object that have not been taken.
pub struct Fields<'de>(Vec<(Cow<'de, str>, Value<'de>)>);

/// A type that is decoded from fields.
pub trait FromFields: Sized {
    /// Takes the fields of this type.
    ///
    /// # Errors
    ///
    /// If a field is missing, duplicate or invalid.
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error>;
}

/// Decodes a value from an object. Implementations of [`Deserialize`] call it.
///
/// # Errors
///
/// If the input is not an object, or [`FromFields::from_fields`] fails.
pub fn deserialize<'de, T: FromFields, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    let mut fields = deserializer.deserialize_map(FieldsVisitor)?;
    T::from_fields(&mut fields).map_err(D::Error::custom)
}

/// Implements [`Deserialize`] for types that implement [`FromFields`].
#[macro_export]
macro_rules! deserialize_from_fields {
    ($($type:ty),*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::fields::deserialize(deserializer)
            }
        }
    )*};
}

impl<'de> Fields<'de> {
    /// Takes a field.
    ///
    /// # Errors
    ///
    /// If the field is missing, duplicate or invalid.
    pub fn take<T: Deserialize<'de>>(&mut self, name: &'static str) -> Result<T, Error> {
        T::deserialize(self.remove(name)?.ok_or_else(|| Error::missing_field(name))?)
    }

    /// Takes a field that may be missing or `null`.
    ///
    /// # Errors
    ///
    /// If the field is duplicate or invalid.
    pub fn take_optional<T: Deserialize<'de>>(
        &mut self,
        name: &'static str,
    ) -> Result<Option<T>, Error> {
        match self.remove(name)? {
            None | Some(Value::Null) => Ok(None),
            Some(value) => T::deserialize(value).map(Some),
        }
    }

    /// Takes a field that has a default.
    ///
    /// # Errors
    ///
    /// If the field is duplicate or invalid.
    pub fn take_or<T: Deserialize<'de>>(
        &mut self,
        name: &'static str,
        default: T,
    ) -> Result<T, Error> {
        self.remove(name)?.map_or(Ok(default), T::deserialize)
    }

    /// Takes the tag, whose value names the variant.
    ///
    /// # Errors
    ///
    /// If the tag is missing, duplicate or not a string.
    pub fn take_tag(&mut self, name: &'static str) -> Result<Cow<'de, str>, Error> {
        match self.remove(name)? {
            Some(Value::Text(tag)) => Ok(tag),
            Some(_) => Err(Error::custom(format_args!("invalid type: `{name}` is not a string"))),
            None => Err(Error::missing_field(name)),
        }
    }

    /// Checks that all fields were taken.
    ///
    /// # Errors
    ///
    /// If one was not.
    pub fn deny_unknown(&self) -> Result<(), Error> {
        self.0.first().map_or(Ok(()), |(name, _)| Err(Error::unknown_field(name, &[])))
    }

    fn remove(&mut self, name: &'static str) -> Result<Option<Value<'de>>, Error> {
        let Some(index) = self.0.iter().position(|(it, _)| it == name) else {
            return Ok(None);
        };
        let (_, value) = self.0.swap_remove(index);
        if self.0[index..].iter().any(|(it, _)| it == name) {
            return Err(Error::duplicate_field(name));
        }
        Ok(Some(value))
    }
}

/// Returns the error for a tag that names no variant.
pub fn unknown_variant(tag: &str) -> Error {
    Error::custom(format_args!("unknown variant `{tag}`"))
}

/// A buffered value, whose type is known after the tag.
enum Value<'de> {
    Null,
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(Cow<'de, str>),
    List(Vec<Value<'de>>),
    Object(Vec<(Cow<'de, str>, Value<'de>)>),
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
        let mut fields = Vec::with_capacity(12);
        while let Some((Key(name), value)) = map.next_entry()? {
            fields.push((name, value));
        }
        Ok(Fields(fields))
    }
}

/// The name of a field; borrowed if it contains no escape sequence.
struct Key<'de>(Cow<'de, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Value::Text(name) = deserializer.deserialize_str(ValueVisitor)? else {
            return Err(D::Error::custom("the name of a field is not a string"));
        };
        Ok(Self(name))
    }
}

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value<'de>, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value<'de>, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value<'de>, E> {
        Ok(Value::Unsigned(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value<'de>, E> {
        Ok(Value::Signed(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value<'de>, E> {
        Ok(Value::Float(value))
    }

    fn visit_borrowed_str<E>(self, value: &'de str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Borrowed(value)))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value.to_owned())))
    }

    fn visit_string<E>(self, value: String) -> Result<Value<'de>, E> {
        Ok(Value::Text(Cow::Owned(value)))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(value) = seq.next_element()? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value<'de>, A::Error> {
        FieldsVisitor.visit_map(map).map(|fields| Value::Object(fields.0))
    }
}

impl<'de> Deserializer<'de> for Value<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self {
            Self::Null => visitor.visit_unit(),
            Self::Bool(value) => visitor.visit_bool(value),
            Self::Unsigned(value) => visitor.visit_u64(value),
            Self::Signed(value) => visitor.visit_i64(value),
            Self::Float(value) => visitor.visit_f64(value),
            Self::Text(Cow::Borrowed(value)) => visitor.visit_borrowed_str(value),
            Self::Text(Cow::Owned(value)) => visitor.visit_string(value),
            Self::List(list) => visitor.visit_seq(SeqDeserializer::new(list.into_iter())),
            Self::Object(fields) => visitor.visit_map(MapDeserializer::new(fields.into_iter())),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if matches!(self, Self::Null) { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        visitor.visit_enum(self)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

impl<'de> IntoDeserializer<'de, Error> for Value<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

/// The fields of our tagged enums contain enums without data only.
impl<'de> EnumAccess<'de> for Value<'de> {
    type Error = Error;
    type Variant = UnitVariant;

    fn variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, UnitVariant), Error> {
        if !matches!(self, Self::Text(_)) {
            return Err(Error::custom("invalid type: expected a string"));
        }
        Ok((seed.deserialize(self)?, UnitVariant))
    }
}

struct UnitVariant;

impl<'de> VariantAccess<'de> for UnitVariant {
    type Error = Error;

    fn unit_variant(self) -> Result<(), Error> {
        Ok(())
    }

    fn newtype_variant_seed<S: serde::de::DeserializeSeed<'de>>(
        self,
        _: S,
    ) -> Result<S::Value, Error> {
        Err(Error::custom("invalid type: expected a variant without data"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("invalid type: expected a variant without data"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        Err(Error::custom("invalid type: expected a variant without data"))
    }
}
