//! The event loop of the server: receives datagrams, lets the service decide, and sends replies.
//!
//! - It never waits for the disk. While [`crate::storage`] stores one or two batches of events, the
//!   loop decides the next; replies wait in the outbox until their events are durable.
//! - One thread owns the lock server, so the service needs no locks.
//! - It applies backpressure: if the disk falls behind, datagrams stay in the kernel's buffer. The
//!   kernel drops them when it is full, as a network would.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leasehold_core::event::Event;
use leasehold_core::id::Name;
use leasehold_core::service::{Durable, IndexedState};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use tracing::{error, info, warn};

use crate::datagrams::{ReceiveBatch, SendBatch};
use crate::group_commit::GroupCommit;
use crate::service_driver::ServiceDriver;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// The maximum number of receive calls before replies are sent and a batch is submitted.
const RECEIVES_PER_TURN_MAX: usize = 8;

/// The maximum number of events that wait for the disk. At the limit the loop stops reading
/// datagrams.
const PENDING_EVENTS_MAX: usize = 65_536;

/// The maximum number of batches that are being stored.
const BATCHES_IN_FLIGHT_MAX: usize = 2;

/// The backoff after failed writes: the first delay, and the longest.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_millis(500);

/// While writes fail, the next batch has at most this many events that must be durable, which is
/// less than half of a segment of the log. A larger batch might not fit into the first space that
/// becomes free, and would fail again and again.
const PENDING_EVENTS_WHILE_FAILING_MAX: usize = 2_048;

/// The minimum interval between log messages about replies that cannot be sent. Any peer can cause
/// such errors, so they are not logged one by one.
const SEND_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// A batch of events to store.
#[derive(Debug)]
pub struct EventBatch {
    /// The number of rollbacks before these events were decided.
    pub generation: u64,
    /// The events.
    pub events: Vec<Event>,
}

/// A message from a storage thread to the loop.
#[derive(Debug)]
pub enum Completion {
    /// A batch is durable and published.
    Durable(Durable),
    /// A batch could not be written and has no effect. The state is the durable one, to continue
    /// from.
    WriteFailed(Box<IndexedState>),
    /// The file has become writable or unwritable for appended bytes.
    WritabilityChanged(Name, bool),
}

/// A command from the main thread to the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Stop gracefully.
    Stop,
}

/// The event loop and its resources.
pub struct ServiceLoop {
    poll: Poll,
    socket: UdpSocket,
    outgoing: SendBatch,
    /// When a failed reply was last logged.
    send_error_logged_at: Option<Instant>,
    driver: ServiceDriver,
    group_commit: GroupCommit,
    batches_in_flight: usize,
    /// The number of rollbacks.
    generation: u64,
    retry: Option<(Instant, Duration)>,
    storage: Sender<EventBatch>,
    completions: Receiver<Completion>,
    commands: Receiver<Command>,
}

/// The parts of an event loop.
pub struct ServiceLoopParts {
    /// The socket for requests and replies.
    pub socket: std::net::UdpSocket,
    /// The service.
    pub driver: ServiceDriver,
    /// The queue of batches to store.
    pub storage: Sender<EventBatch>,
    /// The outcomes of the batches.
    pub completions: Receiver<Completion>,
    /// The commands from the main thread.
    pub commands: Receiver<Command>,
}

