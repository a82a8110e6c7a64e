//! A 64-bit hash of bytes and numbers, the same on every platform.
//!
//! Not cryptographic: it distinguishes different requests, and offers no protection against an
//! adversary who constructs a collision.
//!
//! Source: FNV-1a (Fowler, Noll, Vo), applied to eight bytes at a time and finished with the mixer
//! of SplitMix64, so that hashing a whole datagram is fast.

use serde::{Deserialize, Serialize};

use crate::rng::mix;

/// A 64-bit hash value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u64);

/// Computes a [`Digest`] incrementally.
#[derive(Clone, Debug)]
pub struct Digester(u64);

impl Default for Digester {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digester {
    /// Adds a number.
    pub const fn write_u64(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Adds bytes and their number, so that `ab, c` differs from `a, bc`.
    pub fn write_bytes(&mut self, bytes: &[u8]) {
        self.write_u64(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(padded));
        }
    }

    /// Returns the digest of everything that was added.
    pub const fn finish(&self) -> Digest {
        Digest(mix(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest_of(parts: &[&str]) -> Digest {
        let mut digester = Digester::default();
        parts.iter().for_each(|part| digester.write_bytes(part.as_bytes()));
        digester.finish()
    }

    #[test]
    fn digest_depends_on_part_boundaries() {
        assert_ne!(digest_of(&["ab", "c"]), digest_of(&["a", "bc"]));
        assert_ne!(digest_of(&["a"]), digest_of(&["a\0"]));
        assert_eq!(digest_of(&["a", "b"]), digest_of(&["a", "b"]));
    }
}
