//! The quiz of a scenario: the stops of a lecture, its question, and the votes. Predict first, then
//! see.
//! - The answer is computed from the current run, so it stays correct after faults and other
//!   changes.
//! - Nothing after the question is shown until the run has reached the record that shows the
//!   answer: see [`Quiz::horizon`].
//! - Votes stay on this page.

use std::cmp::Ordering;

use leasehold_sim::{Question, Scenario, Value, VirtualTime};

use super::timeline::{Timeline, time_of};

/// The stops of a scenario in one run, and the state of its question.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Quiz {
    /// Whether playback pauses at stops, and the question is asked.
    pub(crate) is_enabled: bool,
    /// The stops in order, including that of the question.
    pub(crate) stops: Vec<Stop>,
    pub(crate) phase: QuizPhase,
    /// The number of votes for each option.
    pub(crate) votes: Vec<u32>,
    /// The option of each vote, in the order of the votes.
    vote_order: Vec<usize>,
    /// Whether the question was opened, so that the answer is shown.
    was_opened: bool,
    /// Whether the user has closed the answer.
    is_closed: bool,
    question_position: Option<u32>,
    /// The position at which the run shows the answer; unset until the whole run is simulated.
    answer_position: Option<u32>,
    correct_option: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Stop {
    pub(crate) position: u32,
    pub(crate) at: VirtualTime,
    pub(crate) caption: String,
    pub(crate) is_question: bool,
}

/// The state of the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum QuizPhase {
    NotReached,
    /// The question is asked, and the run is paused.
    Open,
    /// The run plays until it shows the answer.
    Revealing,
    Answered,
}

impl Quiz {
    pub(crate) fn new(scenario: &Scenario, timeline: &Timeline, is_enabled: bool) -> Self {
        let mut quiz = Self {
            is_enabled,
            stops: Vec::new(),
            phase: QuizPhase::NotReached,
            votes: vec![0; scenario.question.options.len()],
            vote_order: Vec::new(),
            was_opened: false,
            is_closed: false,
            question_position: None,
            answer_position: None,
            correct_option: None,
        };
        quiz.update(scenario, timeline);
        quiz
    }

    /// Finds the stops again after the run has changed.
    pub(crate) fn update(&mut self, scenario: &Scenario, timeline: &Timeline) {
        let trace = timeline.full_trace();
        let found_stops = scenario.stops.iter().filter_map(|stop| {
            let record = stop.at.find(trace)?;
            Some((timeline.position_of(record), time_of(trace, record)?, stop.caption.clone()))
        });
        let mut stops: Vec<Stop> = found_stops
            .map(|(position, at, caption)| Stop { position, at, caption, is_question: false })
            .collect();
        let question = &scenario.question;
        // In a scenario with a goal, the question applies only while the user has injected no
        // faults.
        let has_user_interventions =
            scenario.goal.is_some() && timeline.run().interventions != scenario.interventions;
        let question_record = question.at.find(trace).filter(|_| !has_user_interventions);
        self.question_position = question_record.map(|record| timeline.position_of(record));
        (self.answer_position, self.correct_option) = (None, None);
        if let (Some(record), Some(position), Some(world)) =
            (question_record, self.question_position, timeline.final_world())
        {
            if timeline.is_complete() {
                let value = question.measure.evaluate_trace(world, trace, record);
                let answer_record = question.revealed_at(world, trace, record);
                self.answer_position = Some(timeline.position_of(answer_record).max(position));
                self.correct_option = find_correct_option(question, &value);
            }
            let at = time_of(trace, record).unwrap_or_default();
            if let Some(stop) = stops.iter_mut().find(|stop| stop.position == position) {
                stop.is_question = true;
            } else {
                let caption = question.text.clone();
                stops.push(Stop { position, at, caption, is_question: true });
            }
        }
        stops.sort_by_cached_key(|stop| u64::from(stop.position));
        self.stops = stops;
        // In the changed run, the question may lie in the future or in the past.
        let was_open = self.phase == QuizPhase::Open;
        if was_open || question_record.is_none() {
            self.phase = QuizPhase::NotReached;
        }
        self.position_reached(timeline.position(), was_open);
    }

