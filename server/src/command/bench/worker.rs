//! A worker thread of the bench: its share of the clients, their sockets, and its event loop.
//!
//! - A worker polls all of its sockets at once. Threads share only [`Shared`].
//! - The clock is read for every datagram, so that a latency ends when its reply is read.

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

use super::client::{BenchClient, Completed, Locks};
use super::counters::Counters;
use super::mix::{Action, Mix};
use super::schedule::{Arrivals, ClockReading, Window};
use super::shared_socket::{Outgoing, SharedSocket};

/// The longest time between two checks of [`Shared`].
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// The longest time without progress while sessions are opened.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time for operations in progress at the end, longer than the timeout of a request.
const DRAIN_MAX: Duration = Duration::from_secs(32);

/// The longest time to close the sessions.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// The parameters of all workers.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) mix: Mix,
    pub(super) clients: u32,
    /// The number of locks that the clients share.
    pub(super) locks: u32,
    /// The file to which all clients append, if it is given.
    pub(super) file: Option<Name>,
    pub(super) line_len: usize,
    pub(super) rate: Option<u64>,
    pub(super) warm_up: Duration,
    pub(super) duration: Duration,
    pub(super) seed: u64,
    pub(super) workers: u32,
    /// The largest number of sockets of a worker.
    pub(super) sockets_max: u32,
    pub(super) server: SocketAddr,
    pub(super) key: Option<MacKey>,
}

/// Shared by the workers and the thread that started them.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// Set to stop early.
    pub(super) stop: AtomicBool,
    /// The number of open sessions.
    pub(super) opened: AtomicU64,
    /// The start of the measurement. Set when all sessions are open.
    pub(super) begin: OnceLock<Instant>,
    /// The number of operations that have ended, for the progress line.
    pub(super) completed: AtomicU64,
}

/// Why a worker failed.
#[derive(Debug)]
pub(super) enum BenchError {
    /// A socket could not be created.
    Socket(std::io::Error),
    /// No session was opened for a long time.
    NoReply,
    /// The server refused a session or a lock, with this code.
    Refused(&'static str),
}

pub(super) struct Worker {
    plan: Plan,
    number: u32,
    sockets: Vec<SharedSocket>,
    clients: Vec<BenchClient>,
    /// A timer per client, no later than the deadline of the client. Whether the deadline has moved
    /// is checked only when the timer fires, so that most replies change nothing here.
    timers: BinaryHeap<Reverse<(Time, usize)>>,
    /// The valid timer of each client; other timers of the heap are stale.
    scheduled: Vec<Option<Time>>,
    completed: Vec<(usize, ClockReading, Completed)>,
    rng: Rng,
    counters: Counters,
}

impl Plan {
    /// Returns the numbers of the clients of a worker.
    fn share(&self, worker: u32) -> impl Iterator<Item = u32> {
        (worker..self.clients).step_by(self.workers as usize)
    }

    fn locks(&self, client: u32) -> Locks {
        let own = self.file.clone().unwrap_or_else(|| name(client % self.locks));
        Locks { own, held: Name::new("bench-kept").expect("a valid name") }
    }
}

/// Returns the name of a client or a lock.
fn name(number: u32) -> Name {
    Name::new(&format!("bench-{number}")).expect("a valid name")
}

impl Worker {
    /// `seed` determines nonces and jitter, and differs from run to run.
    pub(super) fn new(plan: Plan, number: u32, seed: u64) -> Result<Self, BenchError> {
        let mut seeds = Rng::with_stream(seed, u64::from(number));
        let mut clients: Vec<BenchClient> = plan
            .share(number)
            .map(|client| {
                BenchClient::new(name(client), plan.locks(client), plan.line_len, seeds.next_u64())
            })
            .collect();
        if number == 0 && plan.mix.needs_held_lock() {
            let holder = Name::new("bench-keeper").expect("a valid name");
            clients.push(BenchClient::new(holder, plan.locks(0), plan.line_len, seeds.next_u64()));
        }
        let sockets = clients.len().min(plan.sockets_max as usize);
        let sockets = (0..sockets).map(|_| SharedSocket::connect(plan.server, plan.key.clone()));
        let sockets = sockets.collect::<Result<Vec<_>, _>>().map_err(BenchError::Socket)?;
        Ok(Self {
            number,
            sockets,
            timers: BinaryHeap::new(),
            scheduled: vec![None; clients.len()],
            clients,
            completed: Vec::new(),
            rng: Rng::with_stream(plan.seed, u64::from(number)),
            counters: Counters::default(),
            plan,
        })
    }

    /// Runs the clients and returns the counters.
    pub(super) fn run(mut self, shared: &Shared) -> Result<Counters, BenchError> {
        let opened = self.open(shared);
        if opened.is_ok()
            && let Some(begin) = self.wait_for_begin(shared)
        {
            self.measure(shared, begin);
            self.drain(shared);
        }
        // Even after an error the open sessions are closed.
        self.close_sessions();
        opened.map(|()| self.counters)
    }

