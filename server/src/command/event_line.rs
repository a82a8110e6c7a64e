//! Events as lines of `leasehold log`.

use leasehold_core::describe::{action, actor};
use leasehold_core::event::{Event, EventKind, ReleaseCause};

use super::style::Style;

/// Returns the line of an event: its time, its actor, its action.
pub(crate) fn event_line(event: &Event, style: Style) -> String {
    let (millis, kind) = (event.at.as_millis(), &event.kind);
    let time = format!("{:>8}.{:03}", millis / 1_000, millis % 1_000);
    let name = format!("{:<10}", actor(kind));
    let actor = match kind.session_id() {
        Some(session_id) => style.client(session_id.number(), &name),
        None => name,
    };
    let action = match kind {
        EventKind::RequestRefused { .. }
        | EventKind::SessionExpired { .. }
        | EventKind::DatagramDropped { .. }
        | EventKind::LockReleased {
            cause: ReleaseCause::LeaseExpired | ReleaseCause::HoldExpired,
            ..
        } => style.warning(&action(kind)),
        EventKind::LeaseRenewed { .. } | EventKind::DuplicateAnswered { .. } => {
            style.dim(&action(kind))
        }
        EventKind::ServerStarted { .. }
        | EventKind::ServerStopped
        | EventKind::SessionOpened { .. }
        | EventKind::SessionClosed { .. }
        | EventKind::LockQueued { .. }
        | EventKind::LockGranted { .. }
        | EventKind::LockReleased { .. }
        | EventKind::WaitEnded { .. }
        | EventKind::FileAppended { .. } => action(kind),
    };
    format!("{}  {actor}  {action}", style.dim(&time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(event: &str, expected: &str) {
        let event: Event = serde_json::from_str(event).unwrap();
        assert_eq!(event_line(&event, Style::plain()), expected);
    }

    #[test]
    fn each_event_is_one_line() {
        check(
            r#"{"index":1,"at_ms":1234,"type":"lock_granted","lock":"a","session_no":3,"client":"ann","token":7,"seq":1,"from_queue":true}"#,
            "       1.234  ann         holds a under token 7, from the queue",
        );
        check(
            r#"{"index":3,"at_ms":5,"type":"file_appended","file":"a","session_no":3,"client":"ann","token":7,"offset":10,"data":"hi\n","seq":4}"#,
            "       0.005  ann         appended 3 bytes to a at offset 10 under token 7: \"hi\\n\"",
        );
        check(
            r#"{"index":4,"at_ms":5,"type":"lock_released","lock":"a","session_no":3,"client":"ann","token":7,"cause":"lease_expired"}"#,
            "       0.005  ann         lost a, token 7: its lease expired",
        );
    }

    #[test]
    fn a_refusal_is_one_line_with_its_code() {
        let event = r#"{"index":2,"at_ms":16000,"type":"request_refused","session_no":3,"client":"ann","op":"append_file","name":"a","given":7,"code":"stale_token","current":8,"seq":2}"#;
        let event: Event = serde_json::from_str(event).unwrap();
        let line = event_line(&event, Style::plain());
        assert!(
            line.starts_with(
                "      16.000  ann         was refused an append to a under token 7: "
            ) && line.ends_with(" (stale_token)"),
            "{line}"
        );
    }
}
