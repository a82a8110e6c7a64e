//! One idle session: a small state machine for its requests and their replies.
//!
//! - One request at a time. A request without a reply is retransmitted; a heartbeat is not, another
//!   one follows.
//! - The lease counts from when an acknowledged request was sent. The session is lost if the server
//!   reports it, or if the lease expires without a reply.

use std::time::{Duration, Instant};

use leasehold_core::id::{Attempt, Name, Nonce, Seq, SessionKey};
use leasehold_core::refusal::Refusal;
use leasehold_core::secret::Secret;
use leasehold_core::time::Millis;
use leasehold_core::wire::{Cookie, Operation, Reply, Request, Status};

use crate::command::bench::counters::SendReason;

/// The retransmission timeout: longer than that of the client library, but at most half of the
/// heartbeat interval.
const RETRANSMIT_AFTER: Duration = Duration::from_secs(1);

/// The parameters of all idle sessions.
#[derive(Clone, Copy, Debug)]
pub(super) struct SessionOptions {
    /// The number of locks that each session holds.
    pub(super) locks: u32,
    /// The lease that each session requests.
    pub(super) lease: Millis,
}

/// An idle session. There may be a hundred thousand, so it is small.
#[derive(Clone, Debug)]
pub(super) struct IdleSession {
    number: u32,
    nonce: u64,
    cookie: Option<Cookie>,
    session_key: Option<Secret<SessionKey>>,
    seq: u64,
    attempt: u64,
    stage: Stage,
    /// The sequence number of the last acknowledged request.
    last_acknowledged: u64,
    lease: Duration,
    heartbeat_interval: Duration,
    /// When the current request was first sent.
    requested_at: Instant,
    /// When the last acknowledged request was sent.
    confirmed_at: Instant,
    /// When the timer expires.
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Opening,
    /// Acquires the lock with this number.
    Acquiring(u32),
    Idle,
    Renewing,
    Closing,
    Ended,
}

/// The effect of a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReplyEffect {
    None,
    /// Another request is to be sent at once.
    NextRequest,
    /// The session holds all its locks and is idle.
    Settled,
    /// A heartbeat was acknowledged.
    Renewed,
    Closed,
    /// The server refused a request with this code.
    Refused(&'static str),
    /// The server no longer knows the session.
    Lost,
}

/// What to do when the timer expires.
#[derive(Clone, Debug)]
pub(super) enum TimerAction {
    None,
    Send(SendReason, Request),
    /// The lease has expired without a reply.
    Lost,
}

impl IdleSession {
    pub(super) fn new(number: u32, nonce: u64, now: Instant) -> Self {
        Self {
            number,
            nonce,
            cookie: None,
            session_key: None,
            seq: 0,
            attempt: 0,
            stage: Stage::Opening,
            last_acknowledged: 0,
            lease: Duration::MAX,
            heartbeat_interval: Duration::MAX,
            requested_at: now,
            confirmed_at: now,
            deadline: now,
        }
    }

