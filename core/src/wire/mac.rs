//! Message authentication: the trailer of a datagram if the server has a pre-shared key.
//!
//! The trailer is a newline and 32 hex digits: the first 16 bytes of the HMAC-SHA256 (RFC 2104) of
//! all bytes before the newline. It does not encrypt, and does not prevent replay.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::SessionKey;
use crate::limits::TRAILER_LEN;
use crate::secret::Secret;

/// A key for message authentication codes: the pre-shared key, or the server's own key for
/// cookies.
#[derive(Clone, Debug)]
pub struct MacKey(Secret<Hmac<Sha256>>);

impl PartialEq for MacKey {
    fn eq(&self, other: &Self) -> bool {
        self.mac(b"") == other.mac(b"")
    }
}

impl Eq for MacKey {}

impl MacKey {
    /// Creates the key from any number of bytes.
    pub fn new(bytes: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(bytes).expect("HMAC takes keys of any length");
        Self(Secret::new(mac))
    }

    /// Returns the MAC of `bytes`, truncated to its first 16 bytes.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 16] {
        let mut mac = self.0.expose().clone();
        mac.update(bytes);
        let mut first = [0; 16];
        first.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        first
    }

    /// Returns whether `tag` is the truncated MAC of `bytes`, in constant time.
    pub fn verify(&self, bytes: &[u8], tag: &[u8; 16]) -> bool {
        let mut mac = self.0.expose().clone();
        mac.update(bytes);
        mac.verify_truncated_left(tag).is_ok()
    }
}

/// Appends the trailer to the datagram in `out`.
pub fn append_mac(key: &MacKey, out: &mut Vec<u8>) {
    append_mac_from(key, out, 0);
}

/// Appends the trailer to the last datagram in `out`, which begins at `start`.
pub fn append_mac_from(key: &MacKey, out: &mut Vec<u8>, start: usize) {
    let tag = key.mac(&out[start..]);
    out.push(b'\n');
    // A tag has the same hex form as a session key.
    out.extend_from_slice(SessionKey::from_bytes(tag).to_hex().as_bytes());
}

/// Verifies and removes the trailer. Returns `None` if it is missing or wrong.
pub fn verify_mac<'a>(key: &MacKey, datagram: &'a [u8]) -> Option<&'a [u8]> {
    let (body, trailer) = datagram.split_at_checked(datagram.len().checked_sub(TRAILER_LEN)?)?;
    let digits = std::str::from_utf8(trailer.strip_prefix(b"\n")?).ok()?;
    let tag = SessionKey::from_hex(digits)?.to_bytes();
    key.verify(body, &tag).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mac_matches_rfc_4231() {
        // Test case 2 of RFC 4231: key "Jefe", data "what do ya want for nothing?".
        let tag = MacKey::new(b"Jefe").mac(b"what do ya want for nothing?");
        assert_eq!(SessionKey::from_bytes(tag).to_hex(), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn any_changed_byte_is_detected() {
        let key = MacKey::new(b"a key");
        let mut datagram = b"{\"v\":1}".to_vec();
        append_mac(&key, &mut datagram);
        assert_eq!(verify_mac(&key, &datagram), Some(&b"{\"v\":1}"[..]));
        for position in 0..datagram.len() {
            let mut changed = datagram.clone();
            changed[position] ^= 1;
            assert_eq!(verify_mac(&key, &changed), None, "byte {position}");
        }
        assert_eq!(verify_mac(&MacKey::new(b"another"), &datagram), None);
        for len in 0..datagram.len() {
            assert_eq!(verify_mac(&key, &datagram[..len]), None, "truncated to {len} bytes");
        }
    }
}
