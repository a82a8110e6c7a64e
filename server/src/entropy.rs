//! Unpredictable random bits. They are fetched from the system in large chunks, because each fetch
//! is a system call.

const POOL_LEN: usize = 4_096;

/// A buffered source of random bits.
pub struct Entropy {
    pool: [u8; POOL_LEN],
    used: usize,
}

impl Default for Entropy {
    fn default() -> Self {
        Self { pool: [0; POOL_LEN], used: POOL_LEN }
    }
}

impl Entropy {
    /// Returns 128 random bits. No bits are returned twice.
    ///
    /// # Panics
    /// If the system has no randomness: guessable session keys would let anyone take over sessions.
    pub fn next_u128(&mut self) -> u128 {
        if self.used == POOL_LEN {
            getrandom::fill(&mut self.pool).expect("the system provides randomness");
            self.used = 0;
        }
        let chunk = &mut self.pool[self.used..self.used + 16];
        self.used += 16;
        let bits = u128::from_le_bytes((&*chunk).try_into().expect("16 bytes"));
        // Session keys must not stay in memory that is no longer in use.
        chunk.fill(0);
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_value_is_returned_twice() {
        let mut entropy = Entropy::default();
        let values: std::collections::BTreeSet<u128> =
            (0..10_000).map(|_| entropy.next_u128()).collect();
        assert_eq!(values.len(), 10_000);
    }
}
