//! Selects one record of a run by its properties, so that a scenario survives changes of timing.

use serde::{Deserialize, Serialize};

use crate::message::{Message, RefusalCode};
use crate::trace::{LockId, NodeId, Record, RecordId};
use crate::virtual_time::VirtualTime;

/// Selects the `nth` record that matches all fields that are set.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecordSelector {
    /// The code of the kind, as in a trace; empty for any.
    pub kind: String,
    /// The node of the record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<NodeId>,
    /// The client that the record is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client: Option<NodeId>,
    /// The lock that the record is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lock: Option<LockId>,
    /// The message.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Message>,
    /// The refusal code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<RefusalCode>,
    /// The earliest virtual time, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_ms: Option<u64>,
    /// The number of the match, from 1; 0 means 1.
    #[serde(skip_serializing_if = "is_first")]
    pub nth: u32,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_first(nth: &u32) -> bool {
    *nth <= 1
}

impl RecordSelector {
    /// Returns the selected record of a trace; `None` if too few records match.
    pub fn find(&self, trace: &[Record]) -> Option<RecordId> {
        let skipped = usize::try_from(self.nth.max(1) - 1).ok()?;
        let mut matching = trace.iter().enumerate().filter(|(_, record)| self.matches(record));
        let (index, _) = matching.nth(skipped)?;
        u32::try_from(index).ok().map(RecordId)
    }

    /// Whether a record matches, regardless of `nth`.
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
