//! How times are displayed: as time since the start of the run or of the server, or as the wall
//! clock of the server.
//!
//! All devices that show a live server display the same times. A server that was restarted counts
//! from its new start.

use leasehold_sim::{TimeLabels, VirtualTime};

/// The microseconds of a day.
const DAY_US: i64 = 86_400_000_000;

/// What times are measured by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum TimeReading {
    /// Time since the start of the run, or of the server.
    #[default]
    SinceStart,
    /// The wall clock of the server. In a simulated run, which has none, as `SinceStart`.
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

/// A part of a time axis whose displayed times count from one origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AxisPart {
    pub(crate) from: VirtualTime,
    pub(crate) to: VirtualTime,
    /// The displayed time minus the time of the trace, in microseconds.
    pub(crate) shift_us: i64,
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
    pub(crate) const fn reading(&self) -> TimeReading {
        self.reading
    }

    /// Whether the trace has a wall clock to display.
    pub(crate) const fn has_wall_clock(&self) -> bool {
        !self.epochs.is_empty()
    }

    /// Returns the time on the wall clock, such as `14:03:07.2`; `None` if the trace has none.
    pub(crate) fn wall_clock(&self, time: VirtualTime) -> Option<String> {
        let epoch = self.epoch_at(time)?;
        let of_day_us = self.local_time_us(epoch, time).rem_euclid(DAY_US);
        let tenths = of_day_us / 100_000 % 10;
        Some(format!("{}.{tenths}", clock_text(of_day_us)))
    }

    /// Returns the parts of a time axis that count from different origins, in ascending order.
    pub(crate) fn axis_parts(&self, from: VirtualTime, to: VirtualTime) -> Vec<AxisPart> {
        let later = self.epochs.iter().map(|epoch| epoch.start).filter(|it| *it > from && *it < to);
        let starts: Vec<VirtualTime> = std::iter::once(from).chain(later).collect();
        let ends = starts.iter().skip(1).copied().chain(std::iter::once(to));
        let part = |(from, to): (VirtualTime, VirtualTime)| {
            let displayed_us = match (self.epoch_at(from), self.reading) {
                (None, _) => signed_us(from),
                (Some(epoch), TimeReading::SinceStart) => {
                    signed_us(from).saturating_sub(signed_us(epoch.start))
                }
                (Some(epoch), TimeReading::WallClock) => self.local_time_us(epoch, from),
            };
            AxisPart { from, to, shift_us: displayed_us.saturating_sub(signed_us(from)) }
        };
        starts.iter().copied().zip(ends).map(part).collect()
    }

    /// Returns the label of a tick of an axis. The labels of ticks at multiples of `step_us`
    /// differ.
    pub(crate) fn tick_label(&self, displayed_us: i64, step_us: i64) -> String {
        let decimals = if step_us >= 1_000_000 {
            0
        } else if step_us >= 100_000 {
            1
        } else {
            3
        };
        let (whole, unit) = match self.reading {
            TimeReading::WallClock if self.has_wall_clock() => {
                (clock_text(displayed_us.rem_euclid(DAY_US)), "")
            }
            TimeReading::SinceStart | TimeReading::WallClock => {
                ((displayed_us / 1_000_000).to_string(), " s")
            }
        };
        let millis = displayed_us.rem_euclid(1_000_000) / 1_000;
        match decimals {
            0 => format!("{whole}{unit}"),
            1 => format!("{whole}.{}{unit}", millis / 100),
            _ => format!("{whole}.{millis:03}{unit}"),
        }
    }

    /// Returns the local time of the viewer, in microseconds since 1970.
    fn local_time_us(&self, epoch: &ServerEpoch, time: VirtualTime) -> i64 {
        let unix_us = i64::try_from(epoch.unix_ms).unwrap_or(i64::MAX).saturating_mul(1_000);
        let offset_us = i64::from(self.utc_offset_minutes) * 60_000_000;
        let since_start_us = signed_us(time).saturating_sub(signed_us(epoch.start)).max(0);
        unix_us.saturating_add(offset_us).saturating_add(since_start_us)
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

/// Returns the hours, minutes and seconds of a time of day in microseconds.
fn clock_text(of_day_us: i64) -> String {
    let seconds = of_day_us / 1_000_000;
    format!("{:02}:{:02}:{:02}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

const fn signed_us(time: VirtualTime) -> i64 {
    time.as_micros().cast_signed()
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
    fn axis_counts_from_each_start_of_the_server() {
        let at = VirtualTime::from_millis;
        let parts = |reading| {
            let parts = display(reading, 0).axis_parts(at(50_000), at(70_000));
            parts.iter().map(|it| (it.from, it.to, it.shift_us)).collect::<Vec<_>>()
        };
        let (first, restart, last) = (at(50_000), at(60_000), at(70_000));
        assert_eq!(
            parts(TimeReading::SinceStart),
            [(first, restart, 0), (restart, last, -60_000_000)]
        );
        let unix_us = i64::try_from(UNIX_MS).unwrap() * 1_000;
        assert_eq!(
            parts(TimeReading::WallClock),
            [(first, restart, unix_us), (restart, last, unix_us + 30_000_000)]
        );
        let label = |reading, us, step| display(reading, 0).tick_label(us, step);
        assert_eq!(label(TimeReading::SinceStart, 61_250_000, 50_000), "61.250 s");
        assert_eq!(label(TimeReading::WallClock, unix_us, 1_000_000), "03:04:05");
        assert_eq!(label(TimeReading::WallClock, unix_us, 500_000), "03:04:05.6");
    }

    #[test]
    fn simulated_run_has_no_wall_clock() {
        let mut display = TimeDisplay::default();
        display.set_reading(TimeReading::WallClock, 60);
        assert_eq!(labels(&display, &[12_400]), ["12.4 s"]);
        assert!(!display.has_wall_clock() && display.wall_clock(VirtualTime::START).is_none());
    }
}
