//! The program `leasehold`: the server and its commands.

mod command;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
