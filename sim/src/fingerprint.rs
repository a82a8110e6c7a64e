//! A hash of a run that is the same on every machine.

use std::hash::Hasher;

use leasehold_core::rng::mix;

/// A running hash of numbers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fingerprint(pub(super) u64);

impl Fingerprint {
    pub(super) const fn new() -> Self {
        Self(0x1ea5_e401_d000_0001)
    }

    pub(super) const fn add(&mut self, number: u64) {
        self.0 = mix(self.0.rotate_left(5) ^ number);
    }
}

/// Extends every integer to 64 bits, so that the hash does not depend on the platform.
impl Hasher for Fingerprint {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    fn write_u8(&mut self, number: u8) {
        self.add(u64::from(number));
    }

    fn write_u16(&mut self, number: u16) {
        self.add(u64::from(number));
    }

    fn write_u32(&mut self, number: u32) {
        self.add(u64::from(number));
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_i32(&mut self, number: i32) {
        self.add(i64::from(number).cast_unsigned());
    }

    fn write_isize(&mut self, number: isize) {
        self.add(number.cast_unsigned() as u64);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }
}
