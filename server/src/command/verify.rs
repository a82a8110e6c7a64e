//! `leasehold verify`: checks a data directory without changing it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use leasehold_server::restore;

use super::error::CommandError;

/// Check a data directory without changing it.
///
/// Reads all of the log, and compares it with server_state.json and the guarded files. Exits with 1
/// if something that was acknowledged is missing or damaged. The server must not be running; verify
/// a copy instead.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Verify {
    /// The directory of the log, the state and the guarded files.
    #[arg(long, value_name = "DIR", default_value = "leasehold-data")]
    data_dir: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  leasehold verify
  leasehold verify --data-dir /var/backups/leasehold";

impl Verify {
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        print_lines(restore::verify(&self.data_dir))
    }
}

/// Prints the lines of a report.
pub(super) fn print_lines(report: anyhow::Result<Vec<String>>) -> Result<ExitCode, CommandError> {
    let lines = report.map_err(|error| CommandError::refused(format!("{error:#}")))?;
    let mut out = io::stdout().lock();
    for line in lines {
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}
