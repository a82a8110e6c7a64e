//! The area below the pictures: the caption, the question, and its answer.

use std::rc::Rc;

use gloo_timers::callback::Interval;
use yew::{AttrValue, Callback, Html, classes, html};

use crate::browser;
use crate::model::quiz::QuizPhase;
use crate::picture::shape::format_tenths;

/// The duration of a vote, in milliseconds.
const VOTE_MS: f64 = 30_000.0;

#[derive(Clone)]
pub(crate) struct CaptionProps {
    pub(crate) text: AttrValue,
    /// Whether the caption is a warning.
    pub(crate) is_warning: bool,
    /// Whether screen readers announce the caption: at a stop, but not during playback.
    pub(crate) is_announced: bool,
}

/// Returns the caption of the current step.
pub(crate) fn caption(props: &CaptionProps) -> Html {
    let live = if props.is_announced { "polite" } else { "off" };
    html! {
        <p class={classes!("caption", props.is_warning.then_some("alarm"))} data-testid="caption"
            role="status" aria-live={live}>
            { props.text.clone() }
        </p>
    }
}

#[derive(Clone)]
pub(crate) struct QuestionProps {
    pub(crate) question: AttrValue,
    pub(crate) options: Rc<Vec<String>>,
    pub(crate) votes: Vec<u32>,
    /// Whether the page is not presenting: a single user has one vote.
    pub(crate) is_alone: bool,
    pub(crate) vote: Option<usize>,
    pub(crate) phase: QuizPhase,
    pub(crate) answer: Option<usize>,
    pub(crate) explanation: AttrValue,
    /// The remaining seconds of the vote, if it is limited.
    pub(crate) seconds_left: Option<u32>,
    pub(crate) ontimer: Callback<()>,
    pub(crate) onvote: Callback<usize>,
    pub(crate) onreveal: Callback<()>,
    pub(crate) onexplain: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

/// The time limit of a vote.
pub(crate) struct VoteTimer {
    ends_at: f64,
    /// Retained, because dropping it stops the ticks.
    _ticks: Interval,
}

impl VoteTimer {
    pub(crate) fn start(on_tick: Callback<()>) -> Self {
        let ends_at = browser::now() + VOTE_MS;
        Self { ends_at, _ticks: Interval::new(250, move || on_tick.emit(())) }
    }

    /// Returns the remaining time, rounded up to seconds.
    pub(crate) fn seconds_left(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let seconds_left =
            ((self.ends_at - browser::now()) / 1_000.0).ceil().clamp(0.0, 99.0) as u32;
        seconds_left
    }
}

fn timer_button(props: &QuestionProps) -> Html {
    let text = match props.seconds_left {
        None => "Start 30 s timer".to_owned(),
        Some(0) => "Time is up".to_owned(),
        Some(seconds_left) => format!("{seconds_left} s left"),
    };
    let class = classes!("quiet", "timer", props.seconds_left.map(|_| "running"));
    html! {
        <button {class} data-testid="timer" title="Give the audience 30 seconds"
            onclick={props.ontimer.reform(|_| ())}>{ text }</button>
    }
}

/// Returns the result of a single user's vote.
fn vote_result(props: &QuestionProps) -> Option<String> {
    let vote = props.options.get(props.vote.filter(|_| props.is_alone)?)?;
    let answer = props.options.get(props.answer?)?;
    Some(if vote == answer {
        format!("Correct: {answer}.")
    } else {
        format!("Your answer: {vote}. Correct answer: {answer}.")
    })
}

/// Returns the instructions, or the explanation of the answer.
fn footer(props: &QuestionProps) -> Html {
    let (phase, explanation) = (props.phase, props.explanation.clone());
    html! {
        <footer>
            if phase == QuizPhase::Open {
                if props.is_alone {
                    <p>{ "Choose an answer or press its number." }</p>
                } else {
                    <p>{ "Count votes with the number keys; Backspace removes the last one." }</p>
                    { timer_button(props) }
                }
                <button class="primary" data-testid="reveal"
                    onclick={props.onreveal.reform(|_| ())}>{ "Reveal (Enter)" }</button>
            } else if phase == QuizPhase::Answered {
                <p class="explanation" role="status">
                    if let Some(result) = vote_result(props) { <b>{ result }</b>{ " " } }
                    { explanation }
                </p>
                <button class="quiet" onclick={props.onexplain.reform(|_| ())}>{ "Show why" }
                    </button>
                <button class="quiet" onclick={props.onclose.reform(|_| ())}>{ "Close (Esc)" }
                    </button>
            } else {
                <p>{ "Watch…" }</p>
            }
        </footer>
    }
}

/// Returns the question. The audience votes first; then the run reveals the answer.
pub(crate) fn question_view(props: &QuestionProps) -> Html {
    let QuestionProps { question, options, votes, is_alone, phase, answer, .. } = props.clone();
    let is_answered = phase == QuizPhase::Answered;
    let votes_total: u32 = votes.iter().sum();
    let option = |(index, text): (usize, &String)| {
        let count = votes.get(index).copied().unwrap_or(0);
        let onclick = props.onvote.reform(move |_| index);
        let is_correct = answer == Some(index);
        let class = classes!(
            "option",
            is_correct.then_some("correct"),
            (is_answered && !is_correct).then_some("wrong")
        );
        let percent = f64::from(count) / f64::from(votes_total.max(1)) * 100.0;
        let votes_text = if count == 1 { "1 vote".to_owned() } else { format!("{count} votes") };
        let vote_text = match (is_alone, props.vote == Some(index)) {
            (true, true) => "Your answer".to_owned(),
            (true, false) => String::new(),
            (false, _) if votes_total > 0 => votes_text,
            (false, _) => String::new(),
        };
        html! {
            <li key={index}>
                <button {class} {onclick} disabled={phase != QuizPhase::Open}
                    data-testid={format!("option-{}", index + 1)}>
                    <kbd>{ index + 1 }</kbd>
                    <span class="text">{ text.clone() }</span>
                    if !is_alone {
                        <svg class="vote-bar" viewBox="0 0 100 4" preserveAspectRatio="none"
                            aria-hidden="true">
                            <rect width={format_tenths(percent.round())} height="4" />
                        </svg>
                    }
                    <span class="count">{ vote_text }</span>
                    if is_correct { <span class="tick">{ "✓" }</span> }
                </button>
            </li>
        }
    };
    let class =
        classes!("question", is_answered.then_some("answered"), is_alone.then_some("single-user"));
    html! {
        <section data-testid="question" {class} aria-label="Question">
            <h2>{ question }</h2>
            <ol>{ for options.iter().enumerate().map(option) }</ol>
            { footer(props) }
        </section>
    }
}
