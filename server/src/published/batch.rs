//! Events that are told together.

use std::sync::OnceLock;

use axum::extract::ws::Utf8Bytes;
use leasehold_core::event::Event;
use leasehold_core::id::Index;

/// At most this many events are told together: a message should not be long.
pub(super) const BATCH_MAX: usize = 512;

/// Events that follow each other without a gap, one at least, and the text that tells of them once
/// somebody has wanted it.
#[derive(Debug)]
pub struct Batch {
    events: Vec<Event>,
    text: OnceLock<Utf8Bytes>,
}

impl Batch {
    /// Takes as many as belong together, one at least. The others stay.
    pub(super) fn split_from(events: &mut Vec<Event>) -> Self {
        let rest = events.split_off(gapless(None, events).min(BATCH_MAX));
        Self { events: std::mem::replace(events, rest), text: OnceLock::new() }
    }

    /// Takes what still belongs to it, from the beginning: how many that are. Of what has been
    /// told already, nothing changes.
    pub(super) fn take_from(&mut self, events: &mut Vec<Event>) -> usize {
        if self.text.get().is_some() {
            return 0;
        }
        let room = BATCH_MAX - self.events.len();
        let count = gapless(Some(self.last()), events).min(room);
        self.events.extend(events.drain(..count));
        count
    }

    /// In order, without a gap, one at least.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The index of the last event.
    pub fn last(&self) -> Index {
        self.events.last().expect("there is one").index
    }

    /// The text that tells of all of them, written by whoever wants it first. Others share it.
    pub fn text(&self, write: impl FnOnce(&[Event]) -> String) -> Utf8Bytes {
        self.text.get_or_init(|| write(&self.events).into()).clone()
    }
}

/// How many of these follow each other, from the first on, which follows `last` where there is
/// one.
fn gapless(last: Option<Index>, events: &[Event]) -> usize {
    let mut next = last.map(Index::next).or(events.first().map(|first| first.index));
    let follows = |event: &&Event| {
        let follows = next == Some(event.index);
        next = Some(event.index.next());
        follows
    };
    events.iter().take_while(follows).count()
}
