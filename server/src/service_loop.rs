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
use leasehold_core::service::{Prepared, Stored};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use tracing::{error, info, warn};

use crate::datagrams::{Incoming, Outgoing};
use crate::pace::Pace;
use crate::service::Service;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// How often datagrams are received before replies are sent and batches handed on.
const RECEIVED_MAX: usize = 8;

/// How many events may wait for the disk. Beyond it nothing more is read.
const BATCH_MAX: usize = 65_536;

/// The first pause after a write that failed, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// How often it is told at most that replies can't be sent: strangers can be the reason, and the
/// log is no place for a line of each.
const UNSENT_EVERY: Duration = Duration::from_secs(1);

/// What the storage has to say to the loop.
#[derive(Debug)]
pub enum Completion {
    /// A batch is stored, and published.
    Stored(Stored),
    /// A batch could not be written. Nothing of it was done; this is what holds.
    Failed(Box<Prepared>),
    /// Whether appended bytes can be written to this file has changed.
    Writable(Name, bool),
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
    outgoing: Outgoing,
    /// When it was last told that a reply could not be sent.
    unsent_told: Option<Instant>,
    service: Service,
    pace: Pace,
    storing: bool,
    retry: Option<(Instant, Duration)>,
    storage: Sender<Vec<Event>>,
    completions: Receiver<Completion>,
    commands: Receiver<Command>,
}

/// What a loop is made of.
pub struct Parts {
    /// Where datagrams come and go.
    pub socket: std::net::UdpSocket,
    /// What decides.
    pub service: Service,
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
    pub fn new(parts: Parts) -> anyhow::Result<(Self, Arc<Waker>)> {
        let poll = Poll::new().context("no poll")?;
        let waker = Arc::new(Waker::new(poll.registry(), WAKER).context("no waker")?);
        parts.socket.set_nonblocking(true).context("the socket blocks")?;
        let mut socket = UdpSocket::from_std(parts.socket);
        poll.registry().register(&mut socket, SOCKET, Interest::READABLE)?;
        let this = Self {
            poll,
            socket,
            outgoing: Outgoing::default(),
            unsent_told: None,
            service: parts.service,
            pace: Pace::default(),
            storing: false,
            retry: None,
            storage: parts.storage,
            completions: parts.completions,
            commands: parts.commands,
        };
        Ok((this, waker))
    }

    /// Serves until it is told to stop, then stores what was decided and says that it stops.
    ///
    /// # Errors
    /// Where the socket fails, or the storage is gone.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(16);
        let (mut incoming, mut stopping) = (Incoming::default(), false);
        loop {
            self.take_completions()?;
            // What was decided while the disk was busy goes there first.
            self.hand_on()?;
            self.transmit();
            stopping |= self.commands.try_recv().is_ok_and(|command| command == Command::Stop);
            let more = !stopping && self.receive(&mut incoming)?;
            self.service.wake();
            self.hand_on()?;
            self.transmit();
            if stopping && self.service.waiting() == 0 && !self.storing {
                return self.stop();
            }
            if stopping && self.retry.is_some() {
                warn!("stopping, though the last batch could not be stored");
                return Ok(());
            }
            let timeout = if more { Some(Duration::ZERO) } else { self.timeout() };
            match self.poll.poll(&mut events, timeout) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    return Err(error).context("polling failed");
                }
                Ok(()) | Err(_) => {}
            }
        }
    }

    /// Reads what is there. Says whether there may be more.
    fn receive(&mut self, incoming: &mut Incoming) -> anyhow::Result<bool> {
        for _ in 0..RECEIVED_MAX {
            if self.service.waiting() >= BATCH_MAX {
                return Ok(false);
            }
            match incoming.receive(&self.socket) {
                Ok(()) => self.service.receive(incoming),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // What an earlier reply met with on its way; nothing is wrong with the socket.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error).context("the socket failed"),
            }
        }
        Ok(true)
    }

    /// Hands the batch to the storage, where that is free and no more is to be waited for.
    fn hand_on(&mut self) -> anyhow::Result<()> {
        if self.storing || self.service.waiting() == 0 {
            return Ok(());
        }
        let now = Instant::now();
        if self.retry.is_some_and(|(at, _)| now < at) {
            return Ok(());
        }
        let (len, is_awaited) = (self.service.waiting(), self.service.is_awaited());
        if self.pace.lets_go(len, is_awaited, now) { self.store() } else { Ok(()) }
    }

    fn store(&mut self) -> anyhow::Result<()> {
        self.storing = true;
        self.storage.send(self.service.take_batch()).context("the storage is gone")
    }

    fn take_completions(&mut self) -> anyhow::Result<()> {
        loop {
            match self.completions.try_recv() {
                Ok(Completion::Stored(stored)) => {
                    self.storing = false;
                    self.service.stored(stored);
                    if self.retry.take().is_some() {
                        info!("the journal can be written again");
                    }
                }
                Ok(Completion::Failed(prepared)) => self.restore(*prepared),
                Ok(Completion::Writable(file, writable)) => {
                    self.service.set_writable(&file, writable);
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => anyhow::bail!("the storage is gone"),
            }
        }
    }

    /// Nothing of the last batch was done, nor of what was decided since: everybody is told so.
    fn restore(&mut self, prepared: Prepared) {
        self.storing = false;
        let pause = self.retry.map_or(RETRY_FIRST, |(_, pause)| (pause * 2).min(RETRY_MAX));
        self.retry = Some((Instant::now() + pause, pause));
        self.service.restore(prepared);
    }

    /// Sends what may be sent. A datagram that the socket won't take is lost, as any may be.
    fn transmit(&mut self) {
        self.service.give_out(&mut self.outgoing);
        self.outgoing.send(&self.socket, |to, error| {
            let is_told = self.unsent_told.is_some_and(|at| at.elapsed() < UNSENT_EVERY);
            if error.kind() != io::ErrorKind::WouldBlock && !is_passing(&error) && !is_told {
                self.unsent_told = Some(Instant::now());
                error!(%error, %to, "a reply could not be sent");
            }
        });
    }

    fn timeout(&self) -> Option<Duration> {
        let retry = self
            .retry
            .filter(|_| !self.storing)
            .map(|(at, _)| at.saturating_duration_since(Instant::now()));
        // Never a busy loop on a moment that has come but for its rounding.
        let due = self.service.next_wake();
        let due = due.map(|left| Duration::from_millis(left.as_millis().max(1)));
        [retry, due, self.pace.asks_again_in()].into_iter().flatten().min()
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.service.stop();
        self.store()?;
        while self.storing {
            match self.completions.recv().context("the storage is gone")? {
                Completion::Stored(_) | Completion::Failed(_) => self.storing = false,
                Completion::Writable(..) => {}
            }
        }
        Ok(())
    }
}

/// Errors that tell of one datagram's fate, not of the socket.
fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::Interrupted
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    )
}
