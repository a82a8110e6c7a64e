//! Events as sentences.

use leasehold_core::describe::{action, actor};
use leasehold_core::event::{Event, EventKind, ReleaseCause};

use super::paint::Paint;

/// The line for an event: when, who, what.
pub(crate) fn line(event: &Event, paint: Paint) -> String {
    let (millis, fact) = (event.at.as_millis(), &event.kind);
    let time = format!("{:>8}.{:03}", millis / 1_000, millis % 1_000);
    let name = format!("{:<10}", actor(fact));
    let who = match fact.session_id() {
        Some(session_no) => paint.hue(session_no.number(), &name),
        None => name,
    };
    let what = match fact {
        EventKind::RequestRefused { .. }
        | EventKind::SessionExpired { .. }
        | EventKind::DatagramDropped { .. }
        | EventKind::LockReleased {
            cause: ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired,
            ..
        } => paint.warning(&action(fact)),
        EventKind::LeaseRenewed { .. } | EventKind::DuplicateAnswered { .. } => {
            paint.dim(&action(fact))
        }
        EventKind::ServerStarted { .. }
        | EventKind::ServerStopped
        | EventKind::SessionOpened { .. }
        | EventKind::SessionClosed { .. }
        | EventKind::LockQueued { .. }
        | EventKind::LockGranted { .. }
        | EventKind::LockReleased { .. }
        | EventKind::WaitEnded { .. }
        | EventKind::FileAppended { .. } => action(fact),
    };
    format!("{}  {who}  {what}", paint.dim(&time))
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
}
