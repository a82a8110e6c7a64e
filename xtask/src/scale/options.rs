//! What is asked of `cargo xtask scale`: which parts, and how large.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};

/// How long a soak is where nobody says it.
const SOAK: Duration = Duration::from_secs(180);

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Rates,
    Sessions,
    HandOff,
    Recovery,
    Snapshot,
    Viewers,
    Soak,
}

/// How much there is of everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) rounds: usize,
    pub(super) seconds: u64,
    pub(super) warm_up: &'static str,
    /// Clients at full load.
    pub(super) clients: u32,
    /// Few sessions and many.
    pub(super) sessions: [u32; 2],
    /// Locks that are held by others while one is handed on, as many by each session.
    pub(super) holders: u32,
    pub(super) locks_each: u32,
    /// Clients that want the one lock.
    pub(super) waiters: u32,
    /// Events in the journal that is recovered.
    pub(super) events: u32,
    /// For how long, in seconds, appends go on while snapshots are taken, and how many a second.
    pub(super) snapshot_seconds: u64,
    pub(super) snapshot_rate: u32,
    pub(super) viewers: u32,
    /// Clients and files of a soak.
    pub(super) soak_clients: u16,
    pub(super) soak_files: u16,
    /// The shortest and the longest time between two kills, in milliseconds.
    pub(super) kill_every_ms: [u64; 2],
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) parts: Vec<Part>,
    pub(super) size: Size,
    pub(super) soak: Duration,
    /// Everything small: to see that it works, not how fast anything is.
    pub(super) is_quick: bool,
    /// The program to measure, where it is not that of the release profile.
    pub(super) program: Option<PathBuf>,
}

impl Part {
    /// All but the soak, which takes as long as one wants.
    const USUAL: [Self; 6] =
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

    pub(super) const fn word(self) -> &'static str {
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
            Self::Rates => "Rates beside the echo",
            Self::Sessions => "Many live sessions",
            Self::HandOff => "Many locks and a long queue",
            Self::Recovery => "Recovery",
            Self::Snapshot => "A snapshot under load",
            Self::Viewers => "Viewers of the event stream",
            Self::Soak => "Soak with crashes",
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
    pub(super) fn read(arguments: &[String]) -> anyhow::Result<Self> {
        let mut options = Self {
            parts: Vec::new(),
            size: Size::FULL,
            soak: SOAK,
            is_quick: arguments.iter().any(|word| word == "--quick"),
            program: None,
        };
        if options.is_quick {
            (options.size, options.soak) = (Size::QUICK, Duration::from_secs(2));
        }
        let mut words = arguments.iter();
        while let Some(word) = words.next() {
            if let Some(part) = Part::ALL.into_iter().find(|part| part.word() == word) {
                options.add(part);
                continue;
            }
            if word == "--quick" {
                continue;
            }
            let value = words.next().with_context(|| format!("{word}: no part is called that"))?;
            options.set(word, value)?;
        }
        if options.parts.is_empty() {
            options.parts = Part::USUAL.to_vec();
        }
        Ok(options)
    }

    /// Each part once, however often it is named.
    fn add(&mut self, part: Part) {
        if !self.parts.contains(&part) {
            self.parts.push(part);
        }
    }

    fn set(&mut self, word: &str, value: &str) -> anyhow::Result<()> {
        let number = || {
            let number = value.parse::<u16>().ok().filter(|number| *number > 0);
            number.with_context(|| format!("{word} wants a number"))
        };
        match word {
            "--rounds" => self.size.rounds = number()?.into(),
            "--seconds" => self.size.seconds = number()?.into(),
            "--soak" => {
                self.soak = span(value).with_context(|| format!("{word} wants a time as 20m"))?;
                self.add(Part::Soak);
            }
            "--program" => self.program = Some(PathBuf::from(value)),
            _ => bail!("no option named {word}: there are --rounds, --seconds, --soak, --quick"),
        }
        Ok(())
    }
}

/// A time in seconds or minutes.
fn span(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text.strip_suffix(unit)?.parse().ok().filter(|number| *number > 0)?;
    match unit {
        "s" | "" => Some(Duration::from_secs(number)),
        "m" => Some(Duration::from_secs(number.checked_mul(60)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Options> {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Options::read(&words)
    }

    #[test]
    fn options_are_read() {
        let usual = read("").unwrap();
        assert_eq!((usual.parts, usual.size), (Part::USUAL.to_vec(), Size::FULL));
        let soak = read("--soak 20m").unwrap();
        assert_eq!((soak.parts, soak.soak), (vec![Part::Soak], Duration::from_secs(1_200)));
        assert_eq!(read("soak --soak 20m").unwrap().parts, [Part::Soak], "it is done once");
        let one = read("sessions --rounds 2 --seconds 3").unwrap();
        assert_eq!(one.parts, [Part::Sessions]);
        assert_eq!((one.size.rounds, one.size.seconds), (2, 3));
        assert_eq!(read("--quick viewers").unwrap().size, Size::QUICK);
        for wrong in ["--rounds", "--rounds 0", "speed", "--soak 3h", "--soak m", "--fast 1"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
