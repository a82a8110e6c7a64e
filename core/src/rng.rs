//! A seeded pseudorandom number generator: the same seed gives the same numbers on every platform.
//!
//! Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014
//! (SplitMix64, with Vigna's constants). Suitable for jitter and simulated faults. Not
//! cryptographic: secrets must not be generated with it.

/// A SplitMix64 generator. Its state is one number, so it is cheap to include in a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rng {
    state: u64,
}

impl Rng {
    /// Creates the generator for `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Creates the generator for one of many independent streams. Its numbers depend only on
    /// `seed` and `stream`, so consuming more of one stream does not change the others.
    pub const fn with_stream(seed: u64, stream: u64) -> Self {
        Self { state: mix(seed ^ mix(stream)) }
    }

    /// Returns 64 random bits.
    pub const fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.state)
    }

    /// Returns a number below `bound`, or 0 if `bound` is 0.
    pub const fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 128-bit product (Lemire's method without rejection): for a bound
        // below 2^32 the bias is below 2^-32.
        ((self.next_u64() as u128 * bound as u128) >> 64) as u64
    }

    /// Returns a number from `low` to `high`, both inclusive.
    pub const fn between(&mut self, low: u64, high: u64) -> u64 {
        assert!(low <= high, "the range is empty: low is larger than high");
        low + self.below((high - low).saturating_add(1))
    }

    /// Returns true with a probability of `ppm` parts per million.
    pub const fn chance(&mut self, ppm: u64) -> bool {
        self.below(1_000_000) < ppm
    }
}

/// Mixes the bits of `x` so that each of them affects all bits of the result (a bijection).
pub const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_matches_the_reference_implementation() {
        let mut rng = Rng::new(1_234_567);
        assert_eq!(rng.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(rng.next_u64(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn samples_stay_within_their_range() {
        let mut rng = Rng::new(7);
        for _ in 0..1_000 {
            assert!((3..=5).contains(&rng.between(3, 5)));
        }
        let hits = (0..10_000).filter(|_| rng.chance(300_000)).count();
        assert!((2_800..3_200).contains(&hits), "{hits} of 10000 at 30%");
    }
}