    /// Opens the sessions, those of one socket one after the other.
    fn open(&mut self, shared: &Shared) -> Result<(), BenchError> {
        let count = self.clients.len();
        let begin = |this: &mut Self, index: usize| {
            if index < count {
                this.begin(index, Action::OpenSession, Instant::now());
            }
        };
        for index in 0..self.sockets.len() {
            begin(self, index);
        }
        let holder = self.holder();
        let (mut opened, mut progress) = (0, Instant::now());
        while opened < count && !shared.stop.load(Ordering::Relaxed) {
            if progress.elapsed() > OPEN_TIMEOUT {
                return Err(BenchError::NoReply);
            }
            self.poll_once(Instant::now() + POLL_INTERVAL);
            for (index, _, completed) in std::mem::take(&mut self.completed) {
                completed.outcome.map_err(BenchError::Refused)?;
                (opened, progress) = (opened + 1, Instant::now());
                // The holder counts when it holds its lock: no client tries to acquire the lock
                // before.
                shared.opened.fetch_add(u64::from(Some(index) != holder), Ordering::Relaxed);
                begin(self, index + self.sockets.len());
            }
        }
        self.hold_lock(shared)
    }

    /// Acquires the lock that the other clients try to acquire.
    fn hold_lock(&mut self, shared: &Shared) -> Result<(), BenchError> {
        let Some(holder) = self.holder() else { return Ok(()) };
        self.begin(holder, Action::HoldLock, Instant::now());
        while !self.clients[holder].is_idle() && !shared.stop.load(Ordering::Relaxed) {
            self.poll_once(Instant::now() + POLL_INTERVAL);
        }
        for (_, _, completed) in std::mem::take(&mut self.completed) {
            completed.outcome.map_err(BenchError::Refused)?;
            shared.opened.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Returns the index of the holder, a further client of the first worker.
    fn holder(&self) -> Option<usize> {
        let clients = self.plan.share(self.number).count();
        (self.clients.len() > clients).then_some(clients)
    }

    /// Keeps the sessions alive until all workers are ready.
    fn wait_for_begin(&mut self, shared: &Shared) -> Option<Instant> {
        while !shared.stop.load(Ordering::Relaxed) {
            if let Some(&begin) = shared.begin.get() {
                return Some(begin);
            }
            self.poll_once(Instant::now() + POLL_INTERVAL);
        }
        None
    }

    /// Runs operations until the end of the window.
    fn measure(&mut self, shared: &Shared, begin: Instant) {
        let window = Window::new(begin, self.plan.warm_up, self.plan.duration);
        let (number, workers) = (u64::from(self.number), u64::from(self.plan.workers));
        let mut arrivals = self.plan.rate.map(|rate| Arrivals::new(begin, rate, number, workers));
        self.counters.window = Some(window);
        self.counters.offered = arrivals.as_ref().map(|arrivals| arrivals.offered(window));
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
                let start = match &mut arrivals {
                    None => Some(Instant::now()),
                    Some(arrivals) => arrivals.next_before(now),
                };
                let Some(intended_start) = start else { break };
                idle.pop_front();
                let action = self.plan.mix.next_action(&mut self.rng);
                self.begin(index, action, intended_start);
            }
            if let Some(arrivals) = arrivals.as_ref().filter(|_| !idle.is_empty()) {
                next = next.min(arrivals.next_at());
            }
            self.poll_once(if now < begin { begin } else { next });
            shared.completed.fetch_add(self.completed.len() as u64, Ordering::Relaxed);
            for (index, at, Completed { intended_start, outcome }) in self.completed.drain(..) {
                self.counters.record_operation(intended_start, at.instant, outcome);
                idle.push_back(index);
            }
        }
    }

    /// Waits for the operations in progress. Clients that are queued cancel.
    fn drain(&mut self, shared: &Shared) {
        let deadline = Instant::now() + DRAIN_MAX;
        // After an interruption the sessions are closed at once.
        while !shared.stop.load(Ordering::Relaxed) {
            let now = ClockReading::now();
            for index in 0..self.clients.len() {
                self.clients[index].leave_queue(now);
                self.send(index);
            }
            if self.clients.iter().all(BenchClient::is_idle) || now.instant >= deadline {
                return;
            }
            self.poll_once(now.instant + POLL_INTERVAL);
            for (_, at, Completed { intended_start, outcome }) in self.completed.drain(..) {
                self.counters.record_operation(intended_start, at.instant, outcome);
            }
        }
    }

    fn close_sessions(&mut self) {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        for index in 0..self.clients.len() {
            if self.clients[index].abandon() {
                self.counters.record_abandoned();
            }
            self.begin(index, Action::CloseSession, Instant::now());
        }
        while !self.clients.iter().all(BenchClient::is_idle) && Instant::now() < deadline {
            self.poll_once(Instant::now() + POLL_INTERVAL);
            self.completed.clear();
        }
    }

