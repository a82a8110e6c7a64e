//! Going to a place that may not be simulated yet, and simulating in slices until it is.

use leasehold_sim::VirtualTime;

use super::{STEPS_PER_CHECK, Timeline};

/// A place in a run that may not be simulated yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Destination {
    /// Unknown if only the position is given.
    time: Option<VirtualTime>,
    /// The step to go to, if it happens at this time.
    position: Option<u32>,
}

impl Timeline {
    /// Goes to a time: everything that happens up to and at this time has happened.
    pub(crate) fn go_to(&mut self, time: VirtualTime) {
        self.go_to_destination(Destination { time: Some(time), position: None });
    }

    /// Goes to a position, and to the time of its step.
    pub(crate) fn go_to_position(&mut self, position: u32) {
        self.go_to_destination(Destination { time: None, position: Some(position) });
    }

    /// Goes to the time of the other timeline; to the same step too, if both have the same past.
    pub(crate) fn go_to_same_time(&mut self, other: &Self) {
        if let Some(destination) = other.destination {
            self.go_to_destination(destination);
            return;
        }
        self.go_to(other.now);
        if self.destination.is_some() {
            self.destination =
                Some(Destination { time: Some(other.now), position: Some(other.position()) });
        } else if self.position() != other.position() && self.full_trace().starts_with(other.past())
        {
            self.go_to_position_at(other.position(), other.now);
        }
    }

    /// Goes to a time. If the step at `position` happens at that time, goes to that step.
    pub(crate) fn go_to_position_at(&mut self, position: u32, time: VirtualTime) {
        self.go_to_destination(Destination { time: Some(time), position: Some(position) });
    }

    fn go_to_destination(&mut self, destination: Destination) {
        let is_simulated = self.is_simulated(destination);
        match destination {
            Destination { time: Some(time), position: Some(position) } if is_simulated => {
                let last = self.step_records(position.min(self.last_position())).last();
                if last.is_some_and(|record| record.at == time) {
                    self.move_to_position(position);
                } else {
                    self.move_to(time);
                }
            }
            Destination { time: Some(time), .. } => self.move_to(time),
            Destination { time: None, position } => {
                self.move_to_position(position.unwrap_or(0).min(self.last_position()));
            }
        }
        self.destination = (!is_simulated).then_some(destination);
    }

    /// Whether everything up to a destination is simulated.
    fn is_simulated(&self, destination: Destination) -> bool {
        let is_past = match destination {
            Destination { time: Some(time), .. } => time < self.end(),
            Destination { time: None, position } => position <= Some(self.last_position()),
        };
        is_past || self.is_complete()
    }

    /// Whether the destination is not simulated yet.
    pub(crate) const fn is_catching_up(&self) -> bool {
        self.destination.is_some()
    }

    /// Returns how much of the way to the destination is simulated, in per cent, until it is
    /// reached.
    pub(crate) fn catch_up_percent(&self) -> Option<u64> {
        let (done, all) = match self.destination? {
            Destination { time: Some(time), .. } => (self.end().as_micros(), time.as_micros()),
            Destination { time: None, position } => {
                (u64::from(self.last_position()), u64::from(position.unwrap_or(0)))
            }
        };
        Some((done.saturating_mul(100) / all.max(1)).min(100))
    }

    /// Returns the time of the destination, or else the current time.
    pub(crate) fn wanted_time(&self) -> VirtualTime {
        self.destination.and_then(|it| it.time).unwrap_or(self.now)
    }

    /// Extends an incomplete simulation by a slice: while `has_time` returns true, which is asked
    /// again and again, but at least by a few steps. Returns whether anything has changed.
    pub(crate) fn simulate_while(&mut self, has_time: &mut dyn FnMut() -> bool) -> bool {
        if self.is_complete() {
            return false;
        }
        if self.destination.is_some() {
            // The current world stays close behind, so that arriving takes no longer than a slice.
            self.move_to_position(self.last_position());
        }
        loop {
            self.simulate(STEPS_PER_CHECK);
            let has_arrived = self.destination.is_some_and(|it| self.is_simulated(it));
            if self.is_complete() || has_arrived || !has_time() {
                break;
            }
        }
        if let Some(destination) = self.destination {
            self.go_to_destination(destination);
        }
        true
    }
}
