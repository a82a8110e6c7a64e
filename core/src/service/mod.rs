//! The lock server as a state machine without I/O: each [`Input`] leads to a [`Step`].
//!
//! - Every change of the state is an event, which [`LockServer::record`] makes and applies at once.
//! - Decisions run ahead of the log. Clients cannot see that: a reply stays inside its [`Step`],
//!   and then in the [`Outbox`], until the log reports that the events behind it are durable.
//! - Expired timers fire before a request is handled, so a lease never outlives its deadline
//!   because a datagram was handled first.
//! - Time and randomness are part of the input: the same inputs lead to the same steps.

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
pub use outbox::{Datagram, Durable, Outbox, Step};
pub use timers::Timer;

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Event, EventKind, RequestId};
use crate::id::{LogIndex, Name, Peer, Seq, SessionId, SessionKey, Token};
use crate::limits::DATAGRAM_LEN_MAX;
use crate::op::DropReason;
use crate::protections::Protections;
use crate::secret::Secret;
use crate::state::State;
use crate::time::Time;
use crate::wire::{Reply, Request, Status};
use dispatch::RequestContext;
use lookup::Lookup;
use outbox::PendingReply;
use timers::TimerQueue;

/// Everything that can change what the server decides. Replaying a list of inputs reproduces a run
/// exactly.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// A datagram has arrived. Its authentication trailer, if any, is verified and removed.
    Datagram {
        /// The sender.
        from: Peer,
        /// The encoded request, or whatever else was sent.
        bytes: &'a [u8],
        /// Fresh for each datagram: the keys of sessions are made from it.
        entropy: u128,
    },
    /// A request has arrived that is already decoded. The simulator's search uses it to skip the
    /// encoding.
    Request {
        /// The sender.
        from: Peer,
        /// The request.
        request: &'a Request,
        /// As in [`Input::Datagram`].
        entropy: u128,
    },
    /// A datagram was dropped before it reached the server.
    DatagramDropped {
        /// Why.
        reason: DropReason,
    },
    /// The deadline returned by [`LockServer::next_deadline`] has passed.
    Timer,
    /// A batch could not be written. All events after those in `state` are lost.
    WriteFailed {
        /// The state that is durable: the fold of the events in the log.
        state: Box<IndexedState>,
        /// The wall clock, in milliseconds since 1970. Only for display.
        unix_ms: u64,
    },
    /// A file has become writable or unwritable. Leads to an empty step.
    FileWritable {
        /// The file.
        file: &'a Name,
        /// While it is false, appends to the file are refused: their bytes could not be written.
        writable: bool,
    },
    /// The server is about to stop gracefully.
    Stop,
}

/// The lock server: decides what its clients get. It performs no I/O, has no clock and no source of
/// randomness.
///
/// Its methods are of these kinds:
///
/// - [`LockServer::start`] creates a server from the state that the log holds.
/// - [`LockServer::handle`] takes each input and returns the step that it leads to.
///   [`LockServer::reuse`] returns the buffers of a step that was processed; it is optional.
/// - [`LockServer::next_deadline`] returns when the next [`Input::Timer`] is needed.
/// - [`LockServer::state`] and [`LockServer::last_index`] are for inspection.
///
/// The driver processes each step, also the one of `start`, in this order:
///
/// 1. It passes the step to [`Outbox::hold`], which returns the events, and the replies that need
///    not wait. It sends these, and submits the events to the log.
/// 2. It sets its timer to `next_deadline`, which each step can change.
/// 3. Once the log reports events as durable, it calls [`Outbox::release_durable`] for the replies
///    that may now be sent. Inputs can be handled meanwhile.
/// 4. If the events could not be written, it discards all events that are not durable, calls
///    [`Outbox::fail`], and passes [`Input::WriteFailed`] to the server.
///
/// Cloning a server takes a snapshot.
#[derive(Clone, Debug)]
pub struct LockServer {
    config: Config,
    protections: Protections,
    state: State,
    lookup: Lookup,
    timers: TimerQueue,
    /// The addresses to which the answers to waits are sent. A crash loses them, and the next poll
    /// of each waiter restores them.
    waiter_addresses: BTreeMap<(SessionId, Seq), Peer>,
    now: Time,
    /// The log index that was assigned last.
    last_index: LogIndex,
    /// The log index of the last event that has to be durable.
    last_durable_index: LogIndex,
    /// Files to which appended bytes cannot be written at present.
    unwritable_files: BTreeSet<Name>,
    /// The step of the current input, so far.
    step: Step,
}

/// A state together with its lookup tables. Building them takes long, so it is done by the thread
/// that makes the state, and not while requests wait.
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

