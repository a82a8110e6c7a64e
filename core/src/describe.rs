//! Events as English sentences, for logs and for `leasehold log`.

use crate::data::Data;
use crate::event::{EventKind, ReleaseCause, WaitEndCause};
use crate::id::{Name, Token};
use crate::limits::WAIT_MAX;
use crate::op::Op;
use crate::refusal::Refusal;

/// The number of characters of an append that are quoted.
const QUOTE_LEN_MAX: usize = 60;

/// Returns the subject of the sentence: the name of the client, or `server`.
pub fn actor(kind: &EventKind) -> &str {
    match kind {
        EventKind::ServerStarted { .. }
        | EventKind::ServerStopped
        | EventKind::DatagramDropped { .. } => "server",
        EventKind::SessionOpened { client, .. }
        | EventKind::SessionExpired { client, .. }
        | EventKind::SessionClosed { client, .. }
        | EventKind::LockQueued { client, .. }
        | EventKind::LockGranted { client, .. }
        | EventKind::LockReleased { client, .. }
        | EventKind::WaitEnded { client, .. }
        | EventKind::FileAppended { client, .. }
        | EventKind::DuplicateAnswered { client, .. }
        | EventKind::LeaseRenewed { client, .. } => client.as_str(),
        EventKind::RequestRefused { client, .. } => {
            client.as_ref().map_or("(unknown)", Name::as_str)
        }
    }
}

/// Returns the predicate of the sentence, which follows the [`actor`].
pub fn action(kind: &EventKind) -> String {
    match kind {
        EventKind::ServerStarted { token_floor, .. } if *token_floor > Token::default() => {
            format!("started after a loss of data; tokens continue after {token_floor}")
        }
        EventKind::ServerStarted { .. } => "started".to_owned(),
        EventKind::ServerStopped => "stopped".to_owned(),
        EventKind::SessionOpened { session_id, lease, .. } => {
            format!("opened session {session_id} with a lease of {lease}")
        }
        EventKind::SessionExpired { session_id, .. } => {
            format!("lost session {session_id}: its lease expired")
        }
        EventKind::SessionClosed { session_id, .. } => format!("closed session {session_id}"),
        EventKind::LockQueued { lock, wait, .. } if *wait >= WAIT_MAX => {
            format!("is queued for {lock}")
        }
        EventKind::LockQueued { lock, wait, .. } => {
            format!("is queued for {lock} for at most {wait}")
        }
        EventKind::LockGranted { lock, token, from_queue, hold, .. } => {
            let queue = if *from_queue { ", from the wait queue" } else { "" };
            let hold = hold.map_or_else(String::new, |hold| format!(", for at most {hold}"));
            format!("holds {lock} under token {token}{queue}{hold}")
        }
        EventKind::LockReleased { lock, token, cause, .. } => {
            describe_release(lock, *token, *cause)
        }
        EventKind::WaitEnded { lock, cause, .. } => {
            let reason = match cause {
                WaitEndCause::Cancelled => "it cancelled the request",
                WaitEndCause::Timeout => "the wait timed out",
                WaitEndCause::SessionEnded => "its session ended",
            };
            format!("left the wait queue of {lock}: {reason}")
        }
        EventKind::FileAppended { file, token, offset, data, .. } => {
            let len = data.len();
            let quote = quote(data);
            format!("appended {len} bytes to {file} at {offset} under token {token}: {quote}")
        }
        EventKind::RequestRefused { op, resource_name, token, refusal, .. } => {
            describe_refusal(*op, resource_name.as_ref(), *token, refusal)
        }
        EventKind::DuplicateAnswered { op, request_id, .. } => {
            format!("sent request {} ({}) again: answered, not executed", request_id.seq, op.code())
        }
        EventKind::LeaseRenewed { op, .. } => format!("renewed its lease ({})", op.code()),
        EventKind::DatagramDropped { reason } => format!("dropped a datagram: {}", reason.code()),
    }
}

fn describe_release(lock: &Name, token: Token, cause: ReleaseCause) -> String {
    match cause {
        ReleaseCause::Released => format!("released {lock}, token {token}"),
        ReleaseCause::Closed => format!("released {lock}, token {token}, by closing its session"),
        ReleaseCause::LeaseExpired => format!("lost {lock}, token {token}: its lease expired"),
        ReleaseCause::HoldExpired => format!(
            "lost {lock}, token {token}: the hold limit expired, or the grant was not confirmed"
        ),
    }
}

fn describe_refusal(
    op: Op,
    resource_name: Option<&Name>,
    token: Option<Token>,
    refusal: &Refusal,
) -> String {
    let name = resource_name.map_or_else(String::new, |name| format!(" {name}"));
    let token = token.map_or_else(String::new, |token| format!(" under token {token}"));
    format!("was refused {}{name}{token}: {refusal} ({})", noun_phrase(op), refusal.code())
}

/// Returns the object of "was refused". The name of the lock or file follows, if there is one.
const fn noun_phrase(op: Op) -> &'static str {
    match op {
        Op::Hello => "a session",
        Op::AcquireLock => "the lock",
        Op::CancelAcquire => "the cancellation of its wait for",
        Op::ReleaseLock => "the release of",
        Op::AppendFile => "an append to",
        Op::AppendOutcome => "the outcome of an append",
        Op::Heartbeat => "a heartbeat",
        Op::Close => "the end of its session",
    }
}

fn quote(data: &Data) -> String {
    let Some(text) = data.text() else { return "(binary data)".to_owned() };
    if text.chars().count() <= QUOTE_LEN_MAX {
        return format!("{text:?}");
    }
    let prefix: String = text.chars().take(QUOTE_LEN_MAX).collect();
    format!("{prefix:?}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_append_text_is_truncated() {
        assert_eq!(
            quote(&Data::new("x".repeat(61).as_bytes())),
            format!("\"{}\"…", "x".repeat(60))
        );
        assert_eq!(quote(&Data::new(&[0xff])), "(binary data)");
    }
}
