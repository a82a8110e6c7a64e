//! The question and its answer. The audience votes first; then the run reveals the answer.

use std::rc::Rc;

use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::icon::drawn;
use super::key_hint::by_pointer;
use super::who::text_with_clients;
use crate::model::client_names::ClientNames;
use crate::model::quiz::QuizPhase;
use crate::picture::icon::Icon;
use crate::picture::presented_text::question_size;
use crate::picture::shape::format_tenths;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct QuestionProps {
    pub(crate) question: AttrValue,
    pub(crate) options: Vec<String>,
    pub(crate) clients: Rc<ClientNames>,
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

fn timer_button(seconds_left: Option<u32>, ontimer: &Callback<()>) -> Html {
    let text = match seconds_left {
        None => "Start 30 s timer".to_owned(),
        Some(0) => "Time is up".to_owned(),
        Some(seconds_left) => format!("{seconds_left} s left"),
    };
    let class = classes!("quiet", "timer", seconds_left.map(|_| "running"));
    html! {
        <button {class} data-testid="timer" title="Give the audience 30 seconds"
            onclick={ontimer.reform(|_| ())}>{ text }</button>
    }
}

/// Returns the result of a single user's vote.
fn vote_result(options: &[String], vote: Option<usize>, answer: Option<usize>) -> Option<String> {
    let (vote, answer) = (options.get(vote?)?, options.get(answer?)?);
    Some(if vote == answer {
        format!("Correct: {answer}.")
    } else {
        format!("Your answer: {vote}. Correct answer: {answer}.")
    })
}

#[derive(Clone, PartialEq, Properties)]
struct QuestionFooterProps {
    phase: QuizPhase,
    is_alone: bool,
    /// The result of a single user's vote.
    result: Option<String>,
    explanation: AttrValue,
    seconds_left: Option<u32>,
    ontimer: Callback<()>,
    onreveal: Callback<()>,
    onexplain: Callback<()>,
    onclose: Callback<()>,
}

/// The instructions, or the explanation of the answer.
#[component]
fn QuestionFooter(props: &QuestionFooterProps) -> Html {
    let QuestionFooterProps { phase, explanation, result, .. } = props.clone();
    html! {
        <footer>
            if phase == QuizPhase::Open {
                if props.is_alone {
                    <p>{ by_pointer(
                        "Choose an answer or press its number.",
                        "Tap your answer.",
                    ) }</p>
                } else {
                    { timer_button(props.seconds_left, &props.ontimer) }
                }
                <button class="primary" data-testid="reveal"
                    onclick={props.onreveal.reform(|_| ())}>{ "Reveal " }<kbd>{ "Enter" }</kbd>
                </button>
            } else if phase == QuizPhase::Answered {
                // In a presentation it follows after the last event of the explanation.
                if props.is_alone {
                    <p class="explanation" role="status">
                        if let Some(result) = result { <b>{ result }</b>{ " " } }
                        { explanation }
                    </p>
                }
                <button class="primary" data-testid="show-why"
                    onclick={props.onexplain.reform(|_| ())}>
                    { "Show why " }<kbd>{ "Enter" }</kbd>
                </button>
                <button class="quiet" onclick={props.onclose.reform(|_| ())}>
                    { "Close " }<kbd>{ "Esc" }</kbd>
                </button>
            } else {
                <p>{ "Watch…" }</p>
            }
        </footer>
    }
}

/// The question, its options, and the votes.
#[component]
pub(crate) fn Question(props: &QuestionProps) -> Html {
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
        let vote_text = match (is_alone, props.vote == Some(index)) {
            (true, true) => "Your answer".to_owned(),
            (true, false) => String::new(),
            (false, _) if votes_total > 0 => count.to_string(),
            (false, _) => String::new(),
        };
        let unit = if count == 1 { " vote" } else { " votes" };
        html! {
            <li key={index}>
                <button {class} {onclick} disabled={phase != QuizPhase::Open}
                    data-testid={format!("option-{}", index + 1)}>
                    <kbd>{ index + 1 }</kbd>
                    <span class="text">
                        { text_with_clients(text, &props.clients) }
                        if is_correct {
                            <span class="tick">{ " " }{ drawn(Icon::Check) }
                                <span class="unseen">{ "correct" }</span></span>
                        }
                    </span>
                    if !is_alone {
                        <svg class="vote-bar" viewBox="0 0 100 4" preserveAspectRatio="none"
                            aria-hidden="true">
                            if percent > 0.0 {
                                <rect width={format_tenths(percent.round())} height="4" />
                            }
                        </svg>
                    }
                    <span class="count">
                        { vote_text }
                        if !is_alone && votes_total > 0 {
                            <span class="unseen">{ unit }</span>
                        }
                    </span>
                </button>
            </li>
        }
    };
    let result = vote_result(&options, props.vote.filter(|_| is_alone), answer);
    let class = classes!(
        "question",
        question_size(&question, &options),
        is_answered.then_some("answered"),
        is_alone.then_some("single-user")
    );
    html! {
        <section data-testid="question" {class} aria-label="Question">
            <h2>{ text_with_clients(&question, &props.clients) }</h2>
            <ol>{ for options.iter().enumerate().map(option) }</ol>
            <QuestionFooter {phase} {is_alone} {result} explanation={props.explanation.clone()}
                seconds_left={props.seconds_left} ontimer={props.ontimer.clone()}
                onreveal={props.onreveal.clone()} onexplain={props.onexplain.clone()}
                onclose={props.onclose.clone()} />
        </section>
    }
}
