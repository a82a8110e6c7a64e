//! Violations of S3: a request was executed twice, or its answer was contradictory or false.

use super::Explainer;
use super::phrases::refusal_text;
use super::violation::{Violation, find_last};
use crate::check::is_final;
use crate::message::Message;
use crate::trace::{CallResult, NodeId, Number, PacketSummary, Record, RecordId, RecordKind};

/// How a record violates S3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repetition {
    /// The same request was executed before.
    Request,
    /// The same line was written before, by another request.
    Line,
    /// The request was rejected before.
    Rejected,
    /// A reply contradicts an earlier one.
    Reply,
    /// The outcome that the client learns is false.
    Outcome,
}

/// A violation of S3, in a sentence, and the earlier record that it refers to.
struct Finding {
    repetition: Repetition,
    evidence: Option<RecordId>,
    text: String,
}

impl Explainer<'_> {
    pub(super) fn explain_s3(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let Finding { evidence, text, .. } = self.find_repetition(record, before)?;
        Some(Violation { text, evidence: Vec::from_iter(evidence) })
    }

    /// Returns how a record violates S3.
    pub(super) fn repetition(&self, record: &Record, before: &[Record]) -> Option<Repetition> {
        self.find_repetition(record, before).map(|finding| finding.repetition)
    }

    fn find_repetition(&self, record: &Record, before: &[Record]) -> Option<Finding> {
        if let RecordKind::Sent(packet) = record.kind {
            return Some(self.contradictory_reply(packet, before));
        }
        if let RecordKind::CallEnded { outcome, .. } = record.kind {
            return self.wrong_call_outcome(record.node, outcome, before);
        }
        let repeated = self.executed_twice(record, before);
        let refused = self.executed_after_refusal(record, before);
        // An execution before the refusal may have been lost in a crash: the later record counts.
        let latest = repeated.into_iter().chain(refused).max_by_key(|finding| finding.evidence);
        latest.or_else(|| self.line_written_twice(record, before))
    }

    /// The server contradicts its earlier reply.
    fn contradictory_reply(&self, packet: PacketSummary, before: &[Record]) -> Finding {
        let client = self.node_name(packet.peer);
        let first = find_last(before, |it| {
            let RecordKind::Sent(earlier) = it.kind else { return None };
            let is_same_request = (earlier.peer, earlier.seq) == (packet.peer, packet.seq);
            (it.node.is_server() && is_final(earlier) && is_same_request).then_some(earlier)
        });
        let Some((id, earlier, at)) = first else {
            let text = format!("the server confirms a cancellation, but {client} is still queued");
            return Finding::new(Repetition::Reply, None, text);
        };
        let (earlier, current) = (self.reply_text(earlier), self.reply_text(packet));
        let at = self.time_label(at);
        let text =
            format!("the server replied \"{earlier}\" at {at}, and now replies \"{current}\"");
        Finding::new(Repetition::Reply, Some(id), text)
    }

    /// The server executes a request that it has rejected.
    fn executed_after_refusal(&self, record: &Record, before: &[Record]) -> Option<Finding> {
        let (RecordKind::LockGranted { client, seq, .. }
        | RecordKind::LockQueued { client, seq, .. }
        | RecordKind::FileAppended { client, seq, .. }
        | RecordKind::LeaseRenewed { client, seq, .. }
        | RecordKind::LockReleased { origin: client, seq, .. }) = record.kind
        else {
            return None;
        };
        let (id, code, at) = find_last(before, |it| {
            let RecordKind::Sent(reply) = it.kind else { return None };
            let is_answer =
                it.node.is_server() && is_final(reply) && (reply.peer, reply.seq) == (client, seq);
            reply.refusal.filter(|_| is_answer)
        })?;
        let (client, reason) = (self.node_name(client), refusal_text(code));
        let at = self.time_label(at);
        let text = format!("the server rejected this request of {client} at {at} ({reason})");
        Some(Finding::new(Repetition::Rejected, Some(id), text))
    }

    /// The same request was executed before.
    fn executed_twice(&self, record: &Record, before: &[Record]) -> Option<Finding> {
        let request = executed_request(record)?;
        let (id, (), at) =
            find_last(before, |it| (executed_request(it) == Some(request)).then_some(()))?;
        let at = self.time_label(at);
        let text = if matches!(record.kind, RecordKind::LeaseRenewed { .. }) {
            format!("this request already renewed the lease at {at}")
        } else {
            format!("this request was already executed at {at}")
        };
        Some(Finding::new(Repetition::Request, Some(id), text))
    }

    /// The line was written before, or the client was informed that it is not written.
    fn line_written_twice(&self, record: &Record, before: &[Record]) -> Option<Finding> {
        let RecordKind::FileAppended { client, seq, .. } = record.kind else { return None };
        let call = call_of(before, client, seq)?;
        let written =
            find_last(before, |it| writes_line_of(it, client, before, call).then_some(()));
        if let Some((id, (), at)) = written {
            let text = format!("this line was already written at {}", self.time_label(at));
            return Some(Finding::new(Repetition::Line, Some(id), text));
        }
        let after = before.get(call.index()?..)?;
        let index = after.iter().position(|it| {
            it.node == client
                && matches!(it.kind, RecordKind::CallEnded { message: Message::AppendFile, .. })
        })?;
        let at = self.time_label(after.get(index)?.at);
        let id = RecordId(call.0 + u32::try_from(index).ok()?);
        let text = format!("the client learned at {at} that this line was not written");
        Some(Finding::new(Repetition::Outcome, Some(id), text))
    }

    /// The outcome that the client learns is false.
    fn wrong_call_outcome(
        &self,
        client: NodeId,
        outcome: CallResult,
        before: &[Record],
    ) -> Option<Finding> {
        if outcome == CallResult::Succeeded {
            let text = "the client learns that its line was written, but it was not";
            return Some(Finding::new(Repetition::Outcome, None, text));
        }
        let (call, ..) = find_last(before, |it| is_append_call(it, client).then_some(()))?;
        let (id, (), at) =
            find_last(before, |it| writes_line_of(it, client, before, call).then_some(()))?;
        let at = self.time_label(at);
        let text = format!("the client learns that its line was not written, but it was, at {at}");
        Some(Finding::new(Repetition::Outcome, Some(id), text))
    }
}

