//! A client as a program has it in its hands.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_core::client::{Config, LockClient};
use leasehold_core::id::{BadName, Name};
use leasehold_core::limits::DRIFT_PPM;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::MacKey;
use tokio::net::ToSocketAddrs;
use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use crate::actor::{Actor, Command};
use crate::clock::{self, now};
use crate::error::Error;
use crate::guard::LockGuard;
use crate::local_locks::{LockRequest, QueuedCallback};
use crate::transport::Transport;

/// How long a call waits for an answer, unless it is told otherwise.
const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A client with a session at the server. Clones are the same client.
///
/// When the last clone and the last guard are dropped the session is closed in the background;
/// [`Client::close`] waits until it is.
#[derive(Clone, Debug)]
pub struct Client {
    name: Name,
    commands: mpsc::UnboundedSender<Command>,
    lease: Arc<AtomicU64>,
    next_ticket: Arc<AtomicU64>,
    request_timeout: Duration,
    task: AbortHandle,
}

/// How a client is set up.
#[derive(Clone, Debug)]
#[must_use = "it is no client before `connect`"]
pub struct ClientBuilder {
    name: Result<Name, BadName>,
    lease: Option<Millis>,
    key: Option<MacKey>,
    drift_ppm: u64,
    request_timeout: Duration,
}

/// A lock that is asked for, once this is awaited. To give up, drop the future.
#[must_use = "nothing is asked for until it is awaited"]
pub struct Acquire<'a> {
    client: &'a Client,
    lock: Result<Name, BadName>,
    /// Unset for as long as it takes.
    wait_limit: Option<Duration>,
    hold_limit: Option<Duration>,
    on_queued: Option<QueuedCallback>,
}

impl Client {
    /// Opens a session under this name, with the server's usual lease. The name is for people;
    /// nothing is decided by it.
    ///
    /// # Errors
    /// Where the name isn't one, the server refuses, or does not answer.
    pub async fn connect(addr: impl ToSocketAddrs, name: &str) -> Result<Self, Error> {
        Self::builder(name).connect(addr).await
    }

    /// To choose more than an address and a name.
    pub fn builder(name: &str) -> ClientBuilder {
        ClientBuilder {
            name: Name::new(name),
            lease: None,
            key: None,
            drift_ppm: DRIFT_PPM,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
        }
    }

    /// Its name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// The lease of its session, as the server gave it.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease.load(Ordering::Relaxed))
    }

    /// Gets a lock, however long that takes (up to a day, the longest that a server lets wait).
    /// The file that it guards has the same name.
    pub fn lock(&self, name: &str) -> Acquire<'_> {
        let lock = Name::new(name);
        Acquire { client: self, lock, wait_limit: None, hold_limit: None, on_queued: None }
    }

    /// Gets a lock if it is free now. [`Error::SessionEntry`] where it isn't.
    pub fn try_lock(&self, name: &str) -> Acquire<'_> {
        self.lock_timeout(name, Duration::ZERO)
    }

    /// Gets a lock if it comes free in this time. [`Error::WaitTimeout`] where it doesn't.
    pub fn lock_timeout(&self, name: &str, timeout: Duration) -> Acquire<'_> {
        Acquire { wait_limit: Some(timeout), ..self.lock(name) }
    }

    /// Ends the session, and with it every lock that the client holds or waits for.
    ///
    /// # Errors
    /// [`Error::TimedOut`] where the server could not be told: the session ends with its lease.
    pub async fn close(self) -> Result<(), Error> {
        let (responder, response) = oneshot::channel();
        self.commands.send(Command::Close { responder }).map_err(|_| Error::Closed)?;
        response.await.unwrap_or(Err(Error::Closed))
    }

    /// Ends the client as a crash of its process would: the server hears nothing of it. For tests,
    /// and to show what follows. When it completes nothing is sent any more.
    pub async fn abort(self) {
        self.task.abort();
        self.commands.closed().await;
    }
}

