//! What was seen of a real server: folded from its stream by the very function that the server
//! uses, and written down as records, so that it can be looked at like a simulated run.
//!
//! - Only what the server says is known. What its clients believe is inferred from it.
//! - What was seen long ago is dropped, and what was missed is marked.

mod beginning;
mod cast;
mod piece;
mod recording;
mod stream;

use std::collections::BTreeSet;
use std::iter;

use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Index, Name, SessionNo};
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_sim::{
    Causes, Checks, Config, Invariant, Kind, Ledger, LockNo, Moment, NodeNo, Record, RecordNo, Run,
    Status,
};

use super::bars::Bars;
use beginning::Beginnings;
use cast::{CLIENTS_MAX, Cast};
use piece::{Clock, Gap, INTERVAL, Piece, Seen};
use stream::{Said, Told};

pub(crate) use beginning::Beginning;
#[cfg(any(test, target_arch = "wasm32"))]
pub(crate) use recording::Recorder;
pub(crate) use recording::Recording;

/// How many events are kept.
const EVENTS_MAX: usize = 200_000;

/// So many gaps are kept at least: each costs a state.
const GAPS_MIN: usize = 32;

/// So many locks can be told apart. What happens to others is counted, not shown.
const LOCKS_MAX: usize = 240;

/// What came of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// What the server's clock showed when it was sent, where it says so.
    pub(crate) at: Option<Time>,
    /// One begins anew with it: nothing that was known of the clock holds any more.
    pub(crate) is_anew: bool,
}

/// What was seen.
pub(crate) struct Footage {
    /// Who is who. It can't be simulated.
    run: Run,
    ledger: Ledger,
    cast: Cast,
    records: Vec<Record>,
    pieces: Vec<Piece>,
    beginnings: Beginnings,
    /// What is so at the end of all that was seen.
    head: State,
    checks: Checks,
    /// By which record each invariant was first judged, and by which it was violated.
    judged: [Option<RecordNo>; Invariant::ALL.len()],
    violated: Vec<(Invariant, RecordNo)>,
    /// Up to when it goes.
    end: Moment,
    /// How many events were dropped since they were too many.
    dropped: u64,
    /// How often anything was dropped.
    generation: u32,
    events_max: usize,
}

