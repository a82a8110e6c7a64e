//! Builds the scene of a live server from its event stream.

use std::borrow::Cow;
use std::collections::BTreeMap;

use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::{Session, State};
use leasehold_sim::{ClockView, Importance, LockId, NodeId, Record, RecordKind, Run, VirtualTime};

use super::{
    Client, ClientBelief, Condition, Counts, Decision, FileLine, FileSummary, LINES_COMPARED,
    LINES_SHOWN, LeaseTerm, Scene, Server, lock_view, wait_cycles, waiting_text,
};
use crate::model::event_category::EventCategory;
use crate::model::live_trace::{FilePart, LiveFile, LiveTrace, believed_until};

/// How long a decision is marked, in microseconds.
const DECISION_SHOWN_US: u64 = 900_000;

/// How long a client is shown after its session has ended, in microseconds.
const ENDED_SHOWN_US: u64 = 8_000_000;

/// Further clients are counted, not shown.
const CLIENTS_SHOWN: usize = 300;

impl Scene {
    /// Builds the scene after the first `records` records, at `now`.
    pub(crate) fn from_live_trace(live_trace: &LiveTrace, records: u32, now: VirtualTime) -> Self {
        let all_records = live_trace.records();
        let past = usize::try_from(records)
            .map_or(all_records, |count| all_records.get(..count).unwrap_or(all_records));
        let state = if past.len() == all_records.len() {
            Cow::Borrowed(live_trace.latest_state())
        } else {
            Cow::Owned(live_trace.state_at(records))
        };
        let run = live_trace.run();
        let (clients, more_clients) = client_views(live_trace, &state, past, now);
        let locks = (0..).map(LockId).zip(&run.config.locks);
        let locks = locks.map(|(lock_id, name)| {
            let node_of = |session_id, _: &Session| live_trace.event_recorder().owner(session_id);
            let file = live_trace.file(lock_id, records);
            let summary = file_summary(file.as_ref(), run);
            lock_view(&state, (lock_id, name), node_of, summary)
        });
        let is_unnumbered =
            |name: &&Name| live_trace.event_recorder().lock_id(name) == LockId::NONE;
        let more_files = state.files().keys().filter(|name| !state.locks().contains_key(*name));
        let more_locks = state.locks().keys().chain(more_files).filter(is_unnumbered).count();
        Self {
            server: Server {
                condition: if past.is_empty() { Condition::NotStarted } else { Condition::Running },
                clock: ClockView::default(),
                unflushed_events: 0,
                counts: (!past.is_empty()).then(|| Counts::from_state(&state)),
            },
            clients,
            locks: locks.collect(),
            decisions: recent_decisions(past, now),
            more_clients,
            more_locks,
            wait_cycles: wait_cycles(&state, run, |session_id| {
                let node = live_trace.event_recorder().owner(session_id);
                (node != NodeId::UNKNOWN && !node.is_server()).then_some(node)
            }),
            ..Self::default()
        }
    }
}

fn file_summary(file: Option<&LiveFile<'_>>, run: &Run) -> FileSummary {
    let Some(file) = file else {
        return FileSummary { line_count: 0, is_partial: false, last_lines: Vec::new() };
    };
    let (line_count, is_partial) = file.line_count();
    let mut last_lines: Vec<FileLine> = Vec::new();
    let observed = file.parts_from_end().filter_map(|part| match part {
        FilePart::Line(line) => Some(line),
        FilePart::Unobserved(_) => None,
    });
    let observed: Vec<_> = observed.take(LINES_SHOWN + LINES_COMPARED).collect();
    let mut observed = &observed[..];
    for part in file.parts_from_end() {
        match part {
            FilePart::Line(line) => {
                observed = observed.get(1..).unwrap_or_default();
                let earlier = observed.iter().copied().take(LINES_COMPARED);
                last_lines.push(FileLine::observed(line, earlier, run));
            }
            FilePart::Unobserved(part) => match &part.lines {
                Some(lines) => {
                    let last = lines.iter().rev().take(LINES_SHOWN);
                    last_lines.extend(last.map(FileLine::unobserved));
                }
                None => last_lines.push(FileLine::unobserved(part.description())),
            },
        }
        if last_lines.len() >= LINES_SHOWN {
            break;
        }
    }
    last_lines.truncate(LINES_SHOWN);
    last_lines.reverse();
    FileSummary { line_count, is_partial, last_lines }
}

