//! How a request was not done once for all, or was not what somebody was told of it (S3).

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use super::Teller;
use super::violation::{Violation, last};
use crate::check::is_final;
use crate::message::{Code, Message};
use crate::trace::{About, CallEnd, Kind, NodeNo, Record, RecordNo};

impl Teller<'_> {
    pub(super) fn not_once_for_all(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let (rests_on, text) = match record.kind {
            Kind::Sent(about) => self.told_otherwise(about, before),
            Kind::Answered { end, .. } => told_wrongly(record.node, end, before)?,
            _ => {
                let again = done_again(record, before);
                let refused = self.done_though_refused(record, before);
                // What was done before it was refused is forgotten.
                again.into_iter().chain(refused).max().or_else(|| written_again(record, before))?
            }
        };
        Some(Violation { text, rests_on: Vec::from_iter(rests_on) })
    }

    /// The server says something else than before.
    fn told_otherwise(&self, about: About, before: &[Record]) -> (Option<RecordNo>, String) {
        let client = self.node(about.peer);
        let first = last(before, |it| match it.kind {
            Kind::Sent(said) if it.node.is_server() && is_final(said) => {
                let same = (said.peer, said.seq) == (about.peer, about.seq);
                same.then_some(said)
            }
            _ => None,
        });
        match first {
            Some((place, said, at)) => {
                let (said, says) = (words(said), words(about));
                (Some(place), format!("{client} was told {said} at {at}, and is told {says} here"))
            }
            None => (None, format!("{client} is told that it has left the line, and it has not")),
        }
    }

    /// What the server has said no to, it does.
    fn done_though_refused(
        &self,
        record: &Record,
        before: &[Record],
    ) -> Option<(Option<RecordNo>, String)> {
        let (Kind::LockGranted { client, seq, .. }
        | Kind::LockQueued { client, seq, .. }
        | Kind::FileAppended { client, seq, .. }
        | Kind::LeaseRenewed { client, seq, .. }
        | Kind::LockReleased { by: client, seq, .. }) = record.kind
        else {
            return None;
        };
        let (place, code, at) = last(before, |it| match it.kind {
            Kind::Sent(said) if it.node.is_server() && is_final(said) => {
                said.refusal.filter(|_| (said.peer, said.seq) == (client, seq))
            }
            _ => None,
        })?;
        let (client, code) = (self.node(client), Code::word(code));
        let text = format!("this was refused at {at} ({code}), as {client} was told then");
        Some((Some(place), text))
    }
}

fn words(about: About) -> String {
    let code = about.refusal.map_or(String::new(), |code| format!(" ({})", code.word()));
    format!("{}{code}", about.message.word())
}

/// The very request was done before.
fn done_again(record: &Record, before: &[Record]) -> Option<(Option<RecordNo>, String)> {
    let request = executed(record)?;
    let (place, (), at) = last(before, |it| (executed(it) == Some(request)).then_some(()))?;
    let text = if matches!(record.kind, Kind::LeaseRenewed { .. }) {
        format!("this very request renewed the lease at {at} already")
    } else {
        format!("this very request was executed at {at} already")
    };
    Some((Some(place), text))
}

/// The line of this record is one that was written before, or that its caller knows not to be.
fn written_again(record: &Record, before: &[Record]) -> Option<(Option<RecordNo>, String)> {
    let Kind::FileAppended { client, seq, .. } = record.kind else { return None };
    let call = call_of(before, client, seq)?;
    let written = last(before, |it| written_for(it, client, before, call));
    if let Some((place, (), at)) = written {
        return Some((Some(place), format!("this very line was written at {at} already")));
    }
    let after = before.get(call.place()?..)?;
    let place = after.iter().position(|it| {
        it.node == client && matches!(it.kind, Kind::Answered { message: Message::AppendFile, .. })
    })?;
    let at = after.get(place)?.at;
    let place = RecordNo(call.0 + u32::try_from(place).ok()?);
    Some((Some(place), format!("its caller was told at {at} that it was not written")))
}

/// The caller is told something else than what is so.
fn told_wrongly(
    client: NodeNo,
    end: CallEnd,
    before: &[Record],
) -> Option<(Option<RecordNo>, String)> {
    if end == CallEnd::Done {
        return Some((None, "the caller is told that its line was written, and it was not".into()));
    }
    let (call, ..) = last(before, |it| is_call(it, client).then_some(()))?;
    let (place, (), at) = last(before, |it| written_for(it, client, before, call))?;
    let text = format!("the caller is told that its line was not written, and it was at {at}");
    Some((Some(place), text))
}

/// The call for which a client sent this.
fn call_of(before: &[Record], client: NodeNo, seq: u32) -> Option<RecordNo> {
    let sends = |it: &Record| {
        it.node == client
            && matches!(it.kind, Kind::Sent(about)
                if (about.message, about.seq) == (Message::AppendFile, seq))
    };
    let sent = before.iter().position(sends)?;
    last(&before[..sent], |it| is_call(it, client).then_some(())).map(|(place, ..)| place)
}

fn is_call(record: &Record, client: NodeNo) -> bool {
    record.node == client
        && matches!(record.kind, Kind::Called { message: Message::AppendFile, .. })
}

/// Something where this record writes the line of this call.
fn written_for(record: &Record, client: NodeNo, before: &[Record], call: RecordNo) -> Option<()> {
    match record.kind {
        Kind::FileAppended { client: author, seq, .. } if author == client => {
            (call_of(before, client, seq) == Some(call)).then_some(())
        }
        _ => None,
    }
}

/// The request that was executed here: its session and number.
const fn executed(record: &Record) -> Option<(u32, u32)> {
    match record.kind {
        Kind::LockGranted { session, seq, .. }
        | Kind::FileAppended { session, seq, .. }
        | Kind::LeaseRenewed { session, seq, .. } => Some((session, seq)),
        Kind::LockReleased { session, seq, .. } if seq > 0 => Some((session, seq)),
        _ => None,
    }
}
