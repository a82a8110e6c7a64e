//! The thread of the idle sessions: a few sockets, and a queue of who does something next.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use leasehold_core::rng::Rng;
use leasehold_core::wire::Reply;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::session::{Due, Heard, Session, Terms};
use super::{IdlePlan, IdleTally};
use crate::command::bench::lane::{Lane, Outgoing};
use crate::command::bench::schedule::Window;
use crate::command::bench::tally::Sort;
use crate::command::bench::worker::{Shared, Trouble};

/// How many sockets there are. Of the sessions of one only one at a time says hello.
const LANES: u32 = 64;

/// How long to wait for answers where there is nothing else to do.
const LOOK: Duration = Duration::from_millis(20);

/// Heartbeats are gathered for this long: to wait for each of thousands would cost the clients
/// that are measured.
const GATHER: Duration = Duration::from_millis(5);

/// How long the opening, and the closing, may get nowhere.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many sessions of one socket are closed at once.
const LEAVING_MAX: usize = 16;

pub(super) struct Crowd {
    plan: IdlePlan,
    terms: Terms,
    lanes: Vec<Lane>,
    sessions: Vec<Session>,
    /// When each does something next. What was changed since is passed over.
    wakes: BinaryHeap<Reverse<(Instant, usize)>>,
    luck: Rng,
    window: Option<Window>,
    tally: IdleTally,
    /// How many have all that they want.
    settled: usize,
    /// Set at the end; from then on it counts how many are closed.
    is_closing: bool,
    closed: usize,
    refused: Option<&'static str>,
}

impl Crowd {
    pub(super) fn new(plan: IdlePlan, luck: u64) -> Result<Self, Trouble> {
        let lanes = 0..plan.sessions.min(LANES);
        let lanes = lanes.map(|_| Lane::connect(plan.server, plan.key.clone()));
        let lanes = lanes.collect::<Result<Vec<Lane>, _>>().map_err(Trouble::Socket)?;
        let mut luck = Rng::with_stream(luck, u64::MAX);
        let now = Instant::now();
        let new = |number| Session::new(number, luck.next_u64(), now);
        let sessions: Vec<Session> = (0..plan.sessions).map(new).collect();
        let tally = IdleTally { sessions: plan.sessions, locks: plan.locks, ..Default::default() };
        Ok(Self {
            terms: plan.terms(),
            plan,
            lanes,
            sessions,
            wakes: BinaryHeap::new(),
            luck,
            window: None,
            tally,
            settled: 0,
            is_closing: false,
            closed: 0,
            refused: None,
        })
    }

    /// Opens all, keeps them alive until it is over, and closes them.
    pub(super) fn run(mut self, shared: &Shared, over: &AtomicBool) -> Result<IdleTally, Trouble> {
        let opened = self.open(shared);
        let is_over = || over.load(Ordering::Relaxed) || shared.stop.load(Ordering::Relaxed);
        while opened.is_ok() && !is_over() {
            if self.window.is_none()
                && let Some(&begin) = shared.begin.get()
            {
                self.window = Some(Window::new(begin, self.plan.warm_up, self.plan.duration));
            }
            thread::sleep(GATHER);
            self.turn(Duration::ZERO);
        }
        // Whatever went wrong: what was opened is closed.
        self.close();
        opened.map(|()| self.tally)
    }

    /// Those of one socket say hello one after the other.
    fn open(&mut self, shared: &Shared) -> Result<(), Trouble> {
        for index in 0..self.lanes.len() {
            self.act(index, Instant::now());
        }
        let (mut told, mut progress) = (0, Instant::now());
        while self.settled < self.sessions.len() && !shared.stop.load(Ordering::Relaxed) {
            self.turn(LOOK);
            if let Some(code) = self.refused {
                return Err(Trouble::Refused(code));
            }
            if self.settled > told {
                let more = self.settled - told;
                shared.opened.fetch_add(more as u64, Ordering::Relaxed);
                (told, progress) = (self.settled, Instant::now());
            }
            if progress.elapsed() > PATIENCE {
                return Err(Trouble::NoAnswer);
            }
        }
        Ok(())
    }

