//! Playback speed. The automatic speed adapts to the run: messages move slowly enough to follow,
//! and idle time passes quickly. A fixed speed can be chosen instead.

use std::collections::{BTreeSet, VecDeque};

use leasehold_core::id::Name;
use leasehold_sim::{Importance, Message, PacketView, VirtualTime, World};

/// The time that a message takes on the screen, in milliseconds.
const MESSAGE_MS: f64 = 900.0;

/// A message that takes longer than this, in microseconds of virtual time, was delayed by a fault
/// and does not slow the playback down.
const MESSAGE_MAX_US: u64 = 1_500_000;

/// The time that an idle period takes on the screen, in milliseconds.
const IDLE_MS: f64 = 900.0;

/// The limits of the automatic pace.
const AUTO_MIN: f64 = 0.02;
const AUTO_MAX: f64 = 8.0;

/// Longer frames are shortened to this, so that a page that was in the background continues where
/// it was.
const FRAME_MAX_MS: f64 = 250.0;

/// The longest time on the screen of a fast-forward, before its lead-in, in milliseconds.
pub(crate) const FAST_FORWARD_MS: f64 = 2_000.0;

/// The end of a fast-forward that is played slowly: the flight of a packet of the library, in
/// microseconds of virtual time.
const LEAD_IN_US: u64 = 400_000;

/// The time that the lead-in takes on the screen, in milliseconds.
pub(crate) const LEAD_IN_MS: f64 = 1_800.0;

/// The fixed speeds, in virtual seconds per real second.
const SPEEDS: [f64; 13] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// Adapts to messages and idle periods.
    Auto,
    /// Virtual seconds per real second.
    Fixed(f64),
}

/// The state of the playback.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) is_playing: bool,
    pub(crate) speed: Speed,
    /// Whether the playback continues when nothing covers the page any more.
    is_suspended: bool,
    /// The pace of the last frame; the automatic pace changes gradually.
    pace: f64,
    /// Parts of the run whose time on the screen is fixed, in order.
    passages: VecDeque<Passage>,
}

/// A part of the run that takes a fixed time on the screen, however long it is.
#[derive(Clone, Copy, Debug)]
struct Passage {
    until: VirtualTime,
    remaining_ms: f64,
}

impl Default for Player {
    fn default() -> Self {
        Self {
            is_playing: false,
            speed: Speed::Auto,
            is_suspended: false,
            pace: 0.5,
            passages: VecDeque::new(),
        }
    }
}

impl Player {
    /// Passes over the run from `now` to `to` in at most [`FAST_FORWARD_MS`] plus
    /// [`LEAD_IN_MS`] on the screen, however far it is. The end is slow enough to follow.
    pub(crate) fn fast_forward(&mut self, now: VirtualTime, to: VirtualTime) {
        let lead_in_from = to.as_micros().saturating_sub(LEAD_IN_US).max(now.as_micros());
        let skipped_ms = millis(lead_in_from - now.as_micros());
        self.passages.clear();
        if skipped_ms > 0.0 {
            self.passages.push_back(Passage {
                until: VirtualTime::from_micros(lead_in_from),
                remaining_ms: skipped_ms.min(FAST_FORWARD_MS),
            });
        }
        self.passages.push_back(Passage { until: to, remaining_ms: LEAD_IN_MS });
    }

    /// Whether a fast-forward is in progress.
    pub(crate) fn is_fast_forwarding(&self) -> bool {
        !self.passages.is_empty()
    }

    /// Ends a fast-forward: the user has moved to another position.
    pub(crate) fn cancel_fast_forward(&mut self) {
        self.passages.clear();
    }

    /// Returns the virtual time of a frame at `now`, in microseconds. `next` is the time of the
    /// next record of at least [`AUTO_PACE_IMPORTANCE`].
    pub(crate) fn advance(
        &mut self,
        frame_ms: f64,
        now: VirtualTime,
        world: Option<&World>,
        next: Option<VirtualTime>,
    ) -> u64 {
        let frame_ms = frame_ms.clamp(0.0, FRAME_MAX_MS);
        if let Some(micros) = self.advance_passage(frame_ms, now) {
            return micros;
        }
        let pace = match self.speed {
            Speed::Fixed(pace) => pace,
            // A live trace plays in real time.
            Speed::Auto if world.is_none() => 1.0,
            Speed::Auto => {
                let target = world.map_or(1.0, |world| target_pace(world, next));
                // Slow down quickly, or the message would have arrived.
                let share = if target < self.pace { frame_ms / 60.0 } else { frame_ms / 300.0 };
                self.pace + (target - self.pace) * share.min(1.0)
            }
        };
        self.pace = pace;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = (frame_ms * 1_000.0 * pace).clamp(1.0, 1e12) as u64;
        micros
    }

