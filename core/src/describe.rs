//! Events as sentences, for people: the same ones wherever somebody reads them.

use crate::data::Data;
use crate::event::{EventKind, ReleaseCause, WaitEndCause};
use crate::id::{Name, Token};
use crate::limits::WAIT_MAX;
use crate::op::Op;
use crate::refusal::Refusal;

/// How much of an append's text is shown.
const QUOTE_LEN_MAX: usize = 60;

/// Who did it, by name.
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
            client.as_ref().map_or("a stranger", Name::as_str)
        }
    }
}

/// What was done, as the rest of a sentence that begins with who did it.
pub fn action(kind: &EventKind) -> String {
    match kind {
        EventKind::ServerStarted { token_floor, .. } if *token_floor > Token::default() => {
            format!("started; what it knew is lost, so tokens go on after {token_floor}")
        }
        EventKind::ServerStarted { .. } => "started".to_owned(),
        EventKind::ServerStopped => "stopped".to_owned(),
        EventKind::SessionOpened { session_id, lease, .. } => {
            format!("opened session {session_id} with a lease of {lease}")
        }
        EventKind::SessionExpired { session_id, .. } => {
            format!("was silent for its lease: session {session_id} is over")
        }
        EventKind::SessionClosed { session_id, .. } => format!("closed session {session_id}"),
        EventKind::LockQueued { lock, wait, .. } if *wait >= WAIT_MAX => {
            format!("waits for {lock}")
        }
        EventKind::LockQueued { lock, wait, .. } => format!("waits for {lock}, up to {wait}"),
        EventKind::LockGranted { lock, token, from_queue, hold, .. } => {
            let queue = if *from_queue { ", out of the queue" } else { "" };
            let hold = hold.map_or_else(String::new, |hold| format!(", for {hold} at most"));
            format!("holds {lock} under token {token}{queue}{hold}")
        }
        EventKind::LockReleased { lock, token, cause, .. } => {
            describe_release(lock, *token, *cause)
        }
        EventKind::WaitEnded { lock, cause, .. } => {
            let reason = match cause {
                WaitEndCause::Cancelled => "it gave up",
                WaitEndCause::Timeout => "it waited long enough",
                WaitEndCause::SessionEnded => "its session ended",
            };
            format!("waits for {lock} no more: {reason}")
        }
        EventKind::FileAppended { file, token, offset, data, .. } => {
            let len = data.len();
            let quote = quote(data);
            format!("appended {len} bytes to {file} at {offset} under token {token}: {quote}")
        }
        EventKind::RequestRefused { op, resource_name: name, token, refusal, .. } => {
            describe_refusal(*op, name.as_ref(), *token, refusal)
        }
        EventKind::DuplicateAnswered { op, request_id, .. } => {
            format!(
                "asked {} {} again: answered, not done again",
                operation_phrase(*op),
                request_id.seq
            )
        }
        EventKind::LeaseRenewed { op, .. } => {
            format!("renewed its lease by {}", operation_phrase(*op))
        }
        EventKind::DatagramDropped { reason } => format!("dropped a datagram: {}", reason.code()),
    }
}

fn describe_release(lock: &Name, token: Token, cause: ReleaseCause) -> String {
    match cause {
        ReleaseCause::Released => format!("gave {lock} back, token {token}"),
        ReleaseCause::Closed => format!("gave {lock} back with its session, token {token}"),
        ReleaseCause::LeaseExpired => format!("lost {lock}, token {token}: its lease ran out"),
        ReleaseCause::HoldExpired => {
            format!("lost {lock}, token {token}: its time was over, or it never claimed it")
        }
    }
}

fn describe_refusal(
    op: Op,
    name: Option<&Name>,
    token: Option<Token>,
    refusal: &Refusal,
) -> String {
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let token = token.map_or_else(String::new, |token| format!(" under token {token}"));
    format!("was refused {}{name}{token}: {refusal} ({})", operation_phrase(op), refusal.code())
}

/// An operation as one says it.
fn operation_phrase(op: Op) -> &'static str {
    match op {
        Op::Hello => "a session",
        Op::AcquireLock => "the lock",
        Op::CancelAcquire => "to leave the line of",
        Op::ReleaseLock => "a release of",
        Op::AppendFile => "an append to",
        Op::AppendOutcome => "what became of an append",
        Op::Heartbeat => "a heartbeat",
        Op::Close => "a close",
    }
}

fn quote(data: &Data) -> String {
    let Some(text) = data.text() else { return "(not text)".to_owned() };
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
        assert_eq!(quote(&Data::new(&[0xff])), "(not text)");
    }
}
