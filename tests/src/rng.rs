//! Random numbers for the tests: a seeded generator, which makes a run repeatable, and unique
//! numbers for nonces.

use std::hash::{BuildHasher, Hasher, RandomState};

/// `SplitMix64`, which is good enough to choose faults.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// Creates a generator. The same seed generates the same numbers.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Generates the next number, uniformly from all of `u64`.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Generates a number in `0..limit`.
    ///
    /// # Panics
    /// If `limit` is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        assert!(limit > 0, "the range 0..0 is empty");
        self.next_u64() % limit
    }

    /// Returns true with a probability of `ppm` parts per million.
    pub fn happens(&mut self, ppm: u64) -> bool {
        self.below(1_000_000) < ppm
    }

    /// Chooses an element.
    ///
    /// # Panics
    /// If `choices` is empty.
    pub fn choose<T: Clone>(&mut self, choices: &[T]) -> T {
        let index = self.below(choices.len() as u64);
        choices[usize::try_from(index).expect("an index into a slice")].clone()
    }
}

/// Returns a number that is not returned again, for a nonce: the standard library uses new keys for
/// each `RandomState`.
pub fn random_u64() -> u64 {
    RandomState::new().build_hasher().finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_generates_the_same_numbers_again() {
        let [mut first, mut second] = [Rng::new(7), Rng::new(7)];
        assert!((0..100).all(|_| first.next_u64() == second.next_u64()));
        assert_ne!(Rng::new(7).next_u64(), Rng::new(8).next_u64());
    }

    #[test]
    fn random_numbers_differ() {
        assert_ne!(random_u64(), random_u64());
    }
}
