//! The line below the pictures: what there is to see, or the question and its answer.

use std::rc::Rc;

use gloo_timers::callback::Interval;
use yew::{AttrValue, Callback, Html, classes, html};

use crate::browser;
use crate::model::quiz::QuizPhase;
use crate::picture::shape::format_tenths;

/// How long a while for raising hands is, in milliseconds.
const VOTE_MS: f64 = 30_000.0;

#[derive(Clone)]
pub(crate) struct CaptionProps {
    pub(crate) text: AttrValue,
    /// Something is not as it should be.
    pub(crate) is_warning: bool,
    /// Whether it is told now to those who listen: at a stop, not while it plays.
    pub(crate) is_announced: bool,
}

/// One line on what one sees.
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
    /// Nobody presents: whoever is asked is alone, and has one guess.
    pub(crate) is_alone: bool,
    pub(crate) vote: Option<usize>,
    pub(crate) phase: QuizPhase,
    pub(crate) answer: Option<usize>,
    pub(crate) explanation: AttrValue,
    /// For how many seconds hands may still be raised, where that is limited.
    pub(crate) seconds_left: Option<u32>,
    pub(crate) ontimer: Callback<()>,
    pub(crate) onvote: Callback<usize>,
    pub(crate) onreveal: Callback<()>,
    pub(crate) onexplain: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

/// A while in which hands may be raised.
pub(crate) struct VoteTimer {
    ends_at: f64,
    /// Kept, since it ends when it is dropped.
    _ticks: Interval,
}

impl VoteTimer {
    pub(crate) fn start(on_tick: Callback<()>) -> Self {
        let ends_at = browser::now() + VOTE_MS;
        Self { ends_at, _ticks: Interval::new(250, move || on_tick.emit(())) }
    }

    /// How many seconds are left of it.
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

/// What somebody alone has guessed, and what it is.
fn vote_result(props: &QuestionProps) -> Option<String> {
    let vote = props.options.get(props.vote.filter(|_| props.is_alone)?)?;
    let answer = props.options.get(props.answer?)?;
    Some(if vote == answer {
        format!("Correct: {answer}.")
    } else {
        format!("Your answer: {vote}. Correct answer: {answer}.")
    })
}

/// What there is to do, and why the answer is what it is.
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
                    if let Some(said) = vote_result(props) { <b>{ said }</b>{ " " } }
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

/// The question: hands first, then the run itself gives the answer.
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
    html! {
        <section data-testid="question" class={classes!("question", is_answered.then_some("answered"),
                is_alone.then_some("single-user"))}
            aria-label="Question">
            <h2>{ question }</h2>
            <ol>{ for options.iter().enumerate().map(option) }</ol>
            { footer(props) }
        </section>
    }
}
