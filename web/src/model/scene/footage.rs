//! The scene of a real server, as far as it tells.

use std::borrow::Cow;
use std::collections::BTreeMap;

use leasehold_core::id::SessionNo;
use leasehold_core::state::{Session, State};
use leasehold_sim::{ClockView, Interest, Kind, Line, Lines, LockNo, Moment, NodeNo, Record};

use super::{Believed, Client, Condition, Counts, Decision, Scene, Server, Term, lock, waits_for};
use crate::model::footage::{Beginning, Footage};
use crate::picture::glyph::Sign;

/// For how long a decision leaves a mark, in microseconds.
const DECISION_SHOWN_US: u64 = 900_000;

/// For how long a client is shown after its session, in microseconds.
const GONE_SHOWN_US: u64 = 8_000_000;

/// More clients than this are counted, not shown.
const CLIENTS_SHOWN: usize = 60;

impl Scene {
    /// After so many records, at this moment.
    pub(crate) fn of_footage(footage: &Footage, records: u32, now: Moment) -> Self {
        let all = footage.records();
        let past = usize::try_from(records).map_or(all, |count| all.get(..count).unwrap_or(all));
        let state = if past.len() == all.len() {
            Cow::Borrowed(footage.head())
        } else {
            Cow::Owned(footage.state_at(records))
        };
        let run = footage.run();
        let (clients, more_clients) = clients(footage, &state, past, now);
        let locks = (0..).map(LockNo).zip(&run.config.locks);
        let locks = locks.map(|(no, name)| {
            let lines = footage.ledger().file(no);
            let beginning = footage.beginning(no, records);
            let count = lines.map_or(0, |lines| count_at(lines, records));
            // What was seen before a gap is in what stood there before.
            let count = count.saturating_sub(beginning.map_or(0, |it| it.seen));
            let before = beginning.map_or(Some(0), Beginning::lines);
            lock(&state, run, (no, name), (lines, count, before))
        });
        Self {
            server: Server {
                condition: if past.is_empty() { Condition::NotStarted } else { Condition::Up },
                clock: ClockView::default(),
                unflushed: 0,
                counts: (!past.is_empty()).then(|| Counts::of(&state)),
            },
            clients,
            locks: locks.collect(),
            decisions: decisions(past, now),
            more_clients,
            ..Self::default()
        }
    }
}

/// How many lines there were after so many records.
pub(crate) fn count_at(lines: &Lines, records: u32) -> usize {
    let is_there = |line: &Line| line.record.0 < records;
    if lines.iter().next_back().is_none_or(is_there) {
        return lines.len();
    }
    lines.iter().take_while(|line| is_there(line)).count()
}

fn clients(footage: &Footage, state: &State, past: &[Record], now: Moment) -> (Vec<Client>, usize) {
    let mut here: BTreeMap<NodeNo, (SessionNo, &Session)> = BTreeMap::new();
    for (session_no, session) in state.sessions() {
        let node = footage.ledger().owner(*session_no);
        if node != NodeNo::UNKNOWN && !node.is_server() {
            here.insert(node, (*session_no, session));
        }
    }
    let mut gone: BTreeMap<NodeNo, &str> = BTreeMap::new();
    for (client, how) in ended(past, now) {
        if !here.contains_key(&client) && !gone.contains_key(&client) {
            gone.insert(client, how);
        }
    }
    let records = u32::try_from(past.len()).unwrap_or(u32::MAX);
    let all = here.len() + gone.len();
    let unknown = state.sessions().len() - here.len();
    // Whoever holds or waits is of more interest than whoever idles.
    let mut nodes: Vec<(bool, NodeNo)> = gone.keys().map(|node| (true, *node)).collect();
    nodes.extend(
        here.iter().map(|(node, (_, session))| {
            (session.held.is_empty() && session.waits.is_empty(), *node)
        }),
    );
    nodes.sort();
    nodes.truncate(CLIENTS_SHOWN);
    nodes.sort_by_key(|(_, node)| *node);
    let client = |(_, node): &(bool, NodeNo)| {
        let place = usize::from(node.0).checked_sub(1)?;
        let name = footage.run().config.clients.get(place)?.name.clone();
        let session = here.get(node).map(|(_, session)| *session);
        let belief = session.and_then(|session| belief(footage, state, session, records));
        Some(Client {
            node: *node,
            name,
            condition: if session.is_some() { Condition::Up } else { Condition::Finished },
            cut: (false, false),
            clock: ClockView::default(),
            truth: session.map(|session| term(footage, session, records)),
            belief: belief.filter(|belief| belief.term.until > now),
            doing: session.map_or_else(
                || gone.get(node).copied().unwrap_or_default().to_owned(),
                |session| doing(state, session),
            ),
            holds: session.is_some_and(|session| !session.held.is_empty()),
        })
    };
    let shown: Vec<Client> = nodes.iter().filter_map(client).collect();
    let more = all + unknown - shown.len();
    (shown, more)
}

/// Who has gone a moment ago, and how; the last first.
#[allow(clippy::wildcard_enum_match_arm, reason = "two kinds tell of it")]
fn ended(past: &[Record], now: Moment) -> impl Iterator<Item = (NodeNo, &'static str)> {
    recent(past, now, GONE_SHOWN_US).filter_map(|record| match record.kind {
        Kind::SessionExpired { client, .. } => Some((client, "its lease ran out")),
        Kind::SessionClosed { client, .. } => Some((client, "has closed its session")),
        _ => None,
    })
}

fn recent(past: &[Record], now: Moment, span_us: u64) -> impl Iterator<Item = &Record> {
    let is_recent =
        move |record: &&Record| now.as_micros().saturating_sub(record.at.as_micros()) < span_us;
    past.iter().rev().take_while(is_recent)
}

fn term(footage: &Footage, session: &Session, records: u32) -> Term {
    Term {
        until: footage.moment(session.expires_at, records),
        whole_us: session.lease.as_millis() * 1_000,
    }
}

/// What a client may believe, if it was told: nobody has seen whether it was.
fn belief(footage: &Footage, state: &State, session: &Session, records: u32) -> Option<Believed> {
    session.held.iter().find_map(|name| {
        let tenure = state.tenure(name)?;
        (tenure.claim_by.is_none() || session.has_claimed(tenure)).then(|| Believed {
            term: term(footage, session, records),
            lock: footage.ledger().lock_no(name),
            token: u32::try_from(tenure.token.number()).unwrap_or(u32::MAX),
            is_inferred: true,
        })
    })
}

fn doing(state: &State, session: &Session) -> String {
    let held: Vec<&str> = session.held.iter().map(leasehold_core::id::Name::as_str).collect();
    let is_unclaimed = session
        .held
        .iter()
        .filter_map(|name| state.tenure(name))
        .any(|tenure| tenure.claim_by.is_some() && !session.has_claimed(tenure));
    match held.as_slice() {
        [] => waits_for(state, session).unwrap_or_else(|| "idle".to_owned()),
        names if is_unclaimed => format!("gets {}, not heard yet", names.join(", ")),
        names => format!("holds {}", names.join(", ")),
    }
}

/// The last thing that was decided about each client, a moment ago.
fn decisions(past: &[Record], now: Moment) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = Vec::new();
    for record in recent(past, now, DECISION_SHOWN_US) {
        let Some(client) = record.kind.subject().client else { continue };
        let seen = decisions.iter().any(|it| it.client == client);
        if !seen && Interest::of(record) > Interest::Inner {
            decisions.push(Decision { client, sign: Sign::of_record(record), at: record.at });
        }
    }
    decisions
}
