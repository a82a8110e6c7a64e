//! `cargo xtask scale`: how leasehold behaves at scale, each figure beside its goal.
//!
//! - Each part starts servers of its own, of the release profile and in temporary folders, and can
//!   be run alone.
//! - Ratios compare interleaved rounds, so that other work on the machine affects both sides.

mod bench;
mod document;
mod event_stream;
mod goal;
mod hand_off;
mod lock_client;
mod options;
mod proc_stat;
mod rates;
mod recovery;
mod server;
mod sessions;
mod snapshot;
mod soak;
mod viewers;

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;

use crate::environment::{load_average, release_program};
use goal::Goal;
use options::{Part, Size};

pub(crate) use event_stream::{ViewOptions, view};
pub(crate) use options::Options;

/// Measures, prints the tables, and writes the document.
pub(crate) fn scale(options: &Options) -> anyhow::Result<ExitCode> {
    let program = options.program.clone().unwrap_or_else(|| release_program("leasehold"));
    let (size, load) = (options.size(), load_average());
    eprintln!("xtask: load average before the measurement: {load}");
    let (mut measured, mut failed) = (Vec::new(), false);
    for part in options.parts() {
        eprintln!("xtask: {}", part.title());
        let goals = measure(part, &program, &size, options.soak_duration())
            .with_context(|| part.title())?;
        let table = goal::markdown(&goals);
        println!("## {}\n\n{table}", part.title());
        failed |= part == Part::Soak && goals.iter().any(|goal| goal.reached == Some(false));
        measured.push((part, table));
    }
    if !options.quick {
        document::write(&measured, &size, &load)?;
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn measure(part: Part, program: &Path, size: &Size, soak: Duration) -> anyhow::Result<Vec<Goal>> {
    match part {
        Part::Rates => rates::measure(program, size),
        Part::Sessions => sessions::measure(program, size),
        Part::HandOff => hand_off::measure(program, size),
        Part::Recovery => recovery::measure(program, size),
        Part::Snapshot => snapshot::measure(program, size),
        Part::Viewers => viewers::measure(program, size),
        Part::Soak => soak::measure(program, size, soak),
    }
}
