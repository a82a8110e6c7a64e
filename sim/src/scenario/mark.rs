//! Pointing at one record of a run.

use serde::{Deserialize, Serialize};

use crate::message::{Code, Message};
use crate::moment::Moment;
use crate::trace::{LockNo, NodeNo, Record, RecordNo};

/// The `nth` record that is like this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Mark {
    /// Its kind, by the word that it has in a trace; empty for any.
    pub kind: String,
    /// To whom it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeNo>,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<NodeNo>,
    /// Which lock it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockNo>,
    /// Which message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Which refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
    /// Not before this moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// Which of those, counted from 1; 0 is 1 as well.
    #[serde(skip_serializing_if = "is_first")]
    pub nth: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_first(nth: &u32) -> bool {
    *nth <= 1
}

impl Mark {
    /// The record in this trace that is meant; none where there is none.
    pub fn find(&self, trace: &[Record]) -> Option<RecordNo> {
        let wanted = usize::try_from(self.nth.max(1) - 1).ok()?;
        let mut places = trace.iter().enumerate().filter(|(_, record)| self.fits(record));
        let (place, _) = places.nth(wanted)?;
        u32::try_from(place).ok().map(RecordNo)
    }

    /// Whether a record is like this, whichever of those it is.
    pub fn fits(&self, record: &Record) -> bool {
        let seen = record.kind.subject();
        let late = self.from_ms.is_none_or(|ms| record.at >= Moment::from_millis(ms));
        late && (self.kind.is_empty() || self.kind == record.kind.name())
            && self.node.is_none_or(|node| node == record.node)
            && (self.client.is_none() || self.client == seen.client)
            && (self.lock.is_none() || self.lock == seen.lock)
            && (self.message.is_none() || self.message == seen.message)
            && (self.code.is_none() || self.code == seen.code)
    }
}