impl ClientBuilder {
    /// The lease to ask for. The server keeps it within bounds of its own.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(clock::millis_from_duration(lease));
        self
    }

    /// The key that is shared with the server, of any length.
    pub fn key(mut self, key: &[u8]) -> Self {
        self.key = Some(MacKey::new(key));
        self
    }

    /// How much the rates of this machine's clock and the server's may differ, in parts per
    /// million; 10,000 (1%) unless it is set. Beliefs are shortened by that much.
    pub fn drift_ppm(mut self, drift_ppm: u64) -> Self {
        self.drift_ppm = drift_ppm.min(1_000_000);
        self
    }

    /// How long a call waits for an answer before it says [`Error::TimedOut`]; 10 s unless it is
    /// set. Time spent in line for a lock does not count.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Opens the session.
    ///
    /// # Errors
    /// Where the name isn't one, the server refuses, or does not answer.
    pub async fn connect(self, addr: impl ToSocketAddrs) -> Result<Client, Error> {
        let name = self.name?;
        let link = Transport::connect(addr, self.key).await?;
        let config =
            Config { lease: self.lease, drift_ppm: self.drift_ppm, ..Config::new(name.clone()) };
        let seed = getrandom::u64().map_err(std::io::Error::other)?;
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (responder, response) = oneshot::channel();
        let lease = Arc::new(AtomicU64::new(0));
        let actor = Actor::new(
            LockClient::new(config, seed),
            link,
            (commands.downgrade(), command_receiver),
            (responder, Arc::clone(&lease)),
            clock::millis_from_duration(self.request_timeout),
        );
        let task = tokio::spawn(actor.run()).abort_handle();
        let next_ticket = Arc::default();
        let client = Client {
            name,
            commands,
            lease,
            next_ticket,
            request_timeout: self.request_timeout,
            task,
        };
        response.await.unwrap_or(Err(Error::Closed))?;
        Ok(client)
    }
}

impl Acquire<'_> {
    /// Bounds the tenure, however alive this client is: a client whose heartbeat still beats while
    /// its work is stuck gives the lock up.
    pub fn hold_limit(mut self, limit: Duration) -> Self {
        self.hold_limit = Some(limit);
        self
    }

    /// Is told the place in line, each time that the server says it: 1 is next.
    pub fn on_queued(mut self, on_queued: impl FnMut(u64) + Send + 'static) -> Self {
        self.on_queued = Some(QueuedCallback(Box::new(on_queued)));
        self
    }

    async fn send_request(self) -> Result<LockGuard, Error> {
        let (responder, response) = oneshot::channel();
        let Client { commands, next_ticket, request_timeout, .. } = self.client;
        let ticket = next_ticket.fetch_add(1, Ordering::Relaxed);
        let started = now();
        let wait_deadline =
            self.wait_limit.map_or(Time::NEVER, |wait| started + clock::millis_from_duration(wait));
        let request = LockRequest {
            ticket,
            lock: self.lock?,
            no_wait: self.wait_limit == Some(Duration::ZERO),
            wait_deadline,
            reply_deadline: wait_deadline + clock::millis_from_duration(*request_timeout),
            not_before: Time::ZERO,
            hold_limit: self.hold_limit.map(clock::millis_from_duration),
            on_queued: self.on_queued,
            responder,
        };
        let _cancel = CancelOnDrop { ticket, commands };
        commands.send(Command::Acquire(request)).map_err(|_| Error::Closed)?;
        response.await.unwrap_or(Err(Error::Closed))
    }
}

impl<'a> IntoFuture for Acquire<'a> {
    type Output = Result<LockGuard, Error>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send_request())
    }
}

/// Says that nobody waits for the answer any more. Where it has come already that means nothing.
struct CancelOnDrop<'a> {
    ticket: u64,
    commands: &'a mpsc::UnboundedSender<Command>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Cancel(self.ticket));
    }
}
