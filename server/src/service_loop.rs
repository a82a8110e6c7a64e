//! The loop at the heart of the server: datagrams in, decisions, datagrams out.
//!
//! - It never waits for the disk. One batch of events is being stored by [`crate::storage`] while
//!   the next is decided; replies wait in the outbox until theirs is stored.
//! - One thread owns the lock server, so nothing in here is locked.
//! - It reads no more than it can keep: where the disk falls behind, datagrams are left to the
//!   kernel, which drops them, as a network does.

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

/// How often datagrams are received before replies are sent and batches handed on.
const RECEIVES_PER_TURN_MAX: usize = 8;

/// How many events may wait for the disk. Beyond it nothing more is read.
const PENDING_EVENTS_MAX: usize = 65_536;

/// The first pause after a write that failed, and the longest.
const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
const RETRY_DELAY_MAX: Duration = Duration::from_secs(1);

/// How often it is told at most that replies can't be sent: strangers can be the reason, and the
/// log is no place for a line of each.
const SEND_ERROR_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// What the storage has to say to the loop.
#[derive(Debug)]
pub enum Completion {
    /// A batch is stored, and published.
    Durable(Durable),
    /// A batch could not be written. Nothing of it was done; this is what holds.
    WriteFailed(Box<IndexedState>),
    /// Whether appended bytes can be written to this file has changed.
    WritabilityChanged(Name, bool),
}

/// What the loop is told from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// End in good order.
    Stop,
}

/// What the loop works with.
pub struct ServiceLoop {
    poll: Poll,
    socket: UdpSocket,
    outgoing: SendBatch,
    /// When it was last told that a reply could not be sent.
    send_error_logged_at: Option<Instant>,
    driver: ServiceDriver,
    group_commit: GroupCommit,
    batch_in_flight: bool,
    retry: Option<(Instant, Duration)>,
    storage: Sender<Vec<Event>>,
    completions: Receiver<Completion>,
    commands: Receiver<Command>,
}

/// What a loop is made of.
pub struct ServiceLoopParts {
    /// Where datagrams come and go.
    pub socket: std::net::UdpSocket,
    /// What decides.
    pub driver: ServiceDriver,
    /// Where batches go.
    pub storage: Sender<Vec<Event>>,
    /// Where the storage answers.
    pub completions: Receiver<Completion>,
    /// Where commands come from.
    pub commands: Receiver<Command>,
}

