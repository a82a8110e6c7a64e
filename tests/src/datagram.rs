//! Datagrams: JSON, and the trailer of those who share a key.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// A key shared by a server and its clients.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// The key of these bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_owned())
    }

    /// The bytes, a newline, and the first half of their HMAC-SHA256 in hex.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("any length will do");
        hmac.update(bytes);
        let digest = hmac.finalize().into_bytes();
        let first = u128::from_be_bytes(digest[..16].try_into().expect("16 bytes"));
        [bytes, b"\n", format!("{first:032x}").as_bytes()].concat()
    }
}

/// The JSON of a datagram, less its trailer if it has one.
pub fn json(bytes: &[u8]) -> Option<Value> {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    serde_json::from_slice(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_datagram_reads_as_before() {
        // RFC 4231, test case 2.
        let signed = Key::new(b"Jefe").sign(b"what do ya want for nothing?");
        assert!(signed.ends_with(b"?\n5bdcc146bf60754e6a042426089575c7"), "{signed:?}");
        let signed = Key::new(b"Jefe").sign(br#"{"v":1}"#);
        assert_eq!(json(&signed), Some(serde_json::json!({"v": 1})));
    }
}
