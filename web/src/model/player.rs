//! How fast a run goes by.
//!
//! Simulated time is not shown at one speed: a message takes so long on the screen that eyes can
//! follow it, and stretches in which nothing is on its way go by quickly. Who wants one speed can
//! have it.

#![allow(clippy::wildcard_enum_match_arm, reason = "a few messages are routine")]

use std::collections::BTreeSet;

use leasehold_core::id::Name;
use leasehold_sim::{Interest, Message, Moment, PacketView, World};

/// How long a message takes on the screen, in milliseconds.
const MESSAGE_MS: f64 = 900.0;

/// A message that takes longer than this in the run was held up, and is not waited for.
const MESSAGE_MAX_US: u64 = 1_500_000;

/// How long a stretch in which nothing happens takes on the screen, in milliseconds.
const IDLE_MS: f64 = 900.0;

/// The slowest and the fastest that the pace gets by itself.
const AUTO_MIN: f64 = 0.02;
const AUTO_MAX: f64 = 8.0;

/// A page that was not looked at goes on where it was, not where it would be.
const FRAME_MAX_MS: f64 = 250.0;

/// What speeds there are to choose from, in seconds of the run for each on the wall.
const SPEEDS: [f64; 13] = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Speed {
    /// As messages and idle stretches ask for.
    Auto,
    /// Always the same: seconds of the run for each second on the wall.
    Fixed(f64),
}

/// What moves a run on.
#[derive(Clone, Debug)]
pub(crate) struct Player {
    pub(crate) is_playing: bool,
    pub(crate) speed: Speed,
    /// The pace of the last frame, which changes by and by.
    pace: f64,
}

impl Default for Player {
    fn default() -> Self {
        Self { is_playing: false, speed: Speed::Auto, pace: 0.5 }
    }
}

impl Player {
    /// How many microseconds the run goes on in a frame of so many milliseconds. `next` is when
    /// something happens next that one would look at.
    pub(crate) fn advance(
        &mut self,
        frame_ms: f64,
        world: Option<&World>,
        next: Option<Moment>,
    ) -> u64 {
        let frame_ms = frame_ms.clamp(0.0, FRAME_MAX_MS);
        let pace = match self.speed {
            Speed::Fixed(pace) => pace,
            // What was seen of a real server has its own pace.
            Speed::Auto if world.is_none() => 1.0,
            Speed::Auto => {
                let wanted = world.map_or(1.0, |world| wanted_pace(world, next));
                // Slowing down is quick, or the message would be over.
                let share = if wanted < self.pace { frame_ms / 60.0 } else { frame_ms / 300.0 };
                self.pace + (wanted - self.pace) * share.min(1.0)
            }
        };
        self.pace = pace;
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let micros = (frame_ms * 1_000.0 * pace).clamp(1.0, 1e12) as u64;
        micros
    }

    pub(crate) fn faster(&mut self) {
        let now = self.pace_shown();
        let next = SPEEDS.into_iter().find(|speed| *speed > now * 1.01);
        self.speed = Speed::Fixed(next.unwrap_or(SPEEDS[SPEEDS.len() - 1]));
    }

    pub(crate) fn slower(&mut self) {
        let now = self.pace_shown();
        let next = SPEEDS.into_iter().rev().find(|speed| *speed < now * 0.99);
        self.speed = Speed::Fixed(next.unwrap_or(SPEEDS[0]));
    }

    const fn pace_shown(&self) -> f64 {
        match self.speed {
            Speed::Auto => self.pace,
            Speed::Fixed(pace) => pace,
        }
    }
}

