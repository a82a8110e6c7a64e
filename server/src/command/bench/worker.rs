//! A thread of the bench: its share of the clients, their sockets, and the loop that drives both.
//!
//! - One thread has many clients, and waits for all of their sockets at once. Nothing in here is
//!   shared with other threads but what [`Shared`] has.
//! - The clock is read anew for every datagram, so that a latency ends when its answer is read.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use leasehold_core::id::Name;
use leasehold_core::rng::Rng;
use leasehold_core::time::Time;
use leasehold_core::wire::MacKey;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::lane::{Lane, Outgoing};
use super::mix::{Action, Mix};
use super::player::{Ended, Locks, Player};
use super::schedule::{Arrivals, Moment, Window};
use super::tally::Tally;

/// How often a worker looks for what it is told.
const LOOK: Duration = Duration::from_millis(20);

/// How long the opening of sessions may get nowhere.
const OPENING_PATIENCE: Duration = Duration::from_secs(10);

/// How long what is under way at the end may take: longer than any answer may.
const DRAIN_MAX: Duration = Duration::from_secs(32);

/// How long the sessions may take to close.
const FAREWELL_MAX: Duration = Duration::from_secs(5);

/// What all workers have in common.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) mix: Mix,
    pub(super) clients: u32,
    /// How many locks the clients share.
    pub(super) locks: u32,
    /// The file that all append to, where it is named.
    pub(super) file: Option<Name>,
    pub(super) line_len: usize,
    pub(super) rate: Option<u64>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) seed: u64,
    pub(super) workers: u32,
    /// How many sockets a worker has at most.
    pub(super) lanes_max: u32,
    pub(super) server: SocketAddr,
    pub(super) key: Option<MacKey>,
}

/// What workers and whoever started them tell each other.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set to end before the time.
    pub(super) stop: AtomicBool,
    /// How many sessions are open.
    pub(super) opened: AtomicU64,
    /// When the work begins. Set when all are open.
    pub(super) begin: OnceLock<Instant>,
    /// How many operations have ended, for whoever watches.
    pub(super) ended: AtomicU64,
}

/// Why a worker could not do its part.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No socket.
    Socket(std::io::Error),
    /// No session was opened for a long time.
    NoAnswer,
    /// The server would not open a session, or not let the lock be held; its code.
    Refused(&'static str),
}

pub(super) struct Worker {
    plan: Plan,
    number: u32,
    lanes: Vec<Lane>,
    players: Vec<Player>,
    /// When to look after which player: no later than it wants to be woken. That it wants it later
    /// by now shows then, so hardly any answer moves anything here.
    looks: BinaryHeap<Reverse<(Time, usize)>>,
    /// The look at each player that counts; others are left over.
    look_at: Vec<Option<Time>>,
    ended: Vec<(usize, Moment, Ended)>,
    rng: Rng,
    tally: Tally,
}

impl Plan {
    /// The numbers of a worker's clients, among those of all.
    fn share(&self, worker: u32) -> impl Iterator<Item = u32> {
        (worker..self.clients).step_by(self.workers as usize)
    }

    fn locks(&self, client: u32) -> Locks {
        let own = self.file.clone().unwrap_or_else(|| name(client % self.locks));
        Locks { own, kept: Name::new("bench-kept").expect("a name") }
    }
}

/// The name of a client, or of a lock.
fn name(number: u32) -> Name {
    Name::new(&format!("bench-{number}")).expect("a name")
}

impl Worker {
    /// `luck` decides about nonces and jitter, and is never the same twice.
    pub(super) fn new(plan: Plan, number: u32, luck: u64) -> Result<Self, Trouble> {
        let mut luck = Rng::with_stream(luck, u64::from(number));
        let mut players: Vec<Player> = plan
            .share(number)
            .map(|client| {
                Player::new(name(client), plan.locks(client), plan.line_len, luck.next_u64())
            })
            .collect();
        if number == 0 && plan.mix.has_looks() {
            let keeper = Name::new("bench-keeper").expect("a name");
            players.push(Player::new(keeper, plan.locks(0), plan.line_len, luck.next_u64()));
        }
        let lanes = players.len().min(plan.lanes_max as usize);
        let lanes = (0..lanes).map(|_| Lane::connect(plan.server, plan.key.clone()));
        let lanes = lanes.collect::<Result<Vec<Lane>, _>>().map_err(Trouble::Socket)?;
        Ok(Self {
            number,
            lanes,
            looks: BinaryHeap::new(),
            look_at: vec![None; players.len()],
            players,
            ended: Vec::new(),
            rng: Rng::with_stream(plan.seed, u64::from(number)),
            tally: Tally::default(),
            plan,
        })
    }

    /// Does its part, and gives back what it has counted.
    pub(super) fn run(mut self, shared: &Shared) -> Result<Tally, Trouble> {
        let opened = self.open(shared);
        if opened.is_ok()
            && let Some(begin) = self.wait_for_begin(shared)
        {
            self.work(shared, begin);
            self.drain(shared);
        }
        // Whatever went wrong: what was opened is closed.
        self.say_farewell();
        opened.map(|()| self.tally)
    }

