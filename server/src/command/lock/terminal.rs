//! The controlling terminal, which belongs to one process group at a time: the foreground.
//!
//! The group of this process lends it to the group of the command, and takes it back when the
//! command is stopped or has exited. SIGTTOU must be blocked, else these calls stop the process.

use std::fs::File;

use rustix::process::{Pid, test_kill_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

use super::process_group::own_group;

pub(super) struct Terminal {
    device: File,
}

impl Terminal {
    /// Opens the controlling terminal, if there is one.
    pub(super) fn open() -> Option<Self> {
        let device = File::options().read(true).write(true).open("/dev/tty").ok()?;
        Some(Self { device })
    }

    /// Returns the process group in the foreground.
    pub(super) fn foreground(&self) -> Option<Pid> {
        tcgetpgrp(&self.device).ok()
    }

    /// Whether the group of this process is in the foreground.
    pub(super) fn is_own(&self) -> bool {
        own_group().is_some_and(|own| self.foreground() == Some(own))
    }

    /// Moves `group` into the foreground if the group of this process is there. Returns whether it
    /// was.
    pub(super) fn lend(&self, group: Pid) -> bool {
        self.is_own() && tcsetpgrp(&self.device, group).is_ok()
    }

    /// Moves the group of this process into the foreground if `group`, or a group that no longer
    /// exists, is there.
    pub(super) fn take_back(&self, group: Pid) {
        let is_due = self
            .foreground()
            .is_some_and(|foreground| foreground == group || !has_members(foreground));
        if is_due {
            self.take();
        }
    }

    /// Moves the group of this process into the foreground.
    pub(super) fn take(&self) {
        if let Some(own) = own_group() {
            let _ = tcsetpgrp(&self.device, own);
        }
    }
}

fn has_members(group: Pid) -> bool {
    test_kill_process_group(group) != Err(rustix::io::Errno::SRCH)
}
