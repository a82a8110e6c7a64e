//! The trailer of a keyed datagram: a newline and 32 hex digits, the first 16 bytes of the
//! HMAC-SHA256 (RFC 2104) of the bytes before the newline.

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

use crate::id::SessionId;
use crate::limits::TRAILER_LEN;
use crate::secret::Secret;

/// A pre-shared key, or a server's own key for cookies.
#[derive(Clone, Debug)]
pub struct Key(Secret<Hmac<Sha256>>);

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.mac(b"") == other.mac(b"")
    }
}

impl Eq for Key {}

impl Key {
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
pub fn seal(key: &Key, out: &mut Vec<u8>) {
    seal_from(key, out, 0);
}

/// Adds the trailer to the datagram that begins at `start`, and is the last one in `out`.
pub fn seal_from(key: &Key, out: &mut Vec<u8>, start: usize) {
    let tag = key.mac(&out[start..]);
    out.push(b'\n');
    // 16 bytes as hex digits: the same form as a session id.
    out.extend_from_slice(SessionId::from_bytes(tag).to_hex().as_bytes());
}

/// Takes the trailer off, where it is there and right.
pub fn open<'a>(key: &Key, datagram: &'a [u8]) -> Option<&'a [u8]> {
    let (body, trailer) = datagram.split_at_checked(datagram.len().checked_sub(TRAILER_LEN)?)?;
    let digits = std::str::from_utf8(trailer.strip_prefix(b"\n")?).ok()?;
    let tag = SessionId::from_hex(digits)?.to_bytes();
    key.verify(body, &tag).then_some(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mac_is_that_of_rfc_4231() {
        // Test case 2 of RFC 4231: key "Jefe", data "what do ya want for nothing?".
        let tag = Key::new(b"Jefe").mac(b"what do ya want for nothing?");
        assert_eq!(SessionId::from_bytes(tag).to_hex(), "5bdcc146bf60754e6a042426089575c7");
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed() {
        let key = Key::new(b"a key");
        let mut sealed = b"{\"v\":1}".to_vec();
        seal(&key, &mut sealed);
        assert_eq!(open(&key, &sealed), Some(&b"{\"v\":1}"[..]));
        for place in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[place] ^= 1;
            assert_eq!(open(&key, &changed), None, "byte {place}");
        }
        assert_eq!(open(&Key::new(b"another"), &sealed), None);
        for len in 0..sealed.len() {
            assert_eq!(open(&key, &sealed[..len]), None, "cut to {len}");
        }
    }
}
