//! The bytes of an append. JSON contains them as text if they are UTF-8, else in base64.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The bytes that an append adds to its file. Cheap to clone.
///
/// In JSON they are one field of the enclosing object: `data` if they are UTF-8, else `data_b64`
/// (RFC 4648, section 4, with padding).
#[derive(Clone, PartialEq, Eq)]
pub struct Data(Arc<[u8]>);

impl Data {
    /// Copies `bytes`.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// Decodes base64 (standard alphabet, padded). Returns `None` if `text` is malformed.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(|bytes| Self(bytes.into()))
    }

    /// Takes the bytes from the two fields of JSON, of which exactly one must be present.
    pub(crate) fn from_fields(
        data: Option<&str>,
        data_b64: Option<&str>,
    ) -> Result<Self, &'static str> {
        match (data, data_b64) {
            (Some(text), None) => Ok(Self::new(text.as_bytes())),
            (None, Some(text)) => Self::from_base64(text).ok_or("data_b64 is not valid base64"),
            (None, None) | (Some(_), Some(_)) => {
                Err("exactly one of data and data_b64 is required")
            }
        }
    }

    /// Encodes the bytes in base64 (standard alphabet, padded).
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// Returns the bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the number of bytes.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Returns whether there are no bytes. An empty append is allowed, and is an event.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the bytes as text if they are UTF-8.
    pub fn text(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Data {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.text() {
            Some(text) => write!(f, "{text:?}"),
            None => write!(f, "{} bytes", self.len()),
        }
    }
}

impl Serialize for Data {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match self.text() {
            Some(text) => map.serialize_entry("data", text)?,
            None => map.serialize_entry("data_b64", &self.to_base64())?,
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Data {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Fields {
            data: Option<String>,
            data_b64: Option<String>,
        }
        let Fields { data, data_b64 } = Fields::deserialize(deserializer)?;
        Self::from_fields(data.as_deref(), data_b64.as_deref()).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn non_utf8_bytes_round_trip_through_json() {
        for bytes in [&b"a line\n"[..], &[0xff, 0x00, 0xfe], b""] {
            let data = Data::new(bytes);
            let json = serde_json::to_string(&data).unwrap();
            assert_eq!(serde_json::from_str::<Data>(&json).unwrap(), data, "{json}");
        }
        assert_eq!(serde_json::to_string(&Data::new(b"hi")).unwrap(), r#"{"data":"hi"}"#);
    }
}
