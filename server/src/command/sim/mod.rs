//! `leasehold sim`: simulated runs of the real service and the real client state machine.

mod list;
mod report;
mod search;
mod source;
mod storms;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use leasehold_sim::{
    FaultKind, Importance, Invariant, Protection, Recording, Run, Scenario, mermaid, shiviz,
};

use super::error::CommandError;
use super::style::Style;

/// Print a simulated run as text; without SCENARIO, list the scenarios.
///
/// The lock service and its clients are the real ones; network, clocks, disk and faults are
/// simulated and depend only on the scenario and its seed, so a run is always the same.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Sim {
    /// A scenario of the library, or a JSON file with a scenario, a run or a recording.
    scenario: Option<String>,
    /// Use another random seed; with --storms, the first seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Disable a protection (several: --without fencing,dedupe).
    #[arg(long, value_name = "PROTECTION", value_delimiter = ',', value_parser = protection)]
    without: Vec<Protection>,
    /// Print all steps, not only the important ones; given twice, also heartbeats and flushes.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print the run as a JSON recording, which can be loaded again.
    #[arg(long, group = "form")]
    json: bool,
    /// Print the run as a log for ShiViz.
    #[arg(long, group = "form")]
    shiviz: bool,
    /// Print the run as a Mermaid sequence diagram.
    #[arg(long, group = "form")]
    mermaid: bool,
    /// Execute N storms: random runs with faults of every kind.
    #[arg(long, value_name = "N", group = "what", conflicts_with_all = ["scenario", "form"])]
    storms: Option<u64>,
    /// Print the storm with this seed.
    #[arg(long, value_name = "SEED", group = "what", conflicts_with_all = ["scenario", "seed"])]
    storm: Option<u64>,
    /// Search for the smallest violation: SCENARIO without its own interventions, with more and
    /// more faults.
    #[arg(long, group = "what", requires = "scenario")]
    search: bool,
    #[command(flatten)]
    limits: SearchLimitArgs,
    /// Save the run that --search or --storms has found as a scenario, shrunk as far as possible.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// The limits of a search.
#[derive(Args, Debug)]
struct SearchLimitArgs {
    /// With --search: the largest number of faults.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "search")]
    faults: usize,
    /// With --search: the largest number of events of a run.
    #[arg(long, value_name = "N", default_value_t = 400, requires = "search")]
    events: u32,
    /// With --search: the kinds of faults (crash, pause, partition, clock, packet, disk).
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fault_kind)]
    #[arg(requires = "search")]
    only: Vec<FaultKind>,
    /// With --search: the invariants to violate (S1 to S8, L1).
    #[arg(long, value_name = "INVARIANT", value_delimiter = ',', value_parser = invariant)]
    #[arg(requires = "search")]
    invariant: Vec<Invariant>,
    /// With --search: the number of states after which it gives up.
    #[arg(long, value_name = "N", default_value_t = 50_000_000, requires = "search")]
    states: u64,
}

const EXAMPLES: &str = "\
Examples:
  leasehold sim                                        list the scenarios
  leasehold sim gc-pause                               print a scenario
  leasehold sim gc-pause --without fencing             disable a protection
  leasehold sim partition --shiviz > partition.log     export for ShiViz; also --json, --mermaid
  leasehold sim sandbox --search --invariant S2        search for the smallest violation
  leasehold sim --storms 10000                         check the invariants in random runs
  leasehold sim --storms 1000 --without dedupe --save found.json && leasehold sim found.json

Exits with 1 if a storm violates an invariant, or if a search finds no violation.";

impl Sim {
    pub(crate) fn run(self) -> Result<ExitCode, CommandError> {
        if let Some(count) = self.storms {
            return storms::run(count, &self);
        }
        let scenario = match (&self.scenario, self.storm) {
            (_, Some(seed)) => source::storm(seed, &self.without),
            (Some(name), None) => source::load(name)?,
            (None, None) => return list::run(),
        };
        let run = self.configured_run(&scenario);
        if self.search {
            return search::run(&run, &self);
        }
        if self.json || self.shiviz || self.mermaid {
            report::expect_complete(&run)?;
        }
        let text = if self.json {
            Recording::record(run).to_json()
        } else if self.shiviz {
            shiviz(&Recording::record(run))
        } else if self.mermaid {
            mermaid(&Recording::record(run), &scenario.title, self.importance_min(Importance::Step))
        } else {
            let importance_min = self.importance_min(Importance::Release);
            report::report(&scenario, &run, importance_min, Style::for_stdout())
        };
        io::stdout().lock().write_all(text.as_bytes())?;
        if let Some(path) = &self.save {
            save(path, &self.configured_run(&scenario))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// Returns the run of the scenario, with the seed and the protections of the command line.
    fn configured_run(&self, scenario: &Scenario) -> Run {
        let mut run = scenario.resolve_run();
        run.without.extend(self.without.iter().copied());
        run.seed = self.seed.unwrap_or(run.seed);
        run
    }

    fn importance_min(&self, default: Importance) -> Importance {
        match self.verbose {
            0 => default,
            1 => Importance::Step,
            _ => Importance::Internal,
        }
    }
}

/// Saves a run that violates an invariant as a scenario.
fn save(path: &Path, run: &Run) -> Result<(), CommandError> {
    let name = path.file_stem().map_or_else(|| "found".into(), |stem| stem.to_string_lossy());
    let Some(scenario) = Scenario::from_violating_run(&name, run) else {
        return Err(CommandError::refused("the run violates no invariant, so it was not saved"));
    };
    let json = serde_json::to_string_pretty(&scenario).map_err(io::Error::from)?;
    std::fs::write(path, json + "\n")
        .map_err(|error| CommandError::refused(format!("cannot write {}: {error}", path.display())))
}

fn protection(name: &str) -> Result<Protection, String> {
    let names = || Protection::ALL.map(Protection::name).join(", ");
    Protection::from_name(name).ok_or_else(|| format!("the protections are {}", names()))
}

fn fault_kind(name: &str) -> Result<FaultKind, String> {
    let names = || FaultKind::ALL.map(FaultKind::name).join(", ");
    FaultKind::from_name(name).ok_or_else(|| format!("the kinds of faults are {}", names()))
}

fn invariant(name: &str) -> Result<Invariant, String> {
    let names = || Invariant::ALL.map(Invariant::name).join(", ");
    Invariant::from_name(name).ok_or_else(|| format!("the invariants are {}", names()))
}