    /// Updates the state of the question for a new position. `by_playing` is set if the run reached
    /// it by playing or stepping.
    pub(crate) fn position_reached(&mut self, position: u32, by_playing: bool) {
        let Some(question_position) = self.question_position.filter(|_| self.is_enabled) else {
            return;
        };
        let has_answer = self.answer_position.is_some_and(|answer| position >= answer);
        self.phase = match (self.phase, position.cmp(&question_position)) {
            (QuizPhase::Answered, _) => QuizPhase::Answered,
            (_, Ordering::Less) => QuizPhase::NotReached,
            // Moving past the question begins to reveal the answer.
            (_, Ordering::Greater) if has_answer => QuizPhase::Answered,
            (_, Ordering::Greater) => QuizPhase::Revealing,
            (_, Ordering::Equal) if by_playing => {
                (self.was_opened, self.is_closed) = (true, false);
                QuizPhase::Open
            }
            (QuizPhase::Revealing, Ordering::Equal) if has_answer => QuizPhase::Answered,
            (phase @ (QuizPhase::NotReached | QuizPhase::Open | QuizPhase::Revealing), _) => phase,
        };
    }

    /// Returns the last position of which anything may be shown, in any text, label, picture or
    /// file; `None` if there is no limit. Everything that the page derives from a run goes through
    /// [`Timeline`], which ends there.
    pub(crate) fn horizon(&self, position: u32) -> Option<u32> {
        let question_position = self.question_position.filter(|_| self.is_enabled)?;
        match self.phase {
            QuizPhase::NotReached | QuizPhase::Open | QuizPhase::Revealing => {
                Some(question_position.max(position))
            }
            QuizPhase::Answered => None,
        }
    }

    /// Counts a vote. A single user (`is_alone`) has one guess, which replaces the previous one.
    pub(crate) fn vote(&mut self, option: usize, is_alone: bool) {
        if self.phase != QuizPhase::Open || option >= self.votes.len() {
            return;
        }
        if is_alone {
            self.votes.fill(0);
            self.vote_order.clear();
        }
        self.votes[option] += 1;
        self.vote_order.push(option);
    }

    /// Removes the most recent vote.
    pub(crate) fn retract_vote(&mut self) {
        if self.phase == QuizPhase::Open
            && let Some(option) = self.vote_order.pop()
        {
            self.votes[option] -= 1;
        }
    }

    /// Returns the option of the most recent vote.
    pub(crate) fn last_vote(&self) -> Option<usize> {
        self.vote_order.last().copied()
    }

    /// Starts to reveal the answer. Returns whether the question was open.
    pub(crate) fn start_revealing(&mut self) -> bool {
        let was_open = self.phase == QuizPhase::Open;
        if was_open {
            self.phase = QuizPhase::Revealing;
        }
        was_open
    }

    /// Returns whether the question is on the page: open or answered.
    pub(crate) fn is_shown(&self) -> bool {
        let is_answered = self.was_opened && !self.is_closed;
        match self.phase {
            QuizPhase::NotReached => false,
            QuizPhase::Open | QuizPhase::Revealing => self.is_enabled && self.was_opened,
            QuizPhase::Answered => self.is_enabled && is_answered,
        }
    }

    /// Closes the answer. Returns whether it was shown.
    pub(crate) fn close_answer(&mut self) -> bool {
        let was_shown = self.phase == QuizPhase::Answered && self.is_shown();
        self.is_closed |= was_shown;
        was_shown
    }

    /// Discards the votes, so that the question is asked again.
    pub(crate) fn reset(&mut self) {
        (self.phase, self.was_opened) = (QuizPhase::NotReached, false);
        self.votes.fill(0);
        self.vote_order.clear();
    }

    /// Returns the next position at which a playing run pauses.
    pub(crate) fn next_pause(&self, position: u32) -> Option<u32> {
        if !self.is_enabled {
            return None;
        }
        if self.phase == QuizPhase::Revealing && self.was_opened {
            return self.answer_position;
        }
        self.stops.iter().map(|stop| stop.position).find(|stop| *stop > position)
    }

    pub(crate) fn stop_at(&self, position: u32) -> Option<&Stop> {
        self.stops.iter().find(|stop| stop.position == position).filter(|_| self.is_enabled)
    }

    /// Returns the position of the next or the previous stop.
    pub(crate) fn next_stop(&self, forward: bool, position: u32) -> Option<u32> {
        let mut positions = self.stops.iter().map(|stop| stop.position);
        if forward {
            positions.find(|stop| *stop > position)
        } else {
            positions.rev().find(|stop| *stop < position)
        }
    }

