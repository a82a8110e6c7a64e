//! Pointing at one record of a run.

use serde::{Deserialize, Serialize};

use crate::message::{Message, RefusalCode};
use crate::trace::{LockId, NodeId, Record, RecordId};
use crate::virtual_time::VirtualTime;

/// The `nth` record that is like this.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordSelector {
    /// Its kind, by the word that it has in a trace; empty for any.
    pub kind: String,
    /// To whom it happened.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// Whom it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<NodeId>,
    /// Which lock it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// Which message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// Which refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<RefusalCode>,
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

impl RecordSelector {
    /// The record in this trace that is meant; none where there is none.
    pub fn find(&self, trace: &[Record]) -> Option<RecordId> {
        let skipped = usize::try_from(self.nth.max(1) - 1).ok()?;
        let mut matching = trace.iter().enumerate().filter(|(_, record)| self.matches(record));
        let (index, _) = matching.nth(skipped)?;
        u32::try_from(index).ok().map(RecordId)
    }

    /// Whether a record is like this, whichever of those it is.
    pub fn matches(&self, record: &Record) -> bool {
        let subject = record.kind.subject();
        let in_time = self.from_ms.is_none_or(|ms| record.at >= VirtualTime::from_millis(ms));
        in_time
            && (self.kind.is_empty() || self.kind == record.kind.code())
            && self.node.is_none_or(|node| node == record.node)
            && (self.client.is_none() || self.client == subject.client)
            && (self.lock.is_none() || self.lock == subject.lock)
            && (self.message.is_none() || self.message == subject.message)
            && (self.code.is_none() || self.code == subject.code)
    }
}