    fn close(&mut self) {
        self.is_closing = true;
        let count = self.sessions.len();
        let (lanes, now) = (self.lanes.len(), Instant::now());
        // The next of a socket leaves when another of it has left.
        for index in 0..count.min(lanes * LEAVING_MAX) {
            self.leave(index, now);
        }
        let (mut before, mut progress) = (self.closed, Instant::now());
        while self.closed < count && progress.elapsed() < PATIENCE {
            self.turn(LOOK);
            if self.closed > before {
                (before, progress) = (self.closed, Instant::now());
            }
        }
    }

    /// Closes one, or, where there is nothing to close, the next one of its socket.
    fn leave(&mut self, mut index: usize, now: Instant) {
        while index < self.sessions.len() {
            if self.sessions[index].leave(now) {
                return self.act(index, now);
            }
            self.closed += 1;
            index += self.lanes.len() * LEAVING_MAX;
        }
    }

    /// Takes in what has come within this time, and does what is due.
    fn turn(&mut self, within: Duration) {
        let now = Instant::now();
        let next = self.wakes.peek().map(|Reverse((at, _))| at.saturating_duration_since(now));
        for lane in self.ready(within.min(next.unwrap_or(within))) {
            while let Some((place, reply)) = self.lanes[lane].receive() {
                self.tally.received += 1;
                let index = place as usize * self.lanes.len() + lane;
                if index < self.sessions.len() {
                    self.receive(index, &reply);
                }
            }
        }
        let now = Instant::now();
        while let Some(&Reverse((at, index))) = self.wakes.peek()
            && at <= now
        {
            self.wakes.pop();
            if self.sessions[index].due() == Some(at) {
                self.act(index, now);
            }
        }
    }

    fn receive(&mut self, index: usize, reply: &Reply) {
        let now = Instant::now();
        let share = u32::try_from(self.luck.next_u64() >> 32).expect("the upper half of 64 bits");
        let heard = self.sessions[index].receive(now, reply, &self.terms, share);
        match heard {
            Heard::Nothing => return,
            Heard::Next => {}
            Heard::Settled => {
                self.settled += 1;
                let next = index + self.lanes.len();
                if next < self.sessions.len() {
                    self.act(next, now);
                }
            }
            Heard::Alive => {
                let counts = self.window.is_some_and(|window| window.contains(now));
                self.tally.beats += u64::from(counts);
            }
            Heard::Closed => {
                self.closed += 1;
                self.leave(index + self.lanes.len() * LEAVING_MAX, now);
            }
            Heard::Refused(code) => {
                self.refused.get_or_insert(code);
            }
            // Who hears of its end only when it asks again has left too.
            Heard::Lost if self.is_closing => {
                self.closed += 1;
                self.leave(index + self.lanes.len() * LEAVING_MAX, now);
            }
            Heard::Lost => self.tally.lost += 1,
        }
        if heard == Heard::Next {
            self.act(index, now);
        } else {
            self.plan_wake(index);
        }
    }

    /// Lets a session do what is due, and notes when it does something next.
    fn act(&mut self, index: usize, now: Instant) {
        match self.sessions[index].wake(now, &self.terms) {
            Due::Send(sort, request) => {
                let (lane, place) = (index % self.lanes.len(), index / self.lanes.len());
                let place = u32::try_from(place).expect("there are fewer sessions than that");
                if let Some(sort) = self.lanes[lane].send(Outgoing { place, sort, request }) {
                    self.tally.sent += 1;
                    self.tally.sent_again += u64::from(sort == Sort::Again);
                }
            }
            Due::Lost => self.tally.lost += 1,
            Due::Nothing => {}
        }
        self.plan_wake(index);
    }

    fn plan_wake(&mut self, index: usize) {
        if let Some(at) = self.sessions[index].due() {
            self.wakes.push(Reverse((at, index)));
        }
    }

    /// The sockets that can be read.
    fn ready(&self, within: Duration) -> Vec<usize> {
        let timeout = Timespec { tv_sec: 0, tv_nsec: within.subsec_nanos().into() };
        let sockets = self.lanes.iter().map(|lane| PollFd::new(lane.socket(), PollFlags::IN));
        let mut polled: Vec<_> = sockets.collect();
        // Interrupted: there is another turn.
        if poll(&mut polled, Some(&timeout)).is_err() {
            return Vec::new();
        }
        let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        ready.map(|(lane, _)| lane).collect()
    }
}
