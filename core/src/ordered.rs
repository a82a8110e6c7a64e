//! Maps and sets in the order of their keys, in sorted pieces.
//!
//! As quick as the trees of the standard library, and a quarter of their size when they are
//! compiled, which is done for each kind of key and value. The page would weigh a tenth more.
//!
//! - In each piece and over all of them, keys rise.
//! - No piece is empty, but maybe an only one, which is kept for what comes next; none is longer
//!   than [`PIECE_MAX`].
//! - The last key of a piece stands beside it: with 100,000 entries these few are in the
//!   processor's nearest memory, and what is looked for is found with few reads from afar.
//! - An entry put in or taken out moves those behind it in its piece: at most [`PIECE_MAX`],
//!   however many there are. Each [`PIECE_MAX`]th time or so, it moves the places of the pieces.
//! - Pieces are not put together again when they get shorter, so there are never more of them than
//!   once were needed.

use std::fmt;
use std::ops::Index;
use std::slice;

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// How many entries a piece may have: few enough to be moved in a blink.
const PIECE_MAX: usize = 64;

/// Sorts a short list; what has the same key stays in its order. The time it takes grows with the
/// square of the length, but the library's way takes thirty times the room for each kind of list.
pub fn sort_short<T, K: Ord>(list: &mut [T], key: impl Fn(&T) -> K) {
    for end in 1..list.len() {
        let mut at = end;
        while at > 0 && key(&list[at]) < key(&list[at - 1]) {
            list.swap(at, at - 1);
            at -= 1;
        }
    }
}

/// Values by their keys.
#[derive(Clone)]
pub struct Map<K, V> {
    pieces: Vec<Piece<K, V>>,
    len: usize,
}

/// Some entries, one behind the other.
#[derive(Clone, Debug)]
struct Piece<K, V> {
    /// The key of the last one. That of none is any.
    last: K,
    entries: Vec<(K, V)>,
}

/// Where an entry is, or where it would be.
#[derive(Clone, Copy)]
struct Place {
    piece: usize,
    at: usize,
}

impl<K, V> Map<K, V> {
    /// An empty one.
    pub const fn new() -> Self {
        Self { pieces: Vec::new(), len: 0 }
    }

    /// How many entries there are.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries, by the order of their keys.
    pub fn iter(&self) -> Iter<'_, K, V> {
        Iter { pieces: self.pieces.iter(), piece: [].iter() }
    }

    /// The keys, in their order.
    pub fn keys(&self) -> impl Iterator<Item = &K> + Clone {
        self.iter().map(|(key, _)| key)
    }

    /// The values, by the order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> + Clone {
        self.iter().map(|(_, value)| value)
    }

    /// The values, to be changed.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        let entries = self.pieces.iter_mut().flat_map(|piece| &mut piece.entries);
        entries.map(|(_, value)| value)
    }

    /// The entry with the lowest key.
    pub fn first(&self) -> Option<&(K, V)> {
        self.pieces.first()?.entries.first()
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        *self = Self::new();
    }
}

impl<K: Clone, V> Map<K, V> {
    /// Takes out the entry with the lowest key.
    pub fn pop_first(&mut self) -> Option<(K, V)> {
        (!self.is_empty()).then(|| self.take(Place { piece: 0, at: 0 }))
    }

