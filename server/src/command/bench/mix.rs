//! What the clients of a bench do, and how each next thing is drawn.

use clap::ValueEnum;
use leasehold_core::rng::Rng;

/// What the clients do, again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mix {
    /// Acquire a lock and release it; each client has a lock of its own, unless --locks says less
    Lock,
    /// Acquire a lock, append a line to its file, release it; each client has a file of its own,
    /// unless --locks or --file says less
    Append,
    /// Heartbeats
    Heartbeats,
    /// All clients want one lock (or --locks): wait in line, and release at once what is granted
    Contended,
    /// As the clients of Google's Chubby: 93% heartbeats; 3% looks at a lock (a try of one that
    /// somebody holds all the time, which is refused); 2% openings (the session is closed, and
    /// another opened); 2% acquire and release, as in `lock`
    Chubby,
}

/// One thing that a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Gets its first session.
    Enter,
    /// Acquires its lock, maybe appends to its file, and releases it.
    Turn { appends: bool },
    /// Acquires a lock that many want, and hands it on.
    Pass,
    /// Renews its lease.
    Beat,
    /// Tries the lock that is always held.
    Look,
    /// Closes its session, and opens another.
    Open,
    /// Acquires the lock that is looked at, and holds on to it.
    Keep,
    /// Closes its session.
    Leave,
}

impl Mix {
    /// The word for it.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Append => "append",
            Self::Heartbeats => "heartbeats",
            Self::Contended => "contended",
            Self::Chubby => "chubby",
        }
    }

    /// What a client does next.
    pub(super) const fn draw(self, rng: &mut Rng) -> Action {
        match self {
            Self::Lock => Action::Turn { appends: false },
            Self::Contended => Action::Pass,
            Self::Append => Action::Turn { appends: true },
            Self::Heartbeats => Action::Beat,
            Self::Chubby => match rng.below(100) {
                0..93 => Action::Beat,
                93..96 => Action::Look,
                96..98 => Action::Open,
                _ => Action::Turn { appends: false },
            },
        }
    }

    /// How many locks the clients share, where nobody says it.
    pub(super) const fn locks(self, clients: u32) -> u32 {
        match self {
            Self::Contended => 1,
            Self::Lock | Self::Append | Self::Heartbeats | Self::Chubby => clients,
        }
    }

    /// Whether somebody has to hold the lock that the others look at.
    pub(super) const fn has_looks(self) -> bool {
        match self {
            Self::Chubby => true,
            Self::Lock | Self::Append | Self::Heartbeats | Self::Contended => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(seed: u64) -> Vec<Action> {
        let mut rng = Rng::new(seed);
        (0..10_000).map(|_| Mix::Chubby.draw(&mut rng)).collect()
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_does_not() {
        assert_eq!(drawn(7), drawn(7));
        assert_ne!(drawn(7), drawn(8));
    }

    #[test]
    fn chubby_is_mostly_heartbeats() {
        let drawn = drawn(1);
        let count = |action| drawn.iter().filter(|it| **it == action).count();
        assert!((9_200..9_400).contains(&count(Action::Beat)), "{}", count(Action::Beat));
        assert!((250..350).contains(&count(Action::Look)), "{}", count(Action::Look));
        assert!((150..250).contains(&count(Action::Open)), "{}", count(Action::Open));
        let turns = count(Action::Turn { appends: false });
        assert!((150..250).contains(&turns), "{turns}");
    }

    #[test]
    fn the_other_mixes_draw_one_thing_only() {
        let mut rng = Rng::new(1);
        let mut draw = |mix: Mix| mix.draw(&mut rng);
        assert_eq!(draw(Mix::Lock), Action::Turn { appends: false });
        assert_eq!(draw(Mix::Append), Action::Turn { appends: true });
        assert_eq!(draw(Mix::Heartbeats), Action::Beat);
        assert_eq!(draw(Mix::Contended), Action::Pass);
    }
}
