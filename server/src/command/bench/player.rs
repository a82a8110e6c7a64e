//! One simulated client: the state machine of a real one, and the operation that it is at.

use std::collections::VecDeque;
use std::time::Instant;

use leasehold_core::client::{CallId, CallOutcome, Config, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::id::{Attempt, Name, Seq, Token};
use leasehold_core::refusal::Refusal;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

use super::mix::Action;
use super::schedule::Moment;
use super::tally::{Call, Sort, Tally};

/// How long an answer may take, with all that is sent again.
const PATIENCE: Millis = Millis::from_secs(30);

/// How long somebody may stand in line: longer than a run, unless the server is gone.
const LINE_PATIENCE: Millis = Millis::from_secs(600);

/// How many of an operation's heartbeats are remembered: more than are ever without an answer.
const BEATS_MAX: usize = 16;

/// The locks that a player uses.
#[derive(Clone, Debug)]
pub(super) struct Locks {
    /// The one that it takes, and the file that it appends to.
    pub(super) own: Name,
    /// The one that it looks at.
    pub(super) kept: Name,
}

/// A client of the bench.
pub(super) struct Player {
    name: Name,
    client: LockClient,
    locks: Locks,
    /// How long the lines are that it appends, in bytes.
    line_len: usize,
    lines: u64,
    work: Option<Work>,
    /// The heartbeats of the operation under way.
    beats: VecDeque<Seq>,
}

/// An operation that is under way.
#[derive(Debug)]
struct Work {
    action: Action,
    intended: Instant,
    /// When what is waited for was asked.
    asked: Instant,
    stage: Stage,
    /// The first thing that went wrong.
    failed: Option<&'static str>,
}

/// What is waited for.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Opening,
    Asking { call: CallId, queued: bool },
    Appending { call: CallId, token: Token },
    Releasing { call: CallId },
    Beating,
    Looking { call: CallId },
    Closing { call: CallId },
}

/// An operation that has come to its end.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    pub(super) intended: Instant,
    /// What went wrong first, by its code.
    pub(super) outcome: Result<(), &'static str>,
}

impl Player {
    pub(super) fn new(name: Name, locks: Locks, line_len: usize, seed: u64) -> Self {
        let client = LockClient::new(Config::new(name.clone()), seed);
        let beats = VecDeque::new();
        Self { name, client, locks, line_len, lines: 0, work: None, beats }
    }

    /// Begins an operation that was to begin at `intended`.
    pub(super) fn begin(&mut self, now: Moment, action: Action, intended: Instant) {
        assert!(self.work.is_none(), "a client does one thing at a time");
        let deadline = now.time + PATIENCE;
        let stage = match action {
            Action::Enter => self.open(now.time),
            Action::Turn { .. } | Action::Pass => {
                let wait = LINE_PATIENCE;
                let until = now.time + wait;
                let lock = self.locks.own.clone();
                let call = self.client.acquire(now.time, lock, wait, None, until);
                Stage::Asking { call, queued: false }
            }
            Action::Keep => {
                let (lock, until) = (self.locks.kept.clone(), now.time + LINE_PATIENCE);
                let call = self.client.acquire(now.time, lock, LINE_PATIENCE, None, until);
                Stage::Asking { call, queued: false }
            }
            Action::Look => {
                let lock = self.locks.kept.clone();
                let call = self.client.acquire(now.time, lock, Millis::ZERO, None, deadline);
                Stage::Looking { call }
            }
            Action::Beat => {
                self.beats.clear();
                self.client.open(now.time);
                Stage::Beating
            }
            Action::Open | Action::Leave => {
                Stage::Closing { call: self.client.close(now.time, deadline) }
            }
        };
        let asked = now.instant;
        self.work = Some(Work { action, intended, asked, stage, failed: None });
        if matches!(stage, Stage::Beating) {
            self.client.send_heartbeat(now.time);
        }
    }

    /// Takes in a reply. Says whether the operation has come to its end.
    pub(super) fn receive(
        &mut self,
        now: Moment,
        reply: Reply,
        tally: &mut Tally,
    ) -> Option<Ended> {
        let is_alive = matches!(reply.status, Status::Alive { .. });
        let is_mine = is_alive && self.is_beating() && self.beats.contains(&reply.request_seq);
        self.client.receive(now.time, reply);
        if is_mine {
            self.answered(now, Call::Heartbeat, tally);
            return self.end();
        }
        self.settle(now, tally)
    }

    /// Does what is due by now.
    pub(super) fn wake(&mut self, now: Moment, tally: &mut Tally) -> Option<Ended> {
        self.client.handle_timers(now.time);
        self.settle(now, tally)
    }