    /// Keeps those of which that is so.
    pub fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        self.pieces.retain_mut(|piece| {
            piece.entries.retain_mut(|(key, value)| keeps(key, value));
            piece.note_last();
            !piece.entries.is_empty()
        });
        self.len = self.pieces.iter().map(|piece| piece.entries.len()).sum();
    }

    fn take(&mut self, Place { piece: number, at }: Place) -> (K, V) {
        let piece = &mut self.pieces[number];
        let entry = piece.entries.remove(at);
        piece.note_last();
        if piece.entries.is_empty() && self.pieces.len() > 1 {
            self.pieces.remove(number);
        }
        self.len -= 1;
        entry
    }

    fn put(&mut self, Place { mut piece, mut at }: Place, entry: (K, V)) -> Place {
        if self.pieces.is_empty() {
            self.pieces.push(Piece { last: entry.0.clone(), entries: Vec::new() });
        }
        let full = &mut self.pieces[piece];
        if full.entries.len() == PIECE_MAX {
            // Keys often come in their order: then each piece is left behind full.
            let half = if at == PIECE_MAX { PIECE_MAX } else { PIECE_MAX / 2 };
            let rest = Piece { last: full.last.clone(), entries: full.entries.split_off(half) };
            full.note_last();
            self.pieces.insert(piece + 1, rest);
            if at >= half {
                (piece, at) = (piece + 1, at - half);
            }
        }
        self.pieces[piece].entries.insert(at, entry);
        self.pieces[piece].note_last();
        self.len += 1;
        Place { piece, at }
    }
}

impl<K: Clone, V> Piece<K, V> {
    fn note_last(&mut self) {
        if let Some((last, _)) = self.entries.last() {
            self.last = last.clone();
        }
    }
}

impl<K: Ord + Clone, V> Map<K, V> {
    /// Where this key is, or else where it has to be put.
    fn find(&self, key: &K) -> Result<Place, Place> {
        // What comes behind all others still belongs to the last piece.
        let last = self.pieces.len().saturating_sub(1);
        let piece = self.pieces.partition_point(|piece| piece.last < *key).min(last);
        let entries = self.pieces.get(piece).map_or(&[][..], |piece| &piece.entries);
        match entries.binary_search_by(|(it, _)| it.cmp(key)) {
            Ok(at) => Ok(Place { piece, at }),
            Err(at) => Err(Place { piece, at }),
        }
    }

    /// The value of this key.
    pub fn get(&self, key: &K) -> Option<&V> {
        let Place { piece, at } = self.find(key).ok()?;
        Some(&self.pieces[piece].entries[at].1)
    }

    /// The value of this key, to be changed.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let Place { piece, at } = self.find(key).ok()?;
        Some(&mut self.pieces[piece].entries[at].1)
    }

    /// Whether there is an entry with this key.
    pub fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_ok()
    }

    /// Puts in an entry, and gives the value that the key had.
    pub fn insert(&mut self, key: K, value: V) -> Option<V> {
        match self.find(&key) {
            Ok(Place { piece, at }) => {
                Some(std::mem::replace(&mut self.pieces[piece].entries[at].1, value))
            }
            Err(place) => {
                self.put(place, (key, value));
                None
            }
        }
    }

    /// Takes out an entry, and gives its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        self.find(key).ok().map(|place| self.take(place).1)
    }

    /// The value of this key, to be changed; the least of its kind where there was none.
    pub fn or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let place = self.find(&key);
        let Place { piece, at } =
            place.unwrap_or_else(|place| self.put(place, (key, V::default())));
        &mut self.pieces[piece].entries[at].1
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: PartialEq, V: PartialEq> PartialEq for Map<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other)
    }
}

impl<K: Eq, V: Eq> Eq for Map<K, V> {}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self).finish()
    }
}

impl<K: Ord + Clone, V> Index<&K> for Map<K, V> {
    type Output = V;

    fn index(&self, key: &K) -> &V {
        self.get(key).expect("what is looked up by index is there")
    }
}

impl<K: Ord + Clone, V> Extend<(K, V)> for Map<K, V> {
    fn extend<I: IntoIterator<Item = (K, V)>>(&mut self, entries: I) {
        for (key, value) in entries {
            self.insert(key, value);
        }
    }
}

impl<K: Ord + Clone, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        map.extend(entries);
        map
    }
}

/// The entries of a [`Map`], by the order of their keys.
#[derive(Debug)]
pub struct Iter<'a, K, V> {
    pieces: slice::Iter<'a, Piece<K, V>>,
    piece: slice::Iter<'a, (K, V)>,
}

