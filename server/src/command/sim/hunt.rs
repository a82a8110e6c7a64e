//! Looking for the smallest violation.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use leasehold_sim::{Recording, Run, Search, SearchLimits, SearchStage};

use super::{Sim, tell};
use crate::command::failure::Failure;
use crate::command::paint::Paint;

/// After how many states what it has done so far is shown.
const PORTION: u64 = 200_000;

pub(super) fn run(run: &Run, sim: &Sim) -> Result<ExitCode, Failure> {
    let bare = Run { interventions: Vec::new(), ..run.clone() };
    let mut bounds = SearchLimits {
        faults_max: sim.bounds.faults,
        events_max: sim.bounds.events,
        states_max: sim.bounds.states,
        ..SearchLimits::default()
    };
    if !sim.bounds.only.is_empty() {
        bounds.faults = sim.bounds.only.iter().copied().collect();
    }
    if !sim.bounds.invariant.is_empty() {
        bounds.invariants = sim.bounds.invariant.iter().copied().collect();
    }
    let mut search = Search::new(bare, bounds);
    let shows = io::stderr().is_terminal();
    while search.explore(PORTION) == SearchStage::Searching {
        if shows {
            eprint!("\r{search}\u{1b}[K");
        }
    }
    if shows {
        eprint!("\r\u{1b}[K");
    }
    let paint = Paint::of_stdout();
    let mut out = io::stdout().lock();
    let Some(found) = search.found() else {
        writeln!(out, "{search}")?;
        return Ok(ExitCode::FAILURE);
    };
    if sim.json {
        out.write_all(Recording::record(found.run.clone()).to_json().as_bytes())?;
    } else {
        writeln!(out, "{}\n", paint.bold(&search.to_string()))?;
        out.write_all(tell::violation(&found.run, paint).as_bytes())?;
    }
    if let Some(path) = &sim.save {
        super::save(path, &found.run)?;
    }
    Ok(ExitCode::SUCCESS)
}
