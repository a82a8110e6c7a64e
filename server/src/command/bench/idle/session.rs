//! One idle session: what it asks next, and what it makes of the answer.
//!
//! - One request at a time. What is not answered is asked again; a heartbeat is not, another one
//!   follows.
//! - Its lease counts from when a heartbeat was sent that was answered. It is lost where the server
//!   says so, or where the lease is over without an answer.

use std::time::{Duration, Instant};

use leasehold_core::id::{Attempt, Name, Nonce, Seq, SessionKey};
use leasehold_core::refusal::Refusal;
use leasehold_core::secret::Secret;
use leasehold_core::time::Millis;
use leasehold_core::wire::{Cookie, Operation, Reply, Request, Status};

use crate::command::bench::tally::Sort;

/// How long an answer is waited for: longer than by a client that is in a hurry; but no longer than
/// half the time between two heartbeats.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What all idle sessions have in common.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// How many locks each holds.
    pub(super) locks: u32,
    /// The lease that each asks for.
    pub(super) lease: Millis,
}

/// An idle session. There may be a hundred thousand, so it is small.
#[derive(Clone, Debug)]
pub(super) struct Session {
    number: u32,
    nonce: u64,
    cookie: Option<Cookie>,
    id: Option<Secret<SessionKey>>,
    seq: u64,
    attempt: u64,
    stage: Stage,
    /// The number of the last request that was answered.
    answered: u64,
    lease: Duration,
    beat_every: Duration,
    /// When what is under way was asked first.
    asked: Instant,
    /// When it last asked something that was answered.
    proven: Instant,
    /// When there is something to do.
    due: Instant,
}

/// What it is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Entering,
    /// It asks for this lock of its own.
    Taking(u32),
    Resting,
    Beating,
    Leaving,
    Gone,
}

/// What an answer has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// Nothing that is of interest.
    Nothing,
    /// There is something to be sent at once.
    Next,
    /// It has all that it wants, and rests.
    Settled,
    /// A heartbeat was answered.
    Alive,
    /// It is closed.
    Closed,
    /// The server would not let it have what it wants; the code.
    Refused(&'static str),
    /// The server does not know it any more.
    Lost,
}

/// What it does when the time has come.
#[derive(Clone, Debug)]
pub(super) enum Due {
    Send(Sort, Request),
    /// Its lease is over, and nothing was heard.
    Lost,
    Nothing,
}

impl Session {
    pub(super) fn new(number: u32, nonce: u64, now: Instant) -> Self {
        Self {
            number,
            nonce,
            cookie: None,
            id: None,
            seq: 0,
            attempt: 0,
            stage: Stage::Entering,
            answered: 0,
            lease: Duration::MAX,
            beat_every: Duration::MAX,
            asked: now,
            proven: now,
            due: now,
        }
    }

    /// When there is something to do, unless there never is again.
    pub(super) fn due(&self) -> Option<Instant> {
        (self.stage != Stage::Gone).then_some(self.due)
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Instant, terms: &Terms) -> Due {
        let Some(due) = self.due() else { return Due::Nothing };
        if now < due {
            return Due::Nothing;
        }
        let alive_until = self.proven.checked_add(self.lease);
        if self.id.is_some() && alive_until.is_some_and(|until| until <= now) {
            self.stage = Stage::Gone;
            return Due::Lost;
        }
        let sort = match self.stage {
            Stage::Resting => {
                self.ask(Stage::Beating, now);
                Sort::Background
            }
            // Another heartbeat, while an answer to the first would do as well: so it counts from
            // that one, whichever is answered.
            Stage::Beating => {
                self.seq += 1;
                Sort::Again
            }
            Stage::Entering | Stage::Taking(_) | Stage::Leaving => {
                if self.attempt == 0 {
                    Sort::First
                } else {
                    Sort::Again
                }
            }
            Stage::Gone => return Due::Nothing,
        };
        let request = self.request(terms);
        self.attempt += 1;
        self.due = now + AGAIN_AFTER.min(self.beat_every / 2);
        Due::Send(sort, request)
    }