impl Finding {
    fn new(repetition: Repetition, evidence: Option<RecordId>, text: impl Into<String>) -> Self {
        Self { repetition, evidence, text: text.into() }
    }
}

/// Returns the call for which a client sent a request.
fn call_of(before: &[Record], client: NodeId, seq: Number) -> Option<RecordId> {
    let is_sent = |it: &Record| {
        it.node == client
            && matches!(it.kind, RecordKind::Sent(packet)
                if (packet.message, packet.seq) == (Message::AppendFile, seq))
    };
    let sent = before.iter().position(is_sent)?;
    find_last(&before[..sent], |it| is_append_call(it, client).then_some(())).map(|(id, ..)| id)
}

fn is_append_call(record: &Record, client: NodeId) -> bool {
    record.node == client
        && matches!(record.kind, RecordKind::CallStarted { message: Message::AppendFile, .. })
}

/// Whether a record writes the line of a call.
fn writes_line_of(record: &Record, client: NodeId, before: &[Record], call: RecordId) -> bool {
    matches!(record.kind, RecordKind::FileAppended { client: author, seq, .. }
        if author == client && call_of(before, client, seq) == Some(call))
}

/// Returns session and sequence number of the request that a record executes.
fn executed_request(record: &Record) -> Option<(Number, Number)> {
    let (RecordKind::LockGranted { session, seq, .. }
    | RecordKind::FileAppended { session, seq, .. }
    | RecordKind::LeaseRenewed { session, seq, .. }
    | RecordKind::LockReleased { session, seq, .. }) = record.kind
    else {
        return None;
    };
    // A release that no request caused has sequence number 0.
    let is_request = !matches!(record.kind, RecordKind::LockReleased { .. }) || !seq.is_zero();
    is_request.then_some((session, seq))
}