impl Speed {
    /// As it is written on the button.
    pub(crate) fn label(self) -> String {
        match self {
            Self::Auto => "auto".to_owned(),
            Self::Fixed(pace) => {
                // By whole numbers: what it takes to write a float out would travel for this.
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

fn wanted_pace(world: &World, next: Option<Moment>) -> f64 {
    let routine = Routine::of(world);
    let is_followed = |packet: &PacketView| !routine.has(packet);
    let way = |packet: PacketView| packet.arrives.as_micros() - packet.sent_at.as_micros();
    let ways = world.packets().filter(is_followed).map(way).filter(|way| *way <= MESSAGE_MAX_US);
    let pace = if let Some(way) = ways.min() {
        millis(way) / MESSAGE_MS
    } else {
        let now = world.now().as_micros();
        let idle = next.map_or(1_000_000, |next| next.as_micros().saturating_sub(now));
        millis(idle) / IDLE_MS
    };
    pace.clamp(AUTO_MIN, AUTO_MAX)
}

/// Tells which packets go to and fro all the time: heartbeats, and the questions of those who stand
/// in line already.
pub(crate) struct Routine {
    /// Whether each client stands in a line, as far as the server knows.
    waits: Vec<bool>,
}

impl Routine {
    pub(crate) fn of(world: &World) -> Self {
        let sessions = world.server().state.into_iter().flat_map(|state| state.sessions().values());
        let waiting: BTreeSet<&Name> =
            sessions.filter(|it| !it.waits.is_empty()).map(|it| &it.client).collect();
        let clients = world.run().config.clients.iter();
        Self { waits: clients.map(|client| waiting.contains(&&client.name)).collect() }
    }

    pub(crate) fn has(&self, packet: &PacketView) -> bool {
        let link = packet.name.link;
        let client = if link.from.is_server() { link.to } else { link.from };
        match packet.about.message {
            Message::Heartbeat | Message::Alive => true,
            Message::Queued => packet.name.nth > 1,
            Message::AcquireLock => {
                let place = usize::from(client.0).wrapping_sub(1);
                self.waits.get(place).copied().unwrap_or(false)
            }
            _ => false,
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "runs are shorter than 2^53 microseconds")]
fn millis(micros: u64) -> f64 {
    micros as f64 / 1_000.0
}

/// What one would look at when the pace is set.
pub(crate) const NOTICED: Interest = Interest::Step;

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Scenario;

    #[test]
    fn a_message_takes_its_time_and_idle_stretches_do_not() {
        let mut world = World::new(Scenario::named("gc-pause").unwrap().run());
        let mut trace = Vec::new();
        while world.packets().count() == 0 {
            assert!(world.step(&mut trace));
        }
        let mut player = Player::default();
        for _ in 0..20 {
            player.advance(16.0, Some(&world), None);
        }
        let way = world.packets().next().map(|it| it.arrives.as_micros() - it.sent_at.as_micros());
        let frames =
            millis(way.unwrap()) * 1_000.0 / millis(player.advance(16.0, Some(&world), None)) / 1e3;
        assert!((40.0..80.0).contains(&frames), "{frames} frames of 16 ms");
        while world.packets().count() > 0 {
            assert!(world.step(&mut trace));
        }
        let next = Some(world.now() + 8_000_000);
        for _ in 0..100 {
            player.advance(16.0, Some(&world), next);
        }
        assert!(player.advance(100.0, Some(&world), next) > 500_000);
    }

    #[test]
    fn whoever_was_away_has_missed_nothing() {
        let world = World::new(Scenario::named("gc-pause").unwrap().run());
        let mut player = Player { speed: Speed::Fixed(1.0), ..Player::default() };
        assert_eq!(player.advance(60_000.0, Some(&world), None), 250_000);
    }

    #[test]
    fn speeds_are_gone_through_one_by_one() {
        let mut player = Player { speed: Speed::Fixed(1.0), ..Player::default() };
        player.faster();
        assert_eq!(player.speed, Speed::Fixed(2.0));
        player.slower();
        player.slower();
        assert_eq!((player.speed, player.speed.label()), (Speed::Fixed(0.5), "0.5×".to_owned()));
        for _ in 0..30 {
            player.slower();
        }
        assert_eq!(player.speed, Speed::Fixed(0.01));
    }
}
