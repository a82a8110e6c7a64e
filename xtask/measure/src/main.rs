//! Measures leasehold: beside other lock servers (`compare`) and at scale (`scale`).
//!
//! `cargo xtask compare` and `cargo xtask scale` build and run this program. It is a program of its
//! own so that a first `cargo xtask serve` does not wait for its dependencies.

mod compare;
mod environment;
mod scale;
mod statistics;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "Measures leasehold")]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Compares leasehold with a UDP echo, Redis, etcd and a Python server, as far as they are
    /// installed, and writes docs/performance.md and docs/performance.svg
    Compare(compare::Options),
    /// Measures leasehold at scale, each figure beside its goal, and writes docs/scale.md
    Scale(scale::Options),
    /// Echoes datagrams until it is killed
    #[command(hide = true)]
    Echo,
    /// Subscribes to the event stream until standard input ends
    #[command(hide = true)]
    View(scale::ViewOptions),
}

fn main() -> ExitCode {
    let result = match Arguments::parse().task {
        Task::Compare(options) => compare::compare(options),
        Task::Scale(options) => scale::scale(&options),
        Task::Echo => compare::run_echo_server().map(|()| ExitCode::SUCCESS),
        Task::View(options) => scale::view(&options).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
