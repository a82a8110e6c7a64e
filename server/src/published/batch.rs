//! Batches of events that are sent in one message.

use std::sync::OnceLock;
use std::vec::IntoIter;

use axum::extract::ws::Utf8Bytes;
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;

/// The maximum number of events in a batch, so that messages stay short.
pub(super) const BATCH_LEN_MAX: usize = 512;

/// At least one event, without gaps between them, and the encoded message once a viewer has needed
/// it.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    encoded: OnceLock<Utf8Bytes>,
}

impl Batch {
    /// Removes the longest contiguous prefix of `events` and returns it as a batch, or `None` if
    /// there are no events.
    pub(super) fn take_from(events: &mut IntoIter<Event>) -> Option<Self> {
        let count = contiguous_len(None, events.as_slice()).min(BATCH_LEN_MAX);
        let events: Vec<Event> = events.by_ref().take(count).collect();
        (count > 0).then(|| Self { events, encoded: OnceLock::new() })
    }

    /// Moves the events that continue this batch into it, unless the batch is already encoded and
    /// so may have been sent.
    pub(super) fn extend(&mut self, events: &mut IntoIter<Event>) {
        if self.encoded.get().is_none() {
            let capacity = BATCH_LEN_MAX - self.events.len();
            let count = contiguous_len(Some(self.last_index()), events.as_slice()).min(capacity);
            self.events.extend(events.by_ref().take(count));
        }
    }

    /// Appends the events of `next` if they continue this batch and fit into it, even if both were
    /// sent. Returns whether it did.
    pub(super) fn try_merge(&mut self, next: &Self) -> bool {
        let fits = self.last_index().next() == next.events[0].index
            && self.events.len() + next.events.len() <= BATCH_LEN_MAX;
        if fits {
            self.events.extend_from_slice(&next.events);
            self.encoded = OnceLock::new();
        }
        fits
    }

    /// Returns the events: at least one, in order, without gaps.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Returns the number of events for which memory is allocated.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.events.capacity()
    }

    /// Returns the index of the last event.
    pub fn last_index(&self) -> LogIndex {
        self.events.last().expect("a batch is never empty").index
    }

    /// Returns the encoded message. The first caller encodes it; all others share the result.
    pub fn encoded(&self, encode: impl FnOnce(&[Event]) -> String) -> Utf8Bytes {
        self.encoded.get_or_init(|| encode(&self.events).into()).clone()
    }
}

/// Returns the length of the longest prefix without gaps. If `last` is given, the first event must
/// follow it.
fn contiguous_len(last: Option<LogIndex>, events: &[Event]) -> usize {
    let mut next = last.map(LogIndex::next).or(events.first().map(|first| first.index));
    let follows = |event: &&Event| {
        let follows = next == Some(event.index);
        next = Some(event.index.next());
        follows
    };
    events.iter().take_while(follows).count()
}
