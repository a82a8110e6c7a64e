//! `cargo xtask scale`: how leasehold does at scale, each figure beside its goal.
//!
//! - Each part starts servers of its own, by the program of the release profile, in temporary
//!   folders, and can be run alone.
//! - Ratios are of rounds that are interleaved, so what else the machine does falls on both sides.

mod bench;
mod document;
mod goal;
mod hand_off;
mod options;
mod peer;
mod process;
mod rates;
mod recovery;
mod rng;
mod server;
mod sessions;
mod snapshot;
mod soak;
mod viewer;
mod viewers;

use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::Context as _;

use crate::compare::{load_before, release};
use crate::run::{cargo, run, top};
use goal::Goal;
use options::{Options, Part, Size};

pub(crate) use viewer::view;

/// Builds what is measured, and lets that build of this program do the rest: its clients have to be
/// as fast.
pub(crate) fn scale(arguments: &[String]) -> anyhow::Result<ExitCode> {
    Options::read(arguments)?;
    let packages = ["--package", "leasehold-server", "--package", "xtask"];
    run(cargo(&["build", "--release"]).args(packages))?;
    let mut command = Command::new(release("xtask"));
    command.arg("scale-built").args(arguments).current_dir(top());
    let status = command.status().context("xtask can't be run")?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Measures, prints the tables, and writes them down.
pub(crate) fn scale_built(arguments: &[String]) -> anyhow::Result<ExitCode> {
    let options = Options::read(arguments)?;
    let program = options.program.clone().unwrap_or_else(|| release("leasehold"));
    let load = load_before();
    eprintln!("xtask: load of other work: {load}");
    let (mut measured, mut failed) = (Vec::new(), false);
    for &part in &options.parts {
        eprintln!("xtask: {}", part.title());
        let goals = measure(part, &program, &options).with_context(|| part.title())?;
        let table = goal::markdown(&goals);
        println!("## {}\n\n{table}", part.title());
        failed |= part == Part::Soak && goals.iter().any(|goal| goal.reached == Some(false));
        measured.push((part, table));
    }
    if !options.is_quick {
        document::write(&measured, &options.size, &load)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(part: Part, program: &Path, options: &Options) -> anyhow::Result<Vec<Goal>> {
    let size = &options.size;
    match part {
        Part::Rates => rates::measure(program, size),
        Part::Sessions => sessions::measure(program, size),
        Part::HandOff => hand_off::measure(program, size),
        Part::Recovery => recovery::measure(program, size),
        Part::Snapshot => snapshot::measure(program, size),
        Part::Viewers => viewers::measure(program, size),
        Part::Soak => soak::measure(program, size, options.soak),
    }
}