    /// Opens the sessions: those of one socket one after the other.
    fn open(&mut self, shared: &Shared) -> Result<(), Trouble> {
        let count = self.players.len();
        let begin = |this: &mut Self, index: usize| {
            if index < count {
                this.begin(index, Action::Enter, Instant::now());
            }
        };
        for index in 0..self.lanes.len() {
            begin(self, index);
        }
        let keeper = self.keeper();
        let (mut opened, mut progress) = (0, Instant::now());
        while opened < count && !shared.stop.load(Ordering::Relaxed) {
            if progress.elapsed() > OPENING_PATIENCE {
                return Err(Trouble::NoAnswer);
            }
            self.turn(Instant::now() + LOOK);
            for (index, _, ended) in std::mem::take(&mut self.ended) {
                ended.outcome.map_err(Trouble::Refused)?;
                (opened, progress) = (opened + 1, Instant::now());
                // The keeper counts when it has its lock: nobody looks before that.
                shared.opened.fetch_add(u64::from(Some(index) != keeper), Ordering::Relaxed);
                begin(self, index + self.lanes.len());
            }
        }
        self.keep(shared)
    }

    /// Sees to it that the lock is held which the others look at.
    fn keep(&mut self, shared: &Shared) -> Result<(), Trouble> {
        let Some(keeper) = self.keeper() else { return Ok(()) };
        self.begin(keeper, Action::Keep, Instant::now());
        while !self.players[keeper].is_idle() && !shared.stop.load(Ordering::Relaxed) {
            self.turn(Instant::now() + LOOK);
        }
        for (_, _, ended) in std::mem::take(&mut self.ended) {
            ended.outcome.map_err(Trouble::Refused)?;
            shared.opened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// The player that is none of the clients.
    fn keeper(&self) -> Option<usize> {
        let clients = self.plan.share(self.number).count();
        (self.players.len() > clients).then_some(clients)
    }

    /// Keeps the sessions alive until all workers have theirs.
    fn wait_for_begin(&mut self, shared: &Shared) -> Option<Instant> {
        while !shared.stop.load(Ordering::Relaxed) {
            if let Some(&begin) = shared.begin.get() {
                return Some(begin);
            }
            self.turn(Instant::now() + LOOK);
        }
        None
    }

    /// Operation after operation, until the time is up.
    fn work(&mut self, shared: &Shared, begin: Instant) {
        let window = Window::new(begin, self.plan.warm_up, self.plan.duration);
        let (number, workers) = (u64::from(self.number), u64::from(self.plan.workers));
        let mut arrivals = self.plan.rate.map(|rate| Arrivals::new(begin, rate, number, workers));
        self.tally.window = Some(window);
        self.tally.offered = arrivals.as_ref().map(|arrivals| arrivals.offered(window));
        let mut idle: VecDeque<usize> = (0..self.plan.share(self.number).count()).collect();
        loop {
            let now = Instant::now();
            if now >= window.until || shared.stop.load(Ordering::Relaxed) {
                return;
            }
            let mut next = window.until;
            while now >= begin
                && let Some(&index) = idle.front()
            {
                let due = match &mut arrivals {
                    None => Some(Instant::now()),
                    Some(arrivals) => arrivals.take(now),
                };
                let Some(intended) = due else { break };
                idle.pop_front();
                let action = self.plan.mix.draw(&mut self.rng);
                self.begin(index, action, intended);
            }
            if let Some(arrivals) = arrivals.as_ref().filter(|_| !idle.is_empty()) {
                next = next.min(arrivals.next_at());
            }
            self.turn(if now < begin { begin } else { next });
            shared.ended.fetch_add(self.ended.len() as u64, Ordering::Relaxed);
            for (index, at, Ended { intended, outcome }) in self.ended.drain(..) {
                self.tally.end(intended, at.instant, outcome);
                idle.push_back(index);
            }
        }
    }

    /// Lets what is under way come to its end. Who stands in line leaves it.
    fn drain(&mut self, shared: &Shared) {
        let deadline = Instant::now() + DRAIN_MAX;
        // Whoever has interrupted it wants no more than that the sessions are closed.
        while !shared.stop.load(Ordering::Relaxed) {
            let now = Moment::now();
            for index in 0..self.players.len() {
                self.players[index].leave_line(now);
                self.send(index);
            }
            if self.players.iter().all(Player::is_idle) || now.instant >= deadline {
                return;
            }
            self.turn(now.instant + LOOK);
            for (_, at, Ended { intended, outcome }) in self.ended.drain(..) {
                self.tally.end(intended, at.instant, outcome);
            }
        }
    }

    fn say_farewell(&mut self) {
        let deadline = Instant::now() + FAREWELL_MAX;
        for index in 0..self.players.len() {
            if self.players[index].give_up() {
                self.tally.gave_up();
            }
            self.begin(index, Action::Leave, Instant::now());
        }
        while !self.players.iter().all(Player::is_idle) && Instant::now() < deadline {
            self.turn(Instant::now() + LOOK);
            self.ended.clear();
        }
    }

    fn begin(&mut self, index: usize, action: Action, intended: Instant) {
        let now = Moment::now();
        self.players[index].begin(now, action, intended);
        self.settle(index, now, None);
    }

    /// Waits until there is something to do, at most until then, and does it.
    fn turn(&mut self, until: Instant) {
        for lane in self.wait(until) {
            // No more than its clients wait for: that there is nothing else needs no call to learn.
            for _ in 0..self.players.len().div_ceil(self.lanes.len()) {
                let Some((place, reply)) = self.lanes[lane].receive() else { break };
                self.tally.received += 1;
                let index = place as usize * self.lanes.len() + lane;
                if index < self.players.len() {
                    let now = Moment::now();
                    let ended = self.players[index].receive(now, reply, &mut self.tally);
                    self.settle(index, now, ended);
                }
            }
            if let Some(outgoing) = self.lanes[lane].next_in_line() {
                self.send_one(lane, outgoing);
            }
        }
        let now = Moment::now();
        while let Some(&Reverse((at, index))) = self.looks.peek()
            && at <= now.time
        {
            self.looks.pop();
            if self.look_at[index] != Some(at) {
                continue;
            }
            self.look_at[index] = None;
            if self.players[index].next_wake().is_some_and(|wake| wake <= now.time) {
                let ended = self.players[index].wake(now, &mut self.tally);
                self.settle(index, now, ended);
            } else {
                self.look_after(index);
            }
        }
    }

    /// Waits for the sockets. Gives back those that can be read.
    fn wait(&self, until: Instant) -> Vec<usize> {
        let now = Moment::now();
        let mut left = until.saturating_duration_since(now.instant).min(LOOK);
        if let Some(Reverse((at, _))) = self.looks.peek() {
            left = left.min(Duration::from_millis(now.time.until(*at).as_millis()));
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let sockets = self.lanes.iter().map(|lane| PollFd::new(lane.socket(), PollFlags::IN));
        let mut polled: Vec<_> = sockets.collect();
        // Interrupted: there is another turn.
        if poll(&mut polled, Some(&timeout)).is_err() {
            return Vec::new();
        }
        let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        ready.map(|(lane, _)| lane).collect()
    }

    /// Sends what a player has to send, and notes what came of it.
    fn settle(&mut self, index: usize, now: Moment, ended: Option<Ended>) {
        self.send(index);
        if let Some(ended) = ended {
            self.ended.push((index, now, ended));
        }
    }

    fn send(&mut self, index: usize) {
        let (lane, place) = (index % self.lanes.len(), index / self.lanes.len());
        let place = u32::try_from(place).expect("there are fewer clients than that");
        while let Some((sort, request)) = self.players[index].request() {
            self.send_one(lane, Outgoing { place, sort, request });
        }
        self.look_after(index);
    }

    /// Sees to it that the player is looked at when it wants to be woken.
    fn look_after(&mut self, index: usize) {
        let Some(wake) = self.players[index].next_wake() else { return };
        if self.look_at[index].is_none_or(|at| wake < at) {
            self.look_at[index] = Some(wake);
            self.looks.push(Reverse((wake, index)));
        }
    }

    fn send_one(&mut self, lane: usize, outgoing: Outgoing) {
        if let Some(sort) = self.lanes[lane].send(outgoing) {
            self.tally.sent(sort);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(clients: u32, locks: u32, workers: u32) -> Plan {
        Plan {
            mix: Mix::Lock,
            clients,
            locks,
            file: None,
            line_len: 64,
            rate: None,
            warm_up: Duration::ZERO,
            duration: Duration::from_secs(1),
            seed: 0,
            workers,
            lanes_max: 4,
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            key: None,
        }
    }

    #[test]
    fn every_client_is_some_workers() {
        let plan = plan(10, 10, 3);
        let mut all: Vec<u32> = (0..3).flat_map(|worker| plan.share(worker)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn clients_share_as_few_locks_as_they_are_told() {
        let own = |plan: &Plan, client| plan.locks(client).own.to_string();
        assert_eq!(own(&plan(10, 10, 1), 9), "bench-9");
        assert_eq!(own(&plan(10, 4, 1), 9), "bench-1");
        let named = Plan { file: Name::new("ledger").ok(), ..plan(10, 10, 1) };
        assert_eq!(own(&named, 9), "ledger");
    }

    #[test]
    fn thousands_of_clients_have_few_sockets() {
        let worker = Worker::new(plan(5_000, 5_000, 2), 1, 0).unwrap();
        assert_eq!((worker.players.len(), worker.lanes.len()), (2_500, 4));
    }
}
