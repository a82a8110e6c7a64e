//! A 64-bit digest of bytes and numbers, to tell two things apart: not against an adversary.
//!
//! Source: FNV-1a (Fowler, Noll, Vo), folded eight bytes at a time and finished with SplitMix64's
//! mixer, so that it is quick over a whole datagram.

use serde::{Deserialize, Serialize};

use crate::rng::mix;

/// The digest of a thing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub u64);

/// Takes in one part of a thing after another.
#[derive(Clone, Debug)]
pub struct Digester(u64);

impl Default for Digester {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Digester {
    /// Takes in a number.
    pub const fn number(&mut self, number: u64) {
        self.0 = mix(self.0 ^ number).wrapping_mul(0x0000_0100_0000_01b3);
    }

    /// Takes in some bytes and how many they are, so that `ab, c` differs from `a, bc`.
    pub fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut eight = [0; 8];
            eight[..chunk.len()].copy_from_slice(chunk);
            self.number(u64::from_le_bytes(eight));
        }
    }

    /// The digest of all that was taken in.
    pub const fn finish(&self) -> Digest {
        Digest(mix(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(parts: &[&str]) -> Digest {
        let mut digester = Digester::default();
        parts.iter().for_each(|part| digester.bytes(part.as_bytes()));
        digester.finish()
    }

    #[test]
    fn where_a_part_ends_makes_a_difference() {
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a\0"]));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
    }
}
