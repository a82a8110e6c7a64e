//! Bits that nobody can guess, fetched from the system many at a time.

const POOL_LEN: usize = 4_096;

/// A supply of random bits.
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
    /// 128 bits, each time new.
    ///
    /// # Panics
    /// Where the system has none: session ids that can be guessed must never be given.
    pub fn bits(&mut self) -> u128 {
        if self.used == POOL_LEN {
            getrandom::fill(&mut self.pool).expect("the system has random bits");
            self.used = 0;
        }
        let taken = &mut self.pool[self.used..self.used + 16];
        self.used += 16;
        let bits = u128::from_le_bytes((&*taken).try_into().expect("16 bytes"));
        // What was given out is not kept.
        taken.fill(0);
        bits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_bits_come_twice() {
        let mut entropy = Entropy::default();
        let drawn: std::collections::BTreeSet<u128> = (0..10_000).map(|_| entropy.bits()).collect();
        assert_eq!(drawn.len(), 10_000);
    }
}
