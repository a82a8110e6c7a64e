//! The server's clock, and the time axis of a live trace.
//!
//! - Times of a trace count from the start of the server, so they are the same in every tab and on
//!   every device that shows it.
//! - A restarted server begins to count again, but the axis continues: its times are labelled from
//!   the new start, see [`crate::model::time_display`].
//! - An older server does not report when it started. Times then count from the first snapshot.

use leasehold_core::time::Time;
use leasehold_sim::VirtualTime;

/// When a server was started. No two starts are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ServerStart {
    /// The reading of the server's clock.
    pub(crate) at: Time,
    /// The wall clock, in milliseconds since 1970.
    pub(crate) unix_ms: u64,
}

impl ServerStart {
    /// Returns the start that a message reports, if it does.
    pub(super) fn from_fields(at: Option<Time>, unix_ms: Option<u64>) -> Option<Self> {
        at.zip(unix_ms).map(|(at, unix_ms)| Self { at, unix_ms })
    }
}

/// The clock of one run of the server.
#[derive(Clone, Copy, Debug)]
pub(super) struct ServerClock {
    /// A reading of the clock: that of the server's start, if it is known.
    reading: Time,
    /// The time of the trace at this reading.
    virtual_time: VirtualTime,
    start: Option<ServerStart>,
}

impl ServerClock {
    /// Returns the clock of the server that is observed first. Its reading is `now`, or was that of
    /// its start when the axis began.
    pub(super) fn first(start: Option<ServerStart>, (reading, now): (Time, VirtualTime)) -> Self {
        match start {
            Some(it) => Self { reading: it.at, virtual_time: VirtualTime::START, start: Some(it) },
            None => Self { reading, virtual_time: now, start },
        }
    }

    /// Returns the clock of a server that was started since, whose reading is `now`. Its start is
    /// not before `earliest`.
    pub(super) fn restarted(
        start: Option<ServerStart>,
        (reading, now): (Time, VirtualTime),
        earliest: VirtualTime,
    ) -> Self {
        let Some(server_start) = start else {
            return Self { reading, virtual_time: now.max(earliest), start };
        };
        let running_us = reading.since(server_start.at).as_millis().saturating_mul(1_000);
        let started = VirtualTime::from_micros(now.as_micros().saturating_sub(running_us));
        Self { reading: server_start.at, virtual_time: started.max(earliest), start }
    }

    /// Returns when the server was started, if it reports that.
    pub(super) const fn start(&self) -> Option<ServerStart> {
        self.start
    }

    /// Returns the time of the trace when the server was started, or when its clock was first read.
    pub(super) const fn started_at(&self) -> VirtualTime {
        self.virtual_time
    }

    /// Returns the time of the trace at which the clock shows `time`.
    pub(super) fn to_virtual_time(self, time: Time) -> VirtualTime {
        let micros = |millis: u64| millis.saturating_mul(1_000);
        let start = self.virtual_time.as_micros();
        let after = start.saturating_add(micros(time.since(self.reading).as_millis()));
        let before = micros(self.reading.since(time).as_millis());
        VirtualTime::from_micros(after.saturating_sub(before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: fn(u64) -> VirtualTime = VirtualTime::from_millis;

    const START: Option<ServerStart> =
        Some(ServerStart { at: Time::from_millis(50_000), unix_ms: 1_000_000 });

    #[test]
    fn times_count_from_the_start_of_the_server() {
        let reading = Time::from_millis(90_000);
        let clock = ServerClock::first(START, (reading, MS(3)));
        assert_eq!(clock.to_virtual_time(reading), MS(40_000));
        assert_eq!(clock.to_virtual_time(Time::from_millis(49_000)), VirtualTime::START);
        let unknown = ServerClock::first(None, (reading, MS(3)));
        assert_eq!(unknown.to_virtual_time(Time::from_millis(90_007)), MS(10));
        assert_eq!(clock.to_virtual_time(Time::NEVER), VirtualTime::NEVER);
    }

    #[test]
    fn axis_continues_after_a_restart() {
        let reading = Time::from_millis(52_000);
        let clock = ServerClock::restarted(START, (reading, MS(40_000)), MS(30_000));
        assert_eq!((clock.started_at(), clock.to_virtual_time(reading)), (MS(38_000), MS(40_000)));
        // Never before what has already been observed.
        let clock = ServerClock::restarted(START, (reading, MS(40_000)), MS(39_500));
        assert_eq!(clock.to_virtual_time(reading), MS(41_500));
    }
}
