//! The bytes of an append: any bytes, written as text in JSON where they are text.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::Error as _;
use serde::ser::SerializeMap as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What an append adds to its file. Cheap to clone.
///
/// In JSON it is one field of the object around it: `data`, or `data_b64` where it isn't UTF-8.
#[derive(Clone, PartialEq, Eq)]
pub struct Data(Arc<[u8]>);

impl Data {
    /// These bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes that this base64 (standard alphabet, padded) stands for, if it is well formed.
    pub fn from_base64(text: &str) -> Option<Self> {
        STANDARD.decode(text).ok().map(|bytes| Self(bytes.into()))
    }

    /// The bytes in base64.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many there are.
    pub fn len(&self) -> u64 {
        self.0.len() as u64
    }

    /// Whether there are none. Such an append is allowed: it leaves a trace, and no bytes.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The bytes as text, where they are UTF-8.
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
        match Fields::deserialize(deserializer)? {
            Fields { data: Some(text), data_b64: None } => Ok(Self::new(text.as_bytes())),
            Fields { data: None, data_b64: Some(text) } => {
                Self::from_base64(&text).ok_or_else(|| D::Error::custom("data_b64 is not base64"))
            }
            Fields { .. } => Err(D::Error::custom("either data or data_b64")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_survive_json() {
        for bytes in [&b"a line\n"[..], &[0xff, 0x00, 0xfe], b""] {
            let data = Data::new(bytes);
            let json = serde_json::to_string(&data).unwrap();
            assert_eq!(serde_json::from_str::<Data>(&json).unwrap(), data, "{json}");
        }
        assert_eq!(serde_json::to_string(&Data::new(b"hi")).unwrap(), r#"{"data":"hi"}"#);
    }
}
