//! The options that select a server, and the connection to it.

use std::convert::Infallible;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, ClientBuilder, Time, now};

use super::Verbosity;
use super::error::CommandError;

/// The time after which a command reports that the server does not reply.
pub(crate) const REPLY_TIMEOUT: Duration = Duration::from_secs(5);

/// How often a command that waits for a lock checks whether the server replies.
const SILENCE_CHECK_INTERVAL: Duration = Duration::from_millis(500);

/// The longest wait for the reply to the last request of a command.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The difference between the default HTTP port and the UDP port.
const HTTP_PORT_OFFSET: u16 = 80;

/// The server to which a command sends requests.
#[derive(Args, Clone, Debug)]
pub(crate) struct ServerOptions {
    /// The UDP address of the server.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LEASEHOLD_SERVER",
        default_value = "127.0.0.1:7700",
        hide_env_values = true
    )]
    pub(crate) server: Address,
    /// A file with the key that clients and server share.
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_KEY_FILE", hide_env_values = true)]
    pub(crate) key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) verbosity: Verbosity,
}

/// The server whose HTTP API a command uses.
#[derive(Args, Clone, Debug)]
pub(crate) struct ApiOptions {
    #[command(flatten)]
    pub(crate) server: ServerOptions,
    /// The HTTP address of the server [default: the host of --server, and its port + 80].
    #[arg(long, value_name = "HOST:PORT", env = "LEASEHOLD_HTTP", hide_env_values = true)]
    http: Option<Address>,
}

/// A host, by name or IP address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// Returned for text that is not an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is HOST:PORT, such as 127.0.0.1:7700 or [::1]:7700")]
pub(crate) struct InvalidAddress;

impl ServerOptions {
    /// Returns a builder for a client of this name, with the timeout and the key set.
    pub(crate) fn builder(&self, name: &str) -> Result<ClientBuilder, CommandError> {
        let builder = Client::builder(name).request_timeout(REPLY_TIMEOUT);
        Ok(match self.key()? {
            Some(key) => builder.key(&key),
            None => builder,
        })
    }

    /// Reads the shared key, if a key file is given.
    pub(crate) fn key(&self) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(path) = &self.key_file else { return Ok(None) };
        let to_error = |reason: &dyn fmt::Display| {
            CommandError::refused(format!("cannot read the key file {}: {reason}", path.display()))
        };
        let mut bytes = fs::read(path).map_err(|error| to_error(&error))?;
        // The server also ignores the newline that editors add.
        bytes.pop_if(|last| *last == b'\n');
        if bytes.is_empty() {
            return Err(to_error(&"it is empty"));
        }
        Ok(Some(bytes))
    }

    /// Opens a session with a client that is named after the command and its process.
    pub(crate) async fn connect(
        &self,
        command: &str,
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, CommandError> {
        let builder = configure(self.builder(&format!("{command}-{}", process::id()))?);
        let result = builder.connect(self.server.to_string()).await;
        result.map_err(|error| CommandError::from_client(error, "a session", &self.server))
    }
}

impl ApiOptions {
    /// Selects another server.
    pub(crate) fn select(&mut self, server: Address, http: Address) {
        self.server.server = server;
        self.http = Some(http);
    }

    /// Returns the address of the page, the API and the event stream.
    pub(crate) fn http(&self) -> Result<Address, CommandError> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let Address { host, port } = self.server.server.clone();
        let port = port.checked_add(HTTP_PORT_OFFSET).ok_or_else(|| {
            CommandError::usage(format!(
                "port {port} + {HTTP_PORT_OFFSET} is not a port; set the HTTP address with --http"
            ))
        })?;
        Ok(Address { host, port })
    }
}

/// Closes the session, which releases its locks. The work of the command is done, so the wait for
/// the reply is short.
pub(crate) async fn close_session(client: Client, verbosity: Verbosity, lock: &str) {
    let result = tokio::time::timeout(CLOSE_TIMEOUT, client.close()).await;
    if !matches!(result, Ok(Ok(()))) {
        verbosity
            .note(&format!("no reply from the server; {lock} is freed when its lease expires"));
    }
}

