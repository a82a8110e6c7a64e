//! Going through a run: playing, stepping, seeking, zooming; and the question on the way.

use std::rc::Rc;

use leasehold_sim::{Interest, Moment, RecordNo};

use super::Studio;
use crate::model::film::{Film, Wanted};
use crate::model::lesson::Phase;
use crate::model::player::{NOTICED, Speed};
use crate::model::until::Until;
use crate::picture::shape::Target;

/// How long revealing an answer takes at most, in milliseconds.
const REVEAL_MS: f64 = 6_000.0;

/// How long before what was found one begins to look, in microseconds.
const BEFORE_US: u64 = 4_000_000;

impl Studio {
    pub(crate) fn play_pause(&mut self) {
        if self.lesson.phase == Phase::Asked && !self.player.is_playing {
            self.reveal();
            return;
        }
        if std::mem::take(&mut self.follows) {
            return;
        }
        if self.film().is_at_end() && !self.is_live {
            self.start();
        }
        self.player.is_playing = !self.player.is_playing;
    }

    /// A frame of so many milliseconds has gone by. Says whether anything is to be drawn anew.
    pub(crate) fn tick(&mut self, frame_ms: f64) -> bool {
        if self.follows {
            self.keep_up();
            return true;
        }
        let grew = self.film_mut().simulate_more();
        if grew {
            self.lesson.look(&Rc::clone(&self.scenario), &self.branches[self.at].film);
            if self.film().is_cut() {
                let end = self.film().end();
                self.say(&format!("The run is longer: it is shown up to {end}."), Vec::new());
            }
        }
        if !self.player.is_playing {
            return grew;
        }
        let film = &self.branches[self.at].film;
        let next = [self.lesson.next_halt(film.place()), self.until].into_iter().flatten().min();
        let halt = next.and_then(|place| Some((place, film.step_at(place).first()?.at)));
        let noticed = film.trace()[film.past().len()..].iter();
        let mut noticed = noticed.filter(|record| Interest::of(record) >= NOTICED);
        let noticed = noticed.next().map(|record| record.at);
        let mut micros = self.player.advance(frame_ms, film.world(), noticed);
        if let (Phase::Revealing, Some((_, at))) = (self.lesson.phase, halt) {
            micros = micros.max(reveal_micros(film.now(), at, frame_ms));
        }
        let target = film.now() + micros;
        if let Some((place, _)) = halt.filter(|(_, at)| *at <= target) {
            self.player.is_playing = false;
            self.until = self.until.filter(|until| *until > place);
            self.move_to(|film| film.go_to_place(place));
            self.lesson.arrive(place, true);
            return true;
        }
        self.move_to(|film| film.go_to(target));
        self.lesson.arrive(self.film().place(), false);
        if self.film().is_at_end() {
            (self.player.is_playing, self.follows) = (false, self.is_live);
        }
        true
    }

    pub(super) fn move_to(&mut self, go: impl FnOnce(&mut Film)) {
        let before = self.film().place();
        go(self.film_mut());
        if self.film().place() != before {
            self.changed();
        } else if self.film().footage().is_some() {
            // Who has left is seen for a while.
            self.scene = Rc::new(self.film().scene());
        } else if let Some(compare) = &mut self.compare {
            compare.film.go_to(self.branches[self.at].film.now());
        }
    }

    /// Goes somewhere for a look, and nothing else changes.
    pub(crate) fn peek(&mut self, go: impl FnOnce(&mut Film)) {
        self.move_to(go);
    }

    /// Somebody goes somewhere: nothing plays any more.
    fn go(&mut self, place: u32) {
        (self.player.is_playing, self.until, self.follows) = (false, None, false);
        self.move_to(|film| film.go_to_place(place));
        self.lesson.arrive(place, true);
    }

    pub(crate) fn go_to(&mut self, moment: Moment) {
        (self.player.is_playing, self.until, self.follows) = (false, None, false);
        self.move_to(|film| film.go_to(moment));
        self.lesson.arrive(self.film().place(), false);
    }

    /// Goes to the beginning. What was asked on the way is asked anew.
    pub(crate) fn start(&mut self) {
        self.go_to(self.film().begin());
        self.lesson.begin_anew();
    }

    pub(crate) fn go_to_record(&mut self, record: RecordNo) {
        let place = self.film().place_of(record);
        self.go(place);
        self.selected = Some(Target::Record(record));
    }

    pub(crate) fn step(&mut self, forward: bool) {
        let film = self.film();
        // Between two steps the one before is that which has just happened.
        let is_between = film.now() > film.step_moment();
        let place = match (forward, is_between) {
            (true, _) => film.place() + 1,
            (false, true) => film.place(),
            (false, false) => film.place().saturating_sub(1),
        };
        self.go(place.min(film.last_place()));
    }

