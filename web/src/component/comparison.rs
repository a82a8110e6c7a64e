//! The comparison of two runs with the same seed: side by side, stacked, overlaid, or as text.

use std::rc::Rc;

use leasehold_sim::RecordId;
use yew::{Callback, Html, Properties, classes, component, html};

use super::figure::Figure;
use super::icon::drawn;
use super::key_hint::with_key;
use crate::model::comparison::{ComparedRun, ComparisonMode, ComparisonView};
use crate::model::shortcuts::Command;
use crate::picture::icon::Icon;
use crate::picture::workspace_pictures::{ComparedSide, picture_id};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ComparisonPanelProps {
    pub(crate) view: Rc<ComparisonView>,
    pub(crate) onmode: Callback<ComparisonMode>,
    pub(crate) onrecord: Callback<RecordId>,
    pub(crate) oncommand: Callback<Command>,
}

/// Both runs.
#[component]
pub(crate) fn ComparisonPanel(props: &ComparisonPanelProps) -> Html {
    let view = &*props.view;
    let mode_button = |mode: ComparisonMode| {
        let onclick = props.onmode.reform(move |_| mode);
        html! {
            <button key={mode.title()} class="tab" aria-pressed={(view.mode == mode).to_string()}
                {onclick}>
                { mode.title() }
            </button>
        }
    };
    let (divergence_text, has_diverged) = match view.divergence {
        None => ("The runs are identical".to_owned(), false),
        Some((_, at)) if at > view.now => {
            (format!("Identical so far; first difference at {at}"), false)
        }
        Some((_, at)) => (format!("First difference at {at}"), true),
    };
    let on_go_to_difference =
        view.divergence.map(|(record, _)| props.onrecord.reform(move |_| record));
    html! {
        <section class="panel comparison" id="stage" data-testid="comparison"
            aria-label="Comparison">
            <header class="panel-header">
                <div class="tabs" role="group" aria-label="Comparison layout">
                    { for ComparisonMode::ALL.into_iter().map(mode_button) }</div>
                <p class={classes!("divergence", has_diverged.then_some("diverged"))}>
                    { divergence_text }
                    if let Some(onclick) = on_go_to_difference {
                        <button class="quiet" {onclick}>{ "Go to difference" }</button>
                    }
                </p>
                <button class="quiet"
                    onclick={props.oncommand.reform(|_| Command::ToggleComparison)}>
                    { with_key("Close", "M") }
                </button>
            </header>
            <div class={classes!("sides", format!("mode-{}", mode_class(view.mode)))}>
                { side_panel(ComparedSide::A, &view.left, view.mode, Some(&props.onrecord)) }
                { side_panel(ComparedSide::B, &view.right, view.mode, None) }
            </div>
        </section>
    }
}

const fn mode_class(mode: ComparisonMode) -> &'static str {
    match mode {
        ComparisonMode::SideBySide => "side",
        ComparisonMode::Stacked => "stacked",
        ComparisonMode::Overlaid => "overlaid",
        ComparisonMode::Text => "text",
    }
}

fn side_panel(
    which: ComparedSide,
    side: &ComparedRun,
    mode: ComparisonMode,
    onrecord: Option<&Callback<RecordId>>,
) -> Html {
    let letter = match which {
        ComparedSide::A => "A",
        ComparedSide::B => "B",
    };
    let has_violations = !side.violated.is_empty();
    let violated: Vec<String> =
        side.violated.iter().map(|it| format!("{it} {} violated", it.title())).collect();
    let verdict =
        if violated.is_empty() { "No violations".to_owned() } else { violated.join(", ") };
    html! {
        <article class={classes!("compared-run", letter)}
            aria-label={format!("{letter}: {}", side.title)}>
            <header>
                <h2><b>{ letter }</b>{ " " }{ side.title.clone() }</h2>
                <p class={classes!("result", has_violations.then_some("has-violations"))}>
                    if has_violations { { drawn(Icon::Cross) } }
                    { verdict }
                </p>
            </header>
            if mode == ComparisonMode::Text {
                <ol class="differences">
                    if side.differences.is_empty() { <li class="nothing">
                        { "No event that is only in this run" }</li> }
                    { for side.differences.iter().map(|it| {
                        let onclick = onrecord.map(|on|
                            { let record = it.record; on.reform(move |_| record) });
                        html! {
                            <li key={it.record.0}>
                                if let Some(onclick) = onclick {
                                    <button class="line" {onclick}><span class="at">
                                        { it.at.clone() }</span>{ it.text.clone() }</button>
                                } else {
                                    <span class="line"><span class="at">{ it.at.clone() }</span>
                                        { it.text.clone() }</span>
                                }
                            </li>
                        }
                    }) }
                </ol>
            } else {
                if let Some(id) = picture_id(which, mode) { <Figure {id} /> }
                <div class="sheets">
                    { for side.files.iter().map(|file| html! {
                        <div class="sheet" key={file.name.clone()}>
                            <h3>{ file.name.clone() }</h3>
                            <ol>{ for file.lines.iter().map(|line| html! {
                                <li key={line.key.clone()} class={line.css_class()}>
                                    <span class="token">{ line.token_text() }</span>
                                    <span class="text">{ line.text.clone() }</span>
                                    <span class="badges">{ line.badges() }</span>
                                </li>
                            }) }</ol>
                        </div>
                    }) }
                </div>
            }
        </article>
    }
}
