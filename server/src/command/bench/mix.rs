//! The operations of a bench and their random selection.

use clap::ValueEnum;
use leasehold_core::rng::Rng;

/// The operation that each client repeats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Mix {
    /// Acquire a lock and release it; each client has its own lock unless --locks is smaller
    Lock,
    /// Acquire a lock, append a line to its file, release it; each client has its own file unless
    /// --locks is smaller or --file is given
    Append,
    /// Send a heartbeat
    Heartbeats,
    /// Acquire a lock that all clients compete for (or --locks of them), and release it at once
    Contended,
    /// Like the clients of Google's Chubby: 93% heartbeats; 3% attempts to acquire a lock that is
    /// always held, which are refused; 2% session changes (close and open); 2% acquire and release,
    /// as in `lock`
    Chubby,
}

/// One operation of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Opens the first session.
    OpenSession,
    /// Acquires the client's lock, appends to its file if `appends` is set, and releases the lock.
    LockCycle { appends: bool },
    /// Acquires a contended lock and releases it at once.
    HandOff,
    /// Renews the lease.
    Heartbeat,
    /// Tries to acquire the lock that is always held.
    TryHeldLock,
    /// Closes the session and opens another.
    ReopenSession,
    /// Acquires the lock that the others try to acquire, and does not release it.
    HoldLock,
    /// Closes the session.
    CloseSession,
}

impl Mix {
    /// Returns the name in reports.
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Lock => "lock",
            Self::Append => "append",
            Self::Heartbeats => "heartbeats",
            Self::Contended => "contended",
            Self::Chubby => "chubby",
        }
    }

    /// Selects the next operation.
    pub(super) const fn next_action(self, rng: &mut Rng) -> Action {
        match self {
            Self::Lock => Action::LockCycle { appends: false },
            Self::Contended => Action::HandOff,
            Self::Append => Action::LockCycle { appends: true },
            Self::Heartbeats => Action::Heartbeat,
            Self::Chubby => match rng.below(100) {
                0..93 => Action::Heartbeat,
                93..96 => Action::TryHeldLock,
                96..98 => Action::ReopenSession,
                _ => Action::LockCycle { appends: false },
            },
        }
    }

    /// Returns the default number of locks.
    pub(super) const fn locks(self, clients: u32) -> u32 {
        match self {
            Self::Contended => 1,
            Self::Lock | Self::Append | Self::Heartbeats | Self::Chubby => clients,
        }
    }

    /// Whether a further client has to hold a lock all the time.
    pub(super) const fn needs_held_lock(self) -> bool {
        match self {
            Self::Chubby => true,
            Self::Lock | Self::Append | Self::Heartbeats | Self::Contended => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn actions(seed: u64) -> Vec<Action> {
        let mut rng = Rng::new(seed);
        (0..10_000).map(|_| Mix::Chubby.next_action(&mut rng)).collect()
    }

    #[test]
    fn actions_depend_on_the_seed() {
        assert_eq!(actions(7), actions(7));
        assert_ne!(actions(7), actions(8));
    }

    #[test]
    fn chubby_is_mostly_heartbeats() {
        let actions = actions(1);
        let count = |action| actions.iter().filter(|it| **it == action).count();
        assert!((9_200..9_400).contains(&count(Action::Heartbeat)), "{}", count(Action::Heartbeat));
        assert!((250..350).contains(&count(Action::TryHeldLock)), "{}", count(Action::TryHeldLock));
        assert!(
            (150..250).contains(&count(Action::ReopenSession)),
            "{}",
            count(Action::ReopenSession)
        );
        let turns = count(Action::LockCycle { appends: false });
        assert!((150..250).contains(&turns), "{turns}");
    }

    #[test]
    fn the_other_mixes_have_one_action() {
        let mut rng = Rng::new(1);
        let mut next_action = |mix: Mix| mix.next_action(&mut rng);
        assert_eq!(next_action(Mix::Lock), Action::LockCycle { appends: false });
        assert_eq!(next_action(Mix::Append), Action::LockCycle { appends: true });
        assert_eq!(next_action(Mix::Heartbeats), Action::Heartbeat);
        assert_eq!(next_action(Mix::Contended), Action::HandOff);
    }
}
