//! `leasehold restore`: restores a data directory from a copy.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use leasehold_server::restore;

use super::error::CommandError;
use super::verify::print_lines;

/// Restore a data directory from a copy.
///
/// Checks the copy, and keeps what it replaces. A copy is older than what clients have seen, so
/// the restored server has the guarded files of the copy but no sessions and no locks; its tokens
/// are larger than all that may have been granted; and its first start waits until every lease has
/// expired. Prints what is lost.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Restore {
    /// The copy: a data directory that was copied while its server was stopped, or at one moment
    /// by a snapshot of the file system. It is not changed.
    #[arg(long, value_name = "COPY")]
    from: PathBuf,
    /// The directory of the log, the state and the guarded files.
    #[arg(long, value_name = "DIR", default_value = "leasehold-data")]
    data_dir: PathBuf,
}

const EXAMPLES: &str = "\
Examples:
  leasehold restore --from /var/backups/leasehold
  leasehold restore --from backup --data-dir /var/lib/leasehold";

impl Restore {
    pub(crate) fn run(&self) -> Result<ExitCode, CommandError> {
        print_lines(restore::restore(&self.from, &self.data_dir))
    }
}
