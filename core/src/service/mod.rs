//! The lock server as a machine without I/O: what one datagram, or one moment that has come,
//! leads to.
//!
//! - Every change is an event, made in one place and applied at once.
//! - Deciding runs ahead of the disk. Nobody sees that: a reply stays inside its [`Step`] and then
//!   its [`Outbox`] until the journal says that what it rests on is durable.
//! - What has fallen due is looked after before anything else, so that no lease outlives its end
//!   because a datagram came first.

mod acquire;
mod agenda;
mod append;
mod config;
mod cookie;
mod ending;
mod hello;
mod lookup;
mod release;
mod renew;
mod request;
mod step;
mod unguarded;

pub use agenda::Due;
pub use config::{Bounds, Config};
pub use step::{Datagram, Failed, Outbox, Step, Stored};

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, Fact};
use crate::id::{Index, Name, Peer, Seq, SessionId, SessionNo, Token};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::DropReason;
use crate::protections::Protections;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::state::State;
use crate::time::Time;
use crate::wire::{Reply, Request, Status};
use agenda::Agenda;
use lookup::Lookup;
use request::Ask;
use step::{Cause, Withheld};

/// Everything that can happen to the server, beside the bytes that it receives. A list of these and
/// of those replays a run exactly.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A request that need not be read: what the simulator delivers.
    Request {
        /// From where.
        from: Peer,
        /// What it asks.
        request: &'a Request,
        /// New for each request: session ids are made of it, not of a hidden generator.
        entropy: u128,
    },
    /// A datagram was thrown away before it came here.
    Dropped(DropReason),
    /// The moment named by [`LockServer::next_wake`] has come.
    Wake,
    /// The server ends in good order.
    Stop,
}

/// Decides what clients get. Cloning it is taking a snapshot.
#[derive(Clone, Debug)]
pub struct LockServer {
    config: Config,
    protections: Protections,
    state: State,
    lookup: Lookup,
    agenda: Agenda,
    /// Where the answer to each wait goes. Lost in a crash: the waiters poll.
    waiting_at: BTreeMap<(SessionNo, Seq), Peer>,
    now: Time,
    /// The place in history that was given last.
    index: Index,
    /// The last place that the journal has to hold.
    durable: Index,
    /// Files that can't be written out at present.
    blocked: BTreeSet<Name>,
    /// What was answered `storage_failed` and is not in the journal as such yet.
    owed: Vec<Cause>,
    /// What the input at hand has led to so far.
    step: Step,
}

/// A state with all that the service looks up in it. What takes long is done where it is made, so
/// that nobody waits for it while there is a service.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    state: State,
    lookup: Lookup,
}

impl From<State> for Prepared {
    fn from(state: State) -> Self {
        Self { lookup: Lookup::of(&state), state }
    }
}

/// Where a server takes up the service.
#[derive(Debug, Default)]
pub struct Start {
    /// What the journal holds; the default where there is none.
    pub state: State,
    /// The last place in history that anybody may have seen.
    pub after: Index,
    /// No token up to this one is granted any more.
    pub token_floor: Token,
    /// The wall clock, in milliseconds since 1970. For people alone.
    pub unix_ms: u64,
}

impl LockServer {
    /// Takes up the service. Every session that is alive has its full lease from here on.
    pub fn start(config: Config, start: Start, now: Time) -> (Self, Step) {
        Self::start_with(Protections::ALL, config, start, now)
    }

    /// The same, where the simulator takes protections away.
    #[doc(hidden)]
    pub fn start_with(
        protections: Protections,
        config: Config,
        start: Start,
        now: Time,
    ) -> (Self, Step) {
        let Start { state, after, token_floor, unix_ms } = start;
        let mut server = Self {
            config,
            protections,
            agenda: Agenda::default(),
            waiting_at: BTreeMap::new(),
            now: now.max(state.now()),
            index: after.max(state.index()),
            durable: state.index(),
            lookup: Lookup::of(&state),
            state,
            blocked: BTreeSet::new(),
            owed: Vec::new(),
            step: Step::default(),
        };
        let leases = (!protections.grace).then(|| server.state.leases());
        server.record(Fact::ServerStarted { unix_ms, token_floor });
        if let Some(leases) = leases {
            server.state.set_leases(&leases);
        }
        server.agenda = Agenda::of(&server.state);
        let step = std::mem::take(&mut server.step);
        (server, step)
    }

    /// Goes on from what is durable, after events could not be stored and were dropped.
    ///
    /// Clients were told of renewals meanwhile, so every session that is alive has its full lease
    /// again. That what `failed` was answered stays so is put into the journal as soon as it can
    /// be.
    pub fn restore(&mut self, prepared: Prepared, failed: Failed, now: Time, unix_ms: u64) -> Step {
        (self.state, self.lookup) = (prepared.state, prepared.lookup);
        self.now = self.now.max(now);
        self.waiting_at.clear();
        self.record(Fact::ServerStarted { unix_ms, token_floor: Token::default() });
        self.agenda = Agenda::of(&self.state);
        self.owed.extend(failed.0);
        self.owe();
        std::mem::take(&mut self.step)
    }

