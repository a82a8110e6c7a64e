//! The lock server as a machine without I/O: what one datagram, or one moment that has come,
//! leads to.
//!
//! - Every change is an event, made in one place and applied at once.
//! - Deciding runs ahead of the disk. Nobody sees that: a reply stays inside its [`ScriptStep`] and then
//!   its [`Outbox`] until the journal says that what it rests on is durable.
//! - What has fallen due is looked after before anything else, so that no lease outlives its end
//!   because a datagram came first.

mod acquire;
mod append;
mod config;
mod cookie;
mod dispatch;
mod hello;
mod lookup;
mod outbox;
mod release;
mod renew;
mod termination;
mod timers;
mod unprotected;

pub use config::{Config, Limits};
pub use outbox::{Datagram, Durable, Failed, Outbox, Step};
pub use timers::Timer;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind};
use crate::id::{LogIndex, Name, Peer, Seq, SessionId, SessionKey, Token};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::DropReason;
use crate::protections::Protections;
use crate::refusal::Refusal;
use crate::secret::Secret;
use crate::state::State;
use crate::time::Time;
use crate::wire::{Reply, Request, Status};
use dispatch::RequestContext;
use lookup::Lookup;
use outbox::{Cause, PendingReply};
use timers::TimerQueue;

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
    /// The moment named by [`LockServer::next_deadline`] has come.
    Timer,
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
    timers: TimerQueue,
    /// Where the answer to each wait goes. Lost in a crash: the waiters poll.
    waiter_addresses: BTreeMap<(SessionId, Seq), Peer>,
    now: Time,
    /// The place in history that was given last.
    last_index: LogIndex,
    /// The last place that the journal has to hold.
    last_durable_index: LogIndex,
    /// Files that can't be written out at present.
    unwritable_files: BTreeSet<Name>,
    /// What was answered `storage_failed` and is not in the journal as such yet.
    owed: Vec<Cause>,
    /// What the input at hand has led to so far.
    step: Step,
}

/// A state with all that the service looks up in it. What takes long is done where it is made, so
/// that nobody waits for it while there is a service.
#[derive(Clone, Debug, Default)]
pub struct IndexedState {
    state: State,
    lookup: Lookup,
}

impl From<State> for IndexedState {
    fn from(state: State) -> Self {
        Self { lookup: Lookup::from_state(&state), state }
    }
}

/// Where a server takes up the service.
#[derive(Debug, Default)]
pub struct StartParams {
    /// What the journal holds; the default where there is none.
    pub state: State,
    /// The last place in history that anybody may have seen.
    pub index_floor: LogIndex,
    /// No token up to this one is granted any more.
    pub token_floor: Token,
    /// The wall clock, in milliseconds since 1970. For people alone.
    pub unix_ms: u64,
}

impl LockServer {
    /// Takes up the service. Every session that is alive has its full lease from here on.
    pub fn start(config: Config, start: StartParams, now: Time) -> (Self, Step) {
        Self::start_with_protections(Protections::ALL, config, start, now)
    }

    /// The same, where the simulator takes protections away.
    #[doc(hidden)]
    pub fn start_with_protections(
        protections: Protections,
        config: Config,
        start: StartParams,
        now: Time,
    ) -> (Self, Step) {
        let StartParams { state, index_floor, token_floor, unix_ms } = start;
        let mut server = Self {
            config,
            protections,
            timers: TimerQueue::default(),
            waiter_addresses: BTreeMap::new(),
            now: now.max(state.last_event_at()),
            last_index: index_floor.max(state.applied_index()),
            last_durable_index: state.applied_index(),
            lookup: Lookup::from_state(&state),
            state,
            unwritable_files: BTreeSet::new(),
            owed: Vec::new(),
            step: Step::default(),
        };
        let leases = (!protections.grace).then(|| server.state.lease_expirations());
        server.record(EventKind::ServerStarted { unix_ms, token_floor });
        if let Some(leases) = leases {
            server.state.restore_lease_expirations(&leases);
        }
        server.timers = TimerQueue::from_state(&server.state);
        let step = std::mem::take(&mut server.step);
        (server, step)
    }

    /// Goes on from what is durable, after events could not be stored and were dropped.
    ///
    /// Clients were told of renewals meanwhile, so every session that is alive has its full lease
    /// again. That what `failed` was answered stays so is put into the journal as soon as it can
    /// be.
    pub fn restore(
        &mut self,
        indexed: IndexedState,
        failed: Failed,
        now: Time,
        unix_ms: u64,
    ) -> Step {
        (self.state, self.lookup) = (indexed.state, indexed.lookup);
        self.now = self.now.max(now);
        self.waiter_addresses.clear();
        self.record(EventKind::ServerStarted { unix_ms, token_floor: Token::default() });
        self.timers = TimerQueue::from_state(&self.state);
        self.owed.extend(failed.0);
        self.owe();
        std::mem::take(&mut self.step)
    }