    /// Returns the virtual time of a frame in the current passage, if there is one.
    fn advance_passage(&mut self, frame_ms: f64, now: VirtualTime) -> Option<u64> {
        while self.passages.front().is_some_and(|passage| passage.until <= now) {
            self.passages.pop_front();
        }
        let Passage { until, remaining_ms } = self.passages.front_mut()?;
        let remaining_us = until.as_micros() - now.as_micros();
        let fraction = (frame_ms / remaining_ms.max(frame_ms)).min(1.0);
        *remaining_ms -= frame_ms;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
        let micros = (millis(remaining_us) * 1_000.0 * fraction).ceil() as u64;
        Some(micros.clamp(1, remaining_us))
    }

    /// Pauses while something covers the page.
    pub(crate) fn suspend(&mut self) {
        self.is_suspended |= std::mem::take(&mut self.is_playing);
    }

    /// Continues if [`Self::suspend`] has paused the playback.
    pub(crate) fn resume(&mut self) {
        self.is_playing |= std::mem::take(&mut self.is_suspended);
    }

    /// Pauses until the user plays again. Ends a fast-forward.
    pub(crate) fn stop(&mut self) {
        (self.is_playing, self.is_suspended) = (false, false);
        self.passages.clear();
    }

    pub(crate) fn speed_up(&mut self) {
        let now = self.effective_pace();
        let next = SPEEDS.into_iter().find(|speed| *speed > now * 1.01);
        self.speed = Speed::Fixed(next.unwrap_or(SPEEDS[SPEEDS.len() - 1]));
    }

    pub(crate) fn slow_down(&mut self) {
        let now = self.effective_pace();
        let next = SPEEDS.into_iter().rev().find(|speed| *speed < now * 0.99);
        self.speed = Speed::Fixed(next.unwrap_or(SPEEDS[0]));
    }

    const fn effective_pace(&self) -> f64 {
        match self.speed {
            Speed::Auto => self.pace,
            Speed::Fixed(pace) => pace,
        }
    }
}

impl Speed {
    /// Returns the label of the speed button.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Fixed(pace) => {
                // Integers, because formatting a float would add its formatting code to the
                // download.
                #[allow(clippy::cast_possible_truncation, reason = "one of a few paces")]
                let hundredths = (pace * 100.0).round() as i64;
                match (hundredths / 100, hundredths % 100) {
                    (whole, 0) => format!("{whole}×"),
                    (whole, rest) if rest % 10 == 0 => format!("{whole}.{}×", rest / 10),
                    (whole, rest) => format!("{whole}.{rest:02}×"),
                }
            }
        }
    }
}

fn target_pace(world: &World, next: Option<VirtualTime>) -> f64 {
    let routine = RoutineTraffic::from_world(world);
    let is_shown = |packet: &PacketView| !routine.contains(packet);
    let travel_time =
        |packet: PacketView| packet.arrives_at.as_micros() - packet.sent_at.as_micros();
    let travel_times = world
        .packets()
        .filter(is_shown)
        .map(travel_time)
        .filter(|travel_time| *travel_time <= MESSAGE_MAX_US);
    let pace = if let Some(travel_time) = travel_times.min() {
        millis(travel_time) / MESSAGE_MS
    } else {
        let now = world.now().as_micros();
        let idle = next.map_or(1_000_000, |next| next.as_micros().saturating_sub(now));
        millis(idle) / IDLE_MS
    };
    pace.clamp(AUTO_MIN, AUTO_MAX)
}

/// Identifies traffic that never pauses: heartbeats, and repeated acquire requests of queued
/// clients.
pub(crate) struct RoutineTraffic {
    /// Whether each client is queued, according to the server.
    is_waiting: Vec<bool>,
}

impl RoutineTraffic {
    pub(crate) fn from_world(world: &World) -> Self {
        let sessions = world.server().state.into_iter().flat_map(|state| state.sessions().values());
        let mut waiting: BTreeSet<&Name> = BTreeSet::new();
        waiting.extend(sessions.filter(|it| !it.waits.is_empty()).map(|it| &it.client));
        let clients = world.run().config.clients.iter();
        Self { is_waiting: clients.map(|client| waiting.contains(&&client.name)).collect() }
    }

