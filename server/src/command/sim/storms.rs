//! `leasehold sim --storms N`: runs storms until one violates an invariant, and shrinks that one.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use leasehold_server::standard_error;
use leasehold_sim::{Protection, Run, storm};

use super::{Sim, report};
use crate::command::error::CommandError;
use crate::command::style::Style;

/// The number of storms between two updates of the progress line.
const BATCH: u64 = 50;

pub(super) fn run(count: u64, sim: &Sim) -> Result<ExitCode, CommandError> {
    let without: BTreeSet<Protection> = sim.without.iter().copied().collect();
    let first = sim.seed.unwrap_or(0);
    let shows_progress = io::stderr().is_terminal();
    let mut events = 0_u64;
    let style = Style::for_stdout();
    let mut out = io::stdout().lock();
    for (completed, seed) in (first..first.saturating_add(count)).enumerate() {
        let run = storm(seed, &without);
        let outcome = run.execute_until_violation();
        if let Some((invariant, _)) = outcome.first_violation {
            if shows_progress {
                standard_error::write(format_args!("\r\u{1b}[K"));
            }
            let heading = format!("storm {seed}: {invariant} violated");
            writeln!(out, "{}\n", style.bold(&heading))?;
            out.write_all(describe_violation(&run, seed, sim, style)?.as_bytes())?;
            return Ok(ExitCode::FAILURE);
        }
        events += outcome.trace.len() as u64;
        if shows_progress && (completed as u64).is_multiple_of(BATCH) {
            standard_error::write(format_args!(
                "\r{completed} of {count} storms, {events} events\u{1b}[K"
            ));
        }
    }
    if shows_progress {
        standard_error::write(format_args!("\r\u{1b}[K"));
    }
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{count} storm{plural} from seed {first}, {events} events: no violation")?;
    Ok(ExitCode::SUCCESS)
}

/// Shrinks a storm that violates an invariant. Returns its story and how to run it again.
fn describe_violation(
    run: &Run,
    seed: u64,
    sim: &Sim,
    style: Style,
) -> Result<String, CommandError> {
    let Some(small) = run.shrink() else { return Ok(String::new()) };
    let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    let without =
        if names.is_empty() { String::new() } else { format!(" --without {}", names.join(",")) };
    let (clients, interventions) = (small.run.config.clients.len(), small.run.interventions.len());
    let mut text = format!(
        "Shrunk in {} tries to {clients} of {} clients, {interventions} of {} interventions.\n\n",
        small.tries,
        run.config.clients.len(),
        run.interventions.len()
    );
    text.push_str(&report::violation(&small.run, style));
    // Writing to a string cannot fail.
    writeln!(text, "\nRun the storm again: leasehold sim --storm {seed}{without}").ok();
    if let Some(path) = &sim.save {
        super::save(path, &small.run)?;
        writeln!(text, "Run the shrunk run:  leasehold sim {}", path.display()).ok();
    } else {
        text.push_str("Save the shrunk run with --save FILE.\n");
    }
    Ok(text)
}
