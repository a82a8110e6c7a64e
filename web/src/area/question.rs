//! The scenario's question: votes, the time for them, and the answer.

use super::context::{Context, PageArea, Redraw};
use super::effect::{Effect, Timer};
use crate::model::quiz::QuizPhase;
use crate::model::workspace::Workspace;

/// The duration of a vote, in milliseconds.
const VOTE_MS: f64 = 30_000.0;

/// The interval between updates of the time left, in milliseconds.
const TICK_MS: u32 = 250;

pub(crate) enum QuestionMsg {
    Vote(usize),
    /// Removes the most recent vote.
    RetractVote,
    Reveal,
    CloseAnswer,
    /// Limits the time for votes.
    StartTimer,
    TimerTick,
    /// Turns stops and question on or off.
    ToggleEnabled,
}

#[derive(Default)]
pub(crate) struct QuestionArea {
    /// When the vote ends, in milliseconds on the monotonic clock, if its time is limited.
    ends_at: Option<f64>,
}

impl PageArea for QuestionArea {
    type Msg = QuestionMsg;

    fn update(&mut self, msg: QuestionMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            QuestionMsg::Vote(option) => {
                cx.workspace.quiz.vote(option, !cx.settings.is_presenting);
            }
            QuestionMsg::RetractVote => cx.workspace.quiz.retract_vote(),
            QuestionMsg::Reveal => cx.workspace.reveal_answer(),
            QuestionMsg::CloseAnswer => {
                cx.workspace.quiz.close_answer();
            }
            QuestionMsg::StartTimer => {
                self.ends_at = Some(cx.now() + VOTE_MS);
                cx.request(Effect::StartTimer(Timer::Vote, TICK_MS));
                // Enter and Space must reveal the answer now, not restart the timer.
                cx.request(Effect::Focus(vec!["[data-testid=reveal]".to_owned()]));
            }
            QuestionMsg::TimerTick => {
                if cx.workspace.quiz.phase != QuizPhase::Open {
                    self.ends_at = None;
                    cx.request(Effect::StopTimer(Timer::Vote));
                }
            }
            QuestionMsg::ToggleEnabled => cx.workspace.toggle_quiz(),
        }
        Redraw::Page
    }
}

impl QuestionArea {
    /// Ends the fast-forward to the answer at once, if the user prefers reduced motion.
    pub(super) fn follow(workspace: &mut Workspace, reduced_motion: bool) {
        if reduced_motion
            && workspace.quiz.phase == QuizPhase::Revealing
            && workspace.player.is_fast_forwarding()
        {
            workspace.jump_to_answer();
        }
    }

    /// Returns the remaining seconds of the vote, rounded up, if its time is limited.
    pub(crate) fn seconds_left(&self, now: f64) -> Option<u32> {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        self.ends_at.map(|ends_at| ((ends_at - now) / 1_000.0).ceil().clamp(0.0, 99.0) as u32)
    }
}