impl ServiceLoop {
    /// Sets a loop up. The waker is to be woken after each completion and each command.
    ///
    /// # Errors
    /// Where the socket can't be watched.
    pub fn new(parts: ServiceLoopParts) -> anyhow::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new().context("no poll")?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).context("no waker")?);
        parts.socket.set_nonblocking(true).context("the socket blocks")?;
        let mut socket = UdpSocket::from_std(parts.socket);
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let service_loop = Self {
            poll,
            socket,
            outgoing: SendBatch::default(),
            send_error_logged_at: None,
            driver: parts.driver,
            group_commit: GroupCommit::default(),
            batch_in_flight: false,
            retry: None,
            storage: parts.storage,
            completions: parts.completions,
            commands: parts.commands,
        };
        Ok((service_loop, waker))
    }

    /// Serves until it is told to stop, then stores what was decided and says that it stops.
    ///
    /// # Errors
    /// Where the socket fails, or the storage is gone.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(16);
        let (mut incoming, mut stopping) = (ReceiveBatch::default(), false);
        loop {
            self.handle_completions()?;
            // What was decided while the disk was busy goes there first.
            self.submit_batch()?;
            self.send_replies();
            stopping |= self.commands.try_recv().is_ok_and(|command| command == Command::Stop);
            let may_have_more = !stopping && self.receive(&mut incoming)?;
            self.driver.fire_due_timers();
            self.submit_batch()?;
            self.send_replies();
            if stopping && self.driver.batch_len() == 0 && !self.batch_in_flight {
                return self.stop();
            }
            if stopping && self.retry.is_some() {
                warn!("stopping, though the last batch could not be stored");
                return Ok(());
            }
            let timeout = if may_have_more { Some(Duration::ZERO) } else { self.poll_timeout() };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error).context("polling failed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Reads what is there. Says whether there may be more.
    fn receive(&mut self, incoming: &mut ReceiveBatch) -> anyhow::Result<bool> {
        for _ in 0..RECEIVES_PER_TURN_MAX {
            if self.driver.batch_len() >= PENDING_EVENTS_MAX {
                return Ok(false);
            }
            match incoming.receive(&self.socket) {
                Ok(()) => self.driver.receive(incoming),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // What an earlier reply met with on its way; nothing is wrong with the socket.
                Err(error) if is_transient(&error) => {}
                Err(error) => return Err(error).context("the socket failed"),
            }
        }
        Ok(true)
    }

    /// Hands the batch to the storage, where that is free and no more is to be waited for.
    fn submit_batch(&mut self) -> anyhow::Result<()> {
        if self.batch_in_flight || self.driver.batch_len() == 0 {
            return Ok(());
        }
        let now = Instant::now();
        if self.retry.is_some_and(|(at, _)| now < at) {
            return Ok(());
        }
        let (len, has_pending_replies) =
            (self.driver.batch_len(), self.driver.has_pending_replies());
        if self.group_commit.should_submit(len, has_pending_replies, now) {
            self.send_batch()
        } else {
            Ok(())
        }
    }

    fn send_batch(&mut self) -> anyhow::Result<()> {
        self.batch_in_flight = true;
        self.storage.send(self.driver.take_batch()).context("the storage is gone")
    }

    fn handle_completions(&mut self) -> anyhow::Result<()> {
        loop {
            match self.completions.try_recv() {
                Ok(Completion::Durable(durable)) => {
                    self.batch_in_flight = false;
                    self.driver.mark_durable(durable);
                    if self.retry.take().is_some() {
                        info!("the journal can be written again");
                    }
                }
                Ok(Completion::WriteFailed(durable_state)) => {
                    self.handle_write_failure(durable_state);
                }
                Ok(Completion::WritabilityChanged(file, writable)) => {
                    self.driver.set_writable(&file, writable);
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => anyhow::bail!("the storage is gone"),
            }
        }
    }

    /// Nothing of the last batch was done, nor of what was decided since: everybody is told so.
    fn handle_write_failure(&mut self, durable_state: Box<IndexedState>) {
        self.batch_in_flight = false;
        let delay =
            self.retry.map_or(RETRY_DELAY_MIN, |(_, pause)| (pause * 2).min(RETRY_DELAY_MAX));
        self.retry = Some((Instant::now() + delay, delay));
        self.driver.restore(durable_state);
    }

    /// Sends what may be sent. A datagram that the socket won't take is lost, as any may be.
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
                error!(%error, %to, "a reply could not be sent");
            }
        });
    }

    fn poll_timeout(&self) -> Option<Duration> {
        let retry = self
            .retry
            .filter(|_| !self.batch_in_flight)
            .map(|(at, _)| at.saturating_duration_since(Instant::now()));
        // Never a busy loop on a moment that has come but for its rounding.
        let deadline = self.driver.time_to_next_deadline();
        let due = deadline.map(|remaining| Duration::from_millis(remaining.as_millis().max(1)));
        [retry, due, self.group_commit.recheck_after()].into_iter().flatten().min()
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.driver.stop();
        self.send_batch()?;
        while self.batch_in_flight {
            match self.completions.recv().context("the storage is gone")? {
                Completion::Durable(_) | Completion::WriteFailed(_) => self.batch_in_flight = false,
                Completion::WritabilityChanged(..) => {}
            }
        }
        Ok(())
    }
}

/// Errors that tell of one datagram's fate, not of the socket.
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
