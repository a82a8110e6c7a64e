//! What is shown beside the stage: a question, its answer, or an explanation, where it covers
//! nothing.

use std::rc::Rc;

use yew::{AttrValue, Html, classes, html};

use super::callbacks::Callbacks;
use super::next_steps::NextSteps;
use super::question::Question;
use super::why::Why;
use crate::area::page_state::PageState;
use crate::model::next_steps::NextStep;
use crate::model::panel_data::PanelData;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::View;

/// What is shown beside the stage: in a presentation always one of these, otherwise only an
/// explanation or a question, above the panels.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum SideContent {
    Why,
    NextSteps,
    Question,
    Panel(View),
}

impl SideContent {
    pub(super) const fn code(self) -> &'static str {
        match self {
            Self::Why => "why",
            Self::NextSteps => "next",
            Self::Question => "question",
            Self::Panel(view) => view.test_id(),
        }
    }
}

pub(super) fn side_content(state: &PageState) -> SideContent {
    match state.present.view {
        _ if state.why.chain().is_some() => SideContent::Why,
        _ if state.present.is_presenting && !next_steps(state).is_empty() => SideContent::NextSteps,
        Some(view) => SideContent::Panel(view),
        None if state.workspace.quiz.is_shown() => SideContent::Question,
        None => SideContent::Panel(View::Log),
    }
}

/// The question, its answer or an explanation: beside the stage, where it covers nothing.
pub(super) fn side(state: &PageState, data: &PanelData, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let quiz = &workspace.quiz;
    let question = &workspace.scenario.question;
    let is_open = quiz.phase == QuizPhase::Open;
    html! {
        <div id="question" class={classes!("side", is_open.then_some("question-open"))}>
            { match side_content(state) {
                SideContent::Why => explanation(state, data, on),
                SideContent::NextSteps => html! {
                    <NextSteps steps={next_steps(state)} onstep={on.next_step.clone()} />
                },
                SideContent::Question => html! {
                    <Question question={AttrValue::from(question.text.clone())}
                        options={question.options.iter().map(|it| it.text.clone())
                            .collect::<Vec<_>>()}
                        clients={Rc::clone(&data.clients)}
                        votes={quiz.votes.clone()} is_alone={!state.present.is_presenting}
                        vote={quiz.last_vote()} phase={quiz.phase} answer={quiz.answer()}
                        explanation={AttrValue::from(workspace.explanation())}
                        seconds_left={state.seconds_left()} ontimer={on.vote_timer.clone()}
                        onvote={on.vote.clone()} onreveal={on.reveal.clone()}
                        onexplain={on.explain_answer.clone()} onclose={on.close_answer.clone()} />
                },
                SideContent::Panel(_) if state.present.view.is_some() => html! {
                    <button class="quiet close-view" data-testid="close-view" title="Close (Esc)"
                        onclick={on.close_view.reform(|_| ())}>{ "Close" }</button>
                },
                SideContent::Panel(_) => Html::default(),
            } }
        </div>
    }
}

/// Returns the suggestions for the end of the run.
pub(super) fn next_steps(state: &PageState) -> Vec<NextStep> {
    state.scenario.next_steps(&state.workspace, state.present.is_presenting)
}

fn explanation(state: &PageState, data: &PanelData, on: &Callbacks) -> Html {
    let Some(chain) = state.why.chain() else { return Html::default() };
    let progress = chain.progress();
    let is_answer = state.workspace.quiz.is_shown() && state.workspace.quiz.answer().is_some();
    let is_last = progress.0 == progress.1;
    let conclusion = (is_answer && is_last).then(|| AttrValue::from(state.workspace.explanation()));
    html! {
        <Why slide={chain.slide().clone()} clients={Rc::clone(&data.clients)} {progress}
            {conclusion}
            onstep={on.step_explanation.clone()} onclose={on.close_explanation.clone()} />
    }
}
