//! The thread of the idle sessions: a few sockets, and a timer per session.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use leasehold_core::rng::Rng;
use leasehold_core::wire::Reply;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::session::{IdleSession, ReplyEffect, SessionOptions, TimerAction};
use super::{IdleCounters, IdlePlan};
use crate::command::bench::counters::SendReason;
use crate::command::bench::schedule::Window;
use crate::command::bench::shared_socket::{Outgoing, SharedSocket};
use crate::command::bench::worker::{BenchError, Shared};

/// The number of sockets. Only one session of a socket at a time sends hellos.
const SOCKETS: u32 = 64;

/// The longest wait for replies.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Heartbeats are sent in batches at this interval: waking up for each of thousands would cost the
/// measured clients processor time.
const BATCH_INTERVAL: Duration = Duration::from_millis(5);

/// The longest time without progress while sessions are opened or closed.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The number of sessions of one socket that are closed at once.
const CLOSING_MAX: usize = 16;

pub(super) struct IdleWorker {
    plan: IdlePlan,
    session_options: SessionOptions,
    sockets: Vec<SharedSocket>,
    sessions: Vec<IdleSession>,
    /// A timer per session. Stale timers are skipped.
    timers: BinaryHeap<Reverse<(Instant, usize)>>,
    rng: Rng,
    window: Option<Window>,
    counters: IdleCounters,
    /// The number of sessions that hold all their locks.
    settled: usize,
    /// Set at the end, when sessions are closed.
    is_closing: bool,
    closed: usize,
    refused: Option<&'static str>,
}

impl IdleWorker {
    pub(super) fn new(plan: IdlePlan, seed: u64) -> Result<Self, BenchError> {
        let sockets = 0..plan.sessions.min(SOCKETS);
        let sockets = sockets.map(|_| SharedSocket::connect(plan.server, plan.key.clone()));
        let sockets = sockets.collect::<Result<Vec<_>, _>>().map_err(BenchError::Socket)?;
        let mut rng = Rng::with_stream(seed, u64::MAX);
        let now = Instant::now();
        let new = |number| IdleSession::new(number, rng.next_u64(), now);
        let sessions: Vec<IdleSession> = (0..plan.sessions).map(new).collect();
        let counters =
            IdleCounters { sessions: plan.sessions, locks: plan.locks, ..Default::default() };
        Ok(Self {
            session_options: plan.session_options(),
            plan,
            sockets,
            sessions,
            timers: BinaryHeap::new(),
            rng,
            window: None,
            counters,
            settled: 0,
            is_closing: false,
            closed: 0,
            refused: None,
        })
    }

    /// Opens all sessions, keeps them alive until `stop` is set, and closes them.
    pub(super) fn run(
        mut self,
        shared: &Shared,
        stop: &AtomicBool,
    ) -> Result<IdleCounters, BenchError> {
        let opened = self.open(shared);
        let is_stopped = || stop.load(Ordering::Relaxed) || shared.stop.load(Ordering::Relaxed);
        while opened.is_ok() && !is_stopped() {
            if self.window.is_none()
                && let Some(&begin) = shared.begin.get()
            {
                self.window = Some(Window::new(begin, self.plan.warm_up, self.plan.duration));
            }
            thread::sleep(BATCH_INTERVAL);
            self.poll_once(Duration::ZERO);
        }
        // Even after an error the open sessions are closed.
        self.close();
        opened.map(|()| self.counters)
    }