    /// Returns when the timer expires, or none if the session has ended.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.stage != Stage::Ended).then_some(self.deadline)
    }

    /// Fires the timer if it has expired.
    pub(super) fn handle_timer(&mut self, now: Instant, options: &SessionOptions) -> TimerAction {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return TimerAction::None;
        }
        let expires_at = self.confirmed_at.checked_add(self.lease);
        if self.session_key.is_some() && expires_at.is_some_and(|at| at <= now) {
            self.stage = Stage::Ended;
            return TimerAction::Lost;
        }
        let reason = match self.stage {
            Stage::Idle => {
                self.start_request(Stage::Renewing, now);
                SendReason::Background
            }
            // Another heartbeat. A reply to the first one is valid too, so the lease still counts
            // from the first one.
            Stage::Renewing => {
                self.seq += 1;
                SendReason::Retransmission
            }
            Stage::Opening | Stage::Acquiring(_) | Stage::Closing => {
                if self.attempt == 0 {
                    SendReason::First
                } else {
                    SendReason::Retransmission
                }
            }
            Stage::Ended => return TimerAction::None,
        };
        let request = self.request(options);
        self.attempt += 1;
        self.deadline = now + RETRANSMIT_AFTER.min(self.heartbeat_interval / 2);
        TimerAction::Send(reason, request)
    }

    /// Begins to close the session. Returns false if there is no open session.
    pub(super) fn close(&mut self, now: Instant) -> bool {
        if self.stage == Stage::Ended || self.session_key.is_none() {
            self.stage = Stage::Ended;
            return false;
        }
        self.start_request(Stage::Closing, now);
        true
    }

    /// Handles a reply. The first heartbeat is sent after `fraction` of an interval, in units of
    /// 2^-32, so that the heartbeats of all sessions are spread evenly.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        reply: &Reply,
        options: &SessionOptions,
        fraction: u32,
    ) -> ReplyEffect {
        // Replies to an ended session are duplicates, or refusals of a duplicate close.
        if self.stage == Stage::Ended || !self.is_expected(reply.request_seq.number()) {
            return ReplyEffect::None;
        }
        let seq = reply.request_seq.number();
        match (&reply.status, self.stage) {
            (Status::Retry { cookie }, Stage::Opening) => {
                (self.cookie, self.deadline) = (Some(*cookie), now);
                ReplyEffect::NextRequest
            }
            (Status::Welcome { session_key, lease, heartbeat, .. }, Stage::Opening) => {
                self.session_key = Some(*session_key);
                self.lease = Duration::from_millis(lease.as_millis());
                self.heartbeat_interval = Duration::from_millis(heartbeat.as_millis());
                self.confirmed_at = self.requested_at;
                self.acquire_next(0, now, options, fraction)
            }
            (Status::Granted { .. }, Stage::Acquiring(lock)) => {
                (self.last_acknowledged, self.confirmed_at) = (seq, self.requested_at);
                self.acquire_next(lock + 1, now, options, fraction)
            }
            (Status::Alive { .. }, Stage::Renewing) => {
                (self.last_acknowledged, self.confirmed_at) = (seq, self.requested_at);
                self.stage = Stage::Idle;
                self.deadline = self.requested_at + self.heartbeat_interval;
                ReplyEffect::Renewed
            }
            (Status::Closed { .. }, Stage::Closing) => {
                self.stage = Stage::Ended;
                ReplyEffect::Closed
            }
            (Status::Refused(Refusal::UnknownSession), _) => {
                self.stage = Stage::Ended;
                ReplyEffect::Lost
            }
            (Status::Refused(refusal), _) => ReplyEffect::Refused(refusal.code()),
            // A reply that does not belong to the current request.
            (
                Status::Retry { .. }
                | Status::Welcome { .. }
                | Status::Granted { .. }
                | Status::Queued { .. }
                | Status::Cancelled { .. }
                | Status::Released { .. }
                | Status::Appended { .. }
                | Status::Applied { .. }
                | Status::NotApplied
                | Status::Forgotten
                | Status::Alive { .. }
                | Status::Closed { .. },
                _,
            ) => ReplyEffect::None,
        }
    }

    /// Whether a reply with this sequence number belongs to the current request, or to one of the
    /// current heartbeats.
    fn is_expected(&self, seq: u64) -> bool {
        let is_unacknowledged = self.last_acknowledged < seq;
        match self.stage {
            Stage::Opening => seq == 0,
            Stage::Renewing => is_unacknowledged && seq <= self.seq,
            Stage::Acquiring(_) | Stage::Idle | Stage::Closing | Stage::Ended => {
                is_unacknowledged && seq == self.seq
            }
        }
    }

    /// Requests the lock with this number, or becomes idle if there are no more locks.
    fn acquire_next(
        &mut self,
        lock: u32,
        now: Instant,
        options: &SessionOptions,
        fraction: u32,
    ) -> ReplyEffect {
        if lock < options.locks {
            self.start_request(Stage::Acquiring(lock), now);
            return ReplyEffect::NextRequest;
        }
        let nanos = (u128::from(fraction) * self.heartbeat_interval.as_nanos()) >> 32;
        let delay = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        (self.stage, self.deadline) = (Stage::Idle, self.requested_at + delay);
        ReplyEffect::Settled
    }

    const fn start_request(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.seq += 1;
        self.attempt = 0;
        (self.requested_at, self.deadline) = (now, now);
    }

    fn request(&self, options: &SessionOptions) -> Request {
        let name = |text: String| Name::new(&text).expect("a valid name");
        let operation = match self.stage {
            Stage::Opening => Operation::Hello {
                client: name(format!("idle-{}", self.number)),
                nonce: Secret::new(Nonce::new(self.nonce)),
                lease: Some(options.lease),
                cookie: self.cookie,
            },
            Stage::Acquiring(lock) => Operation::AcquireLock {
                lock: name(format!("idle-{}-{lock}", self.number)),
                wait: Millis::ZERO,
                hold: None,
            },
            Stage::Idle | Stage::Renewing => Operation::Heartbeat,
            Stage::Closing | Stage::Ended => Operation::Close,
        };
        let (seq, attempt) = (Seq::new(self.seq), Attempt::new(self.attempt));
        Request { session_key: self.session_key, seq, attempt, operation }
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::id::Token;

    use super::*;

    const OPTIONS: SessionOptions = SessionOptions { locks: 1, lease: Millis::from_secs(60) };

    fn reply(seq: u64, status: Status) -> Reply {
        Reply { request_seq: Seq::new(seq), attempt: Attempt::default(), status }
    }

    fn welcome() -> Status {
        Status::Welcome {
            session_key: Secret::new(SessionKey::from_entropy(7)),
            lease: Millis::from_secs(60),
            heartbeat: Millis::from_secs(20),
            poll: Millis::from_millis(500),
            window: 32,
        }
    }

    fn granted() -> Status {
        let (lock, lease) = (Name::new("idle-3-0").unwrap(), Millis::from_secs(60));
        Status::Granted { lock, token: Token::new(1), lease, hold: None }
    }

    const fn alive() -> Status {
        Status::Alive { lease: Millis::from_secs(60), held: 1 }
    }

    /// Returns the request that the timer sends.
    #[track_caller]
    fn request_at(session: &mut IdleSession, now: Instant) -> Request {
        match session.handle_timer(now, &OPTIONS) {
            TimerAction::Send(_, request) => request,
            TimerAction::Lost | TimerAction::None => panic!("no request is sent"),
        }
    }

    /// Returns a session that holds its lock, and the time of its first heartbeat.
    fn idle_session(begin: Instant) -> (IdleSession, Instant) {
        let mut session = IdleSession::new(3, 9, begin);
        assert!(matches!(request_at(&mut session, begin).operation, Operation::Hello { .. }));
        let effect = session.receive(begin, &reply(0, welcome()), &OPTIONS, 0);
        assert_eq!(effect, ReplyEffect::NextRequest);
        assert!(matches!(request_at(&mut session, begin).operation, Operation::AcquireLock { .. }));
        let effect = session.receive(begin, &reply(1, granted()), &OPTIONS, 1 << 31);
        assert_eq!(effect, ReplyEffect::Settled);
        (session, begin + Duration::from_secs(10))
    }

    #[test]
    fn it_acquires_its_lock_and_sends_heartbeats_at_the_interval_of_its_lease() {
        let begin = Instant::now();
        let (mut session, first) = idle_session(begin);
        assert_eq!(session.deadline(), Some(first), "half of an interval");
        assert!(matches!(session.handle_timer(begin, &OPTIONS), TimerAction::None));
        let heartbeat = request_at(&mut session, first);
        assert_eq!((heartbeat.seq, &heartbeat.operation), (Seq::new(2), &Operation::Heartbeat));
        let effect = session.receive(first, &reply(2, alive()), &OPTIONS, 0);
        assert_eq!(effect, ReplyEffect::Renewed);
        assert_eq!(session.deadline(), Some(first + Duration::from_secs(20)));
    }

    #[test]
    fn a_heartbeat_without_a_reply_is_followed_by_another() {
        let (mut session, first) = idle_session(Instant::now());
        request_at(&mut session, first);
        let second = first + RETRANSMIT_AFTER;
        assert_eq!(request_at(&mut session, second).seq, Seq::new(3));
        // A late reply to the first heartbeat is valid. The lease counts from the first one.
        let effect = session.receive(second, &reply(2, alive()), &OPTIONS, 0);
        assert_eq!(effect, ReplyEffect::Renewed);
        assert_eq!(session.deadline(), Some(first + Duration::from_secs(20)));
        let effect = session.receive(second, &reply(2, alive()), &OPTIONS, 0);
        assert_eq!(effect, ReplyEffect::None);
    }

    #[test]
    fn late_replies_to_a_close_are_ignored() {
        let (mut session, first) = idle_session(Instant::now());
        assert!(session.close(first));
        assert!(matches!(request_at(&mut session, first).operation, Operation::Close));
        let closed = reply(2, Status::Closed { released: 1 });
        assert_eq!(session.receive(first, &closed, &OPTIONS, 0), ReplyEffect::Closed);
        let unknown = reply(2, Status::Refused(Refusal::UnknownSession));
        for late in [closed, unknown] {
            assert_eq!(session.receive(first, &late, &OPTIONS, 0), ReplyEffect::None);
        }
        assert!(!session.close(first));
    }

    #[test]
    fn a_session_is_lost_if_the_server_reports_it_or_does_not_reply_for_a_lease() {
        let begin = Instant::now();
        let (mut session, first) = idle_session(begin);
        request_at(&mut session, first);
        let unknown = reply(2, Status::Refused(Refusal::UnknownSession));
        assert_eq!(session.receive(first, &unknown, &OPTIONS, 0), ReplyEffect::Lost);
        assert_eq!(session.deadline(), None);
        let (mut without_reply, first) = idle_session(begin);
        request_at(&mut without_reply, first);
        let expiry = begin + Duration::from_secs(60);
        assert!(matches!(without_reply.handle_timer(expiry, &OPTIONS), TimerAction::Lost));
    }
}
