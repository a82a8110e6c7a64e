//! The loop at the heart of the server: datagrams in, decisions, datagrams out.
//!
//! - It never waits for the disk. One batch of events is being stored by [`crate::storage`] while
//!   the next is decided; replies wait in the outbox until theirs is stored.
//! - One thread owns the lock server, so nothing in here is locked.
//! - It reads no more than it can keep: where the disk falls behind, datagrams are left to the
//!   kernel, which drops them, as a network does.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use leasehold_core::event::Event;
use leasehold_core::id::{Name, Peer};
use leasehold_core::op::DropReason;
use leasehold_core::service::{Datagram, Input, LockServer, Outbox, Step, Stored};
use leasehold_core::state::State;
use leasehold_core::wire::{self, Key};
use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token, Waker};
use tracing::{error, info, warn};

use crate::clock::{Clock, unix_millis};
use crate::entropy::Entropy;

const SOCKET: Token = Token(0);
const WAKER: Token = Token(1);

/// The largest datagram there is. A longer one than the protocol allows is answered, not cut off.
const DATAGRAM_LEN_MAX: usize = 65_535;

/// How many datagrams are read before replies are sent and batches handed on.
const READ_MAX: usize = 256;

/// How many events may wait for the disk. Beyond it nothing more is read.
const BATCH_MAX: usize = 65_536;

/// The first pause after a write that failed, and the longest.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(1);

/// What the storage has to say to the loop.
#[derive(Debug)]
pub enum Completion {
    /// A batch is stored, and published.
    Stored(Stored),
    /// A batch could not be written. Nothing of it was done; this is what holds.
    Failed(Box<State>),
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
    key: Option<Key>,
    clock: Clock,
    entropy: Entropy,
    server: LockServer,
    outbox: Outbox,
    /// What is decided and not handed to the storage yet.
    batch: Vec<Event>,
    storing: bool,
    retry: Option<(Instant, Duration)>,
    storage: Sender<Vec<Event>>,
    completions: Receiver<Completion>,
    commands: Receiver<Command>,
    /// Replies that may leave.
    out: Vec<Datagram>,
    buffer: Vec<u8>,
}

