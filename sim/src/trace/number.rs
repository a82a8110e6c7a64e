//! The numbers of the protocol in records: exact, although a record has only four bytes for each.
//!
//! Session ids, tokens, sequence numbers, log indices and clock readings have 64 bits, and a client
//! or an accepted loss of data can make any of them large. A long run has a million records with
//! up to five numbers each, so eight bytes for each would not fit the memory of the page.
//!
//! - A number below 2^31 is stored directly. Nearly every number is.
//! - A larger one is a reference to a page and a position in it. A page stands for
//!   [`PAGE_LEN`] consecutive numbers, so the consecutive numbers of a run share a few pages. The
//!   pages are in one table of the process, which only grows: a reference is valid forever, on
//!   every thread.
//! - There is one reference for each number, so equal numbers have equal bits.
//! - The table is limited to 2^19 pages, which is about 14 MiB. Numbers that would need more are
//!   [`Number::UNKNOWN`]: they are displayed as `?`, they are `null` in JSON, and the checkers stop
//!   at the first one. A number is never wrong.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a run has one thread, but runs on several threads share the table"
)]

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering as Memory};
use std::sync::{Mutex, OnceLock, PoisonError};

use leasehold_core::id::{LogIndex, Seq, SessionId, Token};
use leasehold_core::time::Time;
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The first number that is not stored directly.
const DIRECT_END: u32 = 1 << 31;

/// The number of bits of a position in a page. Few pages for the consecutive numbers of a server
/// that has run for long, and still half a million pages for numbers without any order.
const POSITION_BITS: u32 = 12;

/// The number of consecutive numbers that share a page.
const PAGE_LEN: u64 = 1 << POSITION_BITS;

/// The number of pages that are allocated at once.
const CHUNK_LEN: usize = 1_024;

/// The number of chunks of the process's table.
const CHUNKS_MAX: usize = 512;

/// The pages of all large numbers of the process.
static TABLE: PageTable<CHUNKS_MAX> = PageTable::new();

/// A number of the protocol.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Number(u32);

impl Number {
    /// Zero, which stands for "none" in fields whose numbers begin with 1.
    pub const ZERO: Self = Self(0);

    /// A number that is not known: see the head of this file.
    pub const UNKNOWN: Self = Self(u32::MAX);

    /// Returns the value, or `None` if it is not known.
    #[inline]
    pub fn get(self) -> Option<u64> {
        if self.0 < DIRECT_END { Some(u64::from(self.0)) } else { self.get_large() }
    }

    /// Returns the number, or `None` if it is not known.
    #[inline]
    pub fn known(self) -> Option<Self> {
        (self != Self::UNKNOWN).then_some(self)
    }

    /// Whether the number is zero, which stands for "none" in most fields.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    #[cold]
    fn get_large(self) -> Option<u64> {
        if self == Self::UNKNOWN {
            return None;
        }
        let reference = u64::from(self.0 - DIRECT_END);
        let page = TABLE.page(usize::try_from(reference >> POSITION_BITS).ok()?)?;
        Some((page << POSITION_BITS) | (reference % PAGE_LEN))
    }

    #[cold]
    fn from_large(value: u64) -> Self {
        let Some(index) = TABLE.index_of(value >> POSITION_BITS) else { return Self::UNKNOWN };
        let position = u32::try_from(value % PAGE_LEN);
        position.map_or(Self::UNKNOWN, |it| Self(DIRECT_END | (index << POSITION_BITS) | it))
    }
}

impl From<u64> for Number {
    #[inline]
    fn from(value: u64) -> Self {
        match u32::try_from(value) {
            Ok(direct) if direct < DIRECT_END => Self(direct),
            Ok(_) | Err(_) => Self::from_large(value),
        }
    }
}

impl From<u32> for Number {
    fn from(value: u32) -> Self {
        Self::from(u64::from(value))
    }
}

