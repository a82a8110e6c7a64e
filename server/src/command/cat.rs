//! `leasehold cat FILE`: prints a guarded file.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use leasehold_client::{Error, Name};

use super::api_client::ApiClient;
use super::error::CommandError;
use super::options::ApiOptions;

/// Print a guarded file.
///
/// The file is read without its lock, so an append may follow at any time.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cat {
    /// The file.
    file: String,
    #[command(flatten)]
    options: ApiOptions,
}

const EXAMPLES: &str = "\
Examples:
  leasehold cat file_0
  leasehold cat file_0 --http 127.0.0.1:7780";

impl Cat {
    pub(crate) async fn run(self) -> Result<ExitCode, CommandError> {
        let file = &self.file;
        let server = &self.options.server.server;
        Name::new(file)
            .map_err(|error| CommandError::from_client(Error::BadName(error), file, server))?;
        let api = ApiClient::new(&self.options)?;
        let Some(mut response) = api.file(file).await? else {
            return Err(CommandError::refused(format!(
                "file {file} does not exist; list the files with `leasehold status`"
            )));
        };
        let mut out = io::stdout().lock();
        while let Some(chunk) = response.chunk().await? {
            out.write_all(&chunk)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
