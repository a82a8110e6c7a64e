//! `leasehold cat FILE`: the bytes of a guarded file.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Args;
use leasehold_client::{Error, Name};

use super::failure::Failure;
use super::page::Page;
use super::target::Readable;

/// Print a guarded file.
///
/// It is read as it is at that moment, without its lock.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Cat {
    /// The file.
    file: String,
    #[command(flatten)]
    readable: Readable,
}

const EXAMPLES: &str = "\
Examples:
  leasehold cat file_0
  leasehold cat file_0 --http 127.0.0.1:7780";

impl Cat {
    pub(crate) async fn run(self) -> Result<ExitCode, Failure> {
        let file = &self.file;
        let server = &self.readable.target.server;
        Name::new(file).map_err(|bad| Failure::of(Error::BadName(bad), file, server))?;
        let page = Page::of(&self.readable)?;
        let Some(mut answer) = page.file(file).await? else {
            return Err(Failure::refused(format!(
                "there is no file {file}; see which there are with `leasehold status`"
            )));
        };
        let mut out = io::stdout().lock();
        while let Some(chunk) = answer.chunk().await? {
            out.write_all(&chunk)?;
        }
        out.flush()?;
        Ok(ExitCode::SUCCESS)
    }
}
