//! The commands of `leasehold`: what a person or a script says, and what becomes of it.
//!
//! - Exit codes: 0 done, 1 refused, 2 usage, 69 no answer from the server, 75 lost the lock.
//! - What was asked for goes to standard output; errors and remarks go to standard error. An error
//!   is one line that says what to do.

mod append;
mod bench;
mod cat;
mod demo;
mod failure;
mod lock;
mod log;
mod narrate;
mod overview;
mod page;
mod paint;
mod server_child;
mod signals;
mod sim;
mod status;
mod target;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use leasehold_server::serve::Serve;
use tracing_subscriber::EnvFilter;

use failure::Failure;
use paint::Paint;

/// A lease-based lock server that one can watch, and its clients.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, max_term_width = 100, after_help = EXAMPLES)]
struct Leasehold {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  leasehold serve                              the server, and its page at http://127.0.0.1:7780
  leasehold demo                               five clients write to three files
  leasehold lock backup -- ./backup.sh         run a command while holding a lock
  leasehold append notes 'a line'              append to a guarded file
  leasehold status --watch                     who holds what, as it changes
  leasehold sim gc-pause --without fencing     a simulated run, told as text
  leasehold bench --own-server                 how fast a server is

Exit codes: 0 done, 1 refused, 2 usage, 69 no answer from the server, 75 lost the lock.";

#[derive(Debug, Subcommand)]
enum Command {
    Serve(ServeCommand),
    Demo(demo::Demo),
    Lock(lock::Lock),
    Append(append::Append),
    Cat(cat::Cat),
    Status(status::Status),
    Log(log::Log),
    Sim(sim::Sim),
    Bench(bench::Bench),
}

/// Run the lock server.
#[derive(Args, Debug)]
#[command(after_help = SERVE_EXAMPLES)]
struct ServeCommand {
    #[command(flatten)]
    serve: Serve,
    #[command(flatten)]
    loudness: Loudness,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  leasehold serve
  leasehold serve --lease-ms 10000 --data-dir /var/lib/leasehold
  leasehold serve --listen 0.0.0.0:7700 --key-file key      # beyond this machine, with a key";

/// How much is told besides what was asked for.
#[derive(Args, Clone, Copy, Debug)]
struct Loudness {
    /// Say nothing but errors and what was asked for.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Say more.
    #[arg(short, long)]
    verbose: bool,
}

impl Loudness {
    /// Says a remark on standard error: to a person, or to whoever wants to hear more.
    fn remark(self, remark: &str) {
        if !self.quiet && (self.verbose || io::stderr().is_terminal()) {
            eprintln!("{}", Paint::of_stderr().dim(remark));
        }
    }
}

/// Does what the command line says.
pub(crate) fn run() -> ExitCode {
    let matches = Leasehold::command().get_matches();
    let command = match Leasehold::from_arg_matches(&matches) {
        Ok(leasehold) => leasehold.command,
        Err(error) => error.exit(),
    };
    let done = match command {
        Command::Serve(command) => serve(&command),
        Command::Demo(command) => within_runtime(command.run(names_server(&matches))),
        Command::Lock(command) => within_runtime(command.run()),
        Command::Append(command) => within_runtime(command.run()),
        Command::Cat(command) => within_runtime(command.run()),
        Command::Status(command) => within_runtime(command.run()),
        Command::Log(command) => within_runtime(command.run()),
        Command::Sim(command) => command.run(),
        Command::Bench(command) => within_runtime(command.run(names_server(&matches))),
    };
    done.unwrap_or_else(|failure| {
        let paint = Paint::of_stderr();
        if !failure.is_silent() {
            eprintln!("{} {failure}", paint.error("error:"));
        }
        ExitCode::from(failure.code())
    })
}

/// Whether the command line itself says which server is meant.
fn names_server(matches: &ArgMatches) -> bool {
    matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine))
}

fn serve(command: &ServeCommand) -> Result<ExitCode, Failure> {
    let Loudness { quiet, verbose } = command.loudness;
    let level = match (quiet, verbose) {
        (true, _) => "warn",
        (false, false) => "info",
        (false, true) => "debug",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(Paint::of_stderr().is_on())
        .with_target(false)
        .init();
    let ended = command.serve.run();
    ended.map(|()| ExitCode::SUCCESS).map_err(|error| Failure::refused(format!("{error:#}")))
}

/// One thread is enough for a command, and its end waits for nothing.
fn within_runtime(
    command: impl Future<Output = Result<ExitCode, Failure>>,
) -> Result<ExitCode, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::refused(format!("no runtime: {error}")))?;
    let done = runtime.block_on(command);
    // A read of standard input may never return.
    runtime.shutdown_background();
    done
}