    fn begin(&mut self, index: usize, action: Action, intended_start: Instant) {
        let now = ClockReading::now();
        self.clients[index].begin(now, action, intended_start);
        self.finish(index, now, None);
    }

    /// Waits until a socket is readable or a timer expires, at most until `until`, and handles it.
    fn poll_once(&mut self, until: Instant) {
        for socket_index in self.poll_sockets(until) {
            // At most one reply per client, which saves the call that finds the socket empty.
            for _ in 0..self.clients.len().div_ceil(self.sockets.len()) {
                let Some((slot, reply)) = self.sockets[socket_index].receive() else { break };
                self.counters.received += 1;
                let index = slot as usize * self.sockets.len() + socket_index;
                if index < self.clients.len() {
                    let now = ClockReading::now();
                    let completed = self.clients[index].receive(now, reply, &mut self.counters);
                    self.finish(index, now, completed);
                }
            }
            if let Some(outgoing) = self.sockets[socket_index].next_hello() {
                self.send_request(socket_index, outgoing);
            }
        }
        let now = ClockReading::now();
        while let Some(&Reverse((at, index))) = self.timers.peek()
            && at <= now.time
        {
            self.timers.pop();
            if self.scheduled[index] != Some(at) {
                continue;
            }
            self.scheduled[index] = None;
            if self.clients[index].next_deadline().is_some_and(|deadline| deadline <= now.time) {
                let completed = self.clients[index].handle_timers(now, &mut self.counters);
                self.finish(index, now, completed);
            } else {
                self.schedule_timer(index);
            }
        }
    }

    /// Waits for the sockets. Returns those that are readable.
    fn poll_sockets(&self, until: Instant) -> Vec<usize> {
        let now = ClockReading::now();
        let mut left = until.saturating_duration_since(now.instant).min(POLL_INTERVAL);
        if let Some(Reverse((at, _))) = self.timers.peek() {
            left = left.min(Duration::from_millis(now.time.until(*at).as_millis()));
        }
        let timeout = Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() };
        let sockets = self.sockets.iter().map(|socket| PollFd::new(socket.socket(), PollFlags::IN));
        let mut polled: Vec<_> = sockets.collect();
        // The call was interrupted; it is repeated.
        if poll(&mut polled, Some(&timeout)).is_err() {
            return Vec::new();
        }
        let ready = polled.iter().enumerate().filter(|(_, fd)| !fd.revents().is_empty());
        ready.map(|(index, _)| index).collect()
    }

    /// Sends the requests of a client, and records the end of its operation.
    fn finish(&mut self, index: usize, now: ClockReading, completed: Option<Completed>) {
        self.send(index);
        if let Some(completed) = completed {
            self.completed.push((index, now, completed));
        }
    }

    fn send(&mut self, index: usize) {
        let (socket_index, slot) = (index % self.sockets.len(), index / self.sockets.len());
        let slot = u32::try_from(slot).expect("the number of clients fits 32 bits");
        while let Some((reason, request)) = self.clients[index].next_request() {
            self.send_request(socket_index, Outgoing { slot, reason, request });
        }
        self.schedule_timer(index);
    }

    /// Sets the timer of a client.
    fn schedule_timer(&mut self, index: usize) {
        let Some(deadline) = self.clients[index].next_deadline() else { return };
        if self.scheduled[index].is_none_or(|at| deadline < at) {
            self.scheduled[index] = Some(deadline);
            self.timers.push(Reverse((deadline, index)));
        }
    }

    fn send_request(&mut self, socket_index: usize, outgoing: Outgoing) {
        if let Some(reason) = self.sockets[socket_index].send(outgoing) {
            self.counters.record_sent(reason);
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
            sockets_max: 4,
            server: SocketAddr::from(([127, 0, 0, 1], 1)),
            key: None,
        }
    }

    #[test]
    fn every_client_has_a_worker() {
        let plan = plan(10, 10, 3);
        let mut all: Vec<u32> = (0..3).flat_map(|worker| plan.share(worker)).collect();
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn clients_share_the_given_number_of_locks() {
        let own = |plan: &Plan, client| plan.locks(client).own.to_string();
        assert_eq!(own(&plan(10, 10, 1), 9), "bench-9");
        assert_eq!(own(&plan(10, 4, 1), 9), "bench-1");
        let named = Plan { file: Name::new("ledger").ok(), ..plan(10, 10, 1) };
        assert_eq!(own(&named, 9), "ledger");
    }

    #[test]
    fn thousands_of_clients_share_few_sockets() {
        let worker = Worker::new(plan(5_000, 5_000, 2), 1, 0).unwrap();
        assert_eq!((worker.clients.len(), worker.sockets.len()), (2_500, 4));
    }
}
