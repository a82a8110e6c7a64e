//! Events that are told together.

use std::sync::OnceLock;
use std::vec::IntoIter;

use axum::extract::ws::Utf8Bytes;
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;

/// At most this many events are told together: a message should not be long.
pub(super) const BATCH_LEN_MAX: usize = 512;

/// Events that follow each other without a gap, one at least, and the text that tells of them once
/// somebody has wanted it.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    encoded: OnceLock<Utf8Bytes>,
}

impl Batch {
    /// As many of these as belong together, one at least; nothing where there are none.
    pub(super) fn take_from(events: &mut IntoIter<Event>) -> Option<Self> {
        let count = contiguous_len(None, events.as_slice()).min(BATCH_LEN_MAX);
        let events: Vec<Event> = events.by_ref().take(count).collect();
        (count > 0).then(|| Self { events, encoded: OnceLock::new() })
    }

    /// Takes what still belongs to it. Of what has been told already, nothing changes.
    pub(super) fn extend(&mut self, events: &mut IntoIter<Event>) {
        if self.encoded.get().is_none() {
            let capacity = BATCH_LEN_MAX - self.events.len();
            let count = contiguous_len(Some(self.last_index()), events.as_slice()).min(capacity);
            self.events.extend(events.by_ref().take(count));
        }
    }

    /// Takes in the next one, whether or not they have been told, where together they are not too
    /// many. Says whether it did.
    pub(super) fn try_merge(&mut self, next: &Self) -> bool {
        let fits = self.last_index().next() == next.events[0].index
            && self.events.len() + next.events.len() <= BATCH_LEN_MAX;
        if fits {
            self.events.extend_from_slice(&next.events);
            self.encoded = OnceLock::new();
        }
        fits
    }

    /// In order, without a gap, one at least.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// For how many events it has room.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.events.capacity()
    }

    /// The index of the last event.
    pub fn last_index(&self) -> LogIndex {
        self.events.last().expect("there is one").index
    }

    /// The text that tells of all of them, written by whoever wants it first. Others share it.
    pub fn encoded(&self, encode: impl FnOnce(&[Event]) -> String) -> Utf8Bytes {
        self.encoded.get_or_init(|| encode(&self.events).into()).clone()
    }
}

/// How many of these follow each other, from the first on, which follows `last` where there is
/// one.
fn contiguous_len(last: Option<LogIndex>, events: &[Event]) -> usize {
    let mut next = last.map(LogIndex::next).or(events.first().map(|first| first.index));
    let follows = |event: &&Event| {
        let follows = next == Some(event.index);
        next = Some(event.index.next());
        follows
    };
    events.iter().take_while(follows).count()
}
