//! The client as a state machine without I/O: retransmissions, heartbeats and beliefs.
//!
//! - S7: the client believes that it holds a lock only while the server agrees, as long as clock
//!   rates differ by no more than the configured limit. The end of a belief is reported once and is
//!   permanent: the client releases a lock that it has lost.
//! - The outcome of a call is reported only if it is known. An append whose outcome cannot be known
//!   is [`CallOutcome::Unknown`].
//! - No lock stays granted without the caller's knowledge: the client releases a grant that no call
//!   waits for.

mod belief;
mod call;
mod replies;
mod retransmission;
mod session;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub use call::{CallId, CallOutcome, PendingRequest};

use crate::data::Data;
use crate::id::{Name, Seq, SessionKey, Token};
use crate::limits::{DRIFT_PPM, RETRANSMIT_DELAY_FIRST, WINDOW};
use crate::protections::Protections;
use crate::refusal::Refusal;
use crate::rng::Rng;
use crate::secret::Secret;
use crate::time::{Millis, Time};
use crate::wire::{Operation, Reply, Request};
use belief::{Belief, HeldLock};
use call::{Call, CallKind};
use retransmission::Transmissions;
use session::Phase;

/// The first sequence number is random and below this, so that a late reply to an earlier instance
/// of the same program, at the same address, does not match a request of this one.
const FIRST_SEQ_MAX: u64 = 1 << 30;

/// The configuration of a client.
#[derive(Clone, Debug)]
pub struct Config {
    /// The name of the client, for display.
    pub name: Name,
    /// The lease to ask for; `None` for the server's default.
    pub lease: Option<Millis>,
    /// The assumed limit on the difference of clock rates, in parts per million.
    pub drift_ppm: u64,
    /// How long the client waits for a reply before the first retransmission.
    pub retransmit_delay: Millis,
}

/// What the client reports to its caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notification {
    /// The session is open.
    SessionOpened {
        /// The lease that the server has granted.
        lease: Millis,
    },
    /// The server refused to open a session. The next call tries again.
    SessionRefused {
        /// The reason.
        refusal: Refusal,
    },
    /// A call is in the wait queue.
    Queued {
        /// The call.
        call: CallId,
        /// Its queue position, counted from 1.
        position: u64,
    },
    /// A call has ended.
    Completed {
        /// The call.
        call: CallId,
        /// Its outcome.
        outcome: CallOutcome,
    },
    /// The client may no longer believe that it holds a lock. Reported before the server can grant
    /// the lock to another client.
    LockLost {
        /// The lock.
        lock: Name,
        /// The token of the tenure that has ended.
        token: Token,
    },
    /// The session has ended at the server. The next call opens another.
    SessionLost,
}

/// A client of the lock service. It performs no I/O and has no clock.
///
/// Its methods are of these kinds:
///
/// - Calls: [`LockClient::open`], [`LockClient::acquire`], [`LockClient::append`],
///   [`LockClient::release`], [`LockClient::cancel`] and [`LockClient::close`]. Those that return a
///   [`CallId`] end with a [`Notification::Completed`].
/// - Other inputs: [`LockClient::receive`] for each reply, and [`LockClient::handle_timers`] when
///   [`LockClient::next_deadline`] has passed.
/// - Outputs: [`LockClient::poll_request`] and [`LockClient::poll_notification`].
/// - Beliefs: [`LockClient::believes`], [`LockClient::believed_until`] and [`LockClient::held`].
///
/// After each call or other input, the driver polls both outputs until they return `None`, and sets
/// its timer to `next_deadline`.
///
/// Cloning a client takes a snapshot.
#[derive(Clone, Debug)]
pub struct LockClient {
    config: Config,
    protections: Protections,
    rng: Rng,
    phase: Phase,
    calls: BTreeMap<CallId, Call>,
    last_call_id: CallId,
    /// Continues over all sessions, so that a late reply never matches a request of another
    /// session.
    last_seq: Seq,
    held: BTreeMap<Name, HeldLock>,
    belief: Belief,
    requests: VecDeque<Request>,
    notifications: VecDeque<Notification>,
}

impl Config {
    /// Creates a configuration with the server's default lease and the default limits.
    pub const fn new(name: Name) -> Self {
        Self { name, lease: None, drift_ppm: DRIFT_PPM, retransmit_delay: RETRANSMIT_DELAY_FIRST }
    }
}