    /// Returns the stops that may be shown at this position.
    pub(crate) fn shown_stops(&self, position: u32) -> impl Iterator<Item = &Stop> {
        let horizon = self.horizon(position).unwrap_or(u32::MAX);
        self.stops.iter().filter(move |stop| stop.position <= horizon)
    }

    /// Returns the time of the question while everything after it is hidden.
    pub(crate) fn hidden_after(&self) -> Option<VirtualTime> {
        let is_hidden = self.is_enabled && self.phase != QuizPhase::Answered;
        let question = self.stops.iter().find(|stop| stop.is_question)?;
        is_hidden.then_some(question.at)
    }

    /// Returns the correct option after the answer has been revealed.
    pub(crate) fn answer(&self) -> Option<usize> {
        self.correct_option.filter(|_| self.phase == QuizPhase::Answered)
    }

    /// Returns the correct option, for the lecturer.
    pub(crate) const fn correct_option(&self) -> Option<usize> {
        self.correct_option
    }

    pub(crate) const fn answer_position(&self) -> Option<u32> {
        self.answer_position
    }
}

fn find_correct_option(question: &Question, value: &Value) -> Option<usize> {
    question.options.iter().position(|option| option.is_correct(value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::Protection;

    fn quiz_of(without: &[Protection]) -> (Scenario, Timeline, Quiz) {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let timeline = Timeline::new(scenario.run_without(&without.iter().copied().collect()));
        let quiz = Quiz::new(&scenario, &timeline, true);
        (scenario, timeline, quiz)
    }

    #[test]
    fn run_pauses_at_each_stop_and_asks_before_the_answer() {
        let (_, mut timeline, mut quiz) = quiz_of(&[]);
        let mut captions = Vec::new();
        while let Some(position) = quiz.next_pause(timeline.position()) {
            timeline.go_to_position(position);
            quiz.position_reached(position, true);
            captions.push(quiz.stop_at(position).unwrap().caption.clone());
            if quiz.phase == QuizPhase::Open {
                break;
            }
        }
        assert_eq!(captions.len(), 3, "the third stop is the question: {captions:#?}");
        assert!(quiz.hidden_after().is_some() && quiz.answer().is_none());
        quiz.vote(1, false);
        quiz.vote(0, false);
        quiz.retract_vote();
        quiz.vote(1, false);
        quiz.vote(7, false);
        assert!(quiz.start_revealing());
        timeline.go_to_position(quiz.next_pause(timeline.position()).unwrap());
        quiz.position_reached(timeline.position(), true);
        assert_eq!(
            (quiz.phase, quiz.answer()),
            (QuizPhase::Answered, Some(1)),
            "the append is refused"
        );
        assert_eq!((quiz.votes, quiz.stops.len()), (vec![0, 2, 0], 3));
    }

    #[test]
    fn answer_is_computed_from_the_current_run() {
        let (_, mut timeline, mut quiz) = quiz_of(&[Protection::Fencing]);
        timeline.go_to(timeline.end());
        quiz.position_reached(timeline.position(), false);
        assert_eq!(quiz.answer(), Some(0), "the append succeeds");
    }

    #[test]
    fn single_user_has_one_guess() {
        let (_, mut timeline, mut quiz) = quiz_of(&[]);
        timeline.go_to_position(quiz.stops.iter().find(|it| it.is_question).unwrap().position);
        quiz.position_reached(timeline.position(), true);
        quiz.vote(0, true);
        quiz.vote(2, true);
        assert_eq!((quiz.last_vote(), quiz.votes.clone()), (Some(2), vec![0, 0, 1]));
        quiz.retract_vote();
        quiz.retract_vote();
        assert_eq!((quiz.last_vote(), quiz.votes), (None, vec![0, 0, 0]));
    }

    #[test]
    fn skipping_the_question_does_not_open_it() {
        let (_, timeline, mut quiz) = quiz_of(&[]);
        quiz.position_reached(timeline.position_of(leasehold_sim::RecordId(u32::MAX)), false);
        assert_eq!(quiz.phase, QuizPhase::Answered);
        quiz.reset();
        quiz.position_reached(0, false);
        assert_eq!(quiz.phase, QuizPhase::NotReached);
    }
}