    pub(crate) fn contains(&self, packet: &PacketView) -> bool {
        let link = packet.selector.link;
        let client = if link.from.is_server() { link.to } else { link.from };
        match packet.summary.message {
            Message::Heartbeat | Message::Alive => true,
            Message::Queued => packet.selector.nth > 1,
            Message::AcquireLock => {
                let index = usize::from(client.0).wrapping_sub(1);
                self.is_waiting.get(index).copied().unwrap_or(false)
            }
            Message::Hello
            | Message::Welcome
            | Message::Granted
            | Message::CancelAcquire
            | Message::Cancelled
            | Message::ReleaseLock
            | Message::Released
            | Message::AppendFile
            | Message::Appended
            | Message::AppendOutcome
            | Message::Outcome
            | Message::Refused
            | Message::Retry
            | Message::Close
            | Message::Closed => false,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// Records of at least this importance end an idle period.
pub(crate) const AUTO_PACE_IMPORTANCE: Importance = Importance::Step;

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Scenario;

    #[test]
    fn messages_are_slow_and_idle_time_is_fast() {
        let mut world = World::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        let mut trace = Vec::new();
        while world.packets().count() == 0 {
            assert!(world.step(&mut trace));
        }
        let mut player = Player::default();
        for _ in 0..20 {
            player.advance(16.0, world.now(), Some(&world), None);
        }
        let travel_time =
            world.packets().next().map(|it| it.arrives_at.as_micros() - it.sent_at.as_micros());
        let frames = millis(travel_time.unwrap()) * 1_000.0
            / millis(player.advance(16.0, world.now(), Some(&world), None))
            / 1e3;
        assert!((40.0..80.0).contains(&frames), "{frames} frames of 16 ms");
        while world.packets().count() > 0 {
            assert!(world.step(&mut trace));
        }
        let next = Some(world.now() + 8_000_000);
        for _ in 0..100 {
            player.advance(16.0, world.now(), Some(&world), next);
        }
        assert!(player.advance(100.0, world.now(), Some(&world), next) > 500_000);
    }

    #[test]
    fn long_frame_does_not_skip_time() {
        let world = World::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        let mut player = Player { speed: Speed::Fixed(1.0), ..Player::default() };
        assert_eq!(player.advance(60_000.0, world.now(), Some(&world), None), 250_000);
    }

    #[test]
    fn speeds_change_one_at_a_time() {
        let mut player = Player { speed: Speed::Fixed(1.0), ..Player::default() };
        player.speed_up();
        assert_eq!(player.speed, Speed::Fixed(2.0));
        player.slow_down();
        player.slow_down();
        assert_eq!((player.speed, player.speed.label()), (Speed::Fixed(0.5), "0.5×".to_owned()));
        for _ in 0..30 {
            player.slow_down();
        }
        assert_eq!(player.speed, Speed::Fixed(0.01));
    }

    /// Returns the time on the screen that a fast-forward takes, in milliseconds.
    fn fast_forward_ms(distance_ms: u64, frame_ms: f64) -> f64 {
        let (mut player, to) = (Player::default(), VirtualTime::from_millis(distance_ms));
        let (mut now, mut frames) = (VirtualTime::START, 0_u32);
        player.fast_forward(now, to);
        while now < to {
            now = now + player.advance(frame_ms, now, None, None);
            frames += 1;
        }
        assert_eq!(now, to);
        assert_eq!(player.advance_passage(frame_ms, now), None);
        assert!(!player.is_fast_forwarding());
        f64::from(frames) * frame_ms
    }

    #[test]
    fn fast_forward_takes_the_same_time_whatever_the_distance() {
        for distance_ms in [3_000, 60_000, 86_400_000] {
            for frame_ms in [4.0, 16.0, 200.0] {
                let taken_ms = fast_forward_ms(distance_ms, frame_ms);
                let expected_ms = FAST_FORWARD_MS + LEAD_IN_MS;
                let difference_ms = (taken_ms - expected_ms).abs();
                assert!(difference_ms <= 2.0 * frame_ms, "{distance_ms} ms: {taken_ms} ms");
            }
        }
        assert!(fast_forward_ms(600, 16.0) <= LEAD_IN_MS + 250.0);
        assert!((fast_forward_ms(150, 16.0) - LEAD_IN_MS).abs() <= 32.0);
    }
}