    /// Begins to close it. Says whether there is something to close.
    pub(super) fn leave(&mut self, now: Instant) -> bool {
        if self.stage == Stage::Gone || self.id.is_none() {
            self.stage = Stage::Gone;
            return false;
        }
        self.ask(Stage::Leaving, now);
        true
    }

    /// Takes in a reply to it. `share` of its pause, in 2^32nds, lies before its first heartbeat,
    /// so that those of all are spread.
    pub(super) fn receive(
        &mut self,
        now: Instant,
        reply: &Reply,
        terms: &Terms,
        share: u32,
    ) -> Heard {
        let re = reply.request_seq.number();
        let is_hello = self.stage == Stage::Entering;
        let is_beat = self.stage == Stage::Beating && self.answered < re && re <= self.seq;
        let is_answer = is_hello && re == 0 || is_beat || self.seq == re && self.answered < re;
        // Whoever has left hears that again, or, of a late copy, that it isn't known any more.
        if !is_answer || self.stage == Stage::Gone {
            return Heard::Nothing;
        }
        match (&reply.status, self.stage) {
            (Status::Retry { cookie }, Stage::Entering) => {
                (self.cookie, self.due) = (Some(*cookie), now);
                Heard::Next
            }
            (Status::Welcome { session_key: session, lease, heartbeat, .. }, Stage::Entering) => {
                self.id = Some(*session);
                self.lease = Duration::from_millis(lease.as_millis());
                self.beat_every = Duration::from_millis(heartbeat.as_millis());
                self.proven = self.asked;
                self.take(0, now, terms, share)
            }
            (Status::Granted { .. }, Stage::Taking(lock)) => {
                (self.answered, self.proven) = (re, self.asked);
                self.take(lock + 1, now, terms, share)
            }
            (Status::Alive { .. }, Stage::Beating) => {
                (self.answered, self.proven) = (re, self.asked);
                (self.stage, self.due) = (Stage::Resting, self.asked + self.beat_every);
                Heard::Alive
            }
            (Status::Closed { .. }, Stage::Leaving) => {
                self.stage = Stage::Gone;
                Heard::Closed
            }
            (Status::Refused(Refusal::UnknownSession), _) => {
                self.stage = Stage::Gone;
                Heard::Lost
            }
            (Status::Refused(refusal), _) => Heard::Refused(refusal.code()),
            _ => Heard::Nothing,
        }
    }

    /// Asks for the next lock, or rests where it has all.
    fn take(&mut self, lock: u32, now: Instant, terms: &Terms, share: u32) -> Heard {
        if lock < terms.locks {
            self.ask(Stage::Taking(lock), now);
            return Heard::Next;
        }
        let part = (u128::from(share) * self.beat_every.as_nanos()) >> 32;
        let pause = Duration::from_nanos(u64::try_from(part).unwrap_or(u64::MAX));
        (self.stage, self.due) = (Stage::Resting, self.asked + pause);
        Heard::Settled
    }

    const fn ask(&mut self, stage: Stage, now: Instant) {
        self.stage = stage;
        self.seq += 1;
        self.attempt = 0;
        (self.asked, self.due) = (now, now);
    }

