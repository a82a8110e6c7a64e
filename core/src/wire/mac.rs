//! The trailer of a keyed datagram: a newline and 32 hex digits, the first 16 bytes of the
//! HMAC-SHA256 (RFC 2104) of the bytes before the newline.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::SessionKey;
use crate::limits::TRAILER_LEN;
use crate::secret::Secret;

/// A pre-shared key, or a server's own key for cookies.
#[derive(Clone, Debug)]
pub struct MacKey(Secret<Hmac<Sha256>>);

impl PartialEq for MacKey {
    fn eq(&self, other: &Self) -> bool {
        self.mac(b"") == other.mac(b"")
    }
}

impl Eq for MacKey {}

impl MacKey {
    /// The key of these bytes, of any number.
    pub fn new(bytes: &[u8]) -> Self {
        let mac = Hmac::<Sha256>::new_from_slice(bytes).expect("HMAC takes keys of any length");
        Self(Secret::new(mac))
    }

    /// The first 16 bytes of the MAC of `bytes`.
    pub fn mac(&self, bytes: &[u8]) -> [u8; 16] {
        let mut mac = self.0.expose().clone();
        mac.update(bytes);
        let mut first = [0; 16];
        first.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        first
    }

    /// Whether `tag` is the first 16 bytes of the MAC of `bytes`, in constant time.
    pub fn verify(&self, bytes: &[u8], tag: &[u8; 16]) -> bool {
        let mut mac = self.0.expose().clone();
        mac.update(bytes);
        mac.verify_truncated_left(tag).is_ok()
    }
}

/// Adds the trailer to the datagram in `out`.
pub fn append_mac(key: &MacKey, out: &mut Vec<u8>) {
    append_mac_from(key, out, 0);
}

/// Adds the trailer to the datagram that begins at `start`, and is the last one in `out`.
pub fn append_mac_from(key: &MacKey, out: &mut Vec<u8>, start: usize) {
    let tag = key.mac(&out[start..]);
    out.push(b'\n');
    // 16 bytes as hex digits: the same form as a session id.
    out.extend_from_slice(SessionKey::from_bytes(tag).to_hex().as_bytes());
}

/// Takes the trailer off, where it is there and right.
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
            assert_eq!(verify_mac(&key, &datagram[..len]), None, "cut to {len}");
        }
    }
}
