//! What the system says of a process: its memory, and the time that processors spent on it.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// Which of the words after a process's name are its ticks, in its own code and in the kernel.
const OWN: [usize; 2] = [11, 12];

/// Which are those of its children that have ended.
const CHILDREN: [usize; 2] = [13, 14];

/// How much of it is in memory, in bytes.
pub(super) fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let line = line.context("no resident set: this needs Linux")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

/// For how long a processor was at it, in all its threads. Counted in hundredths of a second.
pub(super) fn processor_time(pid: u32) -> anyhow::Result<Duration> {
    ticks(&fs::read_to_string(format!("/proc/{pid}/stat"))?, OWN)
}

/// For how long processors were at those children of this process that have ended.
pub(super) fn children_time() -> anyhow::Result<Duration> {
    ticks(&fs::read_to_string("/proc/self/stat")?, CHILDREN)
}

fn ticks(stat: &str, places: [usize; 2]) -> anyhow::Result<Duration> {
    // Its name may have blanks and parentheses of its own.
    let (_, rest) = stat.rsplit_once(')').context("no name in it")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let mut ticks = 0;
    for place in places {
        ticks += words.get(place).context("too short")?.parse::<u64>()?;
    }
    Ok(Duration::from_millis(ticks * 1_000 / rustix::param::clock_ticks_per_second()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_those_of_code_and_kernel() {
        let stat = "7 (a b) c) S 1 7 7 0 -1 4194304 99 0 0 0 150 50 30 20 20 0 4 0 9 1 1";
        let expected = Duration::from_millis(200_000 / rustix::param::clock_ticks_per_second());
        assert_eq!(ticks(stat, OWN).unwrap(), expected);
        assert_eq!(ticks(stat, CHILDREN).unwrap(), expected / 4);
        assert!(ticks("7 (a) S 1", OWN).is_err());
    }

    #[test]
    fn a_process_is_in_memory() {
        assert!(resident(std::process::id()).unwrap() > 100_000);
    }
}