impl<K, V> Clone for Iter<'_, K, V> {
    fn clone(&self) -> Self {
        Self { pieces: self.pieces.clone(), piece: self.piece.clone() }
    }
}

impl<'a, K, V> Iterator for Iter<'a, K, V> {
    type Item = (&'a K, &'a V);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some((key, value)) = self.piece.next() {
                return Some((key, value));
            }
            self.piece = self.pieces.next()?.entries.iter();
        }
    }
}

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Iter<'a, K, V>;

    fn into_iter(self) -> Iter<'a, K, V> {
        self.iter()
    }
}

impl<K: Serialize, V: Serialize> Serialize for Map<K, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self)
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>> Deserialize<'de> for Map<K, V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Reading(Self::new()))
    }
}

/// A map or a set that is being read.
struct Reading<T>(T);

impl<'de, K: Ord + Clone + Deserialize<'de>, V: Deserialize<'de>> Visitor<'de>
    for Reading<Map<K, V>>
{
    type Value = Map<K, V>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        while let Some((key, value)) = access.next_entry()? {
            self.0.insert(key, value);
        }
        Ok(self.0)
    }
}

/// Keys, each of them once.
#[derive(Clone, PartialEq, Eq)]
pub struct Set<K>(Map<K, ()>);

impl<K> Set<K> {
    /// An empty one.
    pub const fn new() -> Self {
        Self(Map::new())
    }

    /// How many keys there are.
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, in their order.
    pub fn iter(&self) -> impl Iterator<Item = &K> + Clone {
        self.0.keys()
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The lowest key.
    pub fn first(&self) -> Option<&K> {
        self.0.first().map(|(key, ())| key)
    }
}

impl<K: Clone> Set<K> {
    /// Takes out the lowest key.
    pub fn pop_first(&mut self) -> Option<K> {
        self.0.pop_first().map(|(key, ())| key)
    }

    /// Keeps those of which that is so.
    pub fn retain(&mut self, mut keeps: impl FnMut(&K) -> bool) {
        self.0.retain(|key, ()| keeps(key));
    }
}

impl<K: Ord + Clone> Set<K> {
    /// Whether this key is in it.
    pub fn contains(&self, key: &K) -> bool {
        self.0.contains_key(key)
    }

    /// Puts in a key; `false` where it was there.
    pub fn insert(&mut self, key: K) -> bool {
        self.0.insert(key, ()).is_none()
    }

    /// Takes out a key; `false` where it wasn't there.
    pub fn remove(&mut self, key: &K) -> bool {
        self.0.remove(key).is_some()
    }
}

impl<K> Default for Set<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: fmt::Debug> fmt::Debug for Set<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl<K: Ord + Clone> Extend<K> for Set<K> {
    fn extend<I: IntoIterator<Item = K>>(&mut self, keys: I) {
        for key in keys {
            self.insert(key);
        }
    }
}

impl<K: Ord + Clone, const N: usize> From<[K; N]> for Set<K> {
    fn from(keys: [K; N]) -> Self {
        keys.into_iter().collect()
    }
}

impl<K: Ord + Clone> FromIterator<K> for Set<K> {
    fn from_iter<I: IntoIterator<Item = K>>(keys: I) -> Self {
        let mut set = Self::new();
        set.extend(keys);
        set
    }
}

impl<K: Serialize> Serialize for Set<K> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>> Deserialize<'de> for Set<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Reading(Self::new()))
    }
}

impl<'de, K: Ord + Clone + Deserialize<'de>> Visitor<'de> for Reading<Set<K>> {
    type Value = Set<K>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut access: A) -> Result<Self::Value, A::Error> {
        while let Some(key) = access.next_element()? {
            self.0.insert(key);
        }
        Ok(self.0)
    }
}
