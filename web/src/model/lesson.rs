//! Where a lecture stops, and what it asks: predict first, then see.
//!
//! - The answer is computed from the run as it is, so it stays right whatever somebody changes.
//! - As long as it is not out, nothing is told that would give it away.
//! - What hands were raised for stays on this page.

use leasehold_sim::{Moment, Question, Scenario, Value};

use super::film::{Film, moment_of};

/// The stops of a scenario in one run, and how far its question is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Lesson {
    /// Whether one stops at all, and is asked.
    pub(crate) is_on: bool,
    /// The places at which one stops, and what is said there. The question's is among them.
    pub(crate) stops: Vec<Stop>,
    pub(crate) phase: Phase,
    /// How many hands were raised for each option.
    pub(crate) votes: Vec<u32>,
    /// The options in the order in which hands were raised.
    raised: Vec<usize>,
    /// Whether it was asked here, so that the answer is wanted.
    was_asked: bool,
    /// Whether somebody has had enough of the answer.
    is_closed: bool,
    asked_at: Option<u32>,
    /// By when the answer has been seen.
    seen_at: Option<u32>,
    /// The option that is right.
    right: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stop {
    pub(crate) place: u32,
    pub(crate) at: Moment,
    pub(crate) caption: String,
    pub(crate) is_question: bool,
}

/// How far the question is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has not been reached.
    Ahead,
    /// It is asked, and the run stands still.
    Asked,
    /// The run goes on to where the answer shows.
    Revealing,
    /// The answer is out.
    Out,
}

impl Lesson {
    /// The lesson of a scenario in this run of it.
    pub(crate) fn new(scenario: &Scenario, film: &Film, is_on: bool) -> Self {
        let mut lesson = Self {
            is_on,
            stops: Vec::new(),
            phase: Phase::Ahead,
            votes: vec![0; scenario.question.options.len()],
            raised: Vec::new(),
            was_asked: false,
            is_closed: false,
            asked_at: None,
            seen_at: None,
            right: None,
        };
        lesson.look(scenario, film);
        lesson
    }

    /// Finds the stops anew, after the run has changed.
    pub(crate) fn look(&mut self, scenario: &Scenario, film: &Film) {
        let trace = film.trace();
        let found = scenario.stops.iter().filter_map(|stop| {
            let no = stop.at.find(trace)?;
            Some((film.place_of(no), moment_of(trace, no)?, stop.caption.clone()))
        });
        let mut stops: Vec<Stop> = found
            .map(|(place, at, caption)| Stop { place, at, caption, is_question: false })
            .collect();
        let question = &scenario.question;
        // Where one is to try something, what comes of nothing is asked only of the run as it is.
        let is_tried =
            scenario.goal.is_some() && film.run().interventions != scenario.interventions;
        let asked = question.at.find(trace).filter(|_| !is_tried);
        self.asked_at = asked.map(|no| film.place_of(no));
        (self.seen_at, self.right) = (None, None);
        if let (Some(no), Some(place), Some(world)) = (asked, self.asked_at, film.head()) {
            let value = question.measure.value_in(world, trace, no);
            let seen = question.measure.seen_at(world, trace, no);
            self.seen_at = Some(film.place_of(seen).max(place));
            self.right = right_option(question, &value);
            let at = moment_of(trace, no).unwrap_or_default();
            if let Some(stop) = stops.iter_mut().find(|stop| stop.place == place) {
                stop.is_question = true;
            } else {
                let caption = question.ask.clone();
                stops.push(Stop { place, at, caption, is_question: true });
            }
        }
        stops.sort_by_key(|stop| stop.place);
        self.stops = stops;
        // In this run the question may not have come up yet, or be long past.
        let was_open = self.phase == Phase::Asked;
        if self.phase != Phase::Out || asked.is_none() {
            self.phase = Phase::Ahead;
        }
        self.arrive(film.place(), was_open);
    }

    /// One is at this place. `plays` says that one came there by playing or by stepping.
    pub(crate) fn arrive(&mut self, place: u32, plays: bool) {
        let Some(asked_at) = self.asked_at.filter(|_| self.is_on) else { return };
        let seen_at = self.seen_at.unwrap_or(asked_at);
        match self.phase {
            Phase::Ahead if place == asked_at && plays => {
                (self.phase, self.was_asked, self.is_closed) = (Phase::Asked, true, false);
            }
            // Whoever goes on without an answer sees what comes.
            Phase::Ahead if place > asked_at => self.phase = Phase::Out,
            Phase::Asked if place > asked_at => self.phase = Phase::Out,
            Phase::Asked if place < asked_at => self.phase = Phase::Ahead,
            Phase::Revealing if place >= seen_at => self.phase = Phase::Out,
            Phase::Revealing if place < asked_at => self.phase = Phase::Ahead,
            Phase::Ahead | Phase::Asked | Phase::Revealing | Phase::Out => {}
        }
    }

    /// A hand for an option; or the one guess of somebody who is `alone`.
    pub(crate) fn vote(&mut self, option: usize, alone: bool) {
        if self.phase != Phase::Asked || option >= self.votes.len() {
            return;
        }
        if alone {
            self.votes.fill(0);
            self.raised.clear();
        }
        self.votes[option] += 1;
        self.raised.push(option);
    }

    /// Takes the last hand back.
    pub(crate) fn take_back(&mut self) {
        if self.phase == Phase::Asked
            && let Some(option) = self.raised.pop()
        {
            self.votes[option] -= 1;
        }
    }

    /// The option that the last hand was raised for.
    pub(crate) fn guess(&self) -> Option<usize> {
        self.raised.last().copied()
    }