    /// The session that this capability opens, or opened before it went.
    #[doc(hidden)]
    pub fn live_or_ended_session(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.lookup.live_or_ended_session(&self.state, key)
    }

    /// Takes in the journal's word, so that what it holds is not put into it again.
    pub fn handle_durable(&mut self, durable: Durable) {
        if !self.owed.is_empty() && durable.through >= self.last_durable_index {
            self.owed.clear();
        }
    }

    /// Works out what `input` leads to, and makes it so in memory.
    pub fn step(&mut self, now: Time, input: Input<'_>) -> Step {
        self.now = self.now.max(now);
        self.fire_due_timers();
        match input {
            Input::Request { from, request, entropy } => {
                self.handle_request(from, request, entropy, DATAGRAM_LEN_MAX);
            }
            Input::Dropped(reason) => self.record(EventKind::DatagramDropped { reason }),
            Input::Timer => {}
            Input::Stop => self.record(EventKind::ServerStopped),
        }
        std::mem::take(&mut self.step)
    }

    /// The same for a datagram that has arrived, its key checked and its trailer taken off. A
    /// function of its own, since the page has no use for it, and shouldn't carry it.
    pub fn receive(&mut self, now: Time, from: Peer, bytes: &[u8], entropy: u128) -> Step {
        self.now = self.now.max(now);
        self.fire_due_timers();
        self.handle_datagram(from, bytes, entropy);
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
            self.unwritable_files.remove(file);
        } else {
            self.unwritable_files.insert(file.clone());
        }
    }

    /// When to call [`LockServer::step`] with [`Input::Timer`], and what may be due then.
    pub fn next_deadline(&self) -> Option<(Time, &Timer)> {
        self.timers.peek()
    }

    /// What is so in memory. It may be ahead of the disk, so it is not for anybody's eyes.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// The last place in history that was given.
    pub const fn last_index(&self) -> LogIndex {
        self.last_index
    }

    fn fire_due_timers(&mut self) {
        while let Some(timer) = self.timers.pop_expired(self.now) {
            match timer {
                Timer::Lease(session_id) => self.handle_lease_timer(session_id),
                Timer::Hold(lock, token) => self.handle_hold_timer(&lock, token),
                Timer::Claim(lock, token) => self.handle_claim_timer(&lock, token),
                Timer::Wait(session_id, seq) => self.handle_wait_timer(session_id, seq),
            }
        }
    }

    /// Makes an event and applies it. The only way in which anything changes.
    fn record(&mut self, kind: EventKind) {
        self.last_index = self.last_index.next();
        if kind.is_durable() {
            self.last_durable_index = self.last_index;
        }
        let event = Event { index: self.last_index, at: self.now, kind };
        self.timers.before_apply(&self.state, &event.kind);
        self.lookup.before_apply(&self.state, &event.kind);
        self.state.apply(&event);
        self.timers.after_apply(&self.state, &event);
        self.step.events.push(event);
    }

    fn owe(&mut self) {
        for cause in self.owed.clone() {
            let Some(session) = self.state.session(cause.session_id) else { continue };
            if session.replies.is_settled(cause.request_id.seq) {
                continue;
            }
            let client = Some(session.client.clone());
            let Cause { session_id, op, name, request_id } = cause;
            self.record(EventKind::RequestRefused {
                session_id: Some(session_id),
                client,
                op,
                resource_name: name,
                token: None,
                refusal: Refusal::StorageFailed,
                request_id,
            });
        }
    }

    /// Promises a reply that rests on everything decided so far.
    fn reply(&mut self, to: Peer, reply: Reply) {
        self.step.replies.push(PendingReply::new(to, reply, self.last_durable_index));
    }

    /// Promises the reply to a request of a session.
    fn reply_to(&mut self, context: &RequestContext, status: Status) {
        let RequestContext {
            from, session_id, ref request_id, op, resource_name: ref name, ..
        } = *context;
        let reply = Reply { request_seq: request_id.seq, attempt: request_id.attempt, status };
        let cause = Cause { session_id, op, name: name.clone(), request_id: *request_id };
        let pending = PendingReply::new(from, reply, self.last_durable_index);
        self.step.replies.push(PendingReply { cause: Some(cause), ..pending });
    }

    /// Promises the reply to a copy of a request of a session.
    fn reply_to_duplicate(&mut self, context: &RequestContext, status: Status) {
        let reply = Reply {
            request_seq: context.request_id.seq,
            attempt: context.request_id.attempt,
            status,
        };
        let pending = PendingReply::new(context.from, reply, self.last_durable_index);
        self.step.replies.push(PendingReply { drop_on_failure: true, ..pending });
    }
}