impl LockClient {
    /// Creates a client without a session. `seed` determines its nonces and its jitter.
    pub fn new(config: Config, seed: u64) -> Self {
        Self::with_protections(Protections::ALL, config, seed)
    }

    /// Like [`LockClient::new`], for the simulator, which can disable protections.
    #[doc(hidden)]
    pub fn with_protections(protections: Protections, config: Config, seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let last_seq = Seq::new(rng.below(FIRST_SEQ_MAX));
        Self {
            config,
            protections,
            rng,
            phase: Phase::Closed,
            calls: BTreeMap::new(),
            last_call_id: CallId::default(),
            last_seq,
            held: BTreeMap::new(),
            belief: Belief::default(),
            requests: VecDeque::new(),
            notifications: VecDeque::new(),
        }
    }

    /// Skips sequence numbers, for the simulator: as if this many requests had been sent before.
    #[doc(hidden)]
    pub const fn skip_seqs(&mut self, count: u64) {
        self.last_seq = Seq::new(self.last_seq.number().saturating_add(count));
    }

    /// Opens a session, if there is none.
    pub fn open(&mut self, now: Time) {
        if matches!(self.phase, Phase::Closed) {
            self.begin_hello(now);
        }
    }

    /// Acquires a lock, and waits for it for at most `wait`. The call ends by `deadline` in any
    /// case; a later grant is released.
    pub fn acquire(
        &mut self,
        now: Time,
        lock: Name,
        wait: Millis,
        hold: Option<Millis>,
        deadline: Time,
    ) -> CallId {
        self.begin_call(now, CallKind::Acquire { lock, wait, hold, queued: false }, deadline)
    }

    /// Cancels an acquire. If the lock is granted nevertheless, the client releases it.
    pub fn cancel(&mut self, now: Time, call: CallId) {
        self.abandon_acquire(now, call);
        self.send_due(now);
    }

    /// Releases a lock.
    pub fn release(&mut self, now: Time, lock: Name, token: Token, deadline: Time) -> CallId {
        // The belief ends now, because the server may release the lock from now on.
        self.held.remove(&lock);
        self.begin_call(now, CallKind::Release { lock, token }, deadline)
    }

    /// Appends to the file that a lock guards. The caller should check [`LockClient::believes`]
    /// first, which only avoids a refusal: fencing does not depend on it.
    pub fn append(
        &mut self,
        now: Time,
        file: Name,
        token: Token,
        data: Data,
        deadline: Time,
    ) -> CallId {
        self.begin_call(now, CallKind::Append { file, token, data, refused: None }, deadline)
    }

    /// Ends the session with all its locks and waits.
    pub fn close(&mut self, now: Time, deadline: Time) -> CallId {
        self.held.clear();
        self.begin_call(now, CallKind::Close, deadline)
    }

    /// Handles a reply of the server.
    pub fn receive(&mut self, now: Time, reply: Reply) {
        // An expired belief is lost, even if this reply would have renewed it.
        self.expire_beliefs(now);
        self.handle_reply(now, reply);
        self.send_due(now);
    }

    /// Handles expired timers: transmissions, heartbeats, deadlines of calls, ends of beliefs.
    pub fn handle_timers(&mut self, now: Time) {
        self.expire_beliefs(now);
        self.expire_calls(now);
        self.send_due(now);
    }

    /// Returns the next request to send.
    pub fn poll_request(&mut self) -> Option<Request> {
        self.requests.pop_front()
    }

    /// Returns the next notification.
    pub fn poll_notification(&mut self) -> Option<Notification> {
        self.notifications.pop_front()
    }

    /// Returns when to call [`LockClient::handle_timers`] at the latest.
    pub fn next_deadline(&self) -> Option<Time> {
        let calls = self.calls.values().filter_map(Call::next_deadline);
        let beliefs = self.held.values().map(|held| self.belief_end(held));
        calls.chain(beliefs).chain(self.phase.next_deadline()).min()
    }

    /// Returns whether the client may believe now that it holds the lock under this token.
    pub fn believes(&self, now: Time, lock: &Name, token: Token) -> bool {
        self.believed_until(lock, token).is_some_and(|until| now < until)
    }

    /// Returns until when the client may believe that it holds the lock under this token, unless
    /// the lease is renewed.
    pub fn believed_until(&self, lock: &Name, token: Token) -> Option<Time> {
        let held = self.held.get(lock).filter(|held| held.token == token)?;
        Some(self.belief_end(held))
    }

