//! Which server a command speaks to, and with which key.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use leasehold_client::{Client, ClientBuilder};

use super::Loudness;
use super::failure::Failure;

/// How long a command waits for an answer before it says that there is none.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// How long it waits for the answer to its farewell.
const FAREWELL: Duration = Duration::from_secs(2);

/// How far the page's port is from the lock service's, unless it is named.
const HTTP_OFFSET: u16 = 80;

/// The server that a command speaks to.
#[derive(Args, Clone, Debug)]
pub(crate) struct Target {
    /// The server's UDP address.
    #[arg(
        long,
        value_name = "HOST:PORT",
        env = "LEASEHOLD_SERVER",
        default_value = "127.0.0.1:7700",
        hide_env_values = true
    )]
    pub(crate) server: Address,
    /// A file whose bytes are the key that is shared with the server.
    #[arg(long, value_name = "FILE", env = "LEASEHOLD_KEY_FILE", hide_env_values = true)]
    pub(crate) key_file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) loudness: Loudness,
}

/// The server that a command reads from.
#[derive(Args, Clone, Debug)]
pub(crate) struct Readable {
    #[command(flatten)]
    pub(crate) target: Target,
    /// The address of the server's page. Unless it is named: that of the server, at a port that
    /// is higher by 80.
    #[arg(long, value_name = "HOST:PORT", env = "LEASEHOLD_HTTP", hide_env_values = true)]
    http: Option<Address>,
}

/// A host, by name or number, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    host: String,
    port: u16,
}

/// Why some text is not an [`Address`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an address is HOST:PORT, such as 127.0.0.1:7700 or [::1]:7700")]
pub(crate) struct BadAddress;

impl Target {
    /// A client to be connected to the server, under this name.
    pub(crate) fn builder(&self, name: &str) -> Result<ClientBuilder, Failure> {
        let builder = Client::builder(name).request_timeout(PATIENCE);
        Ok(match self.key()? {
            Some(key) => builder.key(&key),
            None => builder,
        })
    }

    /// The key that is shared with the server, if there is one.
    pub(crate) fn key(&self) -> Result<Option<Vec<u8>>, Failure> {
        let Some(path) = &self.key_file else { return Ok(None) };
        let told = |why: &dyn fmt::Display| {
            Failure::refused(format!("can't read the key in {}: {why}", path.display()))
        };
        let mut bytes = fs::read(path).map_err(|error| told(&error))?;
        // As the server reads it: without the newline that editors add.
        bytes.pop_if(|last| *last == b'\n');
        if bytes.is_empty() {
            return Err(told(&"it is empty"));
        }
        Ok(Some(bytes))
    }

    /// A client of this command's own: named after it and its process.
    pub(crate) async fn connect(
        &self,
        command: &str,
        configure: impl FnOnce(ClientBuilder) -> ClientBuilder,
    ) -> Result<Client, Failure> {
        let builder = configure(self.builder(&format!("{command}-{}", process::id()))?);
        let connected = builder.connect(self.server.to_string()).await;
        connected.map_err(|error| Failure::of(error, "a session", &self.server))
    }
}

impl Readable {
    /// Speaks to another server from now on.
    pub(crate) fn choose(&mut self, server: Address, http: Address) {
        self.target.server = server;
        self.http = Some(http);
    }

    /// Where the page, the API and the stream are.
    pub(crate) fn http(&self) -> Result<Address, Failure> {
        if let Some(http) = &self.http {
            return Ok(http.clone());
        }
        let Address { host, port } = self.target.server.clone();
        let port = port.checked_add(HTTP_OFFSET).ok_or_else(|| {
            Failure::usage(format!("no port is higher than {port} by 80; name one with --http"))
        })?;
        Ok(Address { host, port })
    }
}

/// Closes the session, and with it gives back what was held. The work is done by then, so nobody
/// is kept waiting for long where the server does not answer.
pub(crate) async fn say_farewell(client: Client, loudness: Loudness, lock: &str) {
    let closed = tokio::time::timeout(FAREWELL, client.close()).await;
    if !matches!(closed, Ok(Ok(()))) {
        loudness.remark(&format!("the server does not answer: {lock} comes free with its lease"));
    }
}

/// Tells a person each new place in line.
pub(crate) fn remark_places(loudness: Loudness, lock: &str) -> impl FnMut(u64) + Send + 'static {
    let lock = lock.to_owned();
    let mut last = 0;
    move |place| {
        if place != std::mem::replace(&mut last, place) {
            loudness.remark(&format!("waits for {lock}, place {place}"));
        }
    }
}

impl FromStr for Address {
    type Err = BadAddress;

    fn from_str(text: &str) -> Result<Self, BadAddress> {
        let (host, port) = text.rsplit_once(':').ok_or(BadAddress)?;
        let port = port.parse().map_err(|_| BadAddress)?;
        let numbers = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        let well_formed = if let Some(inner) = numbers {
            inner.parse::<std::net::Ipv6Addr>().is_ok()
        } else {
            let known = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
            !host.is_empty() && host.bytes().all(known)
        };
        if well_formed { Ok(Self { host: host.to_owned(), port }) } else { Err(BadAddress) }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl From<std::net::SocketAddr> for Address {
    fn from(addr: std::net::SocketAddr) -> Self {
        addr.to_string().parse().expect("every socket's address is one")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_checked_before_anything_is_asked() {
        for good in ["127.0.0.1:7700", "localhost:1", "[::1]:7700", "my-host.example:65535"] {
            assert_eq!(good.parse::<Address>().map(|it| it.to_string()), Ok(good.to_owned()));
        }
        for bad in ["nowhere at all", "host", ":7700", "host:", "host:70000", "::1:7700", "a b:1"] {
            assert_eq!(bad.parse::<Address>(), Err(BadAddress), "{bad}");
        }
    }

    #[test]
    fn the_page_is_80_ports_higher_unless_it_is_named() {
        let target = |server: &str| Target {
            server: server.parse().unwrap(),
            key_file: None,
            loudness: Loudness { quiet: false, verbose: false },
        };
        let readable = |server, http| Readable { target: target(server), http };
        assert_eq!(readable("[::1]:7700", None).http().unwrap().to_string(), "[::1]:7780");
        let named = "127.0.0.1:80".parse().ok();
        assert_eq!(readable("a:7700", named).http().unwrap().to_string(), "127.0.0.1:80");
        assert_eq!(readable("a:65500", None).http().unwrap_err().code(), 2);
    }
}
