//! `leasehold sim SCENARIO --search`: searches for the smallest violation.

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use leasehold_server::standard_error;
use leasehold_sim::{Recording, Run, Search, SearchLimits, SearchStage};

use super::{Sim, report};
use crate::command::error::CommandError;
use crate::command::style::Style;

/// The number of states between two updates of the progress line.
const BATCH: u64 = 200_000;

pub(super) fn run(run: &Run, sim: &Sim) -> Result<ExitCode, CommandError> {
    let fault_free = Run { interventions: Vec::new(), ..run.clone() };
    let mut limits = SearchLimits {
        faults_max: sim.limits.faults,
        events_max: sim.limits.events,
        states_max: sim.limits.states,
        ..SearchLimits::default()
    };
    if !sim.limits.only.is_empty() {
        limits.faults = sim.limits.only.iter().copied().collect();
    }
    if !sim.limits.invariant.is_empty() {
        limits.invariants = sim.limits.invariant.iter().copied().collect();
    }
    let mut search = Search::new(fault_free, limits);
    let shows_progress = io::stderr().is_terminal();
    while search.explore(BATCH) == SearchStage::Searching {
        if shows_progress {
            standard_error::write(format_args!("\r{search}\u{1b}[K"));
        }
    }
    if shows_progress {
        standard_error::write(format_args!("\r\u{1b}[K"));
    }
    let style = Style::for_stdout();
    let mut out = io::stdout().lock();
    let Some(found) = search.found() else {
        writeln!(out, "{search}")?;
        return Ok(ExitCode::FAILURE);
    };
    if sim.json {
        out.write_all(Recording::record(found.run.clone()).to_json().as_bytes())?;
    } else {
        writeln!(out, "{}\n", style.bold(&search.to_string()))?;
        out.write_all(report::violation(&found.run, style).as_bytes())?;
    }
    if let Some(path) = &sim.save {
        super::save(path, &found.run)?;
    }
    Ok(ExitCode::SUCCESS)
}
