//! `leasehold demo`: a handful of clients that want the same few files.

mod cast;
mod story;

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use leasehold_client::Error;
use leasehold_core::rng::Rng;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;

use super::failure::Failure;
use super::page::Page;
use super::server_child::ServerChild;
use super::signals::{Signals, exit_code};
use super::target::{PATIENCE, Readable};
use cast::{Part, Player, cast};
use story::Story;

/// After this long without an answer there is no server.
const ABSENT_AFTER: Duration = Duration::from_secs(1);

/// How long a client of the demonstration waits for an answer: longer than a lecture's worst
/// network needs.
const PLAYER_PATIENCE: Duration = Duration::from_secs(30);

/// How many of a file's last lines are shown.
const LINES_MAX: usize = 12;

/// Let five clients write to three files, each under its lock.
///
/// client_1 and client_3 write to file_0, client_2 to file_2, client_4 and client_5 to file_3.
/// Each acquires the lock, appends a line, releases the lock and closes its session. Where no
/// server answers, and none was named by --server, the demo starts one of its own in a temporary
/// folder.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Demo {
    /// Go on until interrupted, at a pace that can be followed.
    #[arg(long = "loop")]
    endless: bool,
    /// How many clients there are.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    clients: Option<u32>,
    /// How many files they share: client N writes to file N-1, and around again.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=500))]
    files: Option<u32>,
    /// This client crashes while it holds its lock.
    #[arg(long, value_name = "CLIENT")]
    crash: Option<String>,
    /// How long one step takes. Without it: 100, or 1000 with --loop.
    #[arg(long, value_name = "MS")]
    pace_ms: Option<u64>,
    /// The lease that each client asks for.
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,
    #[command(flatten)]
    readable: Readable,
}

const EXAMPLES: &str = "\
Examples:
  leasehold demo
  leasehold demo --crash client_1                 # and watch client_3 wait for its lease
  leasehold demo --loop                           # for a lecture, beside the page
  leasehold demo --loop --clients 12 --files 4";

impl Demo {
    /// `named` is whether the server's address was given on the command line.
    pub(crate) async fn run(mut self, named: bool) -> Result<ExitCode, Failure> {
        let parts = cast(self.clients, self.files, self.crash.as_deref())?;
        let mut signals = Signals::listen()?;
        let own = tokio::select! {
            own = self.find_server(named) => own?,
            signal = signals.next() => return Ok(ExitCode::from(exit_code(signal.as_raw()))),
        };
        let done = self.play(parts, &mut signals).await;
        if let Some(own) = own {
            own.end().await;
        }
        done
    }

    /// Sees whether there is a server. Where there is none, and none was named: starts one.
    async fn find_server(&mut self, named: bool) -> Result<Option<ServerChild>, Failure> {
        let target = &self.readable.target;
        // Asked first, since it leaves no trace among what the clients do.
        if Page::of(&self.readable)?.is_there().await {
            return Ok(None);
        }
        let patience = if named { PATIENCE } else { ABSENT_AFTER };
        let probe = target.builder("demo")?.request_timeout(patience);
        match probe.connect(target.server.to_string()).await {
            Ok(client) => {
                let _ = client.close().await;
                return Ok(None);
            }
            Err(Error::NoReply | Error::Io(_)) if !named => {}
            Err(error) => return Err(Failure::of(error, "a session", &target.server)),
        }
        let own = ServerChild::start(target.key_file.as_deref()).await?;
        let absent = &target.server;
        writeln!(io::stdout(), "no server answers at {absent}, so here is one of the demo's own")?;
        self.readable.choose(own.udp.clone(), own.http.clone());
        Ok(Some(own))
    }

    async fn play(&self, parts: Vec<Part>, signals: &mut Signals) -> Result<ExitCode, Failure> {
        let Readable { target, .. } = &self.readable;
        let http = self.readable.http()?;
        let width = parts.iter().map(|part| part.client.len()).max().unwrap_or(0);
        let (story, mut lines) = Story::new(width);
        let (stop, stopped) = watch::channel(false);
        writeln!(io::stdout(), "server {}, page http://{http}\n", target.server)?;
        let mut players = JoinSet::new();
        // Who is to crash goes first, so that there is something to be seen of it.
        let (first, others): (Vec<_>, Vec<_>) = parts.iter().partition(|part| part.crashes);
        for part in first {
            let (holds, held) = oneshot::channel();
            let player = self.player(part, &parts, &story)?;
            players.spawn(Player { holds: Some(holds), ..player }.play(stopped.clone()));
            if !self.endless {
                // Where it fails before, that is told below.
                let _ = held.await;
            }
        }
        for part in others {
            players.spawn(self.player(part, &parts, &story)?.play(stopped.clone()));
        }
        let (mut interrupted, mut failure) = (None, None);
        loop {
            tokio::select! {
                biased;
                Some(line) = lines.recv() => story.print(&line)?,
                ended = players.join_next() => match ended {
                    None => break,
                    Some(Ok(Ok(()))) => {}
                    Some(Ok(Err(first))) => failure = failure.or(Some(first)),
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
        self.print_files(&Page::at(http), &parts).await?;
        let code = interrupted.filter(|_| !self.endless).map(|signal| exit_code(signal.as_raw()));
        Ok(ExitCode::from(code.unwrap_or(0)))
    }

    fn player(&self, part: &Part, parts: &[Part], story: &Story) -> Result<Player, Failure> {
        let target = &self.readable.target;
        let mut builder = target.builder(&part.client)?.request_timeout(PLAYER_PATIENCE);
        if let Some(lease) = self.lease_ms {
            builder = builder.lease(Duration::from_millis(lease));
        }
        let pace = self.pace_ms.unwrap_or(if self.endless { 1_000 } else { 100 });
        let seed = getrandom::u64()
            .map_err(|error| Failure::refused(format!("the system has no luck: {error}")))?;
        Ok(Player {
            part: part.clone(),
            builder,
            server: target.server.clone(),
            teller: story.teller(part.number, &part.client),
            pace_ms: pace,
            endless: self.endless.then_some(parts.len() as u64),
            rng: Rng::new(seed),
            holds: None,
        })
    }

    async fn print_files(&self, page: &Page, parts: &[Part]) -> Result<(), Failure> {
        let mut names: Vec<&str> = parts.iter().map(|part| part.file.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        for name in names {
            let Some(mut answer) = page.file(name).await? else { continue };
            let mut bytes = Vec::new();
            while let Some(chunk) = answer.chunk().await? {
                bytes.extend_from_slice(&chunk);
            }
            let text = String::from_utf8_lossy(&bytes);
            let lines: Vec<&str> = text.lines().collect();
            let earlier = lines.len().saturating_sub(LINES_MAX);
            let mut out = io::stdout().lock();
            writeln!(out, "\n{name}")?;
            if earlier > 0 {
                writeln!(out, "  … {earlier} lines before these")?;
            }
            for line in &lines[earlier..] {
                writeln!(out, "  {line}")?;
            }
        }
        Ok(())
    }
}
