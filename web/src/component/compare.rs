//! Two runs of the same luck: side by side, one below the other, one over the other, or in words.

use std::rc::Rc;

use leasehold_sim::{Invariant, Moment, RecordNo, Status};
use yew::{Callback, Html, classes, html};

use super::app::App;
use super::draw::{Pointing, figure};
use crate::model::compare::{Compare, Difference, Mode, title};
use crate::model::files::FileView;
use crate::model::film::Film;
use crate::picture::shape::Picture;

/// All that is shown of the two.
#[derive(Clone, PartialEq)]
pub(crate) struct View {
    mode: Mode,
    parts: Option<(RecordNo, Moment)>,
    now: Moment,
    here: Side,
    there: Side,
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
    pub(crate) view: Rc<View>,
    pub(crate) onmode: Callback<Mode>,
    pub(crate) onrecord: Callback<RecordNo>,
    pub(crate) onclose: Callback<()>,
}

pub(crate) fn comparison(props: &ComparisonProps) -> Html {
    let view = &*props.view;
    let mode = |mode: Mode| {
        let onclick = props.onmode.reform(move |_| mode);
        html! {
            <button key={mode.title()} class="tab" aria-pressed={(view.mode == mode).to_string()}
                {onclick}>
                { mode.title() }
            </button>
        }
    };
    let (parts, is_past) = match view.parts {
        None => ("The two are the same from the first event to the last.".to_owned(), false),
        Some((_, at)) if at > view.now => (format!("The same so far; they part at {at}."), false),
        Some((_, at)) => (format!("They part at {at}."), true),
    };
    let go = view.parts.map(|(record, _)| props.onrecord.reform(move |_| record));
    html! {
        <section class="panel comparison" id="stage" data-testid="comparison"
            aria-label="Comparison">
            <header class="panel-head">
                <div class="tabs" role="group" aria-label="How">
                    { for Mode::ALL.into_iter().map(mode) }</div>
                <p class={classes!("parts", is_past.then_some("past"))}>
                    { parts }
                    if let Some(onclick) = go {
                        <button class="quiet" {onclick}>{ "Go there" }</button>
                    }
                </p>
                <button class="quiet" onclick={props.onclose.reform(|_| ())}>{ "Close (M)" }
                    </button>
            </header>
            <div class={classes!("sides", format!("mode-{}", mode_word(view.mode)))}>
                { side("A", &view.here, view.mode, Some(&props.onrecord)) }
                { side("B", &view.there, view.mode, None) }
            </div>
        </section>
    }
}

/// The picture of a side; one over the other they have one, in words none.
fn picture_id(letter: &str, mode: Mode) -> Option<&'static str> {
    match (letter, mode) {
        (_, Mode::Text) | ("B", Mode::Overlaid) => None,
        ("A", _) => Some("picture-a"),
        _ => Some("picture-b"),
    }
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::SideBySide => "side",
        Mode::Stacked => "stacked",
        Mode::Overlaid => "overlaid",
        Mode::Text => "text",
    }
}

fn side(
    letter: &'static str,
    side: &Side,
    mode: Mode,
    onrecord: Option<&Callback<RecordNo>>,
) -> Html {
    let violated: Vec<String> = side.violated.iter().map(|it| format!("{it} ✕")).collect();
    let verdict =
        if violated.is_empty() { "nothing violated".to_owned() } else { violated.join("  ") };
    html! {
        <article class={classes!("side", letter)} aria-label={format!("{letter}: {}", side.title)}>
            <header>
                <h2><b>{ letter }</b>{ " " }{ side.title.clone() }</h2>
                <p class={classes!("verdict", (!side.violated.is_empty()).then_some("bad"))}>
                    { verdict }</p>
            </header>
            if mode == Mode::Text {
                <ol class="differences">
                    if side.differences.is_empty() { <li class="nothing">
                        { "nothing that the other has not" }</li> }
                    { for side.differences.iter().map(|it| {
                        let onclick = onrecord.map(|on|
                            { let no = it.record; on.reform(move |_| no) });
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
                    { figure(id, &Callback::from(|_: Pointing| {})) }
                }
                <div class="sheets">
                    { for side.files.iter().map(|file| html! {
                        <div class="sheet" key={file.name.clone()}>
                            <h3>{ file.name.clone() }</h3>
                            <ol>{ for file.lines.iter().map(|line| html! {
                                <li key={line.key.clone()} class={line.class()}>
                                    <span class="token">{ line.token_text() }</span>
                                    <span class="text">{ line.text.clone() }</span>
                                    <span class="signs">{ line.signs() }</span>
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
    /// Both sides at this moment.
    pub(crate) fn comparison(&self, compare: &Compare) -> View {
        let film = self.studio.film();
        let (here, there) = compare.differences(film);
        let is_over = compare.mode == Mode::Overlaid;
        let dashed = if is_over { ", dashed where it is otherwise" } else { "" };
        View {
            mode: compare.mode,
            parts: compare.parts,
            now: film.now(),
            here: side_of(film, title(film.run()), here),
            there: side_of(&compare.film, format!("{}{dashed}", compare.title), there),
        }
    }

    /// The pictures of the two, by their ids.
    pub(crate) fn compared(&self, compare: &Compare) -> Vec<(&'static str, Picture)> {
        let film = self.studio.film();
        let (width, height) = self.sizes.stage;
        let is_wide = compare.mode == Mode::SideBySide && width > 700.0;
        let width = if is_wide { width / 2.0 - 24.0 } else { width - 24.0 };
        // Stacked, two of them and their files have to fit.
        let share = if compare.mode == Mode::Stacked || !is_wide { 0.3 } else { 0.55 };
        let place = self.place((width.max(240.0), (height * share).clamp(110.0, 420.0)));
        let other = &compare.film;
        let over = (compare.mode == Mode::Overlaid).then_some(other);
        let mut pictures = Vec::new();
        if let Some(id) = picture_id("A", compare.mode) {
            pictures.push((id, self.leases((film, over), place, None)));
        }
        if let Some(id) = picture_id("B", compare.mode) {
            pictures.push((id, self.leases((other, None), place, None)));
        }
        pictures
    }
}

/// How many lines of a file are seen in a comparison.
const LINES_COMPARED: usize = 60;

fn side_of(film: &Film, title: String, differences: Vec<Difference>) -> Side {
    let statuses = film.statuses().into_iter();
    let violated = statuses.filter(|(_, here, _)| matches!(here, Status::Violated { .. }));
    Side {
        title,
        files: film.files(None, LINES_COMPARED),
        violated: violated.map(|(it, ..)| it).collect(),
        differences,
    }
}