    /// Opens the sessions, those of one socket one after the other.
    fn open(&mut self, shared: &Shared) -> Result<(), BenchError> {
        for index in 0..self.sockets.len() {
            self.fire_timer(index, Instant::now());
        }
        let (mut reported, mut progress) = (0, Instant::now());
        while self.settled < self.sessions.len() && !shared.stop.load(Ordering::Relaxed) {
            self.poll_once(POLL_INTERVAL);
            if let Some(code) = self.refused {
                return Err(BenchError::Refused(code));
            }
            if self.settled > reported {
                let more = self.settled - reported;
                shared.opened.fetch_add(more as u64, Ordering::Relaxed);
                (reported, progress) = (self.settled, Instant::now());
            }
            if progress.elapsed() > TIMEOUT {
                return Err(BenchError::NoReply);
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.is_closing = true;
        let count = self.sessions.len();
        let (socket_count, now) = (self.sockets.len(), Instant::now());
        // Each closed session is followed by the next one of its socket.
        for index in 0..count.min(socket_count * CLOSING_MAX) {
            self.close_one(index, now);
        }
        let (mut before, mut progress) = (self.closed, Instant::now());
        while self.closed < count && progress.elapsed() < TIMEOUT {
            self.poll_once(POLL_INTERVAL);
            if self.closed > before {
                (before, progress) = (self.closed, Instant::now());
            }
        }
    }

    /// Closes a session or, if it is already closed, the next one of its socket.
    fn close_one(&mut self, mut index: usize, now: Instant) {
        while index < self.sessions.len() {
            if self.sessions[index].close(now) {
                return self.fire_timer(index, now);
            }
            self.closed += 1;
            index += self.sockets.len() * CLOSING_MAX;
        }
    }

    /// Receives replies for at most `within`, and fires expired timers.
    fn poll_once(&mut self, within: Duration) {
        let now = Instant::now();
        let next = self.timers.peek().map(|Reverse((at, _))| at.saturating_duration_since(now));
        for socket_index in self.readable_sockets(within.min(next.unwrap_or(within))) {
            while let Some((slot, reply)) = self.sockets[socket_index].receive() {
                self.counters.received += 1;
                let index = slot as usize * self.sockets.len() + socket_index;
                if index < self.sessions.len() {
                    self.receive(index, &reply);
                }
            }
        }
        let now = Instant::now();
        while let Some(&Reverse((at, index))) = self.timers.peek()
            && at <= now
        {
            self.timers.pop();
            if self.sessions[index].deadline() == Some(at) {
                self.fire_timer(index, now);
            }
        }
    }

    fn receive(&mut self, index: usize, reply: &Reply) {
        let now = Instant::now();
        let fraction = u32::try_from(self.rng.next_u64() >> 32).expect("the upper half of 64 bits");
        let effect = self.sessions[index].receive(now, reply, &self.session_options, fraction);
        match effect {
            ReplyEffect::None => return,
            ReplyEffect::NextRequest => {}
            ReplyEffect::Settled => {
                self.settled += 1;
                let next = index + self.sockets.len();
                if next < self.sessions.len() {
                    self.fire_timer(next, now);
                }
            }
            ReplyEffect::Renewed => {
                let is_measured = self.window.is_some_and(|window| window.contains(now));
                self.counters.heartbeats += u64::from(is_measured);
            }
            ReplyEffect::Closed => {
                self.closed += 1;
                self.close_one(index + self.sockets.len() * CLOSING_MAX, now);
            }
            ReplyEffect::Refused(code) => {
                self.refused.get_or_insert(code);
            }
            // The reply to a close was lost, and its retransmission finds no session.
            ReplyEffect::Lost if self.is_closing => {
                self.closed += 1;
                self.close_one(index + self.sockets.len() * CLOSING_MAX, now);
            }
            ReplyEffect::Lost => self.counters.sessions_lost += 1,
        }
        if effect == ReplyEffect::NextRequest {
            self.fire_timer(index, now);
        } else {
            self.schedule_timer(index);
        }
    }

    /// Fires the timer of a session, and sets the next one.
    fn fire_timer(&mut self, index: usize, now: Instant) {
        match self.sessions[index].handle_timer(now, &self.session_options) {
            TimerAction::Send(reason, request) => {
                let (socket_index, slot) = (index % self.sockets.len(), index / self.sockets.len());
                let slot = u32::try_from(slot).expect("the number of sessions fits 32 bits");
                if let Some(reason) =
                    self.sockets[socket_index].send(Outgoing { slot, reason, request })
                {
                    self.counters.sent += 1;
                    self.counters.retransmissions +=
                        u64::from(reason == SendReason::Retransmission);
                }
            }
            TimerAction::Lost => self.counters.sessions_lost += 1,
            TimerAction::None => {}
        }
        self.schedule_timer(index);
    }

    fn schedule_timer(&mut self, index: usize) {
        if let Some(at) = self.sessions[index].deadline() {
            self.timers.push(Reverse((at, index)));
        }
    }

    /// Waits for the sockets. Returns those that are readable.
    fn readable_sockets(&self, within: Duration) -> Vec<usize> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: within.subsec_nanos().into() };
        let sockets = self.sockets.iter().map(|socket| PollFd::new(socket.socket(), PollFlags::IN));
        let mut polled: Vec<_> = sockets.collect();
        // The call was interrupted; it is repeated.
        if poll(&mut polled, Some(&timeout)).is_err() {
            return Vec::new();
        }
        let readable = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        readable.map(|(index, _)| index).collect()
    }
}