/// Reports on standard error how a wait for a lock proceeds.
pub(crate) struct WaitReporter {
    verbosity: Verbosity,
    lock: String,
    server: Address,
    /// When the last reply arrived, in milliseconds on the clock of [`now`].
    last_reply: Arc<AtomicU64>,
}

impl WaitReporter {
    pub(crate) fn new(options: &ServerOptions, lock: &str) -> Self {
        Self {
            verbosity: options.verbosity,
            lock: lock.to_owned(),
            server: options.server.clone(),
            last_reply: Arc::new(AtomicU64::new(now().as_millis())),
        }
    }

    /// Returns a callback that prints each new position in the wait queue.
    pub(crate) fn on_queued(&self) -> impl FnMut(u64) + Send + 'static {
        let (verbosity, lock) = (self.verbosity, self.lock.clone());
        let last_reply = Arc::clone(&self.last_reply);
        let mut last = 0;
        move |position| {
            last_reply.store(now().as_millis(), Ordering::Relaxed);
            if position != std::mem::replace(&mut last, position) {
                verbosity.note(&format!("queued for {lock}, position {position}"));
            }
        }
    }

    /// Reports when the server no longer replies, and when it replies again. Never completes: the
    /// wait continues.
    pub(crate) async fn report_silence(&self) -> Infallible {
        let mut is_silent = false;
        loop {
            tokio::time::sleep(SILENCE_CHECK_INTERVAL).await;
            let last_reply = Time::from_millis(self.last_reply.load(Ordering::Relaxed));
            let silence = Duration::from_millis(last_reply.until(now()).as_millis());
            let (lock, server) = (&self.lock, &self.server);
            if silence >= REPLY_TIMEOUT && !is_silent {
                let secs = silence.as_secs();
                self.verbosity.warn(format_args!(
                    "no reply from {server} for {secs} s; still waiting for {lock}"
                ));
            } else if silence < REPLY_TIMEOUT && is_silent {
                self.verbosity.warn(format_args!("{server} replies again"));
            }
            is_silent = silence >= REPLY_TIMEOUT;
        }
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, InvalidAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(InvalidAddress)?;
        let port = port.parse().map_err(|_| InvalidAddress)?;
        let ipv6 = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let is_valid = if let Some(ipv6) = ipv6 {
            ipv6.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(is_allowed)
        };
        if is_valid { Ok(Self { host: host.to_owned(), port }) } else { Err(InvalidAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(addr: std::net::SocketAddr) -> Self {
        addr.to_string().parse().expect("a socket address is HOST:PORT")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_validated_when_they_are_parsed() {
        for valid in ["127.0.0.1:7700", "localhost:1", "[::1]:7700", "my-host.example:65535"] {
            assert_eq!(valid.parse::<Address>().map(|it| it.to_string()), Ok(valid.to_owned()));
        }
        for invalid in
            ["nowhere at all", "host", ":7700", "host:", "host:70000", "::1:7700", "a b:1"]
        {
            assert_eq!(invalid.parse::<Address>(), Err(InvalidAddress), "{invalid}");
        }
    }

    #[test]
    fn the_http_port_is_80_higher_unless_it_is_given() {
        let server_options = |server: &str| ServerOptions {
            server: server.parse().unwrap(),
            key_file: None,
            verbosity: Verbosity { quiet: false, verbose: false },
        };
        let options = |server, http| ApiOptions { server: server_options(server), http };
        assert_eq!(options("[::1]:7700", None).http().unwrap().to_string(), "[::1]:7780");
        let given = "127.0.0.1:80".parse().ok();
        assert_eq!(options("a:7700", given).http().unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(options("a:65500", None).http().unwrap_err().exit_code(), 2);
    }
}