    /// The session that this capability opens, or opened before it went.
    #[doc(hidden)]
    pub fn session_ever(&self, id: Secret<SessionId>) -> Option<SessionNo> {
        self.lookup.session_ever(&self.state, id)
    }

    /// Takes in the journal's word, so that what it holds is not put into it again.
    pub fn stored(&mut self, stored: Stored) {
        if !self.owed.is_empty() && stored.through >= self.durable {
            self.owed.clear();
        }
    }

    /// Works out what `input` leads to, and makes it so in memory.
    pub fn step(&mut self, now: Time, input: Input<'_>) -> Step {
        self.now = self.now.max(now);
        self.look_after_what_is_due();
        match input {
            Input::Request { from, request, entropy } => {
                self.request(from, request, entropy, DATAGRAM_LEN_MAX);
            }
            Input::Dropped(reason) => self.record(Fact::DatagramDropped { reason }),
            Input::Wake => {}
            Input::Stop => self.record(Fact::ServerStopped),
        }
        std::mem::take(&mut self.step)
    }

    /// The same for a datagram that has arrived, its key checked and its trailer taken off. A
    /// function of its own, since the page has no use for it, and shouldn't carry it.
    pub fn receive(&mut self, now: Time, from: Peer, bytes: &[u8], entropy: u128) -> Step {
        self.now = self.now.max(now);
        self.look_after_what_is_due();
        self.datagram(from, bytes, entropy);
        std::mem::take(&mut self.step)
    }

    /// Takes back the room of a step that nothing is left of, for the next one.
    pub fn reuse(&mut self, step: Step) {
        assert!(step.is_empty(), "a step that is lost never happened");
        self.step = step;
    }

    /// Says whether a file can be written out. While it can't, appends to it are refused, since
    /// their bytes would have nowhere to go.
    pub fn set_writable(&mut self, file: &Name, writable: bool) {
        if writable {
            self.blocked.remove(file);
        } else {
            self.blocked.insert(file.clone());
        }
    }

    /// When to call [`LockServer::step`] with [`Input::Wake`], and what may be due then.
    pub fn next_wake(&self) -> Option<(Time, &Due)> {
        self.agenda.first()
    }

    /// What is so in memory. It may be ahead of the disk, so it is not for anybody's eyes.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The last place in history that was given.
    pub const fn index(&self) -> Index {
        self.index
    }

    fn look_after_what_is_due(&mut self) {
        while let Some(due) = self.agenda.take(self.now) {
            match due {
                Due::Lease(session_no) => self.lease_due(session_no),
                Due::Hold(lock, token) => self.hold_due(&lock, token),
                Due::Claim(lock, token) => self.claim_due(&lock, token),
                Due::Wait(session_no, seq) => self.wait_due(session_no, seq),
            }
        }
    }

    /// Makes an event and applies it. The only way in which anything changes.
    fn record(&mut self, fact: Fact) {
        self.index = self.index.next();
        if fact.is_durable() {
            self.durable = self.index;
        }
        let event = Event { index: self.index, at: self.now, fact };
        self.agenda.before(&self.state, &event.fact);
        self.lookup.before(&self.state, &event.fact);
        self.state.apply(&event);
        self.agenda.after(&self.state, &event);
        self.step.events.push(event);
    }

    fn owe(&mut self) {
        for cause in self.owed.clone() {
            let Some(session) = self.state.session(cause.session_no) else { continue };
            if session.replies.is_settled(cause.asked.seq) {
                continue;
            }
            let client = Some(session.client.clone());
            let Cause { session_no, op, name, asked } = cause;
            self.record(Fact::RequestRefused {
                session_no: Some(session_no),
                client,
                op,
                name,
                token: None,
                refusal: Refusal::StorageFailed,
                asked,
            });
        }
    }

    /// Promises a reply that rests on everything decided so far.
    fn reply(&mut self, to: Peer, reply: Reply) {
        self.step.replies.push(Withheld::answer(to, reply, self.durable));
    }

    /// Promises the reply to a request of a session.
    fn answer(&mut self, ask: &Ask, status: Status) {
        let Ask { from, session_no, ref asked, op, ref name, .. } = *ask;
        let reply = Reply { re: asked.seq, attempt: asked.attempt, status };
        let cause = Cause { session_no, op, name: name.clone(), asked: *asked };
        let withheld = Withheld::answer(from, reply, self.durable);
        self.step.replies.push(Withheld { cause: Some(cause), ..withheld });
    }

    /// Promises the reply to a copy of a request of a session.
    fn answer_copy(&mut self, ask: &Ask, status: Status) {
        let reply = Reply { re: ask.asked.seq, attempt: ask.asked.attempt, status };
        let withheld = Withheld::answer(ask.from, reply, self.durable);
        self.step.replies.push(Withheld { lapses: true, ..withheld });
    }
}
