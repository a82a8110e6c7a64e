//! The comparison of two runs with the same seed: side by side, stacked, overlaid, or as text.

use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, RecordId, VirtualTime};
use yew::{Callback, Html, classes, html};

use super::app::App;
use super::figure::{PointerAction, figure};
use crate::model::comparison::{Comparison, ComparisonMode, Difference, run_title};
use crate::model::file_views::FileView;
use crate::model::timeline::Timeline;
use crate::picture::shape::Picture;

/// The data that the comparison shows.
#[derive(Clone, PartialEq)]
pub(crate) struct ComparisonView {
    mode: ComparisonMode,
    divergence: Option<(RecordId, VirtualTime)>,
    now: VirtualTime,
    left: Side,
    right: Side,
}

#[derive(Clone, PartialEq)]
struct Side {
    title: String,
    files: Vec<FileView>,
    violated: Vec<Invariant>,
    differences: Vec<Difference>,
}

#[derive(Clone)]
pub(crate) struct ComparisonProps {
    pub(crate) view: Rc<ComparisonView>,
    pub(crate) onmode: Callback<ComparisonMode>,
    pub(crate) onrecord: Callback<RecordId>,
    pub(crate) onclose: Callback<()>,
}

pub(crate) fn comparison_panel(props: &ComparisonProps) -> Html {
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
                <button class="quiet" onclick={props.onclose.reform(|_| ())}>{ "Close (M)" }
                    </button>
            </header>
            <div class={classes!("sides", format!("mode-{}", mode_class(view.mode)))}>
                { side_panel("A", &view.left, view.mode, Some(&props.onrecord)) }
                { side_panel("B", &view.right, view.mode, None) }
            </div>
        </section>
    }
}

/// Returns the id of a side's picture. Overlaid runs share one picture; the text mode has none.
fn picture_id(letter: &str, mode: ComparisonMode) -> Option<&'static str> {
    match (letter, mode) {
        (_, ComparisonMode::Text) | ("B", ComparisonMode::Overlaid) => None,
        ("A", _) => Some("picture-a"),
        _ => Some("picture-b"),
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
    letter: &'static str,
    side: &Side,
    mode: ComparisonMode,
    onrecord: Option<&Callback<RecordId>>,
) -> Html {
    let has_violations = !side.violated.is_empty();
    let violated: Vec<String> = side.violated.iter().map(|it| format!("{it} ✕")).collect();
    let verdict =
        if violated.is_empty() { "No violations".to_owned() } else { violated.join("  ") };
    html! {
        <article class={classes!("side", letter)} aria-label={format!("{letter}: {}", side.title)}>
            <header>
                <h2><b>{ letter }</b>{ " " }{ side.title.clone() }</h2>
                <p class={classes!("result", has_violations.then_some("has-violations"))}>
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
                if let Some(id) = picture_id(letter, mode) {
                    { figure(id, &Callback::from(|_: PointerAction| {})) }
                }
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

impl App {
    /// Returns both sides at the current time.
    pub(crate) fn comparison_view(&self, comparison: &Comparison) -> ComparisonView {
        let timeline = self.workspace.timeline();
        let (only_here, only_there) = comparison.differences(timeline);
        let is_overlaid = comparison.mode == ComparisonMode::Overlaid;
        let legend = if is_overlaid { " (differences dashed)" } else { "" };
        ComparisonView {
            mode: comparison.mode,
            divergence: comparison.divergence,
            now: timeline.now(),
            left: side_of(timeline, run_title(timeline.run()), only_here),
            right: side_of(&comparison.other, format!("{}{legend}", comparison.title), only_there),
        }
    }

    /// Returns the pictures of both runs with their ids.
    pub(crate) fn comparison_pictures(
        &self,
        comparison: &Comparison,
    ) -> Vec<(&'static str, Picture)> {
        let timeline = self.workspace.timeline();
        let (width, height) = self.sizes.stage;
        let is_wide = comparison.mode == ComparisonMode::SideBySide && width > 700.0;
        let width = if is_wide { width / 2.0 - 24.0 } else { width - 24.0 };
        // Two stacked pictures and their files must fit.
        let fraction =
            if comparison.mode == ComparisonMode::Stacked || !is_wide { 0.3 } else { 0.55 };
        let area = self.area((width.max(240.0), (height * fraction).clamp(110.0, 420.0)));
        let other = &comparison.other;
        let overlay = (comparison.mode == ComparisonMode::Overlaid).then_some(other);
        let mut pictures = Vec::new();
        if let Some(id) = picture_id("A", comparison.mode) {
            pictures.push((id, self.lease_picture((timeline, overlay), area, None)));
        }
        if let Some(id) = picture_id("B", comparison.mode) {
            pictures.push((id, self.lease_picture((other, None), area, None)));
        }
        pictures
    }
}

/// The maximum number of lines of a file in a comparison.
const LINES_COMPARED_MAX: usize = 60;

fn side_of(timeline: &Timeline, title: String, differences: Vec<Difference>) -> Side {
    let statuses = timeline.statuses().into_iter();
    let violated =
        statuses.filter(|(_, status, _)| matches!(status, InvariantStatus::Violated { .. }));
    Side {
        title,
        files: timeline.file_views(None, LINES_COMPARED_MAX),
        violated: violated.map(|(it, ..)| it).collect(),
        differences,
    }
}
