//! Datagrams: JSON, followed by an authentication trailer if server and clients share a key.

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

/// A key that a server and its clients share.
#[derive(Clone)]
pub struct Key(Vec<u8>);

impl Key {
    /// Creates a key from its bytes.
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.to_owned())
    }

    /// Returns the bytes, a newline, and the first half of their HMAC-SHA256 in hex.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let mut hmac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key length");
        hmac.update(bytes);
        let digest = hmac.finalize().into_bytes();
        let first = u128::from_be_bytes(digest[..16].try_into().expect("16 bytes"));
        [bytes, b"\n", format!("{first:032x}").as_bytes()].concat()
    }
}

/// Parses the JSON of a datagram and ignores its trailer, if there is one.
pub fn parse(bytes: &[u8]) -> Option<Value> {
    let end = bytes.iter().position(|&byte| byte == b'\n').unwrap_or(bytes.len());
    serde_json::from_slice(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signed_datagram_parses_as_an_unsigned_one() {
        // RFC 4231, test case 2.
        let signed = Key::new(b"Jefe").sign(b"what do ya want for nothing?");
        assert!(signed.ends_with(b"?\n5bdcc146bf60754e6a042426089575c7"), "{signed:?}");
        let signed = Key::new(b"Jefe").sign(br#"{"v":1}"#);
        assert_eq!(parse(&signed), Some(serde_json::json!({"v": 1})));
    }
}