impl ServiceLoop {
    /// Returns a loop, and the waker to call after each completion and each command.
    ///
    /// # Errors
    /// If the socket cannot be registered with the operating system's poller.
    pub fn new(parts: ServiceLoopParts) -> anyhow::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new().context("cannot create a poller for the UDP socket")?;
        let waker = Arc::new(
            Waker::new(poll.registry(), WAKER)
                .context("cannot create a waker for the event loop")?,
        );
        parts.socket.set_nonblocking(true).context("cannot make the UDP socket nonblocking")?;
        let mut socket = UdpSocket::from_std(parts.socket);
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let service_loop = Self {
            poll,
            socket,
            outgoing: SendBatch::default(),
            send_error_logged_at: None,
            driver: parts.driver,
            group_commit: GroupCommit::default(),
            batches_in_flight: 0,
            generation: 0,
            retry: None,
            storage: parts.storage,
            completions: parts.completions,
            commands: parts.commands,
        };
        Ok((service_loop, waker))
    }

    /// Serves until it receives [`Command::Stop`], then stores the remaining events and a final
    /// one.
    ///
    /// # Errors
    /// If the socket fails or the storage threads have ended.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(16);
        let (mut incoming, mut stopping) = (ReceiveBatch::default(), false);
        loop {
            self.handle_completions()?;
            // Events that accumulated while the disk was busy are submitted first.
            self.submit_batch()?;
            self.send_replies();
            stopping |= self.commands.try_recv().is_ok_and(|command| command == Command::Stop);
            let may_have_more = !stopping && self.receive(&mut incoming)?;
            self.driver.fire_due_timers();
            self.submit_batch()?;
            self.send_replies();
            if stopping && self.driver.batch_len() == 0 && self.batches_in_flight == 0 {
                return self.stop();
            }
            if stopping && self.retry.is_some() {
                warn!(
                    "server stops without the last batch, which was never acknowledged; free disk \
                     space before the next start"
                );
                return Ok(());
            }
            let timeout = if may_have_more { Some(Duration::ZERO) } else { self.poll_timeout() };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error).context("cannot wait for events on the UDP socket");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Receives the datagrams that have arrived. Returns whether there may be more.
    fn receive(&mut self, incoming: &mut ReceiveBatch) -> anyhow::Result<bool> {
        for _ in 0..RECEIVES_PER_TURN_MAX {
            let is_failing = self.retry.is_some();
            if self.driver.batch_len() >= PENDING_EVENTS_MAX
                || is_failing && self.driver.durable_batch_len() >= PENDING_EVENTS_WHILE_FAILING_MAX
            {
                return Ok(false);
            }
            match incoming.receive(&self.socket) {
                Ok(()) => self.driver.receive(incoming),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // The error belongs to an earlier reply; the socket is intact.
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error).context("cannot receive from the UDP socket"),
            }
        }
        Ok(true)
    }

    /// Submits the current batch to storage, unless enough batches are in flight, the backoff is
    /// running, or more events should join it.
    fn submit_batch(&mut self) -> anyhow::Result<()> {
        if self.batches_in_flight == BATCHES_IN_FLIGHT_MAX || self.driver.batch_len() == 0 {
            return Ok(());
        }
        let now = Instant::now();
        if self.retry.is_some_and(|(at, _)| now < at) {
            return Ok(());
        }
        let (len, has_pending_replies) =
            (self.driver.batch_len(), self.driver.has_pending_replies());
        let should_submit = if self.batches_in_flight == 0 {
            self.group_commit.should_submit(len, has_pending_replies, now)
        } else {
            // After a failed write, one batch at a time is tried.
            self.retry.is_none() && self.group_commit.should_overlap(len, has_pending_replies)
        };
        if should_submit { self.send_batch() } else { Ok(()) }
    }

    fn send_batch(&mut self) -> anyhow::Result<()> {
        self.batches_in_flight += 1;
        let batch = EventBatch { generation: self.generation, events: self.driver.take_batch() };
        self.storage.send(batch).context("the storage threads have ended")
    }

    fn handle_completions(&mut self) -> anyhow::Result<()> {
        loop {
            match self.completions.try_recv() {
                Ok(Completion::Durable(durable)) => {
                    self.batches_in_flight -= 1;
                    self.driver.mark_durable(durable);
                    if self.retry.take().is_some() {
                        info!("server can write the log again and accepts requests");
                    }
                }
                Ok(Completion::WriteFailed(durable_state)) => {
                    self.handle_write_failure(durable_state);
                }
                Ok(Completion::WritabilityChanged(file, writable)) => {
                    self.driver.set_writable(&file, writable);
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => anyhow::bail!("the storage threads have ended"),
            }
        }
    }

    /// Rolls back to the durable state and starts the backoff. Another batch in flight was decided
    /// after the failed one, so storage discards it.
    fn handle_write_failure(&mut self, durable_state: Box<IndexedState>) {
        self.batches_in_flight = 0;
        self.generation += 1;
        let delay =
            self.retry.map_or(RETRY_DELAY_MIN, |(_, previous)| (previous * 2).min(RETRY_DELAY_MAX));
        self.retry = Some((Instant::now() + delay, delay));
        self.driver.restore(durable_state);
    }

    /// Sends the replies whose events are durable. A reply that the socket rejects is lost, as any
    /// datagram may be; the client asks again.
    fn send_replies(&mut self) {
        self.driver.drain_replies(&mut self.outgoing);
        self.outgoing.send(&self.socket, |to, error| {
            let logged_recently =
                self.send_error_logged_at.is_some_and(|at| at.elapsed() < SEND_ERROR_LOG_INTERVAL);
            if error.kind() != io::ErrorKind::WouldBlock
                && !is_transient(&error)
                && !logged_recently
            {
                self.send_error_logged_at = Some(Instant::now());
                error!(%error, to = %to.address, "server cannot send a reply; check the network");
            }
        });
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let retry = self
            .retry
            .filter(|_| self.batches_in_flight == 0)
            .map(|(at, _)| at.saturating_duration_since(Instant::now()));
        // A deadline less than a millisecond away is rounded up, so that the loop does not spin.
        let deadline = self.driver.time_to_next_deadline();
        let deadline =
            deadline.map(|remaining| Duration::from_millis(remaining.as_millis().max(1)));
        [retry, deadline, self.group_commit.recheck_after()].into_iter().flatten().min()
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.driver.stop();
        self.send_batch()?;
        while self.batches_in_flight > 0 {
            match self.completions.recv().context("the storage threads have ended")? {
                Completion::Durable(_) => self.batches_in_flight -= 1,
                Completion::WriteFailed(_) => self.batches_in_flight = 0,
                Completion::WritabilityChanged(..) => {}
            }
        }
        Ok(())
    }
}

/// Returns whether the error concerns a single datagram and not the socket.
fn is_transient(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