    /// No longer wants what it stands in line for. Whatever else is under way goes on.
    pub(super) fn leave_line(&mut self, now: Moment) {
        if let Some(Work { stage: Stage::Asking { call, queued: true }, .. }) = self.work {
            self.client.cancel(now.time, call);
            self.work = None;
        }
    }

    /// Gives up on whatever is under way. Says whether there was anything.
    pub(super) fn give_up(&mut self) -> bool {
        self.work.take().is_some()
    }

    /// The next request to send.
    pub(super) fn request(&mut self) -> Option<(Sort, Request)> {
        let request = self.client.poll_request()?;
        let sort = self.sort(&request);
        Some((sort, request))
    }

    pub(super) fn next_wake(&self) -> Option<Time> {
        self.client.next_deadline()
    }

    pub(super) const fn is_idle(&self) -> bool {
        self.work.is_none()
    }

    fn sort(&mut self, request: &Request) -> Sort {
        if matches!(request.operation, Operation::Heartbeat) {
            if !self.is_beating() {
                return Sort::Background;
            }
            // A heartbeat is never sent again: another follows, which is the same to the bench.
            let sort = if self.beats.is_empty() { Sort::First } else { Sort::Again };
            self.beats.push_back(request.seq);
            if self.beats.len() > BEATS_MAX {
                self.beats.pop_front();
            }
            return sort;
        }
        if request.attempt == Attempt::default() {
            return Sort::First;
        }
        let asks = matches!(request.operation, Operation::AcquireLock { .. });
        if asks && self.is_queued() { Sort::Poll } else { Sort::Again }
    }

    fn is_beating(&self) -> bool {
        self.work.as_ref().is_some_and(|work| matches!(work.stage, Stage::Beating))
    }

    fn is_queued(&self) -> bool {
        let queued = |work: &Work| matches!(work.stage, Stage::Asking { queued: true, .. });
        self.work.as_ref().is_some_and(queued)
    }

    fn open(&mut self, now: Time) -> Stage {
        self.client.open(now);
        Stage::Opening
    }

    /// Takes in all that the client has to tell.
    fn settle(&mut self, now: Moment, tally: &mut Tally) -> Option<Ended> {
        while let Some(notice) = self.client.poll_notification() {
            let ended = match notice {
                Notification::SessionOpened { .. } => self.opened(now, tally),
                Notification::SessionRefused { refusal } => self.not_opened(&refusal),
                Notification::Queued { call, .. } => self.queued(call),
                Notification::Completed { call, outcome: verdict } => {
                    self.verdict(now, call, verdict, tally)
                }
                Notification::SessionLost => {
                    tally.sessions_lost += 1;
                    if self.is_beating() {
                        self.client.open(now.time);
                    }
                    None
                }
                // What is asked next under its token is refused, and that counts.
                Notification::LockLost { .. } => None,
            };
            if ended.is_some() {
                return ended;
            }
        }
        None
    }

    fn opened(&mut self, now: Moment, tally: &mut Tally) -> Option<Ended> {
        match self.work.as_ref()?.stage {
            Stage::Opening => {
                self.answered(now, Call::Open, tally);
                self.end()
            }
            Stage::Beating => {
                self.client.send_heartbeat(now.time);
                None
            }
            // It had to be opened again, for what is waited for.
            Stage::Asking { .. }
            | Stage::Appending { .. }
            | Stage::Releasing { .. }
            | Stage::Looking { .. }
            | Stage::Closing { .. } => None,
        }
    }

    fn not_opened(&mut self, refusal: &Refusal) -> Option<Ended> {
        match self.work.as_ref()?.stage {
            Stage::Opening | Stage::Beating => self.end_with(refusal.code()),
            // What waits for the session has its own verdict.
            Stage::Asking { .. }
            | Stage::Appending { .. }
            | Stage::Releasing { .. }
            | Stage::Looking { .. }
            | Stage::Closing { .. } => None,
        }
    }

    fn queued(&mut self, queued_call: CallId) -> Option<Ended> {
        let work = self.work.as_mut()?;
        let Stage::Asking { call, queued } = &mut work.stage else { return None };
        *queued |= *call == queued_call;
        // Another bench keeps the lock. When that ends, it comes to who stands in line for it.
        if *queued && work.action == Action::Keep { self.end() } else { None }
    }

