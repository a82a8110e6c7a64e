//! Reads the memory and the processor time of processes from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// The positions of a process's ticks, in user and kernel mode, after its name in `stat`.
const OWN: [usize; 2] = [11, 12];

/// The positions of the ticks of its children that have ended.
const CHILDREN: [usize; 2] = [13, 14];

/// Returns the resident set of a process, in bytes.
pub(super) fn resident_set(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.context("/proc has no resident set: this measurement needs Linux")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// Returns the processor time of all threads of a process, in steps of a clock tick (10 ms).
pub(super) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    parse_ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?, OWN)
}

/// Returns the processor time of this process's children that have ended.
pub(super) fn children_processor_time() -> anyhow::Result<Duration> {
    parse_ticks(&fs::read_to_string("/proc/self/stat")?, CHILDREN)
}

fn parse_ticks(stat: &str, positions: [usize; 2]) -> anyhow::Result<Duration> {
    // The name of the process may itself contain blanks and parentheses.
    let (_, rest) = stat.rsplit_once(')').context("the process has no name")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut ticks = 0;
    for position in positions {
        ticks += words.get(position).context("the line is too short")?.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_time_includes_user_and_kernel_mode() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 99 0 0 0 150 50 30 20 20 0 4 0 9 1 1";
        let expected = Duration::from_millis(200_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(parse_ticks(stat, OWN).unwrap(), expected);
        assert_eq!(parse_ticks(stat, CHILDREN).unwrap(), expected / 4);
        assert!(parse_ticks("7 (a) S 1", OWN).is_err());
    }

    #[test]
    fn this_process_has_a_resident_set() {
        assert!(resident_set(std::process::id()).unwrap() > 100_000);
    }
}