fn client_views(
    live_trace: &LiveTrace,
    state: &State,
    past: &[Record],
    now: VirtualTime,
) -> (Vec<Client>, usize) {
    let mut connected: BTreeMap<NodeId, (SessionId, &Session)> = BTreeMap::new();
    for (session_id, session) in state.sessions() {
        let node = live_trace.event_recorder().owner(*session_id);
        if node != NodeId::UNKNOWN && !node.is_server() {
            connected.insert(node, (*session_id, session));
        }
    }
    let mut ended: BTreeMap<NodeId, &str> = BTreeMap::new();
    for (client, reason) in ended_clients(past, now) {
        if !connected.contains_key(&client) && !ended.contains_key(&client) {
            ended.insert(client, reason);
        }
    }
    let records = u32::try_from(past.len()).unwrap_or(u32::MAX);
    let all = connected.len() + ended.len();
    let unknown = state.sessions().len() - connected.len();
    // Clients that hold or wait take precedence over idle and ended ones.
    let mut nodes: Vec<(bool, NodeId)> = ended.keys().map(|node| (true, *node)).collect();
    nodes.extend(
        connected.iter().map(|(node, (_, session))| {
            (session.held.is_empty() && session.waits.is_empty(), *node)
        }),
    );
    nodes.sort_by_cached_key(|(is_idle, node)| (u64::from(*is_idle) << 8) | u64::from(node.0));
    nodes.truncate(CLIENTS_SHOWN);
    nodes.sort_by_cached_key(|(_, node)| u64::from(node.0));
    let client = |(_, node): &(bool, NodeId)| {
        let index = usize::from(node.0).checked_sub(1)?;
        let name = live_trace.run().config.clients.get(index)?.name.clone();
        let session = connected.get(node).map(|(_, session)| *session);
        let belief =
            session.and_then(|session| inferred_belief(live_trace, state, session, records));
        Some(Client {
            node: *node,
            name,
            condition: if session.is_some() { Condition::Running } else { Condition::Finished },
            is_cut_off: (false, false),
            clock: ClockView::default(),
            server_lease: session.map(|session| lease_term(live_trace, session, records)),
            belief: belief.filter(|belief| belief.term.until > now),
            activity: session.map_or_else(
                || ended.get(node).copied().unwrap_or_default().to_owned(),
                |session| activity(state, session),
            ),
            holds_lock: session.is_some_and(|session| !session.held.is_empty()),
        })
    };
    let shown: Vec<Client> = nodes.iter().filter_map(client).collect();
    let more = all + unknown - shown.len();
    (shown, more)
}

/// Returns the clients whose session ended recently and how it ended, newest first.
fn ended_clients(
    past: &[Record],
    now: VirtualTime,
) -> impl Iterator<Item = (NodeId, &'static str)> {
    recent_records(past, now, ENDED_SHOWN_US).filter_map(|record| {
        if let RecordKind::SessionExpired { client, .. } = record.kind {
            Some((client, "lease expired"))
        } else if let RecordKind::SessionClosed { client, .. } = record.kind {
            Some((client, "session closed"))
        } else {
            None
        }
    })
}

fn recent_records(
    past: &[Record],
    now: VirtualTime,
    window_us: u64,
) -> impl Iterator<Item = &Record> {
    let is_recent =
        move |record: &&Record| now.as_micros().saturating_sub(record.at.as_micros()) < window_us;
    past.iter().rev().take_while(is_recent)
}

fn lease_term(live_trace: &LiveTrace, session: &Session, records: u32) -> LeaseTerm {
    LeaseTerm {
        until: live_trace.virtual_time(session.expires_at, records),
        length_us: session.lease.as_millis() * 1_000,
    }
}

/// Returns what the client believes if it has received the server's replies, which cannot be
/// observed.
fn inferred_belief(
    live_trace: &LiveTrace,
    state: &State,
    session: &Session,
    records: u32,
) -> Option<ClientBelief> {
    session.held.iter().find_map(|name| {
        let tenure = state.tenure(name)?;
        let until = believed_until(session, tenure)?;
        let lease = lease_term(live_trace, session, records);
        Some(ClientBelief {
            term: LeaseTerm { until: live_trace.virtual_time(until, records), ..lease },
            lock: live_trace.event_recorder().lock_id(name),
            token: tenure.token,
            is_inferred: true,
        })
    })
}

fn activity(state: &State, session: &Session) -> String {
    let held: Vec<&str> = session.held.iter().map(Name::as_str).collect();
    let is_unclaimed = session
        .held
        .iter()
        .filter_map(|name| state.tenure(name))
        .any(|tenure| tenure.claim_by.is_some() && !session.has_claimed(tenure));
    match held.as_slice() {
        [] => waiting_text(state, session).unwrap_or_else(|| "idle".to_owned()),
        names if is_unclaimed => format!("granted {}, not confirmed yet", names.join(", ")),
        names => format!("holds {}", names.join(", ")),
    }
}

/// Returns the most recent decision about each client, if it was made within [`DECISION_SHOWN_US`].
fn recent_decisions(past: &[Record], now: VirtualTime) -> Vec<Decision> {
    let mut decisions: Vec<Decision> = Vec::new();
    for record in recent_records(past, now, DECISION_SHOWN_US) {
        let Some(client) = record.kind.subject().client else { continue };
        let is_known = decisions.iter().any(|it| it.client == client);
        if !is_known && Importance::from_record(record) > Importance::Internal {
            decisions.push(Decision {
                client,
                category: EventCategory::from_record(record),
                at: record.at,
            });
        }
    }
    decisions
}