    /// What became of a call.
    fn verdict(
        &mut self,
        now: Moment,
        id: CallId,
        verdict: CallOutcome,
        tally: &mut Tally,
    ) -> Option<Ended> {
        let work = self.work.as_ref()?;
        let action = work.action;
        match work.stage {
            Stage::Asking { call, .. } if call == id => self.asked(now, action, verdict, tally),
            Stage::Appending { call, token } if call == id => {
                if let CallOutcome::Appended { len, .. } = verdict {
                    self.answered(now, Call::Append, tally);
                    tally.appended_lines += 1;
                    tally.appended_bytes += len;
                } else {
                    self.fail(code(&verdict));
                }
                self.release(now, token)
            }
            Stage::Releasing { call } if call == id => {
                if verdict != CallOutcome::Released {
                    return self.end_with(code(&verdict));
                }
                self.answered(now, Call::Release, tally);
                self.end()
            }
            Stage::Looking { call } if call == id => self.looked(now, verdict, tally),
            Stage::Closing { call } if call == id => {
                if verdict != CallOutcome::Closed {
                    return self.end_with(code(&verdict));
                }
                self.answered(now, Call::Close, tally);
                if action == Action::Leave {
                    return self.end();
                }
                let stage = self.open(now.time);
                self.go_on(now, stage)
            }
            Stage::Opening
            | Stage::Beating
            | Stage::Asking { .. }
            | Stage::Appending { .. }
            | Stage::Releasing { .. }
            | Stage::Looking { .. }
            | Stage::Closing { .. } => None,
        }
    }

    fn asked(
        &mut self,
        now: Moment,
        action: Action,
        verdict: CallOutcome,
        tally: &mut Tally,
    ) -> Option<Ended> {
        let CallOutcome::Granted { lock, token } = verdict else {
            return self.end_with(code(&verdict));
        };
        self.answered(now, Call::Acquire, tally);
        match action {
            Action::Keep => self.end(),
            Action::Turn { appends: true } => {
                let line = Data::new(self.line().as_bytes());
                let deadline = now.time + PATIENCE;
                let call = self.client.append(now.time, lock, token, line, deadline);
                self.go_on(now, Stage::Appending { call, token })
            }
            Action::Turn { appends: false } => self.release(now, token),
            Action::Pass => {
                tally.granted(&lock, &self.name, now.instant);
                tally.released(&lock, &self.name, now.instant);
                self.release(now, token)
            }
            Action::Enter | Action::Beat | Action::Look | Action::Open | Action::Leave => {
                unreachable!("these ask for no lock, or look at it only")
            }
        }
    }

    fn looked(&mut self, now: Moment, verdict: CallOutcome, tally: &mut Tally) -> Option<Ended> {
        if is_held(&verdict) {
            self.answered(now, Call::Look, tally);
            return self.end();
        }
        let CallOutcome::Granted { lock, token } = verdict else {
            return self.end_with(code(&verdict));
        };
        // Whoever kept it has lost it. It must not stay with who only looked.
        let call = self.client.release(now.time, lock, token, now.time + PATIENCE);
        self.fail("not_held");
        self.go_on(now, Stage::Releasing { call })
    }

    fn release(&mut self, now: Moment, token: Token) -> Option<Ended> {
        let lock = self.locks.own.clone();
        let call = self.client.release(now.time, lock, token, now.time + PATIENCE);
        self.go_on(now, Stage::Releasing { call })
    }

    fn go_on(&mut self, now: Moment, stage: Stage) -> Option<Ended> {
        let work = self.work.as_mut()?;
        work.stage = stage;
        work.asked = now.instant;
        None
    }

    fn answered(&self, now: Moment, call: Call, tally: &mut Tally) {
        if let Some(work) = &self.work {
            tally.call(call, work.asked, now.instant);
        }
    }

    fn fail(&mut self, code: &'static str) {
        if let Some(work) = &mut self.work {
            work.failed.get_or_insert(code);
        }
    }

    fn end_with(&mut self, code: &'static str) -> Option<Ended> {
        self.fail(code);
        self.end()
    }

    fn end(&mut self) -> Option<Ended> {
        let Work { intended, failed, .. } = self.work.take()?;
        Some(Ended { intended, outcome: failed.map_or(Ok(()), Err) })
    }

    /// A line that nobody else appends: who, the how-manieth, and dots up to its length.
    fn line(&mut self) -> String {
        self.lines += 1;
        let mut line = format!("{} {} ", self.name, self.lines);
        let dots = self.line_len.saturating_sub(line.len() + 1);
        line.extend(std::iter::repeat_n('.', dots));
        line.push('\n');
        line
    }
}

fn is_held(verdict: &CallOutcome) -> bool {
    matches!(verdict, CallOutcome::Refused(Refusal::LockHeld { .. }))
}

/// What went wrong, in a word.
fn code(verdict: &CallOutcome) -> &'static str {
    match verdict {
        CallOutcome::Refused(refusal) => refusal.code(),
        CallOutcome::TimedOut => "no_answer",
        CallOutcome::Unknown => "unknown",
        CallOutcome::Cancelled => "cancelled",
        CallOutcome::Granted { .. }
        | CallOutcome::Released
        | CallOutcome::Appended { .. }
        | CallOutcome::Closed => {
            unreachable!("each call ends in its own way: the state machine sees to that")
        }
    }
}

#[cfg(test)]
mod tests;