/// What a loop is made of.
pub struct Parts {
    /// Where datagrams come and go.
    pub socket: std::net::UdpSocket,
    /// The key that both sides share, if they do.
    pub key: Option<Key>,
    /// The clock that the lock server lives by.
    pub clock: Clock,
    /// The lock server.
    pub server: LockServer,
    /// What its start led to.
    pub step: Step,
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
        let mut this = Self {
            poll,
            socket,
            key: parts.key,
            clock: parts.clock,
            entropy: Entropy::default(),
            server: parts.server,
            outbox: Outbox::default(),
            batch: Vec::new(),
            storing: false,
            retry: None,
            storage: parts.storage,
            completions: parts.completions,
            commands: parts.commands,
            out: Vec::new(),
            buffer: vec![0; DATAGRAM_LEN_MAX],
        };
        this.hold(parts.step);
        Ok((this, waker))
    }

    /// Serves until it is told to stop, then stores what was decided and says that it stops.
    ///
    /// # Errors
    /// Where the socket fails, or the storage is gone.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(16);
        let mut stopping = false;
        loop {
            self.take_completions()?;
            stopping |= self.commands.try_recv().is_ok_and(|command| command == Command::Stop);
            let more = !stopping && self.receive()?;
            if self.server.next_wake().is_some_and(|(at, _)| at <= self.clock.now()) {
                self.step(Input::Wake);
            }
            self.hand_on()?;
            self.transmit();
            if stopping && self.batch.is_empty() && !self.storing {
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
    fn receive(&mut self) -> anyhow::Result<bool> {
        for _ in 0..READ_MAX {
            if self.batch.len() >= BATCH_MAX {
                return Ok(false);
            }
            let mut buffer = std::mem::take(&mut self.buffer);
            let received = self.socket.recv_from(&mut buffer);
            if let Ok((len, from)) = received {
                self.datagram(from, &buffer[..len]);
            }
            self.buffer = buffer;
            match received {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // What an earlier reply met with on its way; nothing is wrong with the socket.
                Err(error) if is_passing(&error) => {}
                Err(error) => return Err(error).context("the socket failed"),
            }
        }
        Ok(true)
    }

    fn datagram(&mut self, from: SocketAddr, bytes: &[u8]) {
        let body = match &self.key {
            Some(key) => wire::open(key, bytes),
            None => Some(bytes),
        };
        let Some(bytes) = body else {
            self.step(Input::Dropped(DropReason::BadKey));
            return;
        };
        let entropy = self.entropy.bits();
        let step = self.server.receive(self.clock.now(), Peer(from), bytes, entropy);
        self.hold(step);
    }

    fn step(&mut self, input: Input<'_>) {
        let step = self.server.step(self.clock.now(), input);
        self.hold(step);
    }

    fn hold(&mut self, step: Step) {
        let events = self.outbox.hold(step, &mut self.out);
        self.batch.extend(events);
    }

    /// Hands the batch to the storage, where that is free.
    fn hand_on(&mut self) -> anyhow::Result<()> {
        if self.storing || self.batch.is_empty() {
            return Ok(());
        }
        if self.retry.is_some_and(|(at, _)| Instant::now() < at) {
            return Ok(());
        }
        self.storing = true;
        self.storage.send(std::mem::take(&mut self.batch)).context("the storage is gone")
    }

    fn take_completions(&mut self) -> anyhow::Result<()> {
        loop {
            match self.completions.try_recv() {
                Ok(Completion::Stored(stored)) => {
                    self.storing = false;
                    self.server.stored(stored);
                    self.outbox.release(stored, &mut self.out);
                    if self.retry.take().is_some() {
                        info!("the journal can be written again");
                    }
                }
                Ok(Completion::Failed(state)) => self.restore(*state),
                Ok(Completion::Writable(file, writable)) => {
                    self.server.set_writable(&file, writable);
                }
                Err(TryRecvError::Empty) => return Ok(()),
                Err(TryRecvError::Disconnected) => anyhow::bail!("the storage is gone"),
            }
        }
    }

    /// Nothing of the last batch was done, nor of what was decided since: everybody is told so.
    fn restore(&mut self, state: State) {
        self.storing = false;
        let pause = self.retry.map_or(RETRY_FIRST, |(_, pause)| (pause * 2).min(RETRY_MAX));
        self.retry = Some((Instant::now() + pause, pause));
        let failed = self.outbox.fail(&mut self.out);
        self.batch.clear();
        let step = self.server.restore(state, failed, self.clock.now(), unix_millis());
        self.hold(step);
    }

    /// Sends what may be sent. A datagram that the socket won't take is lost, as any may be.
    fn transmit(&mut self) {
        let mut bytes = Vec::with_capacity(512);
        for datagram in self.out.drain(..) {
            bytes.clear();
            datagram.encode(&mut bytes);
            if let Some(key) = &self.key {
                wire::seal(key, &mut bytes);
            }
            if let Err(error) = self.socket.send_to(&bytes, datagram.to.0)
                && error.kind() != io::ErrorKind::WouldBlock
                && !is_passing(&error)
            {
                error!(%error, to = %datagram.to.0, "a reply could not be sent");
            }
        }
    }

    fn timeout(&self) -> Option<Duration> {
        let retry = self
            .retry
            .filter(|_| !self.storing)
            .map(|(at, _)| at.saturating_duration_since(Instant::now()));
        let due = self.server.next_wake().map(|(at, _)| {
            let left = self.clock.now().until(at).as_millis();
            // Never a busy loop on a moment that has come but for its rounding.
            Duration::from_millis(left.max(1))
        });
        [retry, due].into_iter().flatten().min()
    }

    fn stop(mut self) -> anyhow::Result<()> {
        self.step(Input::Stop);
        self.hand_on()?;
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