    pub(crate) fn seek(&mut self, forward: bool, wanted: Wanted) {
        if let Some(place) = self.film().next_place(forward, wanted) {
            self.go(place);
        }
    }

    pub(crate) fn interesting(&mut self, forward: bool) {
        self.seek(forward, Wanted::Interest(Interest::Release));
    }

    pub(crate) fn of_selected_node(&mut self, forward: bool) {
        match self.selected {
            Some(Target::Node(node) | Target::Link(node)) => {
                self.seek(forward, Wanted::Node(node));
            }
            _ => self.say("Select a node first.", Vec::new()),
        }
    }

    pub(crate) fn next_violation(&mut self) {
        if self.film().violated().is_empty() {
            self.say("Nothing is violated in this run.", Vec::new());
        } else if self.film().next_place(true, Wanted::Violation).is_some() {
            self.seek(true, Wanted::Violation);
        } else {
            self.go(0);
            self.seek(true, Wanted::Violation);
        }
    }

    /// Lets the run go on until something comes about.
    pub(crate) fn play_until(&mut self, until: Until) {
        self.until = until.place(self.film());
        if self.until.is_some() {
            self.player.is_playing = true;
        } else {
            self.say("That does not come about any more in this run.", Vec::new());
        }
    }

    /// Goes to a little before the first violation, and plays up to it.
    pub(crate) fn play_to_violation(&mut self, plays: bool) {
        let first = self.film().violations().into_iter().map(|(_, at, _)| at).min();
        let Some(first) = first else { return };
        self.go_to(Moment::from_micros(first.as_micros().saturating_sub(BEFORE_US)));
        self.play_until(Until::Violation);
        // Slow enough to be followed, and there before a class has lost its patience.
        self.player.speed = Speed::Fixed(0.5);
        self.player.is_playing &= plays;
    }

    pub(crate) fn nudge(&mut self, forward: bool) {
        let now = self.film().now().as_micros();
        let to = if forward { now + 10_000 } else { now.saturating_sub(10_000) };
        self.go_to(Moment::from_micros(to));
    }

    pub(crate) fn stop(&mut self, forward: bool) {
        if forward && self.lesson.phase == Phase::Asked {
            self.reveal();
            return;
        }
        match self.lesson.next_stop(forward, self.film().place()) {
            Some(place) => self.go(place),
            None if forward => {
                let end = self.film().end();
                self.go_to(end);
            }
            None => self.start(),
        }
    }

    /// The part of the run that time lines show.
    pub(crate) fn shown(&self) -> (Moment, Moment) {
        if let Some(window) = self.window {
            return window;
        }
        let film = self.film();
        if self.is_live {
            return self.last_seen();
        }
        (film.begin(), film.end().max(film.begin() + 1_000_000))
    }

    pub(crate) fn zoom(&mut self, closer: bool) {
        let (from, to) = self.shown();
        let (from, to) = (from.as_micros(), to.as_micros());
        let now = self.film().now().as_micros();
        // What one looks at stays where it is.
        let now = if (from..=to).contains(&now) { now } else { from.midpoint(to) };
        let more = (to - from) / 8;
        let scaled = |part: u64| if closer { part * 2 / 3 } else { part * 4 / 3 + more };
        let start = now.saturating_sub(scaled(now - from));
        let end = (now + scaled(to - now)).min(self.film().end().as_micros());
        if end.saturating_sub(start) >= 50_000 {
            self.window = Some((Moment::from_micros(start), Moment::from_micros(end)));
        }
    }

    pub(crate) fn pan(&mut self, forward: bool) {
        let (from, to) = self.shown();
        let span = to.as_micros() - from.as_micros();
        let end = self.film().end().as_micros();
        let from = if forward {
            (from.as_micros() + span / 4).min(end.saturating_sub(span))
        } else {
            from.as_micros().saturating_sub(span / 4)
        };
        self.window = Some((Moment::from_micros(from), Moment::from_micros(from + span)));
    }

    pub(crate) fn reveal(&mut self) {
        if self.lesson.reveal() {
            self.player.is_playing = true;
            self.player.speed = Speed::Auto;
            // What shows at the very moment of the question is out at once.
            self.lesson.arrive(self.film().place(), false);
        }
    }

    pub(crate) fn toggle_lesson(&mut self) {
        self.lesson.is_on = !self.lesson.is_on;
        self.lesson.begin_anew();
        self.lesson.arrive(self.film().place(), false);
        let text = if self.lesson.is_on {
            "The run halts at its stops, and asks its question."
        } else {
            "The run goes through without stops, and asks nothing."
        };
        self.say(text, Vec::new());
    }
}

fn reveal_micros(now: Moment, at: Moment, frame_ms: f64) -> u64 {
    let left = at.as_micros().saturating_sub(now.as_micros());
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "some seconds"
    )]
    let micros = (left as f64 * (frame_ms / REVEAL_MS).min(1.0)) as u64;
    micros
}
