//! Events as sentences.

use leasehold_core::event::{Event, Fact, ReleaseCause};
use leasehold_core::sentence::{what, who};

use super::paint::Paint;

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
