//! Storm after storm, and what is left of the first that goes wrong.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use leasehold_sim::{Protection, Run, storm};

use super::{Sim, tell};
use crate::command::failure::Failure;
use crate::command::paint::Paint;

/// After how many storms how far it is is shown.
const PORTION: u64 = 50;

pub(super) fn run(count: u64, sim: &Sim) -> Result<ExitCode, Failure> {
    let without: BTreeSet<Protection> = sim.without.iter().copied().collect();
    let first = sim.seed.unwrap_or(0);
    let shows = io::stderr().is_terminal();
    let mut events = 0_u64;
    let paint = Paint::of_stdout();
    let mut out = io::stdout().lock();
    for (done, seed) in (first..first.saturating_add(count)).enumerate() {
        let run = storm(seed, &without);
        let outcome = run.execute_until_violation();
        if let Some((invariant, _)) = outcome.first_violation {
            if shows {
                eprint!("\r\u{1b}[K");
            }
            let heading = format!("storm {seed}: {invariant} is violated");
            writeln!(out, "{}\n", paint.bold(&heading))?;
            out.write_all(failure(&run, seed, sim, paint)?.as_bytes())?;
            return Ok(ExitCode::FAILURE);
        }
        events += outcome.trace.len() as u64;
        if shows && (done as u64).is_multiple_of(PORTION) {
            eprint!("\r{done} of {count} storms, {events} events\u{1b}[K");
        }
    }
    if shows {
        eprint!("\r\u{1b}[K");
    }
    let plural = if count == 1 { "" } else { "s" };
    writeln!(out, "{count} storm{plural} from seed {first} on, {events} events: no violation")?;
    Ok(ExitCode::SUCCESS)
}

/// What a storm that goes wrong comes down to, and how to see it again.
fn failure(run: &Run, seed: u64, sim: &Sim, paint: Paint) -> Result<String, Failure> {
    let Some(small) = run.shrink() else { return Ok(String::new()) };
    let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    let without =
        if names.is_empty() { String::new() } else { format!(" --without {}", names.join(",")) };
    let (clients, done) = (small.run.config.clients.len(), small.run.interventions.len());
    let mut text = format!(
        "Made smaller in {} tries: {clients} of {} clients, {done} of {} interventions.\n\n",
        small.tries,
        run.config.clients.len(),
        run.interventions.len()
    );
    text.push_str(&tell::violation(&small.run, paint));
    // Writing to a string can't fail.
    writeln!(text, "\nAll of it again: leasehold sim --storm {seed}{without}").ok();
    if let Some(path) = &sim.save {
        super::save(path, &small.run)?;
        writeln!(text, "The small one:   leasehold sim {}", path.display()).ok();
    } else {
        text.push_str("Keep the small one with --save FILE.\n");
    }
    Ok(text)
}
