//! How times are displayed: as time since the start of the run or of the server, or as the wall
//! clock of the server.
//!
//! All devices that show a live server display the same times. A server that was restarted counts
//! from its new start.

use leasehold_sim::{TimeLabels, VirtualTime};

/// The milliseconds of a day.
const DAY_MS: u64 = 86_400_000;

/// What times are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeReading {
    /// Time since the start of the run, or of the server.
    #[default]
    SinceStart,
    /// The wall clock of the server. In a simulated run, which has none, as `SinceStart`.
    #[allow(dead_code, reason = "no control selects it yet")]
    WallClock,
}

/// One run of a live server, from its start on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerEpoch {
    /// The time of the trace when the server was started.
    pub(crate) start: VirtualTime,
    /// The wall clock at that time, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
}

/// Displays the times of one trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TimeDisplay {
    /// In the order of their start; empty for a simulated run.
    epochs: Vec<ServerEpoch>,
    reading: TimeReading,
    /// How far the local time of the viewer is ahead of UTC.
    utc_offset_minutes: i32,
}

impl TimeDisplay {
    /// Sets the runs of the server, oldest first.
    pub(super) fn set_epochs(&mut self, epochs: Vec<ServerEpoch>) {
        self.epochs = epochs;
    }

    /// Sets what times are measured by. `utc_offset_minutes` is how far the local time of the
    /// viewer is ahead of UTC.
    pub(super) const fn set_reading(&mut self, reading: TimeReading, utc_offset_minutes: i32) {
        (self.reading, self.utc_offset_minutes) = (reading, utc_offset_minutes);
    }

    pub(super) const fn copy_reading(&mut self, other: &Self) {
        self.set_reading(other.reading, other.utc_offset_minutes);
    }

    /// Returns what times are measured by.
    #[allow(dead_code, reason = "no control shows it yet")]
    pub(crate) const fn reading(&self) -> TimeReading {
        self.reading
    }

    /// Whether the trace has a wall clock to display.
    #[allow(dead_code, reason = "no control depends on it yet")]
    pub(crate) const fn has_wall_clock(&self) -> bool {
        !self.epochs.is_empty()
    }

    /// Returns the time on the wall clock, such as `14:03:07.2`; `None` if the trace has none.
    pub(crate) fn wall_clock(&self, time: VirtualTime) -> Option<String> {
        let epoch = self.epoch_at(time)?;
        let since_start_ms = since(epoch.start, time).as_millis();
        let unix_ms = i128::from(epoch.unix_ms) + i128::from(since_start_ms);
        let local_ms = unix_ms + i128::from(self.utc_offset_minutes) * 60_000;
        let of_day = u64::try_from(local_ms.rem_euclid(i128::from(DAY_MS))).ok()?;
        let (hours, minutes) = (of_day / 3_600_000, of_day / 60_000 % 60);
        let (seconds, tenths) = (of_day / 1_000 % 60, of_day / 100 % 10);
        Some(format!("{hours:02}:{minutes:02}:{seconds:02}.{tenths}"))
    }

    /// Returns the time since the start of the run, or of the server that ran at that time.
    pub(crate) fn since_start(&self, time: VirtualTime) -> VirtualTime {
        self.epoch_at(time).map_or(time, |epoch| since(epoch.start, time))
    }

    /// Returns the run of the server at a time; the first one before its start.
    fn epoch_at(&self, time: VirtualTime) -> Option<&ServerEpoch> {
        let started = self.epochs.partition_point(|epoch| epoch.start <= time);
        self.epochs.get(started.max(1) - 1)
    }
}

impl TimeLabels for TimeDisplay {
    fn label(&self, time: VirtualTime) -> String {
        let wall_clock = match self.reading {
            TimeReading::SinceStart => None,
            TimeReading::WallClock => self.wall_clock(time),
        };
        wall_clock.unwrap_or_else(|| self.since_start(time).to_string())
    }
}

fn since(start: VirtualTime, time: VirtualTime) -> VirtualTime {
    VirtualTime::from_micros(time.as_micros().saturating_sub(start.as_micros()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 2024-01-02 03:04:05.678 UTC.
    const UNIX_MS: u64 = 1_704_164_645_678;

    fn display(reading: TimeReading, utc_offset_minutes: i32) -> TimeDisplay {
        let epoch =
            |start_ms, unix_ms| ServerEpoch { start: VirtualTime::from_millis(start_ms), unix_ms };
        let epochs = vec![epoch(0, UNIX_MS), epoch(60_000, UNIX_MS + 90_000)];
        TimeDisplay { epochs, reading, utc_offset_minutes }
    }

    fn labels(display: &TimeDisplay, at_ms: &[u64]) -> Vec<String> {
        at_ms.iter().map(|ms| display.label(VirtualTime::from_millis(*ms))).collect()
    }

    #[test]
    fn times_count_from_the_start_of_the_server_that_ran() {
        let display = display(TimeReading::SinceStart, 60);
        assert_eq!(
            labels(&display, &[0, 59_900, 60_000, 62_100]),
            ["0.0 s", "59.9 s", "0.0 s", "2.1 s"]
        );
    }

    #[test]
    fn wall_clock_is_local_time() {
        let at = [0, 1_022, 60_000];
        let utc = display(TimeReading::WallClock, 0);
        assert_eq!(labels(&utc, &at), ["03:04:05.6", "03:04:06.7", "03:05:35.6"]);
        let west = display(TimeReading::WallClock, -240);
        assert_eq!(labels(&west, &at[..1]), ["23:04:05.6"]);
        assert!(west.has_wall_clock());
    }

    #[test]
    fn simulated_run_has_no_wall_clock() {
        let mut display = TimeDisplay::default();
        display.set_reading(TimeReading::WallClock, 60);
        assert_eq!(labels(&display, &[12_400]), ["12.4 s"]);
        assert!(!display.has_wall_clock() && display.wall_clock(VirtualTime::START).is_none());
    }
}
