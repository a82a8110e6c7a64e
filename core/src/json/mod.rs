//! Reading JSON: what the page is given, and all that is read but once in a while.
//!
//! serde_json reads too, and faster; the datagrams and the journal stay with it. But it compiles
//! its parser into each type that is read, and a struct twice, since it may also stand there as
//! an array: an eighth of what the page would weigh. Here the parser is there once, and what is
//! compiled for a type is which fields it has.
//!
//! - What is read here, serde_json reads as the same.
//! - Numbers are whole: no format of the house has others. A fraction in a field that is passed
//!   over does no harm.
//! - A struct is an object.

mod indented;
mod reader;

use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Visitor};

use reader::Reader;

pub use indented::indented;

/// Reads a value, and nothing else may be in the text.
///
/// # Errors
///
/// Where the text is no JSON, or not that of such a value.
pub fn read<T: DeserializeOwned>(text: &str) -> Result<T, BadJson> {
    let mut reader = Reader { text, at: 0 };
    let value = T::deserialize(&mut reader).and_then(|value| {
        if reader.peek().is_some() { Err(bad("more after the end")) } else { Ok(value) }
    });
    value.map_err(|error| reader.place(error))
}

/// Why a text can't be read, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadJson(Box<(String, Option<(usize, usize)>)>);

impl fmt::Display for BadJson {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.0)?;
        match self.0.1 {
            Some((line, column)) => write!(f, " at line {line} column {column}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for BadJson {}

impl de::Error for BadJson {
    fn custom<T: fmt::Display>(what: T) -> Self {
        Self(Box::new((what.to_string(), None)))
    }

    fn invalid_type(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }

    fn invalid_value(_: de::Unexpected<'_>, expected: &dyn de::Expected) -> Self {
        Self::custom(format_args!("expected {expected}"))
    }
}

#[cold]
fn bad(what: &str) -> BadJson {
    BadJson(Box::new((what.to_owned(), None)))
}

/// Numbers: those from 0 on, and those that may be below.
macro_rules! numbers {
    ($read:ident, $visit:ident: $($name:ident)*) => {
        $(fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
            visitor.$visit(self.$read()?)
        })*
    };
}

impl<'de> de::Deserializer<'de> for &mut Reader<'_> {
    type Error = BadJson;

    numbers!(unsigned, visit_u64: deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64);
    numbers!(signed, visit_i64: deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64);
    numbers!(bool, visit_bool: deserialize_bool);

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        match self.peek() {
            Some(b'"') => self.deserialize_str(visitor),
            Some(b'{') => self.deserialize_map(visitor),
            Some(b'[') => self.deserialize_seq(visitor),
            Some(b't' | b'f') => self.deserialize_bool(visitor),
            Some(b'n') => self.deserialize_unit(visitor),
            Some(b'-') => self.deserialize_i64(visitor),
            Some(_) | None => self.deserialize_u64(visitor),
        }
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        visitor.visit_str(&self.text()?)
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.deserialize_str(visitor)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        if self.word("null") { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.null()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, BadJson> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.need(b'[')?;
        let value = visitor.visit_seq(Items { reader: self, is_first: true })?;
        self.need(b']')?;
        Ok(value)
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, BadJson> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.need(b'{')?;
        let value = visitor.visit_map(Items { reader: self, is_first: true })?;
        self.need(b'}')?;
        Ok(value)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadJson> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadJson> {
        let has_fields = self.take(b'{');
        let value = visitor.visit_enum(Variant { reader: self, has_fields })?;
        if has_fields {
            self.need(b'}')?;
        }
        Ok(value)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        self.skip(0)?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        f32 f64 char bytes byte_buf unit_struct tuple_struct
    }
}

/// What is in an array or in an object.
struct Items<'r, 't> {
    reader: &'r mut Reader<'t>,
    is_first: bool,
}

impl<'de> de::SeqAccess<'de> for Items<'_, '_> {
    type Error = BadJson;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, BadJson> {
        if !self.reader.next(b']', &mut self.is_first)? {
            return Ok(None);
        }
        seed.deserialize(&mut *self.reader).map(Some)
    }
}

impl<'de> de::MapAccess<'de> for Items<'_, '_> {
    type Error = BadJson;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, BadJson> {
        if !self.reader.next(b'}', &mut self.is_first)? {
            return Ok(None);
        }
        seed.deserialize(Key(self.reader)).map(Some)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, BadJson> {
        self.reader.need(b':')?;
        seed.deserialize(&mut *self.reader)
    }
}

/// The name of a field, or a key, which may be a number in quotes.
struct Key<'r, 't>(&'r mut Reader<'t>);

impl<'de> de::Deserializer<'de> for Key<'_, '_> {
    type Error = BadJson;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        visitor.visit_str(&self.0.text()?)
    }

    fn deserialize_u64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, BadJson> {
        let number = self.0.text()?.parse();
        visitor.visit_u64(number.map_err(|_| bad("expected a number in quotes"))?)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, BadJson> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 f32 f64 char str string bytes byte_buf option unit
        unit_struct seq tuple tuple_struct map struct enum identifier ignored_any
    }
}

/// A variant: a word, or an object with that word for its only field.
struct Variant<'r, 't> {
    reader: &'r mut Reader<'t>,
    has_fields: bool,
}

impl<'de> de::EnumAccess<'de> for Variant<'_, '_> {
    type Error = BadJson;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), BadJson> {
        let word = seed.deserialize(Key(self.reader))?;
        if self.has_fields {
            self.reader.need(b':')?;
        }
        Ok((word, self))
    }
}

impl<'de> de::VariantAccess<'de> for Variant<'_, '_> {
    type Error = BadJson;

    fn unit_variant(self) -> Result<(), BadJson> {
        if self.has_fields { self.reader.null() } else { Ok(()) }
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, BadJson> {
        self.with_fields()?;
        seed.deserialize(self.reader)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, BadJson> {
        self.with_fields()?;
        de::Deserializer::deserialize_seq(self.reader, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, BadJson> {
        self.with_fields()?;
        de::Deserializer::deserialize_map(self.reader, visitor)
    }
}

impl Variant<'_, '_> {
    fn with_fields(&self) -> Result<(), BadJson> {
        if self.has_fields { Ok(()) } else { Err(bad("expected an object")) }
    }
}