    fn request(&self, terms: &Terms) -> Request {
        let name = |text: String| Name::new(&text).expect("a name");
        let operation = match self.stage {
            Stage::Entering => Operation::Hello {
                client: name(format!("idle-{}", self.number)),
                nonce: Secret::new(Nonce::new(self.nonce)),
                lease: Some(terms.lease),
                cookie: self.cookie,
            },
            Stage::Taking(lock) => Operation::AcquireLock {
                lock: name(format!("idle-{}-{lock}", self.number)),
                wait: Millis::ZERO,
                hold: None,
            },
            Stage::Resting | Stage::Beating => Operation::Heartbeat,
            Stage::Leaving | Stage::Gone => Operation::Close,
        };
        let (seq, attempt) = (Seq::new(self.seq), Attempt::new(self.attempt));
        Request { session_key: self.id, seq, attempt, operation }
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::id::Token;

    use super::*;

    const TERMS: Terms = Terms { locks: 1, lease: Millis::from_secs(60) };

    fn reply(re: u64, status: Status) -> Reply {
        Reply { request_seq: Seq::new(re), attempt: Attempt::default(), status }
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

    #[track_caller]
    fn sent(session: &mut Session, now: Instant) -> Request {
        match session.wake(now, &TERMS) {
            Due::Send(_, request) => request,
            Due::Lost | Due::Nothing => panic!("it has nothing to send"),
        }
    }

    /// A session that rests, and the moment of its first heartbeat.
    fn resting(begin: Instant) -> (Session, Instant) {
        let mut session = Session::new(3, 9, begin);
        assert!(matches!(sent(&mut session, begin).operation, Operation::Hello { .. }));
        assert_eq!(session.receive(begin, &reply(0, welcome()), &TERMS, 0), Heard::Next);
        assert!(matches!(sent(&mut session, begin).operation, Operation::AcquireLock { .. }));
        let heard = session.receive(begin, &reply(1, granted()), &TERMS, 1 << 31);
        assert_eq!(heard, Heard::Settled);
        (session, begin + Duration::from_secs(10))
    }

    #[test]
    fn it_takes_its_lock_and_beats_at_the_rate_that_its_lease_asks_for() {
        let begin = Instant::now();
        let (mut session, first) = resting(begin);
        assert_eq!(session.due(), Some(first), "half of a pause, as it was told");
        assert!(matches!(session.wake(begin, &TERMS), Due::Nothing));
        let beat = sent(&mut session, first);
        assert_eq!((beat.seq, &beat.operation), (Seq::new(2), &Operation::Heartbeat));
        assert_eq!(session.receive(first, &reply(2, alive()), &TERMS, 0), Heard::Alive);
        assert_eq!(session.due(), Some(first + Duration::from_secs(20)));
    }

    #[test]
    fn a_heartbeat_without_an_answer_is_followed_by_another() {
        let (mut session, first) = resting(Instant::now());
        sent(&mut session, first);
        let again = first + AGAIN_AFTER;
        assert_eq!(sent(&mut session, again).seq, Seq::new(3));
        // The answer to the first is late: it counts from then.
        assert_eq!(session.receive(again, &reply(2, alive()), &TERMS, 0), Heard::Alive);
        assert_eq!(session.due(), Some(first + Duration::from_secs(20)));
        assert_eq!(session.receive(again, &reply(2, alive()), &TERMS, 0), Heard::Nothing);
    }

    #[test]
    fn it_leaves_once_whatever_late_copies_of_its_close_come_to() {
        let (mut session, first) = resting(Instant::now());
        assert!(session.leave(first));
        assert!(matches!(sent(&mut session, first).operation, Operation::Close));
        let closed = reply(2, Status::Closed { released: 1 });
        assert_eq!(session.receive(first, &closed, &TERMS, 0), Heard::Closed);
        let unknown = reply(2, Status::Refused(Refusal::UnknownSession));
        for late in [closed, unknown] {
            assert_eq!(session.receive(first, &late, &TERMS, 0), Heard::Nothing);
        }
        assert!(!session.leave(first));
    }

    #[test]
    fn it_is_lost_where_the_server_says_so_or_says_nothing_for_a_lease() {
        let begin = Instant::now();
        let (mut session, first) = resting(begin);
        sent(&mut session, first);
        let unknown = reply(2, Status::Refused(Refusal::UnknownSession));
        assert_eq!(session.receive(first, &unknown, &TERMS, 0), Heard::Lost);
        assert_eq!(session.due(), None);
        let (mut silent, first) = resting(begin);
        sent(&mut silent, first);
        let over = begin + Duration::from_secs(60);
        assert!(matches!(silent.wake(over, &TERMS), Due::Lost));
    }
}
