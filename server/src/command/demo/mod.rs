//! `leasehold demo`: a few clients that compete for the locks of a few files.

mod client;
mod story;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::Error;
use leasehold_core::rng::Rng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::api_client::ApiClient;
use super::error::CommandError;
use super::options::{ApiOptions, REPLY_TIMEOUT};
use super::signals::{Signals, exit_after};
use super::temporary_server::TemporaryServer;
use client::{DemoClient, Role, roles};
use story::Story;

/// The time without a reply after which the demonstration starts its own server.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// The request timeout of a client of the demonstration, long enough for a network with many
/// faults.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// The number of lines of a file that are shown.
const LINES_MAX: usize = 12;

/// Let five clients append to three files, each under the lock of its file.
///
/// client_1 and client_3 append to file_0, client_2 to file_2, client_4 and client_5 to file_3.
/// Each acquires the lock, appends a line, releases the lock, and closes its session. If no server
/// replies and --server is not given, the demo starts its own server with a temporary data
/// directory.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Repeat until interrupted, slowly enough to watch.
    #[arg(long = "loop")]
    repeat: bool,
    /// The number of clients.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    clients: Option<u32>,
    /// The number of files. The clients use them in turn.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    files: Option<u32>,
    /// Let this client crash while it holds its lock.
    #[arg(long, value_name = "CLIENT")]
    crash: Option<String>,
    /// The duration of one step [default: 100, or 1000 with --loop].
    #[arg(long, value_name = "MS")]
    pace_ms: Option<u64>,
    /// The lease that each client requests.
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    #[command(flatten)]
    options: ApiOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold demo
  leasehold demo --crash client_1                 # client_3 waits for the lease to expire
  leasehold demo --loop                           # for a lecture, together with the page
  leasehold demo --loop --clients 12 --files 4";

impl Demo {
    /// `server_given` is whether the command line names the server.
    pub(crate) async fn run(mut self, server_given: bool) -> Result<ExitCode, CommandError> {
        let roles = roles(self.clients, self.files, self.crash.as_deref())?;
        let mut signals = Signals::listen()?;
        let own_server = tokio::select! {
            own_server = self.find_server(server_given) => own_server?,
            signal = signals.next() => return Ok(exit_after(signal)),
        };
        let result = self.run_clients(roles, &mut signals).await;
        if let Some(own_server) = own_server {
            own_server.stop().await;
        }
        result
    }

    /// Starts a server if none replies and the command line names none.
    async fn find_server(
        &mut self,
        server_given: bool,
    ) -> Result<Option<TemporaryServer>, CommandError> {
        let options = &self.options.server;
        // HTTP first, because it leaves no events in the log.
        if ApiClient::new(&self.options)?.is_reachable().await {
            return Ok(None);
        }
        let timeout = if server_given { REPLY_TIMEOUT } else { PROBE_TIMEOUT };
        let probe = options.builder("demo")?.request_timeout(timeout);
        match probe.connect(options.server.to_string()).await {
            Ok(client) => {
                let _ = client.close().await;
                return Ok(None);
            }
            Err(Error::NoReply | Error::Io(_)) if !server_given => {}
            Err(error) => {
                return Err(CommandError::from_client(error, "a session", &options.server));
            }
        }
        let own_server = TemporaryServer::start(options.key_file.as_deref()).await?;
        let server = &options.server;
        writeln!(io::stdout(), "no reply from {server}; started a temporary server")?;
        self.options.select(own_server.udp.clone(), own_server.http.clone());
        Ok(Some(own_server))
    }

    async fn run_clients(
        &self,
        roles: Vec<Role>,
        signals: &mut Signals,
    ) -> Result<ExitCode, CommandError> {
        let http = self.options.http()?;
        let width = roles.iter().map(|role| role.client.len()).max().unwrap_or(0);
        let (story, mut lines) = Story::new(width);
        let (stop, stopped) = watch::channel(false);
        writeln!(io::stdout(), "server {}, page http://{http}\n", self.options.server.server)?;
        let mut clients = JoinSet::new();
        // The crashing client starts first, so that another client has to wait for its lease.
        let (crashing, others): (Vec<_>, Vec<_>) = roles.iter().partition(|role| role.crashes);
        for role in crashing {
            let (sender, granted) = oneshot::channel();
            let client = self.client(role, &roles, &story)?;
            let client = DemoClient { on_first_grant: Some(sender), ..client };
            clients.spawn(client.run(stopped.clone()));
            if !self.repeat {
                // An error of the client is reported below.
                let _ = granted.await;
            }
        }
        for role in others {
            clients.spawn(self.client(role, &roles, &story)?.run(stopped.clone()));
        }
        let (mut interrupted, mut failure) = (None, None);
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => story.print(&line)?,
                ended = clients.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(error))) => failure = failure.or(Some(error)),
                    Some(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                },
                signal = signals.next() => {
                    interrupted = Some(signal);
                    stop.send_replace(true);
                }
            }
        }
        if let Some(failure) = failure {
            return Err(failure);
        }
        self.print_files(&ApiClient::at(http), &roles).await?;
        let interrupted = interrupted.filter(|_| !self.repeat);
        Ok(interrupted.map_or(ExitCode::SUCCESS, exit_after))
    }

    fn client(
        &self,
        role: &Role,
        roles: &[Role],
        story: &Story,
    ) -> Result<DemoClient, CommandError> {
        let options = &self.options.server;
        let mut builder = options.builder(&role.client)?.request_timeout(CLIENT_TIMEOUT);
        if let Some(lease) = self.lease_ms {
            builder = builder.lease(Duration::from_millis(lease));
        }
        let pace_ms = self.pace_ms.unwrap_or(if self.repeat { 1_000 } else { 100 });
        let seed = getrandom::u64()
            .map_err(|error| CommandError::refused(format!("cannot get a random seed: {error}")))?;
        Ok(DemoClient {
            role: role.clone(),
            builder,
            server: options.server.clone(),
            reporter: story.reporter(role.number, &role.client),
            pace_ms,
            looping_clients: self.repeat.then_some(roles.len() as u64),
            rng: Rng::new(seed),
            on_first_grant: None,
        })
    }

    async fn print_files(&self, api: &ApiClient, roles: &[Role]) -> Result<(), CommandError> {
        let mut names: Vec<&str> = roles.iter().map(|role| role.file.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(mut response) = api.file(name).await? else { continue };
            let mut bytes = Vec::new();
            while let Some(chunk) = response.chunk().await? {
                bytes.extend_from_slice(&chunk);
            }
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let omitted = lines.len().saturating_sub(LINES_MAX);
            let mut out = io::stdout().lock();
            writeln!(out, "\n{name}")?;
            if omitted > 0 {
                writeln!(out, "  … {omitted} earlier lines")?;
            }
            for line in &lines[omitted..] {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}
