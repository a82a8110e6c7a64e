//! The process group and the session of this process.
//!
//! Both can be unknown: in a PID namespace, which is what a container has, the leader of the group
//! may be a process outside the namespace. The kernel then reports 0 instead of a process id.

use nix::unistd::{getpgrp, getsid};
use rustix::process::Pid;

/// Returns the process group of this process, unless its leader is outside the PID namespace.
pub(super) fn own_group() -> Option<Pid> {
    Pid::from_raw(getpgrp().as_raw())
}

/// Whether the process group of this process has a parent in the same session: a shell that can
/// continue it. Otherwise the group is orphaned. If the group or the session is outside the PID
/// namespace, no shell inside can continue it.
pub(super) fn is_controlled_by_a_shell() -> bool {
    let Some(group) = own_group() else { return false };
    let Some(session) = getsid(None).ok().and_then(|session| Pid::from_raw(session.as_raw()))
    else {
        return false;
    };
    has_parent_in(group, session)
}

#[cfg(target_os = "linux")]
fn has_parent_in(group: Pid, session: Pid) -> bool {
    let stat = |pid| procfs::process::Process::new(pid).and_then(|process| process.stat()).ok();
    // Upwards to the first ancestor of another process group.
    let parent = rustix::process::getppid();
    let mut ancestor = parent.and_then(|pid| stat(pid.as_raw_nonzero().get()));
    while let Some(it) = ancestor.take_if(|it| it.pgrp == group.as_raw_nonzero().get()) {
        ancestor = stat(it.ppid);
    }
    ancestor.is_some_and(|it| it.session == session.as_raw_nonzero().get())
}

#[cfg(not(target_os = "linux"))]
fn has_parent_in(_group: Pid, session: Pid) -> bool {
    let parent = nix::unistd::getppid();
    getsid(Some(parent)).is_ok_and(|it| it.as_raw() == session.as_raw_nonzero().get())
}
