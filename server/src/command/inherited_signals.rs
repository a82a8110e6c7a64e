//! What this process inherited about signals: which are ignored, and which are blocked.
//!
//! A parent such as `nohup`, or a shell that starts a job in the background, ignores signals on
//! behalf of its child. An ignored signal stays ignored: no handler is installed for it.

use std::sync::OnceLock;

/// Sets of signals. Bit 0 is signal 1.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct InheritedSignals {
    ignored: u64,
    blocked: u64,
}

static INHERITED: OnceLock<InheritedSignals> = OnceLock::new();

impl InheritedSignals {
    /// Returns the sets as they were at the first call, which must precede every handler.
    pub(crate) fn get() -> Self {
        *INHERITED.get_or_init(Self::read)
    }

    /// Whether this process was started with the signal ignored.
    ///
    /// Returns `false` for SIGPIPE, which the runtime of Rust ignores before `main`, and for
    /// SIGCHLD, since exit codes are lost while it is ignored.
    pub(crate) fn is_ignored(self, signal: i32) -> bool {
        let is_excluded = [rustix::process::Signal::PIPE, rustix::process::Signal::CHILD]
            .iter()
            .any(|excluded| excluded.as_raw() == signal);
        !is_excluded && contains(self.ignored, signal)
    }

    /// The blocked signals, as bits.
    pub(crate) const fn blocked(self) -> u64 {
        self.blocked
    }

    #[cfg(target_os = "linux")]
    fn read() -> Self {
        let status = procfs::process::Process::myself().and_then(|process| process.status());
        status.map_or_else(
            |_| Self::default(),
            |status| Self { ignored: status.sigign, blocked: status.sigblk },
        )
    }

    #[cfg(not(target_os = "linux"))]
    fn read() -> Self {
        Self::default()
    }
}

/// Whether a set contains a signal.
pub(crate) fn contains(set: u64, signal: i32) -> bool {
    signal.checked_sub(1).and_then(|shift| set.checked_shr(shift.try_into().ok()?)).unwrap_or(0) & 1
        == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bit_is_the_first_signal() {
        assert!(contains(0b1, 1) && contains(1 << 63, 64));
        assert!(!contains(0b1, 2) && !contains(u64::MAX, 0) && !contains(u64::MAX, 65));
    }
}