impl From<usize> for Number {
    fn from(value: usize) -> Self {
        u64::try_from(value).map_or(Self::UNKNOWN, Self::from)
    }
}

impl From<Time> for Number {
    fn from(time: Time) -> Self {
        Self::from(time.as_millis())
    }
}

macro_rules! from_identifiers {
    ($($name:ident),*) => {
        $(impl From<$name> for Number {
            fn from(identifier: $name) -> Self {
                Self::from(identifier.number())
            }
        })*
    };
}

from_identifiers!(LogIndex, Seq, SessionId, Token);

/// The order of the values. An unknown number is less than every other.
impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.0 < DIRECT_END && other.0 < DIRECT_END {
            self.0.cmp(&other.0)
        } else {
            self.get().cmp(&other.get())
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq<u64> for Number {
    fn eq(&self, other: &u64) -> bool {
        self.get() == Some(*other)
    }
}

/// Hashes a number that fits 32 bits as these, because it was one before: the fingerprints of
/// earlier runs stay valid.
impl Hash for Number {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let value = self.get();
        match value.map(u32::try_from) {
            Some(Ok(short)) => short.hash(state),
            Some(Err(_)) | None => value.unwrap_or(u64::MAX).hash(state),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.get() {
            Some(value) => value.fmt(f),
            None => f.pad("?"),
        }
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(serializer)
    }
}

/// Not derived from `Option`, which would accept a missing field.
impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NumberVisitor)
    }
}

struct NumberVisitor;