    /// The answer is wanted. Says whether there was a question.
    pub(crate) fn reveal(&mut self) -> bool {
        let asked = self.phase == Phase::Asked;
        if asked {
            self.phase = Phase::Revealing;
        }
        asked
    }

    /// Whether the question is on the page: open, or answered.
    pub(crate) fn is_shown(&self) -> bool {
        let is_answered = self.was_asked && !self.is_closed;
        match self.phase {
            Phase::Ahead => false,
            Phase::Asked | Phase::Revealing => self.is_on,
            Phase::Out => self.is_on && is_answered,
        }
    }

    /// The answer has been seen. Says whether there was one to close.
    pub(crate) fn close(&mut self) -> bool {
        let closes = self.phase == Phase::Out && self.is_shown();
        self.is_closed |= closes;
        closes
    }

    /// Asks again from the beginning.
    pub(crate) fn begin_anew(&mut self) {
        (self.phase, self.was_asked) = (Phase::Ahead, false);
        self.votes.fill(0);
        self.raised.clear();
    }

    /// The next place at which a run that plays from here stands still.
    pub(crate) fn next_halt(&self, place: u32) -> Option<u32> {
        if !self.is_on {
            return None;
        }
        if self.phase == Phase::Revealing {
            return self.seen_at;
        }
        self.stops.iter().map(|stop| stop.place).find(|stop| *stop > place)
    }

    /// The stop at a place.
    pub(crate) fn stop_at(&self, place: u32) -> Option<&Stop> {
        self.stops.iter().find(|stop| stop.place == place).filter(|_| self.is_on)
    }

    /// The place of the next stop, or of the one before.
    pub(crate) fn next_stop(&self, forward: bool, place: u32) -> Option<u32> {
        let mut places = self.stops.iter().map(|stop| stop.place);
        if forward {
            places.find(|stop| *stop > place)
        } else {
            places.rev().find(|stop| *stop < place)
        }
    }

    /// From when on nothing is told: what comes after the question, until it is answered.
    pub(crate) fn hidden_from(&self) -> Option<Moment> {
        let is_hidden = self.is_on && matches!(self.phase, Phase::Ahead | Phase::Asked);
        let question = self.stops.iter().find(|stop| stop.is_question)?;
        is_hidden.then_some(question.at)
    }

    /// Which option is right, once it is out.
    pub(crate) fn answer(&self) -> Option<usize> {
        self.right.filter(|_| self.phase == Phase::Out)
    }

    /// Which option is right, for the one who asks.
    pub(crate) const fn right(&self) -> Option<usize> {
        self.right
    }

    /// When the answer has been seen.
    pub(crate) const fn seen_at(&self) -> Option<u32> {
        self.seen_at
    }
}

fn right_option(question: &Question, value: &Value) -> Option<usize> {
    question.options.iter().position(|option| option.is_right(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Protection;

    fn lesson(without: &[Protection]) -> (Scenario, Film, Lesson) {
        let scenario = Scenario::named("gc-pause").unwrap();
        let film = Film::new(scenario.run_without(&without.iter().copied().collect()));
        let lesson = Lesson::new(&scenario, &film, true);
        (scenario, film, lesson)
    }

    #[test]
    fn a_run_halts_at_each_stop_and_asks_before_it_tells() {
        let (_, mut film, mut lesson) = lesson(&[]);
        let mut halts = Vec::new();
        while let Some(place) = lesson.next_halt(film.place()) {
            film.go_to_place(place);
            lesson.arrive(place, true);
            halts.push(lesson.stop_at(place).unwrap().caption.clone());
            if lesson.phase == Phase::Asked {
                break;
            }
        }
        assert_eq!(halts.len(), 3, "the last one is the question's: {halts:#?}");
        assert!(lesson.hidden_from().is_some() && lesson.answer().is_none());
        lesson.vote(1, false);
        lesson.vote(0, false);
        lesson.take_back();
        lesson.vote(1, false);
        lesson.vote(7, false);
        assert!(lesson.reveal());
        film.go_to_place(lesson.next_halt(film.place()).unwrap());
        lesson.arrive(film.place(), true);
        assert_eq!((lesson.phase, lesson.answer()), (Phase::Out, Some(1)), "it is refused");
        assert_eq!((lesson.votes, lesson.stops.len()), (vec![0, 2, 0], 3));
    }

    #[test]
    fn the_answer_is_that_of_the_run_at_hand() {
        let (_, mut film, mut lesson) = lesson(&[Protection::Fencing]);
        film.go_to(film.end());
        lesson.arrive(film.place(), false);
        assert_eq!(lesson.answer(), Some(0), "it is written");
    }

    #[test]
    fn whoever_is_alone_has_one_guess() {
        let (_, mut film, mut lesson) = lesson(&[]);
        film.go_to_place(lesson.stops.iter().find(|it| it.is_question).unwrap().place);
        lesson.arrive(film.place(), true);
        lesson.vote(0, true);
        lesson.vote(2, true);
        assert_eq!((lesson.guess(), lesson.votes.clone()), (Some(2), vec![0, 0, 1]));
        lesson.take_back();
        lesson.take_back();
        assert_eq!((lesson.guess(), lesson.votes), (None, vec![0, 0, 0]));
    }

    #[test]
    fn whoever_jumps_over_the_question_is_not_asked() {
        let (_, film, mut lesson) = lesson(&[]);
        lesson.arrive(film.place_of(leasehold_sim::RecordNo(u32::MAX)), false);
        assert_eq!(lesson.phase, Phase::Out);
        lesson.begin_anew();
        lesson.arrive(0, false);
        assert_eq!(lesson.phase, Phase::Ahead);
    }
}
