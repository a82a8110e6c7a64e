//! The public handle of a client, its builder, and the future that acquires a lock.

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

/// The default of [`ClientBuilder::request_timeout`].
const REQUEST_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);

/// A client with a session at the server. Clones share the session.
///
/// When the last clone and the last guard are dropped, the session is closed in the background.
/// [`Client::close`] waits until it is closed.
#[derive(Clone, Debug)]
pub struct Client {
    name: Name,
    commands: mpsc::UnboundedSender<Command>,
    lease: Arc<AtomicU64>,
    next_ticket: Arc<AtomicU64>,
    request_timeout: Duration,
    #[cfg_attr(not(feature = "testing"), expect(dead_code, reason = "only a crash needs it"))]
    task: AbortHandle,
}

/// Configures a client.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing before `connect`"]
pub struct ClientBuilder {
    name: Result<Name, BadName>,
    lease: Option<Millis>,
    key: Option<MacKey>,
    drift_ppm: u64,
    request_timeout: Duration,
}

/// A request for a lock, which is sent when this value is awaited. To cancel it, drop the future.
#[must_use = "the lock is not requested until this is awaited"]
pub struct Acquire<'a> {
    client: &'a Client,
    lock: Result<Name, BadName>,
    /// None means no limit.
    wait_limit: Option<Duration>,
    hold_limit: Option<Duration>,
    on_queued: Option<QueuedCallback>,
}

impl Client {
    /// Opens a session with the server's default lease. The name is shown to people; no decision
    /// depends on it.
    ///
    /// # Errors
    /// If the name is invalid, if the server refuses the session, or if it does not reply.
    pub async fn connect(addr: impl ToSocketAddrs, name: &str) -> Result<Self, Error> {
        Self::builder(name).connect(addr).await
    }

    /// Returns a builder, to configure more than the address and the name.
    pub fn builder(name: &str) -> ClientBuilder {
        ClientBuilder {
            name: Name::new(name),
            lease: None,
            key: None,
            drift_ppm: DRIFT_PPM,
            request_timeout: REQUEST_TIMEOUT_DEFAULT,
        }
    }

    /// Returns the name.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Returns the lease that the server has granted to the session.
    pub fn lease(&self) -> Duration {
        Duration::from_millis(self.lease.load(Ordering::Relaxed))
    }

    /// Acquires a lock, and waits in its queue for at most a day, the server's limit. The lock
    /// guards the file of the same name.
    pub fn lock(&self, name: &str) -> Acquire<'_> {
        let lock = Name::new(name);
        Acquire { client: self, lock, wait_limit: None, hold_limit: None, on_queued: None }
    }

    /// Acquires a lock if it is free. The result is [`Error::LockHeld`] if it is not.
    pub fn try_lock(&self, name: &str) -> Acquire<'_> {
        self.lock_timeout(name, Duration::ZERO)
    }

    /// Acquires a lock, and waits for at most `timeout`. The result is [`Error::WaitTimeout`] if it
    /// was not free in time.
    pub fn lock_timeout(&self, name: &str, timeout: Duration) -> Acquire<'_> {
        Acquire { wait_limit: Some(timeout), ..self.lock(name) }
    }

    /// Closes the session, which releases the locks that the client holds and cancels its waits.
    ///
    /// # Errors
    /// If the server does not reply ([`Error::NoReply`]). Then the session ends when its lease
    /// expires.
    pub async fn close(self) -> Result<(), Error> {
        let (responder, response) = oneshot::channel();
        self.commands.send(Command::Close { responder }).map_err(|_| Error::Closed)?;
        response.await.unwrap_or(Err(Error::Closed))
    }

    /// Ends the client without informing the server, as a crash of its process would. No datagram
    /// is sent after the returned future has completed.
    ///
    /// The server frees the client's locks when its lease expires.
    #[cfg(feature = "testing")]
    pub async fn crash(self) {
        self.task.abort();
        self.commands.closed().await;
    }
}

impl ClientBuilder {
    /// Requests this lease. The server adjusts it to its limits.
    pub fn lease(mut self, lease: Duration) -> Self {
        self.lease = Some(clock::millis_from_duration(lease));
        self
    }

    /// Sets the key that clients and server share. It may have any length.
    pub fn key(mut self, key: &[u8]) -> Self {
        self.key = Some(MacKey::new(key));
        self
    }

    /// Sets the largest difference between the rates of this machine's clock and the server's, in
    /// parts per million. The client shortens its beliefs by this much. The default is 10,000 (1%).
    pub fn drift_ppm(mut self, drift_ppm: u64) -> Self {
        self.drift_ppm = drift_ppm.min(1_000_000);
        self
    }

    /// Sets how long a call waits for a reply before it fails with [`Error::NoReply`]. The time in
    /// a wait queue does not count. The default is 10 s.
    pub fn request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Opens the session.
    ///
    /// # Errors
    /// If the name is invalid, if the server refuses the session, or if it does not reply.
    pub async fn connect(self, addr: impl ToSocketAddrs) -> Result<Client, Error> {
        let name = self.name?;
        let transport = Transport::connect(addr, self.key).await?;
        let config =
            Config { lease: self.lease, drift_ppm: self.drift_ppm, ..Config::new(name.clone()) };
        let seed = getrandom::u64().map_err(std::io::Error::other)?;
        let (commands, command_receiver) = mpsc::unbounded_channel();
        let (responder, response) = oneshot::channel();
        let lease = Arc::new(AtomicU64::new(0));
        let actor = Actor::new(
            LockClient::new(config, seed),
            transport,
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
    /// Limits the tenure, even if heartbeats continue: a client whose work is stuck loses the lock.
    pub fn hold_limit(mut self, limit: Duration) -> Self {
        self.hold_limit = Some(limit);
        self
    }

    /// Sets a callback for the position in the wait queue. It is called whenever the server reports
    /// the position; 1 is next.
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

/// Cancels the request when the future is dropped. Has no effect after the response.
struct CancelOnDrop<'a> {
    ticket: u64,
    commands: &'a mpsc::UnboundedSender<Command>,
}

impl Drop for CancelOnDrop<'_> {
    fn drop(&mut self) {
        let _ = self.commands.send(Command::Cancel(self.ticket));
    }
}
