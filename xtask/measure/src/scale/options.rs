//! The options of `cargo xtask scale`: which parts, and how large.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};

/// The duration of a soak if none is given, and that of a quick one.
const SOAK: Duration = Duration::from_secs(180);
const SOAK_QUICK: Duration = Duration::from_secs(2);

/// The parts that can be measured alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Part {
    Rates,
    Sessions,
    HandOff,
    Recovery,
    Snapshot,
    Viewers,
    Soak,
}

#[derive(Args, Clone, Debug)]
pub(crate) struct Options {
    /// What to measure; everything but the soak by default
    parts: Vec<Part>,
    /// How often each figure is measured
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    rounds: Option<u16>,
    /// How long each measurement takes, in seconds
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    seconds: Option<u16>,
    /// Also runs the soak, for this long (90s, 20m); it fails if an acknowledged line is lost
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    soak: Option<Duration>,
    /// Small and short, and writes no document: shows that the measurements work
    #[arg(long)]
    pub(super) quick: bool,
    /// The program to measure, instead of that of the release profile
    #[arg(long, hide = true)]
    pub(super) program: Option<PathBuf>,
}

/// The dimensions of all measurements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rounds: usize,
    pub(super) seconds: u64,
    pub(super) warm_up: &'static str,
    /// Clients at full load.
    pub(super) clients: u32,
    /// The smaller and the larger number of sessions.
    pub(super) sessions: [u32; 2],
    /// Sessions that hold other locks during a hand-off, and the number of locks of each.
    pub(super) holders: u32,
    pub(super) locks_each: u32,
    /// Clients in the wait queue of the one lock.
    pub(super) waiters: u32,
    /// Events in the log that is recovered.
    pub(super) events: u32,
    /// The duration of the load while snapshots are taken, in seconds, and its appends per second.
    pub(super) snapshot_seconds: u64,
    pub(super) snapshot_rate: u32,
    pub(super) viewers: u32,
    /// Clients and files of a soak.
    pub(super) soak_clients: u16,
    pub(super) soak_files: u16,
    /// The shortest and the longest time between two kills, in milliseconds.
    pub(super) kill_every_ms: [u64; 2],
}

impl Part {
    /// All parts but the soak, which runs only on request because of its duration.
    const DEFAULT: [Self; 6] =
        [Self::Rates, Self::Sessions, Self::HandOff, Self::Recovery, Self::Snapshot, Self::Viewers];

    pub(super) const ALL: [Self; 7] = [
        Self::Rates,
        Self::Sessions,
        Self::HandOff,
        Self::Recovery,
        Self::Snapshot,
        Self::Viewers,
        Self::Soak,
    ];

    /// Returns the name on the command line and in the document.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Rates => "rates",
            Self::Sessions => "sessions",
            Self::HandOff => "hand-off",
            Self::Recovery => "recovery",
            Self::Snapshot => "snapshot",
            Self::Viewers => "viewers",
            Self::Soak => "soak",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Rates => "Throughput relative to an echo",
            Self::Sessions => "Many live sessions",
            Self::HandOff => "Many locks and a long wait queue",
            Self::Recovery => "Recovery",
            Self::Snapshot => "Snapshots under load",
            Self::Viewers => "Viewers of the event stream",
            Self::Soak => "Soak test with crashes",
        }
    }
}

impl Size {
    const FULL: Self = Self {
        rounds: 3,
        seconds: 5,
        warm_up: "1s",
        clients: 128,
        sessions: [100, 100_000],
        holders: 1_000,
        locks_each: 100,
        waiters: 10_000,
        events: 1_000_000,
        snapshot_seconds: 60,
        snapshot_rate: 2_000,
        viewers: 10,
        soak_clients: 128,
        soak_files: 256,
        kill_every_ms: [3_000, 8_000],
    };

    const QUICK: Self = Self {
        rounds: 1,
        seconds: 1,
        warm_up: "100ms",
        clients: 8,
        sessions: [4, 300],
        holders: 20,
        locks_each: 10,
        waiters: 30,
        events: 500,
        snapshot_seconds: 1,
        snapshot_rate: 200,
        viewers: 2,
        soak_clients: 6,
        soak_files: 2,
        kill_every_ms: [300, 600],
    };
}

impl Options {
    /// Returns each part once, however often it is named.
    pub(super) fn parts(&self) -> Vec<Part> {
        let is_named =
            |part: &Part| self.parts.contains(part) || (*part == Part::Soak && self.soak.is_some());
        let named: Vec<Part> = Part::ALL.into_iter().filter(is_named).collect();
        if named.is_empty() { Part::DEFAULT.to_vec() } else { named }
    }

    pub(super) fn size(&self) -> Size {
        let mut size = if self.quick { Size::QUICK } else { Size::FULL };
        size.rounds = self.rounds.map_or(size.rounds, usize::from);
        size.seconds = self.seconds.map_or(size.seconds, u64::from);
        size
    }

    pub(super) fn soak_duration(&self) -> Duration {
        self.soak.unwrap_or(if self.quick { SOAK_QUICK } else { SOAK })
    }
}

/// Parses a duration in seconds (`90s`, `90`) or minutes (`20m`).
fn parse_duration(text: &str) -> anyhow::Result<Duration> {
    let unit = text.trim_start_matches(|letter: char| letter.is_ascii_digit());
    let digits = text.strip_suffix(unit).unwrap_or_default();
    let number: u64 = digits.parse().context("expected a duration such as 90s or 20m")?;
    let seconds = match unit {
        "s" | "" => Some(number),
        "m" => number.checked_mul(60),
        _ => None,
    };
    match seconds {
        Some(seconds) if seconds > 0 => Ok(Duration::from_secs(seconds)),
        Some(_) | None => bail!("expected a duration such as 90s or 20m"),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        options: Options,
    }

    fn parse(text: &str) -> Result<Options, clap::Error> {
        let words = std::iter::once("scale").chain(text.split_whitespace());
        Command::try_parse_from(words).map(|command| command.options)
    }

    #[test]
    fn options_are_parsed() {
        let default = parse("").unwrap();
        assert_eq!((default.parts(), default.size()), (Part::DEFAULT.to_vec(), Size::FULL));
        let soak = parse("--soak 20m").unwrap();
        assert_eq!((soak.parts(), soak.soak_duration().as_secs()), (vec![Part::Soak], 1_200));
        assert_eq!(parse("soak --soak 20m").unwrap().parts(), [Part::Soak], "it runs once");
        let one = parse("sessions --rounds 2 --seconds 3").unwrap();
        assert_eq!(one.parts(), [Part::Sessions]);
        assert_eq!((one.size().rounds, one.size().seconds), (2, 3));
        assert_eq!(parse("--quick viewers").unwrap().size(), Size::QUICK);
        for wrong in ["--rounds", "--rounds 0", "speed", "--soak 3h", "--soak m", "--soak 0"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_names_of_parts_are_those_of_the_command_line() {
        for part in Part::ALL {
            assert_eq!(part.to_possible_value().unwrap().get_name(), part.name());
        }
    }
}