impl Visitor<'_> for NumberVisitor {
    type Value = Number;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a non-negative integer or null")
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Number, E> {
        Ok(Number::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Number, E> {
        let value =
            u64::try_from(value).map_err(|_| E::invalid_value(Unexpected::Signed(value), &self))?;
        Ok(Number::from(value))
    }

    fn visit_unit<E: Error>(self) -> Result<Number, E> {
        Ok(Number::UNKNOWN)
    }
}

/// The pages: each is stored as its first number divided by [`PAGE_LEN`].
///
/// Reading a page takes no lock: its slot is written before any reference to it exists.
struct PageTable<const CHUNKS: usize> {
    chunks: [OnceLock<Box<[AtomicU64]>>; CHUNKS],
    /// The index of each page.
    indices: Mutex<BTreeMap<u64, u32>>,
}

impl<const CHUNKS: usize> PageTable<CHUNKS> {
    const fn new() -> Self {
        Self { chunks: [const { OnceLock::new() }; CHUNKS], indices: Mutex::new(BTreeMap::new()) }
    }

    /// Returns the index of a page, and adds the page if it is new. Returns `None` if the table is
    /// full.
    fn index_of(&self, page: u64) -> Option<u32> {
        // No panic occurs while the lock is held.
        let mut indices = self.indices.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = indices.get(&page) {
            return Some(*index);
        }
        let index = indices.len();
        // The last page of a full table is not used, because the last reference to it is
        // `Number::UNKNOWN`.
        if index == CHUNKS * CHUNK_LEN - 1 {
            return None;
        }
        let chunk = self
            .chunks
            .get(index / CHUNK_LEN)?
            .get_or_init(|| (0..CHUNK_LEN).map(|_| AtomicU64::new(0)).collect());
        chunk.get(index % CHUNK_LEN)?.store(page, Memory::Release);
        let index = u32::try_from(index).ok()?;
        indices.insert(page, index);
        Some(index)
    }

    /// Returns a page by its index.
    fn page(&self, index: usize) -> Option<u64> {
        let chunk = self.chunks.get(index / CHUNK_LEN)?.get()?;
        Some(chunk.get(index % CHUNK_LEN)?.load(Memory::Acquire))
    }
}

#[cfg(test)]
mod tests {
    #[cfg(not(target_family = "wasm"))]
    use std::thread;

    use super::*;
    use crate::fingerprint::Fingerprint;

    /// Numbers at the ends of all ranges.
    fn notable_numbers() -> impl Iterator<Item = u64> {
        let middles = [0, 31, 32, 53, 63].map(|bits| 1_u64 << bits);
        let around = middles.into_iter().flat_map(|it| it.saturating_sub(3)..=it + 3);
        around.chain(u64::MAX - 5_000..=u64::MAX)
    }

    #[test]
    fn every_number_is_exact_and_fits_four_bytes() {
        assert_eq!(size_of::<Number>(), 4);
        for value in notable_numbers() {
            let number = Number::from(value);
            assert_eq!(number.get(), Some(value));
            assert_eq!((number.to_string(), format!("{number:>25}")), {
                (value.to_string(), format!("{value:>25}"))
            });
            assert_eq!(number, Number::from(value), "equal numbers have equal bits");
            assert!(number == value && number.is_zero() == (value == 0));
        }
    }

    #[test]
    fn numbers_are_ordered_by_value() {
        let mut values: Vec<u64> = notable_numbers().step_by(7).collect();
        values.reverse();
        for left in &values {
            for right in &values {
                assert_eq!(Number::from(*left).cmp(&Number::from(*right)), left.cmp(right));
            }
            assert!(Number::UNKNOWN < Number::from(*left));
        }
    }

    #[test]
    fn json_is_the_number_and_null_is_unknown() {
        for value in notable_numbers() {
            let json = serde_json::to_string(&Number::from(value)).unwrap();
            assert_eq!(json, value.to_string());
            assert_eq!(serde_json::from_str::<Number>(&json).unwrap(), Number::from(value));
        }
        assert_eq!(serde_json::to_string(&Number::UNKNOWN).unwrap(), "null");
        assert_eq!(serde_json::from_str::<Number>("null").unwrap(), Number::UNKNOWN);
        let rejected = |json| serde_json::from_str::<Number>(json).unwrap_err().to_string();
        assert!(rejected("-1").starts_with("invalid value: integer `-1`"), "{}", rejected("-1"));
        assert!(rejected("18446744073709551616").contains("expected a non-negative integer"));
    }

    #[test]
    fn number_hashes_as_the_integer_that_it_was() {
        let hash_of = |value: &dyn Fn(&mut Fingerprint)| {
            let mut hash = Fingerprint::new();
            value(&mut hash);
            hash.0
        };
        for value in notable_numbers() {
            let expected = match u32::try_from(value) {
                Ok(short) => hash_of(&|hash| short.hash(hash)),
                Err(_) => hash_of(&|hash| value.hash(hash)),
            };
            assert_eq!(hash_of(&|hash| Number::from(value).hash(hash)), expected);
        }
    }

    #[test]
    fn full_table_has_no_more_numbers_and_loses_none() {
        let table: PageTable<1> = PageTable::new();
        let capacity = u64::try_from(CHUNK_LEN - 1).unwrap();
        for page in 0..capacity {
            assert_eq!(table.index_of(page * 3), u32::try_from(page).ok());
        }
        assert_eq!(table.index_of(1), None);
        assert_eq!(table.index_of(3), Some(1), "known pages stay known");
        assert_eq!(table.page(7), Some(21));
        assert_eq!((table.page(CHUNK_LEN), Number::UNKNOWN.get()), (None, None));
        assert_eq!(Number::UNKNOWN.to_string(), "?");
    }

    #[cfg(not(target_family = "wasm"))]
    #[test]
    fn threads_share_the_numbers() {
        let intern = |offset: u64| {
            let values = (0..20_000_u64).map(move |it| (it * 997 + offset) << 40);
            values.map(|value| (value, Number::from(value))).collect::<Vec<_>>()
        };
        let threads: Vec<_> = (0..4).map(|it| thread::spawn(move || intern(it % 2))).collect();
        for thread in threads {
            for (value, number) in thread.join().unwrap() {
                assert_eq!(number.get(), Some(value));
                assert_eq!(number, Number::from(value));
            }
        }
    }
}
