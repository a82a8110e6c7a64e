//! `leasehold sim`: simulated runs, in which the server's and the clients' own code runs.

mod hunt;
mod list;
mod source;
mod storms;
mod tell;

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use leasehold_sim::{
    FaultKind, Importance, Invariant, Protection, Recording, Run, Scenario, mermaid, shiviz,
};

use super::failure::Failure;
use super::paint::Paint;

/// Tell a simulated run as text; without SCENARIO, list the scenarios.
///
/// The lock service and its clients are the real ones; network, clocks, disk and faults are
/// simulated, and follow from the scenario and its seed. The same run always goes the same way.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
#[allow(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
pub(crate) struct Sim {
    /// A scenario of the library, or a file with a scenario, a run or a recording (JSON).
    scenario: Option<String>,
    /// Draw other luck; with --storms, the first seed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Take a protection away (several: --without fencing,dedupe).
    #[arg(long, value_name = "PROTECTION", value_delimiter = ',', value_parser = protection)]
    without: Vec<Protection>,
    /// Tell every step, not only what matters; twice: heartbeats and flushes too.
    #[arg(short, long, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Print the whole run as JSON, which can be read again.
    #[arg(long, group = "form")]
    json: bool,
    /// Print it as a log for `ShiViz`.
    #[arg(long, group = "form")]
    shiviz: bool,
    /// Print it as a Mermaid sequence diagram.
    #[arg(long, group = "form")]
    mermaid: bool,
    /// Go through N storms: runs drawn from a seed, in which anything breaks.
    #[arg(long, value_name = "N", group = "what", conflicts_with_all = ["scenario", "form"])]
    storms: Option<u64>,
    /// Tell one storm.
    #[arg(long, value_name = "SEED", group = "what", conflicts_with_all = ["scenario", "seed"])]
    storm: Option<u64>,
    /// Look for the smallest violation: SCENARIO without what is done to it, and with ever more
    /// faults.
    #[arg(long, group = "what", requires = "scenario")]
    search: bool,
    #[command(flatten)]
    bounds: BoundsArgs,
    /// Keep what --search or --storms found, made as small as it goes, as a scenario file.
    #[arg(long, value_name = "FILE")]
    save: Option<PathBuf>,
}

/// How far a search goes.
#[derive(Args, Debug)]
struct BoundsArgs {
    /// With --search: how many faults at most.
    #[arg(long, value_name = "N", default_value_t = 2, requires = "search")]
    faults: usize,
    /// With --search: how many events at most.
    #[arg(long, value_name = "N", default_value_t = 400, requires = "search")]
    events: u32,
    /// With --search: which faults, of crash, pause, partition, clock, packet, disk.
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_parser = fault_kind)]
    #[arg(requires = "search")]
    only: Vec<FaultKind>,
    /// With --search: what is to be violated (S1 to S8, L1).
    #[arg(long, value_name = "INVARIANT", value_delimiter = ',', value_parser = invariant)]
    #[arg(requires = "search")]
    invariant: Vec<Invariant>,
    /// With --search: after how many states to give up.
    #[arg(long, value_name = "N", default_value_t = 50_000_000, requires = "search")]
    states: u64,
}

const EXAMPLES: &str = "\
Examples:
  leasehold sim                                        the scenarios
  leasehold sim gc-pause                               one of them, told
  leasehold sim gc-pause --without fencing             the same without a protection
  leasehold sim partition --shiviz > partition.log     for ShiViz; also --json, --mermaid
  leasehold sim sandbox --search --invariant S2        the smallest violation
  leasehold sim --storms 10000                         anything breaks, nothing may go wrong
  leasehold sim --storms 1000 --without dedupe --save found.json && leasehold sim found.json

Ends with 1 where a storm violates something, or a search finds nothing.";

impl Sim {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(count) = self.storms {
            return storms::run(count, &self);
        }
        let scenario = match (&self.scenario, self.storm) {
            (_, Some(seed)) => source::storm(seed, &self.without),
            (Some(name), None) => source::find(name)?,
            (None, None) => return list::run(),
        };
        let run = self.run_of(&scenario);
        if self.search {
            return hunt::run(&run, &self);
        }
        let text = if self.json {
            Recording::record(run).to_json()
        } else if self.shiviz {
            shiviz(&Recording::record(run))
        } else if self.mermaid {
            mermaid(&Recording::record(run), self.least(Importance::Step))
        } else {
            tell::tell(&scenario, &run, self.least(Importance::Release), Paint::of_stdout())
        };
        io::stdout().lock().write_all(text.as_bytes())?;
        if let Some(path) = &self.save {
            save(path, &self.run_of(&scenario))?;
        }
        Ok(ExitCode::SUCCESS)
    }

    /// The run that is meant: the scenario's, with other luck or fewer protections.
    fn run_of(&self, scenario: &Scenario) -> Run {
        let mut run = scenario.resolve_run();
        run.without.extend(self.without.iter().copied());
        run.seed = self.seed.unwrap_or(run.seed);
        run
    }

    /// What is told at least.
    fn least(&self, plain: Importance) -> Importance {
        match self.verbose {
            0 => plain,
            1 => Importance::Step,
            _ => Importance::Internal,
        }
    }
}

/// Keeps a run that violates something as a scenario.
fn save(path: &Path, run: &Run) -> Result<(), Failure> {
    let name = path.file_stem().map_or_else(|| "found".into(), |stem| stem.to_string_lossy());
    let Some(scenario) = Scenario::from_violating_run(&name, run) else {
        return Err(Failure::refused("nothing is violated in this run: there is nothing to keep"));
    };
    let json = serde_json::to_string_pretty(&scenario).map_err(io::Error::from)?;
    std::fs::write(path, json + "\n")
        .map_err(|why| Failure::refused(format!("{} can't be written: {why}", path.display())))
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