    /// Returns the locks that the client believed to hold when it handled its last input.
    pub fn held(&self) -> impl Iterator<Item = (&Name, Token)> + Clone {
        self.held.iter().map(|(lock, held)| (lock, held.token))
    }

    /// Returns whether the client knows of an open session.
    pub const fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open(_))
    }

    /// Returns the requests that have no final reply yet, in the order of their calls.
    pub fn pending_requests(&self) -> impl Iterator<Item = PendingRequest> {
        self.calls.values().filter_map(Call::pending_request)
    }

    /// Returns when the next heartbeat is due, on the client's clock, if a session is open.
    pub const fn next_heartbeat(&self) -> Option<Time> {
        self.phase.next_heartbeat()
    }

    /// Returns whether no call is in progress. Heartbeats do not count.
    pub fn is_idle(&self) -> bool {
        self.calls.is_empty()
    }

    fn begin_call(&mut self, now: Time, kind: CallKind, deadline: Time) -> CallId {
        self.last_call_id = self.last_call_id.next();
        let call = Call::new(kind, deadline);
        self.calls.insert(self.last_call_id, call);
        self.send_due(now);
        self.last_call_id
    }

    /// Begins a call whose outcome is not reported, and that ends only with a reply or the session.
    fn begin_detached_call(&mut self, now: Time, kind: CallKind) {
        self.last_call_id = self.last_call_id.next();
        let mut call = Call::new(kind, Time::NEVER);
        call.detached = true;
        self.calls.insert(self.last_call_id, call);
        self.send_due(now);
    }

    /// Sends the requests that are due.
    fn send_due(&mut self, now: Time) {
        self.send_due_session_request(now);
        let Phase::Open(session) = &self.phase else {
            // Requests of an earlier session continue without an open one.
            self.transmit_calls(now, None);
            return;
        };
        let key = session.key;
        self.transmit_calls(now, Some(key));
    }

    fn transmit_calls(&mut self, now: Time, session_key: Option<Secret<SessionKey>>) {
        let mut oldest = self.oldest_outstanding();
        // With a single call there is nothing to collect.
        let locks_being_released =
            if self.calls.len() > 1 { self.locks_being_released() } else { BTreeSet::new() };
        let retransmit_delay = self.config.retransmit_delay;
        let backoff = self.protections.backoff;
        for call in self.calls.values_mut() {
            if call.assignment.is_none() {
                let Some(session_key) = session_key else { continue };
                // A cancel names only the lock, so it would also cancel this new wait.
                if call.lock_to_acquire().is_some_and(|lock| locks_being_released.contains(lock)) {
                    continue;
                }
                let next = self.last_seq.next();
                let distance = oldest.map_or(0, |oldest| next.number() - oldest.number());
                if distance >= WINDOW as u64 {
                    continue;
                }
                self.last_seq = next;
                oldest = oldest.or(Some(next));
                call.assign(session_key, next);
            }
            if let Some(request) = call.transmit(now, retransmit_delay, backoff, &mut self.rng) {
                self.requests.push_back(request);
            }
        }
    }

    /// Returns the locks whose cancel or release the server may not have handled yet.
    fn locks_being_released(&self) -> BTreeSet<Name> {
        let mut locks = BTreeSet::new();
        locks.extend(self.calls.values().filter_map(Call::lock_being_released).cloned());
        locks
    }

    /// Returns the oldest request that may be unanswered. Newer requests have to stay within the
    /// window after it, so that the server does not evict its cached reply.
    fn oldest_outstanding(&self) -> Option<Seq> {
        let is_outstanding =
            |call: &&Call| !matches!(call.kind, CallKind::Acquire { queued: true, .. });
        self.calls
            .values()
            .filter(is_outstanding)
            .filter_map(|call| Some(call.assignment.as_ref()?.1))
            .min()
    }

    fn notify(&mut self, notification: Notification) {
        self.notifications.push_back(notification);
    }

    fn next_seq(&mut self) -> Seq {
        self.last_seq = self.last_seq.next();
        self.last_seq
    }

    fn push_request(
        &mut self,
        session_key: Option<Secret<SessionKey>>,
        seq: Seq,
        transmissions: &Transmissions,
        operation: Operation,
    ) {
        self.requests.push_back(Request {
            session_key,
            seq,
            attempt: transmissions.last_attempt(),
            operation,
        });
    }
}
