//! Records as sentences for a student: what happened, by which rule, and why.
//!
//! - Sentences are derived from the records and the configuration alone, so an imported trace reads
//!   the same as one that was just recorded.
//! - A sentence names its actor first and fits a caption: at most 90 characters with the names of
//!   the library.
//! - Codes of the protocol, such as `stale_token`, do not appear in sentences.

mod action;
mod exactly_once;
mod flag;
mod phrases;
mod reason;
mod violation;

use std::fmt;

use super::run::Run;
use super::trace::{LockId, NodeId, Record, RecordId};
use super::virtual_time::VirtualTime;

pub use violation::Violation;

/// The description of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// The subject of the sentence: a node, or something of a node, such as `client_1's lease`.
    pub actor: String,
    /// The rest of the sentence, without a full stop.
    pub action: String,
    /// The reason, as a clause that follows "because"; `None` if the sentence is self-explanatory.
    pub reason: Option<String>,
    /// The records that the reason refers to, and those that led to this one.
    pub causes: Vec<RecordId>,
}

impl Description {
    /// Returns actor and action as one sentence, without a full stop.
    pub fn sentence(&self) -> String {
        format!("{} {}", self.actor, self.action)
    }
}

/// How times are written in sentences.
pub trait TimeLabels: fmt::Debug {
    /// Returns the label of a time, such as `12.4 s`.
    fn label(&self, time: VirtualTime) -> String;
}

/// Describes the records of one trace.
#[derive(Clone, Copy, Debug)]
pub struct Explainer<'a> {
    run: &'a Run,
    trace: &'a [Record],
    /// Virtual time if unset.
    time_labels: Option<&'a dyn TimeLabels>,
}

impl<'a> Explainer<'a> {
    /// Creates an explainer for a trace of this run.
    pub const fn new(run: &'a Run, trace: &'a [Record]) -> Self {
        Self { run, trace, time_labels: None }
    }

    /// Writes times in this form.
    #[must_use]
    pub const fn with_time_labels(self, time_labels: &'a dyn TimeLabels) -> Self {
        Self { time_labels: Some(time_labels), ..self }
    }

    /// Returns the label of a time in sentences.
    pub fn time_label(&self, time: VirtualTime) -> String {
        self.time_labels.map_or_else(|| time.to_string(), |labels| labels.label(time))
    }

    /// Describes a record; `None` if the trace does not contain it.
    pub fn describe(&self, id: RecordId) -> Option<Description> {
        let record = self.record(id)?;
        let reason = self.reason(record);
        let mut causes: Vec<RecordId> = record.causes.both().to_vec();
        causes.extend(reason.iter().flat_map(|reason| reason.evidence.iter().copied()));
        causes.retain(|cause| *cause != RecordId::NONE);
        causes.sort_by_cached_key(|cause| u64::from(cause.0));
        causes.dedup();
        let (actor, action) = self.clause(record);
        Some(Description { actor, action, reason: reason.map(|reason| reason.text), causes })
    }

    /// Returns a record by its id.
    pub fn record(&self, id: RecordId) -> Option<&'a Record> {
        self.trace.get(id.index()?)
    }

    /// Returns the name of a node. It contains no spaces.
    pub fn node_name(&self, node: NodeId) -> String {
        let Some(index) = usize::from(node.0).checked_sub(1) else { return "server".to_owned() };
        let client = self.run.config.clients.get(index);
        client.map_or_else(|| "unknown-client".to_owned(), |client| client.name.to_string())
    }

    /// Returns the name of a lock.
    pub fn lock_name(&self, lock: LockId) -> String {
        let name = self.run.config.locks.get(usize::from(lock.0));
        name.map_or_else(|| "unknown-lock".to_owned(), ToString::to_string)
    }

    /// Returns all direct and indirect causes of a record, and the record itself, in trace order.
    pub fn causal_chain(&self, id: RecordId) -> Vec<RecordId> {
        let mut pending = vec![id];
        let mut chain = Vec::new();
        while let Some(next) = pending.pop() {
            let Some(record) = self.record(next) else { continue };
            if chain.contains(&next) {
                continue;
            }
            chain.push(next);
            // A record later than its effect is not a cause.
            pending.extend(record.causes.both().into_iter().filter(|cause| *cause < next));
        }
        chain.sort_by_cached_key(|it| u64::from(it.0));
        chain
    }
}
