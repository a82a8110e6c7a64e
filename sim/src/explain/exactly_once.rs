//! How a request was not done once for all, or was not what somebody was told of it (S3).

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use super::Explainer;
use super::violation::{Violation, find_last};
use crate::check::is_final;
use crate::message::{Message, RefusalCode};
use crate::trace::{CallResult, NodeId, PacketSummary, Record, RecordId, RecordKind};

impl Explainer<'_> {
    pub(super) fn explain_s3(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let (evidence, text) = match record.kind {
            RecordKind::Sent(packet) => self.contradictory_reply(packet, before),
            RecordKind::CallEnded { outcome, .. } => {
                wrong_call_outcome(record.node, outcome, before)?
            }
            _ => {
                let repeated = executed_twice(record, before);
                let refused = self.executed_after_refusal(record, before);
                // What was done before it was refused is forgotten.
                repeated
                    .into_iter()
                    .chain(refused)
                    .max()
                    .or_else(|| line_written_twice(record, before))?
            }
        };
        Some(Violation { text, evidence: Vec::from_iter(evidence) })
    }

    /// The server says something else than before.
    fn contradictory_reply(
        &self,
        packet: PacketSummary,
        before: &[Record],
    ) -> (Option<RecordId>, String) {
        let client = self.node_name(packet.peer);
        let first = find_last(before, |it| match it.kind {
            RecordKind::Sent(earlier) if it.node.is_server() && is_final(earlier) => {
                let is_same_request = (earlier.peer, earlier.seq) == (packet.peer, packet.seq);
                is_same_request.then_some(earlier)
            }
            _ => None,
        });
        match first {
            Some((id, earlier, at)) => {
                let (earlier, current) = (reply_text(earlier), reply_text(packet));
                (
                    Some(id),
                    format!("{client} was told {earlier} at {at}, and is told {current} here"),
                )
            }
            None => (None, format!("{client} is told that it has left the line, and it has not")),
        }
    }

    /// What the server has said no to, it does.
    fn executed_after_refusal(
        &self,
        record: &Record,
        before: &[Record],
    ) -> Option<(Option<RecordId>, String)> {
        let (RecordKind::LockGranted { client, seq, .. }
        | RecordKind::LockQueued { client, seq, .. }
        | RecordKind::FileAppended { client, seq, .. }
        | RecordKind::LeaseRenewed { client, seq, .. }
        | RecordKind::LockReleased { origin: client, seq, .. }) = record.kind
        else {
            return None;
        };
        let (id, code, at) = find_last(before, |it| match it.kind {
            RecordKind::Sent(reply) if it.node.is_server() && is_final(reply) => {
                reply.refusal.filter(|_| (reply.peer, reply.seq) == (client, seq))
            }
            _ => None,
        })?;
        let (client, code) = (self.node_name(client), RefusalCode::code(code));
        let text = format!("this was refused at {at} ({code}), as {client} was told then");
        Some((Some(id), text))
    }
}

fn reply_text(packet: PacketSummary) -> String {
    let code = packet.refusal.map_or(String::new(), |code| format!(" ({})", code.code()));
    format!("{}{code}", packet.message.code())
}

/// The very request was done before.
fn executed_twice(record: &Record, before: &[Record]) -> Option<(Option<RecordId>, String)> {
    let request = executed_request(record)?;
    let (id, (), at) =
        find_last(before, |it| (executed_request(it) == Some(request)).then_some(()))?;
    let text = if matches!(record.kind, RecordKind::LeaseRenewed { .. }) {
        format!("this very request renewed the lease at {at} already")
    } else {
        format!("this very request was executed at {at} already")
    };
    Some((Some(id), text))
}

/// The line of this record is one that was written before, or that its caller knows not to be.
fn line_written_twice(record: &Record, before: &[Record]) -> Option<(Option<RecordId>, String)> {
    let RecordKind::FileAppended { client, seq, .. } = record.kind else { return None };
    let call = call_of(before, client, seq)?;
    let written = find_last(before, |it| writes_line_of(it, client, before, call));
    if let Some((index, (), at)) = written {
        return Some((Some(index), format!("this very line was written at {at} already")));
    }
    let after = before.get(call.index()?..)?;
    let index = after.iter().position(|it| {
        it.node == client
            && matches!(it.kind, RecordKind::CallEnded { message: Message::AppendFile, .. })
    })?;
    let at = after.get(index)?.at;
    let index = RecordId(call.0 + u32::try_from(index).ok()?);
    Some((Some(index), format!("its caller was told at {at} that it was not written")))
}

/// The caller is told something else than what is so.
fn wrong_call_outcome(
    client: NodeId,
    outcome: CallResult,
    before: &[Record],
) -> Option<(Option<RecordId>, String)> {
    if outcome == CallResult::Succeeded {
        return Some((None, "the caller is told that its line was written, and it was not".into()));
    }
    let (call, ..) = find_last(before, |it| is_append_call(it, client).then_some(()))?;
    let (id, (), at) = find_last(before, |it| writes_line_of(it, client, before, call))?;
    let text = format!("the caller is told that its line was not written, and it was at {at}");
    Some((Some(id), text))
}

/// The call for which a client sent this.
fn call_of(before: &[Record], client: NodeId, seq: u32) -> Option<RecordId> {
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

/// Something where this record writes the line of this call.
fn writes_line_of(
    record: &Record,
    client: NodeId,
    before: &[Record],
    call: RecordId,
) -> Option<()> {
    match record.kind {
        RecordKind::FileAppended { client: author, seq, .. } if author == client => {
            (call_of(before, client, seq) == Some(call)).then_some(())
        }
        _ => None,
    }
}

/// The request that was executed here: its session and number.
const fn executed_request(record: &Record) -> Option<(u32, u32)> {
    match record.kind {
        RecordKind::LockGranted { session, seq, .. }
        | RecordKind::FileAppended { session, seq, .. }
        | RecordKind::LeaseRenewed { session, seq, .. } => Some((session, seq)),
        RecordKind::LockReleased { session, seq, .. } if seq > 0 => Some((session, seq)),
        _ => None,
    }
}
