//! The line below the pictures: what there is to see, or the question and its answer.

use std::rc::Rc;

use gloo_timers::callback::Interval;
use yew::{AttrValue, Callback, Html, classes, html};

use crate::browser;
use crate::model::lesson::Phase;
use crate::picture::shape::tenths;

/// How long a while for raising hands is, in milliseconds.
const TIMER_MS: f64 = 30_000.0;

#[derive(Clone)]
pub(crate) struct CaptionProps {
    pub(crate) text: AttrValue,
    /// Something is not as it should be.
    pub(crate) is_alarm: bool,
    /// Whether it is told now to those who listen: at a stop, not while it plays.
    pub(crate) is_spoken: bool,
}

/// One line on what one sees.
pub(crate) fn caption(props: &CaptionProps) -> Html {
    let live = if props.is_spoken { "polite" } else { "off" };
    html! {
        <p class={classes!("caption", props.is_alarm.then_some("alarm"))} data-testid="caption"
            role="status" aria-live={live}>
            { props.text.clone() }
        </p>
    }
}

#[derive(Clone)]
pub(crate) struct QuestionProps {
    pub(crate) ask: AttrValue,
    pub(crate) options: Rc<Vec<String>>,
    pub(crate) votes: Vec<u32>,
    /// Nobody presents: whoever is asked is alone, and has one guess.
    pub(crate) is_alone: bool,
    pub(crate) guess: Option<usize>,
    pub(crate) phase: Phase,
    pub(crate) answer: Option<usize>,
    pub(crate) why: AttrValue,
    /// For how many seconds hands may still be raised, where that is limited.
    pub(crate) left: Option<u32>,
    pub(crate) ontimer: Callback<()>,
    pub(crate) onvote: Callback<usize>,
    pub(crate) onreveal: Callback<()>,
    pub(crate) onwhy: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

/// A while in which hands may be raised.
pub(crate) struct Timer {
    ends: f64,
    /// Kept, since it ends when it is dropped.
    _ticks: Interval,
}

impl Timer {
    pub(crate) fn start(tick: Callback<()>) -> Self {
        let ends = browser::now() + TIMER_MS;
        Self { ends, _ticks: Interval::new(250, move || tick.emit(())) }
    }

    /// How many seconds are left of it.
    pub(crate) fn left(&self) -> u32 {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
        let left = ((self.ends - browser::now()) / 1_000.0).ceil().clamp(0.0, 99.0) as u32;
        left
    }
}

fn timer(props: &QuestionProps) -> Html {
    let text = match props.left {
        None => "30 s for it".to_owned(),
        Some(0) => "time is up".to_owned(),
        Some(left) => format!("{left} s left"),
    };
    let class = classes!("quiet", "timer", props.left.map(|_| "runs"));
    html! {
        <button {class} data-testid="timer" title="Give them 30 seconds"
            onclick={props.ontimer.reform(|_| ())}>{ text }</button>
    }
}

/// What somebody alone has guessed, and what it is.
fn outcome(props: &QuestionProps) -> Option<String> {
    let guess = props.options.get(props.guess.filter(|_| props.is_alone)?)?;
    let answer = props.options.get(props.answer?)?;
    Some(if guess == answer {
        format!("You guessed right: {answer}.")
    } else {
        format!("You guessed: {guess}. It is: {answer}.")
    })
}

/// What there is to do, and why the answer is what it is.
fn footer(props: &QuestionProps) -> Html {
    let (phase, why) = (props.phase, props.why.clone());
    html! {
        <footer>
            if phase == Phase::Asked {
                if props.is_alone {
                    <p>{ "Your guess? Press a digit, or one of them." }</p>
                } else {
                    <p>{ "Count hands with the digits; Backspace takes one back." }</p>
                    { timer(props) }
                }
                <button class="primary" data-testid="reveal"
                    onclick={props.onreveal.reform(|_| ())}>{ "Reveal (Enter)" }</button>
            } else if phase == Phase::Out {
                <p class="why" role="status">
                    if let Some(said) = outcome(props) { <b>{ said }</b>{ " " } }
                    { why }
                </p>
                <button class="quiet" onclick={props.onwhy.reform(|_| ())}>{ "Show why" }
                    </button>
                <button class="quiet" onclick={props.onclose.reform(|_| ())}>{ "Close (Esc)" }
                    </button>
            } else {
                <p>{ "Watch …" }</p>
            }
        </footer>
    }
}

/// The question: hands first, then the run itself gives the answer.
pub(crate) fn ask(props: &QuestionProps) -> Html {
    let QuestionProps { ask, options, votes, is_alone, phase, answer, .. } = props.clone();
    let is_out = phase == Phase::Out;
    let all: u32 = votes.iter().sum();
    let option = |(no, text): (usize, &String)| {
        let count = votes.get(no).copied().unwrap_or(0);
        let onclick = props.onvote.reform(move |_| no);
        let right = answer == Some(no);
        let class =
            classes!("option", right.then_some("correct"), (is_out && !right).then_some("wrong"));
        let share = f64::from(count) / f64::from(all.max(1)) * 100.0;
        let hands = if count == 1 { "1 hand".to_owned() } else { format!("{count} hands") };
        let shown = match (is_alone, props.guess == Some(no)) {
            (true, true) => "your guess".to_owned(),
            (true, false) => String::new(),
            (false, _) if all > 0 => hands,
            (false, _) => String::new(),
        };
        html! {
            <li key={no}>
                <button {class} {onclick} disabled={phase != Phase::Asked}
                    data-testid={format!("option-{}", no + 1)}>
                    <kbd>{ no + 1 }</kbd>
                    <span class="text">{ text.clone() }</span>
                    if !is_alone {
                        <svg class="hands" viewBox="0 0 100 4" preserveAspectRatio="none"
                            aria-hidden="true">
                            <rect width={tenths(share.round())} height="4" />
                        </svg>
                    }
                    <span class="count">{ shown }</span>
                    if right { <span class="tick">{ "✓" }</span> }
                </button>
            </li>
        }
    };
    html! {
        <section data-testid="question" class={classes!("question", is_out.then_some("out"),
                is_alone.then_some("alone"))}
            aria-label="Question">
            <h2>{ ask }</h2>
            <ol>{ for options.iter().enumerate().map(option) }</ol>
            { footer(props) }
        </section>
    }
}