/// The state from which a server starts.
#[derive(Debug, Default)]
pub struct StartParams {
    /// The fold of the log; the default if there is none.
    pub state: State,
    /// The highest log index that was ever assigned. The server assigns higher ones.
    pub index_floor: LogIndex,
    /// Only tokens above this one are granted.
    pub token_floor: Token,
    /// The wall clock, in milliseconds since 1970. Only for display.
    pub unix_ms: u64,
}

impl LockServer {
    /// Creates a server. Every live session has its full lease from now on.
    pub fn start(config: Config, start: StartParams, now: Time) -> (Self, Step) {
        Self::start_with_protections(Protections::ALL, config, start, now)
    }

    /// Like [`LockServer::start`], for the simulator, which can disable protections.
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

    /// Decides what `input` leads to, and applies it to the state in memory.
    ///
    /// A `now` before that of an earlier input counts as that earlier one.
    pub fn handle(&mut self, now: Time, input: Input<'_>) -> Step {
        self.now = self.now.max(now);
        match input {
            Input::Datagram { from, bytes, entropy } => {
                self.fire_due_timers();
                self.handle_datagram(from, bytes, entropy);
            }
            Input::Request { from, request, entropy } => {
                self.fire_due_timers();
                self.handle_request(from, request, entropy, DATAGRAM_LEN_MAX);
            }
            Input::DatagramDropped { reason } => {
                self.fire_due_timers();
                self.record(EventKind::DatagramDropped { reason });
            }
            Input::Timer => self.fire_due_timers(),
            Input::WriteFailed { state, unix_ms } => self.handle_write_failure(*state, unix_ms),
            Input::FileWritable { file, writable: true } => {
                self.unwritable_files.remove(file);
            }
            Input::FileWritable { file, writable: false } => {
                self.unwritable_files.insert(file.clone());
            }
            Input::Stop => {
                self.fire_due_timers();
                self.record(EventKind::ServerStopped);
            }
        }
        std::mem::take(&mut self.step)
    }

    /// Takes the buffers of a step that was processed, for the next step.
    ///
    /// # Panics
    /// If the step still has events or replies.
    pub fn reuse(&mut self, step: Step) {
        assert!(step.is_empty(), "a step was dropped with its events and replies");
        self.step = step;
    }

    /// Returns when to pass [`Input::Timer`] to [`LockServer::handle`], and the timer that may
    /// expire then.
    pub fn next_deadline(&self) -> Option<(Time, &Timer)> {
        self.timers.peek()
    }

    /// Returns the state in memory. It may be ahead of the log, so it must not be published.
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// Returns the log index that was assigned last.
    pub const fn last_index(&self) -> LogIndex {
        self.last_index
    }

    /// Returns the session that this key belongs to, or belonged to before the session ended.
    #[doc(hidden)]
    pub fn live_or_ended_session(&self, key: Secret<SessionKey>) -> Option<SessionId> {
        self.lookup.live_or_ended_session(&self.state, key)
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

    /// Continues from the durable state after later events were lost.
    ///
    /// Clients may have received renewals that are lost, so every live session has its full lease
    /// again. Nothing is retained of the requests that were lost with the events: each can be
    /// executed when it arrives again, because it has had no effect.
    fn handle_write_failure(&mut self, indexed: IndexedState, unix_ms: u64) {
        (self.state, self.lookup) = (indexed.state, indexed.lookup);
        self.waiter_addresses.clear();
        self.record(EventKind::ServerStarted { unix_ms, token_floor: Token::default() });
        self.timers = TimerQueue::from_state(&self.state);
    }

    /// Makes an event and applies it. Nothing else changes the state.
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

    /// Adds a reply that depends on every event so far.
    fn reply(&mut self, to: Peer, reply: Reply) {
        self.step.replies.push(PendingReply::new(to, reply, self.last_durable_index));
    }

    /// Adds the reply to a session's request.
    fn reply_to(&mut self, context: &RequestContext, status: Status) {
        let pending = self.pending_reply(context, status);
        self.step.replies.push(pending);
    }

    /// Adds the reply to a duplicate of a session's request.
    fn reply_to_duplicate(&mut self, context: &RequestContext, status: Status) {
        let pending = self.pending_reply(context, status);
        self.step.replies.push(PendingReply { drop_on_failure: true, ..pending });
    }

    fn pending_reply(&self, context: &RequestContext, status: Status) -> PendingReply {
        let RequestId { seq: request_seq, attempt, .. } = context.request_id;
        let reply = Reply { request_seq, attempt, status };
        PendingReply::new(context.from, reply, self.last_durable_index)
    }
}
