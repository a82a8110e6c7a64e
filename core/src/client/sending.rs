//! When something is transmitted, and transmitted again: first after 200 ms, then twice as long
//! each time up to 2 s, each with ±20% of jitter.

use std::collections::VecDeque;

use crate::id::Attempt;
use crate::limits::{JITTER_PPM, RETRANSMIT_MAX};
use crate::rng::Rng;
use crate::time::{Span, Time};

/// How many sendings are remembered. An echo of an older one proves nothing any more.
const KNOWN: usize = 64;

/// The transmissions of one request.
#[derive(Clone, Debug, Default)]
pub(super) struct Sending {
    /// When each transmission left, of the last few; the first of them is number `first`.
    sent: VecDeque<Time>,
    first: u64,
    next_at: Option<Time>,
    pause: Option<Span>,
}

/// How long the pauses between transmissions are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pauses {
    /// Twice as long each time.
    Growing {
        /// The first of them.
        first: Span,
    },
    /// All the same: a wait asks again and again.
    Equal(Span),
}

impl Sending {
    /// Notes a transmission, and sets the moment of the next one.
    pub(super) fn sent(&mut self, now: Time, pauses: Pauses, rng: &mut Rng) {
        self.note(now);
        let pause = match (pauses, self.pause) {
            (Pauses::Growing { first }, None) => first,
            (Pauses::Growing { first }, Some(pause)) => {
                pause.times(2).min(RETRANSMIT_MAX.max(first))
            }
            (Pauses::Equal(pause), _) => pause,
        };
        self.pause = Some(pause);
        self.next_at = Some(now + jittered(pause, JITTER_PPM, rng));
    }

    /// The same without backoff and jitter: everybody's next transmission is soon, and together.
    pub(super) fn sent_in_step(&mut self, now: Time, pause: Span) {
        self.note(now);
        self.next_at = Some(now + pause);
    }

    fn note(&mut self, now: Time) {
        if self.sent.len() == KNOWN {
            self.sent.pop_front();
            self.first += 1;
        }
        self.sent.push_back(now);
    }

    /// Whether it is to be transmitted by now.
    pub(super) fn is_due(&self, now: Time) -> bool {
        self.next_at.is_none_or(|at| at <= now)
    }

    /// When it is to be transmitted next; at once where it never was.
    pub(super) fn next_at(&self) -> Time {
        self.next_at.unwrap_or(Time::ZERO)
    }

    /// Sets the moment of the next transmission.
    pub(super) fn set_next(&mut self, at: Time) {
        self.next_at = Some(at);
    }

    /// The number of the last transmission.
    pub(super) fn attempt(&self) -> Attempt {
        Attempt::new((self.first + self.sent.len() as u64).saturating_sub(1))
    }

    /// When this transmission left. Unset for one that never did, or too long ago to know.
    pub(super) fn sent_at(&self, attempt: Attempt) -> Option<Time> {
        let place = attempt.number().checked_sub(self.first)?;
        self.sent.get(usize::try_from(place).ok()?).copied()
    }
}

/// A span drawn from around `middle`.
pub(super) fn jittered(middle: Span, jitter_ppm: u64, rng: &mut Rng) -> Span {
    let millis = middle.as_millis();
    let off = millis.saturating_mul(jitter_ppm) / 1_000_000;
    Span::from_millis(rng.between(millis - off, millis + off))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::RETRANSMIT_FIRST;

    const PAUSES: Pauses = Pauses::Growing { first: RETRANSMIT_FIRST };

    #[test]
    fn pauses_double_up_to_two_seconds() {
        let (mut sending, mut rng, mut now) = (Sending::default(), Rng::new(1), Time::ZERO);
        for middle in [200, 400, 800, 1_600, 2_000, 2_000] {
            sending.sent(now, PAUSES, &mut rng);
            let pause = now.until(sending.next_at()).as_millis();
            assert!((middle * 8 / 10..=middle * 12 / 10).contains(&pause), "{pause} for {middle}");
            now = sending.next_at();
        }
        assert_eq!(sending.attempt(), Attempt::new(5));
    }

    #[test]
    fn a_transmission_that_never_was_proves_nothing() {
        let (mut sending, mut rng) = (Sending::default(), Rng::new(1));
        for at in 0..100 {
            sending.sent(Time::from_millis(at), PAUSES, &mut rng);
        }
        assert_eq!(sending.sent_at(Attempt::new(99)), Some(Time::from_millis(99)));
        assert_eq!(sending.sent_at(Attempt::new(100)), None, "not yet");
        assert_eq!(sending.sent_at(Attempt::new(3)), None, "too long ago");
    }
}