impl Footage {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            run: Run {
                config: Config { lease_ms: 0, ..Config::default() },
                seed: 0,
                without: BTreeSet::new(),
                interventions: Vec::new(),
            },
            ledger: Ledger::default(),
            cast: Cast::default(),
            records: Vec::new(),
            pieces: Vec::new(),
            beginnings: Beginnings::default(),
            head: State::default(),
            checks: Checks::of_server(LOCKS_MAX, CLIENTS_MAX),
            judged: [None; Invariant::ALL.len()],
            violated: Vec::new(),
            end: Moment::START,
            dropped: 0,
            generation: 0,
            events_max: EVENTS_MAX,
        }
    }

    pub(crate) const fn run(&self) -> &Run {
        &self.run
    }

    pub(crate) fn records(&self) -> &[Record] {
        &self.records
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Up to when it goes.
    pub(crate) const fn end(&self) -> Moment {
        self.end
    }

    /// When it begins: what was before is dropped.
    pub(crate) fn begin(&self) -> Moment {
        self.records.first().map_or(Moment::START, |record| record.at)
    }

    /// Another one once anything was dropped: then other records, clients and locks have the
    /// numbers that these have now.
    pub(crate) const fn generation(&self) -> u32 {
        self.generation
    }

    /// The last event that is known, if any is.
    pub(crate) fn index(&self) -> Option<Index> {
        let index = self.head.index();
        (!self.pieces.is_empty() && index > Index::default()).then_some(index)
    }

    /// What is so at the end.
    pub(crate) const fn head(&self) -> &State {
        &self.head
    }

    /// What was so when there were so many records.
    pub(crate) fn state_at(&self, records: u32) -> State {
        self.piece(records).map_or_else(State::default, |piece| piece.state_at(records))
    }

    /// The moment at which the server's clock showed this, as seen from when there were so many
    /// records.
    pub(crate) fn moment(&self, time: Time, records: u32) -> Moment {
        self.piece(records).map_or(Moment::START, |piece| piece.clock().moment(time))
    }

    fn piece(&self, records: u32) -> Option<&Piece> {
        let piece = self.pieces.partition_point(|piece| piece.first_record() <= records);
        self.pieces.get(piece.max(1) - 1)
    }

    /// The beginning of a file, as it was after the last gap before so many records; nothing where
    /// that isn't known any more.
    pub(crate) fn beginning(&self, lock: LockNo, records: u32) -> Option<&Beginning> {
        let since = self.pieces.last()?.first_record();
        self.beginnings.get(lock).filter(|_| records >= since)
    }

    /// The files whose beginning is to be fetched. Each is named once.
    pub(crate) fn files_to_fetch(&mut self) -> Vec<Name> {
        self.beginnings.unfetched(&self.run.config.locks)
    }

    /// A file's bytes were fetched.
    pub(crate) fn fetched(&mut self, name: &Name, bytes: &[u8]) {
        self.beginnings.fetched(self.ledger.lock_no(name), bytes);
    }

    /// What is violated, by the order of the witnesses.
    pub(crate) fn violated(&self) -> &[(Invariant, RecordNo)] {
        &self.violated
    }

    /// What is said of an invariant after so many records.
    pub(crate) fn status(&self, invariant: Invariant, records: u32) -> Status {
        let violated = self.violated.iter().find(|(it, _)| *it == invariant);
        match (violated, self.judged[invariant as usize]) {
            (Some((_, witness)), _) if witness.0 < records => {
                Status::Violated { witness: *witness }
            }
            (_, Some(judged)) if judged.0 < records => Status::Ok,
            _ if self.checks.status(invariant) == Status::Unchecked => Status::Unchecked,
            _ => Status::NotYet,
        }
    }

    /// Takes in a message of the stream that came at this moment.
    ///
    /// # Errors
    /// Where it isn't one, or doesn't follow what was told before: then the stream has to be
    /// opened anew.
    pub(crate) fn take(
        &mut self,
        message: &str,
        now: Moment,
        bars: &mut Bars,
    ) -> Result<Heard, String> {
        let said = Said::read(message)?;
        let at = said.at;
        self.hear(said.understood(), at, now, bars)
    }

    fn hear(
        &mut self,
        told: Told,
        mut at: Option<Time>,
        now: Moment,
        bars: &mut Bars,
    ) -> Result<Heard, String> {
        let is_anew = matches!(told, Told::Snapshot { .. });
        match told {
            Told::Snapshot { state, missed, recovered } => {
                let known = self.head.index();
                let restarted = !self.pieces.is_empty()
                    && recovered.is_some_and(|it| known <= it || known > state.index());
                let time = at.unwrap_or(state.now()).max(state.now());
                let since = (!self.pieces.is_empty()).then_some(self.end);
                let clock = Clock { time, moment: now.max(self.end) };
                self.open(*state, clock, Gap { since, missed, restarted }, bars);
            }
            Told::Events(events) => {
                at = at.max(events.last().map(|event| event.at));
                for event in events {
                    self.event(event, bars)?;
                }
            }
            Told::Nothing => {}
        }
        self.drop_old(bars);
        Ok(Heard { at, is_anew })
    }

    /// Time has passed: the server's clock shows this.
    pub(crate) fn pass(&mut self, time: Time) {
        if let Some(piece) = self.pieces.last() {
            self.end = self.end.max(piece.clock().moment(time));
        }
    }

    /// Goes on with this state, after a gap or at first.
    fn open(&mut self, state: State, clock: Clock, gap: Gap, bars: &mut Bars) {
        let first = self.number();
        self.end = self.end.max(clock.moment);
        self.cast.keep(state.sessions(), &self.run.config);
        for (session_no, session) in state.sessions() {
            let node = self.cast.enter(*session_no, &session.client, &mut self.run.config);
            self.ledger.set_owner(*session_no, node);
            self.checks.lengthen_leases(session.lease.as_millis());
        }
        let names: BTreeSet<&Name> = state.locks().keys().chain(state.files().keys()).collect();
        for name in &names {
            self.know_lock(name);
        }
        if gap.restarted {
            self.record(NodeNo::SERVER, Kind::Restarted, [RecordNo::NONE; 2], bars);
        }
        let events = u32::try_from(gap.missed).unwrap_or(u32::MAX);
        let cause = self.record(NodeNo::SERVER, Kind::Unseen { events }, [RecordNo::NONE; 2], bars);
        if let Some(since) = gap.since {
            bars.unseen(since, self.end);
        }
        let kept = self.ledger.kept(&state);
        // Who had a lock before is no reason any more: nobody knows how that ended.
        for lock in (0_u8..).map(LockNo).take(self.run.config.locks.len()) {
            self.ledger.set_tenure(lock, RecordNo::NONE);
        }
        for (kind, also) in kept {
            let no = self.record(NodeNo::SERVER, kind, [cause, also], bars);
            if let Kind::Kept { lock, .. } = kind {
                self.ledger.set_tenure(lock, no);
            }
        }
        self.beginnings = Beginnings::of(&state, &self.ledger);
        self.head = state;
        self.pieces.push(Piece::new(self.head.clone(), clock, gap, first + 1));
        self.infer_all(bars);
    }

    fn event(&mut self, event: Event, bars: &mut Bars) -> Result<(), String> {
        let expected = self.head.index().next();
        if event.index != expected {
            return Err(format!("event {} came where {expected} was due", event.index));
        }
        let Some(clock) = self.pieces.last().map(Piece::clock) else {
            return Err("events came before a snapshot".to_owned());
        };
        let before = self.end;
        self.end = self.end.max(clock.moment(event.at));
        let by = self.who(&event.fact);
        self.head.apply(&event);
        if let Some(name) = event.fact.name() {
            self.know_lock(name);
        }
        if let Fact::SessionOpened { lease, .. } = &event.fact {
            self.checks.lengthen_leases(lease.as_millis());
        }
        if let Some((kind, also)) = self.ledger.decision(&event, by, Some(&self.head))
            && event.fact.name().is_none_or(|name| self.ledger.lock_no(name) != LockNo::NONE)
        {
            // What nobody asked for follows from what happened just before.
            let follows = by.is_server() && before == self.end;
            let last = self.records.len().checked_sub(1).filter(|_| follows);
            let cause = last.and_then(|it| u32::try_from(it).ok()).map_or(RecordNo::NONE, RecordNo);
            let no = self.record(NodeNo::SERVER, kind, [cause, also], bars);
            self.ledger.take(&event, by, no);
            self.infer(&event.fact, kind, bars);
        }
        if let Fact::SessionExpired { session_no, .. } | Fact::SessionClosed { session_no, .. } =
            &event.fact
        {
            self.cast.leave(*session_no);
        }
        let records = self.number();
        if let Some(piece) = self.pieces.last_mut() {
            piece.push(event, records, &self.head);
        }
        Ok(())
    }

    /// Who led to an event; the server where nobody asked for it.
    fn who(&mut self, fact: &Fact) -> NodeNo {
        match fact {
            Fact::SessionOpened { session_no, client, .. } => {
                self.cast.enter(*session_no, client, &mut self.run.config)
            }
            Fact::RequestRefused { session_no: None, client, .. } => client
                .as_ref()
                .map_or(NodeNo::UNKNOWN, |client| Cast::named(client, &self.run.config)),
            Fact::LockGranted { from_queue: true, .. }
            | Fact::LockReleased { asked: None, .. }
            | Fact::WaitEnded { asked: None, .. }
            | Fact::SessionExpired { .. }
            | Fact::ServerStarted { .. }
            | Fact::ServerStopped
            | Fact::DatagramDropped { .. } => NodeNo::SERVER,
            Fact::SessionClosed { .. }
            | Fact::LockQueued { .. }
            | Fact::LockGranted { .. }
            | Fact::LockReleased { .. }
            | Fact::WaitEnded { .. }
            | Fact::FileAppended { .. }
            | Fact::RequestRefused { .. }
            | Fact::DuplicateAnswered { .. }
            | Fact::LeaseRenewed { .. } => {
                fact.session_no().map_or(NodeNo::UNKNOWN, |no| self.ledger.owner(no))
            }
        }
    }

    fn know_lock(&mut self, name: &Name) {
        let config = &mut self.run.config;
        if config.locks.len() < LOCKS_MAX && self.ledger.lock_no(name) == LockNo::NONE {
            self.ledger.add_lock(name);
            config.locks.push(name.clone());
        }
    }

    fn number(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }

    fn record(
        &mut self,
        node: NodeNo,
        kind: Kind,
        causes: [RecordNo; 2],
        bars: &mut Bars,
    ) -> RecordNo {
        let at = self.end;
        let local_ms = u32::try_from(at.as_millis()).unwrap_or(u32::MAX);
        let causes = Causes::new(causes);
        let record = Record { at, local_ms, node, kind, causes };
        let no = RecordNo(self.number());
        self.checks.take(no, &record);
        for invariant in Invariant::ALL {
            let judged = &mut self.judged[invariant as usize];
            match self.checks.status(invariant) {
                Status::Ok if judged.is_none() => *judged = Some(no),
                Status::Violated { witness } if witness == no => {
                    self.violated.push((invariant, no));
                }
                Status::Ok | Status::Violated { .. } | Status::NotYet | Status::Unchecked => {}
            }
        }
        self.records.push(record);
        bars.take(&self.records);
        no
    }

    /// What a client may believe by what the server has told it.
    fn infer(&self, fact: &Fact, kind: Kind, bars: &mut Bars) {
        match (fact, kind) {
            (Fact::LockReleased { .. }, Kind::LockReleased { lock, client, token, .. }) => {
                bars.disbelieve(self.end, (lock, client, token));
            }
            // It hasn't been heard from since: nobody knows whether it knows.
            (Fact::LockGranted { from_queue: true, .. }, _) => {}
            _ => {
                if let Some(session_no) = fact.session_no() {
                    self.infer_session(session_no, bars);
                }
            }
        }
    }

    fn infer_all(&self, bars: &mut Bars) {
        self.head.sessions().keys().for_each(|no| self.infer_session(*no, bars));
    }

    fn infer_session(&self, session_no: SessionNo, bars: &mut Bars) {
        let Some(session) = self.head.session(session_no) else { return };
        let until = self.moment(session.expires_at, self.number());
        let client = self.ledger.owner(session_no);
        for name in &session.held {
            let lock = self.ledger.lock_no(name);
            let tenure = self.head.tenure(name);
            let Some(tenure) = tenure.filter(|it| it.claim_by.is_none() || session.has_claimed(it))
            else {
                continue;
            };
            let token = u32::try_from(tenure.token.number()).unwrap_or(u32::MAX);
            bars.believe(self.end, (lock, client, token), until);
        }
    }

    /// Drops what is oldest, where there is too much; and whom nobody remembers, where there are
    /// too many to tell apart.
    fn drop_old(&mut self, bars: &mut Bars) {
        let is_crowded = self.run.config.clients.len() == CLIENTS_MAX
            && self.head.sessions().len() < CLIENTS_MAX / 2;
        if !is_crowded && self.is_kept(1) {
            return;
        }
        let seen = count(&self.pieces);
        while self.pieces.len() > 1 && (is_crowded || !self.is_kept(2)) {
            self.pieces.remove(0);
        }
        let mut pieces = std::mem::take(&mut self.pieces).into_iter();
        let Some(first) = pieces.next() else { return };
        let first = if is_crowded {
            let (state, clock) = (std::mem::take(&mut self.head), first.clock());
            let clock = clock.at(state.now());
            Seen { state, clock, gap: Gap::before_all(0), events: Vec::new() }
        } else if first.len() > self.events_max / 2 {
            first.younger_half()
        } else {
            first.whole()
        };
        self.go_through_again(
            iter::once(first).chain(pieces.map(Piece::whole)).collect(),
            seen,
            bars,
        );
    }

    /// Whether there is no more than one so manieth of what may be kept.
    fn is_kept(&self, part: usize) -> bool {
        let states: usize = self.pieces.iter().map(Piece::states).sum();
        let states_max = GAPS_MIN + self.events_max / INTERVAL;
        count(&self.pieces) < self.events_max / part && states < states_max / part
    }

    /// Begins anew with these, which are left of so many events.
    fn go_through_again(&mut self, mut pieces: Vec<Seen>, seen: usize, bars: &mut Bars) {
        let left: usize = pieces.iter().map(|piece| piece.events.len()).sum();
        let dropped = self.dropped + (seen - left) as u64;
        let (generation, end) = (self.generation + 1, self.end);
        *self = Self { events_max: self.events_max, dropped, generation, ..Self::new() };
        *bars = Bars::default();
        if let Some(first) = pieces.first_mut() {
            first.gap = Gap::before_all(dropped);
        }
        for Seen { state, clock, gap, events } in pieces {
            self.open(state, clock, gap, bars);
            for event in events {
                // They followed upon each other before.
                if self.event(event, bars).is_err() {
                    break;
                }
            }
        }
        self.end = self.end.max(end);
    }
}

fn count(pieces: &[Piece]) -> usize {
    pieces.iter().map(Piece::len).sum()
}

#[cfg(test)]
mod tests;
