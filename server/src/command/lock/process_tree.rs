//! The processes of a command: its process group, its descendants, and, on Linux, every process
//! that has inherited the mark in its environment.
//!
//! - A descendant whose parent has exited becomes a child of the supervisor, which is a child
//!   subreaper. So while the supervisor exists, the tree is complete.
//! - After the supervisor has been killed, orphans are found by their process group, by the mark,
//!   or because they were seen before.
//! - A process is identified by its id and its start time, so a reused id is not mistaken for it.

use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// The environment variable with the marks of all supervisors of a process, separated by commas.
pub(super) const MARK_VARIABLE: &str = "LEASEHOLD_SUPERVISORS";

/// How often the processes are killed again: while they are being killed, they may fork.
const KILL_ROUNDS: u32 = 100;

/// The time for killed processes to end.
const ROUND_INTERVAL: Duration = Duration::from_millis(2);

/// Selects the processes of one command.
#[derive(Clone, Debug)]
pub(super) struct Scope {
    /// The supervisor, whose descendants are selected, unless it has ended.
    pub(super) supervisor: Option<Pid>,
    /// The process group of the command, which is also the process id of the command.
    pub(super) group: Option<Pid>,
    /// The mark of the supervisor. If it is empty, marks are not looked up.
    pub(super) mark: String,
    /// Never selected: the supervisor and its keeper.
    pub(super) excluded: Vec<Pid>,
    /// Selected as well: what [`Scope::members`] has returned before.
    pub(super) known: Vec<Member>,
}

/// Sends SIGKILL to the processes of the scope until none is left. Gives up after a fraction of a
/// second, if a process cannot be killed.
pub(super) fn kill_all(scope: &Scope) {
    for _ in 0..KILL_ROUNDS {
        if let Some(group) = scope.group {
            // A group without members is not an error.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let members = scope.members();
        if members.is_empty() {
            return;
        }
        members.iter().for_each(Member::kill);
        thread::sleep(ROUND_INTERVAL);
    }
}

#[cfg(target_os = "linux")]
pub(super) use linux::Member;

#[cfg(target_os = "linux")]
mod linux {
    use std::collections::{BTreeMap, BTreeSet};
    use std::ffi::OsStr;
    use std::fmt;

    use procfs::process::{Process, Stat, all_processes};
    use rustix::process::{Pid, PidfdFlags, Signal, getpid, pidfd_open, pidfd_send_signal};

    use super::{MARK_VARIABLE, Scope};

    /// A process that was running when it was selected. Its start time distinguishes it from a
    /// later process with the same id.
    #[derive(Clone, Debug)]
    pub(in super::super) struct Member {
        pid: i32,
        start_time: u64,
        name: String,
    }

    impl Member {
        fn new(stat: Stat) -> Self {
            Self { pid: stat.pid, start_time: stat.starttime, name: stat.comm }
        }

        /// Sends SIGKILL, unless the process has ended.
        pub(super) fn kill(&self) {
            let Some(pid) = Pid::from_raw(self.pid) else { return };
            // In this order: what is checked is the process that the descriptor refers to.
            if let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty())
                && self.is_running()
            {
                let _ = pidfd_send_signal(descriptor, Signal::KILL);
            }
        }

        fn is_running(&self) -> bool {
            let stat = Process::new(self.pid).and_then(|process| process.stat());
            stat.is_ok_and(|stat| is_running(&stat) && stat.starttime == self.start_time)
        }
    }

    impl fmt::Display for Member {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{} ({})", self.pid, self.name)
        }
    }

    impl Scope {
        /// Returns the running processes of the scope. Returns none if `/proc` belongs to another
        /// PID namespace, because its process ids then mean other processes.
        pub(in super::super) fn members(&self) -> Vec<Member> {
            let own = Process::myself().map(|process| process.pid());
            if own.ok() != Some(getpid().as_raw_nonzero().get()) {
                return Vec::new();
            }
            let Ok(processes) = all_processes() else { return Vec::new() };
            let mut table = BTreeMap::new();
            let mut selected = BTreeSet::new();
            // A process has a descriptor while it is read; none is retained.
            for process in processes.flatten() {
                let Ok(stat) = process.stat() else { continue };
                if self.is_root(&process, &stat) {
                    selected.insert(stat.pid);
                }
                table.insert(stat.pid, stat);
            }
            let known = self.known.iter().filter(|member| member.is_running());
            selected.extend(known.map(|member| member.pid));
            add_descendants(&table, &mut selected);
            for pid in &self.excluded {
                selected.remove(&pid.as_raw_nonzero().get());
            }
            let members = table.into_values().filter(is_running);
            members.filter(|stat| selected.contains(&stat.pid)).map(Member::new).collect()
        }

        fn is_root(&self, process: &Process, stat: &Stat) -> bool {
            let is = |pid: Option<Pid>, raw: i32| pid.is_some() && pid == Pid::from_raw(raw);
            is(self.supervisor, stat.pid) || is(self.group, stat.pgrp) || self.is_marked(process)
        }

        fn is_marked(&self, process: &Process) -> bool {
            if self.mark.is_empty() {
                return false;
            }
            // The environment of another user's process cannot be read.
            let Ok(environment) = process.environ() else { return false };
            let marks = environment.get(OsStr::new(MARK_VARIABLE)).and_then(|marks| marks.to_str());
            marks.is_some_and(|marks| marks.split(',').any(|mark| mark == self.mark))
        }
    }

    fn add_descendants(table: &BTreeMap<i32, Stat>, selected: &mut BTreeSet<i32>) {
        let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for stat in table.values() {
            children.entry(stat.ppid).or_default().push(stat.pid);
        }
        let mut parents: Vec<i32> = selected.iter().copied().collect();
        while let Some(parent) = parents.pop() {
            for child in children.get(&parent).into_iter().flatten() {
                if selected.insert(*child) {
                    parents.push(*child);
                }
            }
        }
    }

    fn is_running(stat: &Stat) -> bool {
        !matches!(stat.state, 'Z' | 'X' | 'x')
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) use other::Member;

#[cfg(not(target_os = "linux"))]
mod other {
    use std::convert::Infallible;
    use std::fmt;

    use super::Scope;

    /// A process that was selected. Elsewhere than on Linux only the process group is known.
    #[derive(Clone, Debug)]
    pub(in super::super) struct Member(Infallible);

    impl Member {
        pub(super) fn kill(&self) {
            match self.0 {}
        }
    }

    impl fmt::Display for Member {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self.0 {}
        }
    }

    impl Scope {
        /// Returns no process.
        pub(in super::super) fn members(&self) -> Vec<Member> {
            Vec::new()
        }
    }
}
