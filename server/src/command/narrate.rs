//! Events as sentences.

use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact, ReleaseCause, WaitEndCause};
use leasehold_core::id::{Name, Token};
use leasehold_core::limits::WAIT_MAX;
use leasehold_core::op::Op;
use leasehold_core::refusal::Refusal;

use super::paint::Paint;

/// How much of an append's text is shown.
const QUOTE_LEN_MAX: usize = 60;

/// The line for an event: when, who, what.
pub(crate) fn line(event: &Event, paint: Paint) -> String {
    let (millis, fact) = (event.at.as_millis(), &event.fact);
    let time = format!("{:>8}.{:03}", millis / 1_000, millis % 1_000);
    let who = format!("{:<10}", who(fact));
    let who = match fact.session_no() {
        Some(session_no) => paint.hue(session_no.number(), &who),
        None => who,
    };
    let what = match fact {
        Fact::RequestRefused { .. }
        | Fact::SessionExpired { .. }
        | Fact::DatagramDropped { .. }
        | Fact::LockReleased {
            cause: ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired,
            ..
        } => paint.warning(&what(fact)),
        Fact::LeaseRenewed { .. } | Fact::DuplicateAnswered { .. } => paint.dim(&what(fact)),
        Fact::ServerStarted { .. }
        | Fact::ServerStopped
        | Fact::SessionOpened { .. }
        | Fact::SessionClosed { .. }
        | Fact::LockQueued { .. }
        | Fact::LockGranted { .. }
        | Fact::LockReleased { .. }
        | Fact::WaitEnded { .. }
        | Fact::FileAppended { .. } => what(fact),
    };
    format!("{}  {who}  {what}", paint.dim(&time))
}

fn who(fact: &Fact) -> &str {
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

fn what(fact: &Fact) -> String {
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

    #[track_caller]
    fn check(event: &str, sentence: &str) {
        let event: Event = serde_json::from_str(event).unwrap();
        assert_eq!(line(&event, Paint::off()), sentence);
    }

    #[test]
    fn events_are_told_in_one_line() {
        check(
            r#"{"index":1,"at_ms":1234,"type":"lock_granted","lock":"a","session_no":3,"client":"ann","token":7,"seq":1,"from_queue":true}"#,
            "       1.234  ann         holds a under token 7, out of the queue",
        );
        check(
            r#"{"index":2,"at_ms":16000,"type":"request_refused","session_no":3,"client":"ann","op":"append_file","name":"a","given":7,"code":"stale_token","current":8,"seq":2}"#,
            "      16.000  ann         was refused an append to a under token 7: this token is not \
             that of the live tenure, 8 (stale_token)",
        );
        check(
            r#"{"index":3,"at_ms":5,"type":"file_appended","file":"a","session_no":3,"client":"ann","token":7,"offset":10,"data":"hi\n","seq":4}"#,
            "       0.005  ann         appended 3 bytes to a at 10 under token 7: \"hi\\n\"",
        );
        check(
            r#"{"index":4,"at_ms":5,"type":"lock_released","lock":"a","session_no":3,"client":"ann","token":7,"cause":"lease_expired"}"#,
            "       0.005  ann         lost a, token 7: its lease ran out",
        );
    }

    #[test]
    fn a_long_append_is_cut_short_for_the_eye() {
        assert_eq!(
            quote(&Data::new("x".repeat(61).as_bytes())),
            format!("\"{}\"…", "x".repeat(60))
        );
        assert_eq!(quote(&Data::new(&[0xff])), "(not text)");
    }
}
