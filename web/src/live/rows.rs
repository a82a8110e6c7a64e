//! What is so on a live server, as rows to be shown: who, what, and how much of a lease is left.

use leasehold_core::event::Fact;
use leasehold_core::id::{Name, SessionNo, Token};
use leasehold_core::ordered::Set;
use leasehold_core::sentence::{what, who};
use leasehold_core::state::State;
use leasehold_core::time::{Span, Time};

use super::model::{Entry, Gap, Model};

/// More rows than this are counted, not shown.
pub(crate) const ROWS_MAX: usize = 60;

/// More waiters than this are counted, not shown.
const WAITERS_MAX: usize = 8;

/// How many entries of the log are shown.
const LOG_MAX: usize = 120;

/// A stretch of time that runs down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) left: Span,
    pub(crate) whole: Span,
}

/// A client, with its session or a moment after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ClientRow {
    pub(crate) key: String,
    pub(crate) client: Name,
    pub(crate) session_no: Option<SessionNo>,
    /// What is left of its lease.
    pub(crate) lease: Option<Left>,
    pub(crate) holds: Vec<Name>,
    pub(crate) waits_for: Vec<Name>,
    /// How its session ended, where it has.
    pub(crate) ended: Option<&'static str>,
}

/// A lock, also one that is free where its file is there.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LockRow {
    pub(crate) name: Name,
    pub(crate) holder: Option<Holder>,
    pub(crate) waiters: Vec<String>,
    /// How many more wait.
    pub(crate) more_waiters: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Holder {
    pub(crate) client: String,
    pub(crate) token: Token,
    /// What is left until it loses the lock, if nothing more is heard of it.
    pub(crate) left: Left,
    /// It has been granted the lock out of the queue, and not been heard from since.
    pub(crate) unclaimed: bool,
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogRow {
    pub(crate) key: String,
    pub(crate) at: Option<Time>,
    pub(crate) kind: Kind,
    pub(crate) who: String,
    pub(crate) what: String,
}

/// What kind of thing happened: its shape, letter and colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Acquire,
    Grant,
    Append,
    Release,
    Refused,
    Renewed,
    Other,
    Gap,
}

impl Kind {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Acquire => "acquire",
            Self::Grant => "grant",
            Self::Append => "append",
            Self::Release => "release",
            Self::Refused => "refused",
            Self::Renewed => "renewed",
            Self::Other => "other",
            Self::Gap => "gap",
        }
    }

    pub(crate) const fn glyph(self) -> &'static str {
        match self {
            Self::Acquire => "▲",
            Self::Grant => "●",
            Self::Append => "◆",
            Self::Release => "■",
            Self::Refused => "✕",
            Self::Renewed => "○",
            Self::Other => "·",
            Self::Gap => "⟲",
        }
    }

    fn of(fact: &Fact) -> Self {
        match fact {
            Fact::LockQueued { .. } => Self::Acquire,
            Fact::LockGranted { .. } => Self::Grant,
            Fact::FileAppended { .. } => Self::Append,
            Fact::LockReleased { .. } | Fact::WaitEnded { .. } => Self::Release,
            Fact::RequestRefused { .. } | Fact::SessionExpired { .. } => Self::Refused,
            Fact::LeaseRenewed { .. } => Self::Renewed,
            Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::SessionOpened { .. }
            | Fact::SessionClosed { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::DatagramDropped { .. } => Self::Other,
        }
    }
}

/// The clients, by name, and how many there are.
pub(crate) fn clients(model: &Model, now: Time) -> (Vec<ClientRow>, usize) {
    let state = &model.state;
    let alive = state.sessions().iter().take(ROWS_MAX).map(|(&session_no, session)| {
        let left = now.until(session.expires_at).min(session.lease);
        ClientRow {
            key: format!("{}/{session_no}", session.client),
            client: session.client.clone(),
            session_no: Some(session_no),
            lease: Some(Left { left, whole: session.lease }),
            holds: session.held.iter().cloned().collect(),
            waits_for: session.waits.iter().map(|wait| wait.lock.clone()).collect(),
            ended: None,
        }
    });
    let gone = model.gone.iter().take(ROWS_MAX).map(|gone| ClientRow {
        key: format!("{}/gone", gone.client),
        client: gone.client.clone(),
        session_no: None,
        lease: None,
        holds: Vec::new(),
        waits_for: Vec::new(),
        ended: Some(if gone.expired { "lease ran out" } else { "closed" }),
    });
    let mut rows: Vec<ClientRow> = alive.chain(gone).collect();
    rows.sort_by_cached_key(|row| (natural(row.client.as_str()), row.session_no));
    let all = state.sessions().len() + model.gone.len();
    (rows, all)
}

/// The locks, by name, and how many there are.
pub(crate) fn locks(state: &State, now: Time) -> (Vec<LockRow>, usize) {
    let names: Set<&Name> = state.locks().keys().chain(state.files().keys()).collect();
    let all = names.len();
    let mut names: Vec<&Name> = names.iter().copied().collect();
    names.sort_by_cached_key(|name| natural(name.as_str()));
    let rows = names.into_iter().take(ROWS_MAX).map(|name| lock(state, name, now));
    (rows.collect(), all)
}

