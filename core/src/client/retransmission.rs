//! Retransmission with exponential backoff: after 200 ms at first, then after twice as long each
//! time, up to 2 s, with ±20% of jitter.

use std::collections::VecDeque;

use crate::id::Attempt;
use crate::limits::{JITTER_PPM, RETRANSMIT_DELAY_MAX};
use crate::rng::Rng;
use crate::time::{Millis, Time};

/// How many attempts have their send times retained. A reply to an older one proves nothing about
/// the lease.
const TRANSMISSIONS_TRACKED: usize = 64;

/// The transmissions of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Transmissions {
    /// The send times of the last attempts, beginning with `first_attempt`.
    sent_times: VecDeque<Time>,
    first_attempt: u64,
    next_at: Option<Time>,
    delay: Option<Millis>,
}

/// The delays between transmissions.
#[derive(Clone, Copy, Debug)]
pub(super) enum Backoff {
    /// Each delay is twice the one before.
    Exponential {
        /// The first delay.
        first: Millis,
    },
    /// All delays are equal: a queued request polls.
    Fixed(Millis),
}

impl Transmissions {
    /// Records a transmission, and schedules the next one.
    pub(super) fn record_sent(&mut self, now: Time, backoff: Backoff, rng: &mut Rng) {
        self.push_sent_time(now);
        let delay = match (backoff, self.delay) {
            (Backoff::Exponential { first }, None) => first,
            (Backoff::Exponential { first }, Some(delay)) => {
                delay.saturating_mul(2).min(RETRANSMIT_DELAY_MAX.max(first))
            }
            (Backoff::Fixed(delay), _) => delay,
        };
        self.delay = Some(delay);
        self.next_at = Some(now + jittered(delay, JITTER_PPM, rng));
    }

    /// Like [`Transmissions::record_sent`], with a fixed delay and without jitter: all clients
    /// retransmit early and at the same time.
    pub(super) fn record_sent_without_jitter(&mut self, now: Time, delay: Millis) {
        self.push_sent_time(now);
        self.next_at = Some(now + delay);
    }

    fn push_sent_time(&mut self, now: Time) {
        if self.sent_times.len() == TRANSMISSIONS_TRACKED {
            self.sent_times.pop_front();
            self.first_attempt += 1;
        }
        self.sent_times.push_back(now);
    }

    /// Returns whether a transmission is due.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next_at.is_none_or(|at| at <= now)
    }

    /// Returns when the next transmission is due; [`Time::ZERO`] before the first.
    pub(super) fn next_at(&self) -> Time {
        self.next_at.unwrap_or(Time::ZERO)
    }

    /// Schedules the next transmission.
    pub(super) fn set_next_at(&mut self, at: Time) {
        self.next_at = Some(at);
    }

    /// Returns the last attempt, or 0 before the first.
    pub(super) fn last_attempt(&self) -> Attempt {
        Attempt::new((self.first_attempt + self.sent_times.len() as u64).saturating_sub(1))
    }

    /// Returns when this attempt was sent. Returns `None` if it was not sent, or is too old.
    pub(super) fn sent_at(&self, attempt: Attempt) -> Option<Time> {
        let index = attempt.number().checked_sub(self.first_attempt)?;
        self.sent_times.get(usize::try_from(index).ok()?).copied()
    }
}

/// Returns a random duration that differs from `base` by at most `jitter_ppm` parts per million.
pub(super) fn jittered(base: Millis, jitter_ppm: u64, rng: &mut Rng) -> Millis {
    let millis = base.as_millis();
    let spread = millis.saturating_mul(jitter_ppm) / 1_000_000;
    Millis::from_millis(rng.between(millis - spread, millis + spread))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETRANSMIT_DELAY_FIRST;

    const BACKOFF: Backoff = Backoff::Exponential { first: RETRANSMIT_DELAY_FIRST };

    #[test]
    fn delays_double_up_to_two_seconds() {
        let (mut transmissions, mut rng, mut now) =
            (Transmissions::default(), Rng::new(1), Time::ZERO);
        for base in [200, 400, 800, 1_600, 2_000, 2_000] {
            transmissions.record_sent(now, BACKOFF, &mut rng);
            let delay = now.until(transmissions.next_at()).as_millis();
            assert!((base * 8 / 10..=base * 12 / 10).contains(&delay), "{delay} for {base}");
            now = transmissions.next_at();
        }
        assert_eq!(transmissions.last_attempt(), Attempt::new(5));
    }

    #[test]
    fn untracked_attempts_have_no_send_time() {
        let (mut transmissions, mut rng) = (Transmissions::default(), Rng::new(1));
        for at in 0..100 {
            transmissions.record_sent(Time::from_millis(at), BACKOFF, &mut rng);
        }
        assert_eq!(transmissions.sent_at(Attempt::new(99)), Some(Time::from_millis(99)));
        assert_eq!(transmissions.sent_at(Attempt::new(100)), None, "not yet");
        assert_eq!(transmissions.sent_at(Attempt::new(3)), None, "too long ago");
    }
}
