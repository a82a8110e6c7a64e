//! The commands of `leasehold`.
//!
//! - Exit codes: 0 success, 1 refused, 2 usage, 69 no reply from the server, 75 lock lost.
//! - The requested output goes to standard output; errors and notes go to standard error. An error
//!   is one line that says what to do.

mod api_client;
mod append;
mod bench;
mod cat;
mod demo;
mod error;
mod event_line;
mod inherited_signals;
mod lock;
mod log;
mod options;
mod restore;
mod signals;
mod sim;
mod status;
mod style;
mod tables;
mod temporary_server;
mod verify;

use std::env;
use std::fmt;
use std::io::{self, IsTerminal as _};
use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use leasehold_server::serve::Serve;
use leasehold_server::{report, standard_error};
use tracing_subscriber::EnvFilter;

use error::CommandError;
use inherited_signals::InheritedSignals;
use style::Style;

/// A lease-based lock server with a page that shows how it works, and its command-line clients.
#[derive(Debug, Parser)]
#[command(name = "leasehold", version, max_term_width = 100, after_help = EXAMPLES)]
struct Leasehold {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  leasehold serve                              run the server; its page is http://127.0.0.1:7780
  leasehold demo                               let five clients append to three files
  leasehold lock backup -- ./backup.sh         run a command while holding a lock
  leasehold append notes 'a line'              append to a guarded file
  leasehold status --watch                     show locks, sessions and files as they change
  leasehold sim gc-pause --without fencing     simulate a scenario with a protection disabled
  leasehold bench --own-server                 measure the performance of a server
  leasehold verify                             check a data directory without changing it

Exit codes: 0 success, 1 refused, 2 usage, 69 no reply from the server, 75 lock lost.";

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
    Verify(verify::Verify),
    Restore(restore::Restore),
    #[command(hide = true)]
    KeepLock(lock::KeepLock),
    #[command(name = "launch-command", hide = true)]
    Launch(lock::Launch),
}

/// Run the lock server.
#[derive(Args, Debug)]
#[command(after_help = SERVE_EXAMPLES)]
struct ServeCommand {
    #[command(flatten)]
    serve: Serve,
    #[command(flatten)]
    verbosity: Verbosity,
}

const SERVE_EXAMPLES: &str = "\
Examples:
  leasehold serve
  leasehold serve --lease-ms 10000 --data-dir /var/lib/leasehold
  leasehold serve --listen 0.0.0.0:7700 --key-file key      # for other machines, with a key";

/// How much is printed besides the requested output.
#[derive(Args, Clone, Copy, Debug)]
struct Verbosity {
    /// Print only errors and the requested output.
    #[arg(short, long, conflicts_with = "verbose")]
    quiet: bool,
    /// Print more details.
    #[arg(short, long)]
    verbose: bool,
}

impl Verbosity {
    /// Prints a note on standard error if it is a terminal, or if `--verbose` is given.
    fn note(self, note: &str) {
        if !self.quiet && (self.verbose || io::stderr().is_terminal()) {
            report!("{}", Style::for_stderr().dim(note));
        }
    }

    /// Prints a warning on standard error, unless `--quiet` is given.
    fn warn(self, warning: impl fmt::Display) {
        if !self.quiet {
            report!("{} {warning}", Style::for_stderr().warning("warning:"));
        }
    }
}

/// Parses the command line and runs the command.
pub(crate) fn run() -> ExitCode {
    // Before any handler is installed.
    InheritedSignals::get();
    let matches = ignore_empty_variables(Leasehold::command()).get_matches();
    let command = match Leasehold::from_arg_matches(&matches) {
        Ok(leasehold) => leasehold.command,
        Err(error) => error.exit(),
    };
    let result = match command {
        Command::Serve(command) => serve(&command),
        Command::Demo(command) => block_on(command.run(is_server_given(&matches))),
        Command::Lock(command) => block_on(command.run()),
        Command::Append(command) => block_on(command.run()),
        Command::Cat(command) => block_on(command.run()),
        Command::Status(command) => block_on(command.run()),
        Command::Log(command) => block_on(command.run()),
        Command::Sim(command) => command.run(),
        Command::Bench(command) => block_on(command.run(is_server_given(&matches))),
        Command::Verify(command) => command.run(),
        Command::Restore(command) => command.run(),
        Command::KeepLock(command) => command.run(),
        Command::Launch(command) => command.run().map(|never| match never {}),
    };
    standard_error::flush_log();
    result.unwrap_or_else(|error| {
        let style = Style::for_stderr();
        if !error.is_silent() {
            report!("{} {error}", style.error("error:"));
        }
        ExitCode::from(error.exit_code())
    })
}

/// Treats an environment variable that is empty as one that is not set.
fn ignore_empty_variables(command: clap::Command) -> clap::Command {
    let is_empty = |arg: &clap::Arg| {
        arg.get_env().is_some_and(|name| env::var_os(name).is_some_and(|value| value.is_empty()))
    };
    let command = command.mut_args(|arg| if is_empty(&arg) { arg.env(None::<&str>) } else { arg });
    command.mut_subcommands(ignore_empty_variables)
}

/// Whether the command line names a server, rather than the environment or the default.
fn is_server_given(matches: &ArgMatches) -> bool {
    matches
        .subcommand()
        .is_some_and(|(_, given)| given.value_source("server") == Some(ValueSource::CommandLine))
}

fn serve(command: &ServeCommand) -> Result<ExitCode, CommandError> {
    let Verbosity { quiet, verbose } = command.verbosity;
    let level = match (quiet, verbose) {
        (true, _) => "warn",
        (false, false) => "info",
        (false, true) => "debug",
    };
    let directives = env::var(EnvFilter::DEFAULT_ENV).ok().filter(|value| !value.is_empty());
    let filter = directives
        .and_then(|directives| EnvFilter::try_new(directives).ok())
        .unwrap_or_else(|| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(standard_error::log_writer)
        .with_ansi(Style::for_stderr().is_enabled())
        .with_target(false)
        .init();
    let result = command.serve.run();
    result.map(|()| ExitCode::SUCCESS).map_err(|error| CommandError::refused(format!("{error:#}")))
}

/// Runs a command on a runtime with one thread.
fn block_on(
    command: impl Future<Output = Result<ExitCode, CommandError>>,
) -> Result<ExitCode, CommandError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CommandError::refused(format!("cannot start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A read of standard input may never return.
    runtime.shutdown_background();
    result
}
