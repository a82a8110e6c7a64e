//! Events as sentences, for people: the same ones wherever somebody reads them.

use crate::data::Data;
use crate::event::{Fact, ReleaseCause, WaitEndCause};
use crate::id::{Name, Token};
use crate::limits::WAIT_MAX;
use crate::op::Op;
use crate::refusal::Refusal;

/// How much of an append's text is shown.
const QUOTE_LEN_MAX: usize = 60;

/// Who did it, by name.
pub fn who(fact: &Fact) -> &str {
    match fact {
        Fact::ServerStarted { .. } | Fact::ServerStopped | Fact::DatagramDropped { .. } => "server",
        Fact::SessionOpened { client, .. }
        | Fact::SessionExpired { client, .. }
        | Fact::SessionClosed { client, .. }
        | Fact::LockQueued { client, .. }
        | Fact::LockGranted { client, .. }
        | Fact::LockReleased { client, .. }
        | Fact::WaitEnded { client, .. }
        | Fact::FileAppended { client, .. }
        | Fact::DuplicateAnswered { client, .. }
        | Fact::LeaseRenewed { client, .. } => client.as_str(),
        Fact::RequestRefused { client, .. } => client.as_ref().map_or("a stranger", Name::as_str),
    }
}

/// What was done, as the rest of a sentence that begins with who did it.
pub fn what(fact: &Fact) -> String {
    match fact {
        Fact::ServerStarted { token_floor, .. } if *token_floor > Token::default() => {
            format!("started; what it knew is lost, so tokens go on after {token_floor}")
        }
        Fact::ServerStarted { .. } => "started".to_owned(),
        Fact::ServerStopped => "stopped".to_owned(),
        Fact::SessionOpened { session_no, lease, .. } => {
            format!("opened session {session_no} with a lease of {lease}")
        }
        Fact::SessionExpired { session_no, .. } => {
            format!("was silent for its lease: session {session_no} is over")
        }
        Fact::SessionClosed { session_no, .. } => format!("closed session {session_no}"),
        Fact::LockQueued { lock, wait, .. } if *wait >= WAIT_MAX => format!("waits for {lock}"),
        Fact::LockQueued { lock, wait, .. } => format!("waits for {lock}, up to {wait}"),
        Fact::LockGranted { lock, token, from_queue, hold, .. } => {
            let queue = if *from_queue { ", out of the queue" } else { "" };
            let hold = hold.map_or_else(String::new, |hold| format!(", for {hold} at most"));
            format!("holds {lock} under token {token}{queue}{hold}")
        }
        Fact::LockReleased { lock, token, cause, .. } => released(lock, *token, *cause),
        Fact::WaitEnded { lock, cause, .. } => {
            let why = match cause {
                WaitEndCause::Cancelled => "it gave up",
                WaitEndCause::Timeout => "it waited long enough",
                WaitEndCause::SessionEnded => "its session ended",
            };
            format!("waits for {lock} no more: {why}")
        }
        Fact::FileAppended { file, token, offset, data, .. } => {
            let len = data.len();
            let quote = quote(data);
            format!("appended {len} bytes to {file} at {offset} under token {token}: {quote}")
        }
        Fact::RequestRefused { op, name, token, refusal, .. } => {
            refused(*op, name.as_ref(), *token, refusal)
        }
        Fact::DuplicateAnswered { op, asked, .. } => {
            format!("asked {} {} again: answered, not done again", word(*op), asked.seq)
        }
        Fact::LeaseRenewed { op, .. } => format!("renewed its lease by {}", word(*op)),
        Fact::DatagramDropped { reason } => format!("dropped a datagram: {}", reason.word()),
    }
}

fn released(lock: &Name, token: Token, cause: ReleaseCause) -> String {
    match cause {
        ReleaseCause::Released => format!("gave {lock} back, token {token}"),
        ReleaseCause::Closed => format!("gave {lock} back with its session, token {token}"),
        ReleaseCause::LeaseExpired => format!("lost {lock}, token {token}: its lease ran out"),
        ReleaseCause::HoldExpired => {
            format!("lost {lock}, token {token}: its time was over, or it never claimed it")
        }
    }
}

fn refused(op: Op, name: Option<&Name>, token: Option<Token>, refusal: &Refusal) -> String {
    let name = name.map_or_else(String::new, |name| format!(" {name}"));
    let token = token.map_or_else(String::new, |token| format!(" under token {token}"));
    format!("was refused {}{name}{token}: {refusal} ({})", word(op), refusal.code())
}

/// An operation as one says it.
fn word(op: Op) -> &'static str {
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
    let start: String = text.chars().take(QUOTE_LEN_MAX).collect();
    format!("{start:?}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_append_is_cut_short_for_the_eye() {
        assert_eq!(
            quote(&Data::new("x".repeat(61).as_bytes())),
            format!("\"{}\"…", "x".repeat(60))
        );
        assert_eq!(quote(&Data::new(&[0xff])), "(not text)");
    }
}