fn lock(state: &State, name: &Name, now: Time) -> LockRow {
    let lock = state.locks().get(name);
    let holder = lock.and_then(|lock| lock.tenure()).and_then(|tenure| {
        let session = state.session(tenure.session_no)?;
        let claim_by = tenure.claim_by.filter(|_| !session.has_claimed(tenure));
        let ends = [Some(session.expires_at), tenure.hold_until, claim_by];
        let end = ends.into_iter().flatten().min()?;
        // A tenure may end sooner than its session: then its own time is what runs down.
        let whole = if end == session.expires_at { session.lease } else { end.since(tenure.since) };
        let left = Left { left: now.until(end).min(whole), whole };
        let unclaimed = claim_by.is_some();
        Some(Holder { client: session.client.to_string(), token: tenure.token, left, unclaimed })
    });
    let line = lock.map(leasehold_core::state::Lock::line);
    let waiting = line.map_or(0, std::collections::VecDeque::len);
    let waiters = line.into_iter().flatten().take(WAITERS_MAX).map(|waiter| {
        let session = state.session(waiter.session_no);
        session.map_or_else(|| waiter.session_no.to_string(), |it| it.client.to_string())
    });
    let waiters: Vec<String> = waiters.collect();
    let more_waiters = waiting - waiters.len();
    LockRow { name: name.clone(), holder, waiters, more_waiters }
}

/// The log, newest first; renewals in a row are one line.
pub(crate) fn log<'a>(recent: impl IntoIterator<Item = &'a Entry>) -> Vec<LogRow> {
    let mut rows: Vec<LogRow> = Vec::new();
    let mut renewals = 0;
    for entry in recent {
        let row = log_row(entry);
        if row.kind == Kind::Renewed {
            renewals += 1;
            if renewals > 1
                && let Some(folded) = rows.last_mut()
            {
                folded.what = format!("and others renewed their leases, {renewals} times in all");
                // The oldest of them: newer ones join without a new line.
                folded.key = row.key;
                continue;
            }
        } else {
            renewals = 0;
        }
        if rows.len() == LOG_MAX {
            break;
        }
        rows.push(row);
    }
    rows
}

fn log_row(entry: &Entry) -> LogRow {
    match entry {
        Entry::Happened(event) => LogRow {
            key: event.index.to_string(),
            at: Some(event.at),
            kind: Kind::of(&event.fact),
            who: who(&event.fact).to_owned(),
            what: what(&event.fact),
        },
        Entry::Gap { mark, of } => {
            let what = match of {
                Gap::Restart => "the server was started again".to_owned(),
                Gap::Events(1) => "1 event was not seen".to_owned(),
                Gap::Events(count) => format!("{count} events were not seen"),
                Gap::Unknown => "some events were not seen".to_owned(),
            };
            LogRow {
                key: format!("gap {mark}"),
                at: None,
                kind: Kind::Gap,
                who: "gap:".to_owned(),
                what: format!("{what}; from here on it is complete again"),
            }
        }
    }
}

/// A name with its numbers as numbers, so that `client_10` comes after `client_9`.
fn natural(name: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = name;
    while !rest.is_empty() {
        let text_len = rest.find(|it: char| it.is_ascii_digit()).unwrap_or(rest.len());
        let (text, after) = rest.split_at(text_len);
        let digits_len = after.find(|it: char| !it.is_ascii_digit()).unwrap_or(after.len());
        let (digits, after) = after.split_at(digits_len);
        parts.push((text.to_owned(), digits.parse().unwrap_or(0)));
        rest = after;
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(events: &[&str]) -> Model {
        let mut model = Model::default();
        for event in events {
            let message = format!(r#"{{"type":"events","events":[{event}]}}"#);
            model.take(&message, 0.0).unwrap();
        }
        model
    }

    const STORY: [&str; 6] = [
        r#"{"index":1,"at_ms":0,"type":"session_opened","session_no":1,"client":"c_10","lease_ms":5000}"#,
        r#"{"index":2,"at_ms":0,"type":"session_opened","session_no":2,"client":"c_9","lease_ms":4000}"#,
        r#"{"index":3,"at_ms":1000,"type":"lock_granted","lock":"a","session_no":1,"client":"c_10","token":1,"seq":1,"hold_ms":2000,"from_queue":false}"#,
        r#"{"index":4,"at_ms":1000,"type":"lock_queued","lock":"a","session_no":2,"client":"c_9","seq":1,"wait_ms":9000}"#,
        r#"{"index":5,"at_ms":1500,"type":"lease_renewed","session_no":2,"client":"c_9","op":"heartbeat","seq":2}"#,
        r#"{"index":6,"at_ms":1600,"type":"lease_renewed","session_no":1,"client":"c_10","op":"heartbeat","seq":2}"#,
    ];

    #[test]
    fn rows_say_who_holds_who_waits_and_what_is_left() {
        let model = model(&STORY);
        let now = Time::from_millis(2_000);
        let (clients, all) = clients(&model, now);
        assert_eq!(all, 2);
        assert_eq!(clients[0].client.as_str(), "c_9", "in the order of the numbers");
        let left =
            |left, whole| Left { left: Span::from_millis(left), whole: Span::from_millis(whole) };
        assert_eq!(clients[0].lease, Some(left(3_500, 4_000)));
        let (locks, all) = locks(&model.state, now);
        assert_eq!(all, 1);
        let holder = locks[0].holder.clone().unwrap();
        assert_eq!((holder.client.as_str(), holder.left), ("c_10", left(1_000, 2_000)));
        assert_eq!(locks[0].waiters, ["c_9"]);
    }

    #[test]
    fn renewals_in_a_row_are_one_line() {
        let model = model(&STORY);
        let rows = log(&model.recent);
        assert_eq!(rows.len(), 5);
        assert_eq!((rows[0].key.as_str(), rows[0].kind), ("5", Kind::Renewed));
        assert!(rows[0].what.contains("2 times"), "{}", rows[0].what);
        assert_eq!(rows[1].kind, Kind::Acquire);
    }

    #[test]
    fn names_are_in_the_order_of_their_numbers() {
        assert!(natural("c_9") < natural("c_10"));
        assert!(natural("c_10") < natural("d_1"));
        assert!(natural("a") < natural("a_1"));
    }
}
