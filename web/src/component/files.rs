//! The files: their lines, each with its token and writer.

use std::rc::Rc;

use leasehold_sim::RecordId;
use yew::{Callback, Html, Properties, classes, component, html};

use super::icon::drawn;
use crate::model::client_color::{NEUTRAL, client_color};
use crate::model::client_names::ClientNames;
use crate::model::file_views::{FileView, LineView, line_count_text};
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FilesProps {
    pub(crate) files: Rc<Vec<FileView>>,
    pub(crate) clients: Rc<ClientNames>,
    pub(crate) is_comparing: bool,
    /// Whether there is a correct run to compare with.
    pub(crate) can_compare: bool,
    pub(crate) oncompare: Callback<()>,
    pub(crate) onrecord: Callback<RecordId>,
    pub(crate) onmore: Callback<()>,
}

/// The lines of the files.
#[component]
pub(crate) fn Files(props: &FilesProps) -> Html {
    let FilesProps { files, is_comparing, can_compare, oncompare, onrecord, onmore, .. } =
        props.clone();
    html! {
        <section class="panel files" id="panel-files" data-testid="files" aria-label="Files">
            <header class="panel-header">
                <h2>{ "Files" }</h2>
                if can_compare {
                    <button class="quiet" aria-pressed={is_comparing.to_string()}
                        onclick={oncompare.reform(|_| ())}
                        title="Mark the differences to a run with all protections">
                        { "Compare with correct run" }
                    </button>
                }
            </header>
            if files.is_empty() {
                <p class="nothing">{ "No files yet" }</p>
            }
            <div class="sheets">
                { for files.iter().map(|file| {
                    file_sheet(file, &props.clients, &onrecord, &onmore)
                }) }
            </div>
        </section>
    }
}

fn file_sheet(
    file: &FileView,
    clients: &ClientNames,
    onrecord: &Callback<RecordId>,
    onmore: &Callback<()>,
) -> Html {
    let mut lines: Vec<Html> = Vec::new();
    if file.has_more {
        lines.push(html! {
            <li key="more" class="more-rows">
                <button class="quiet" onclick={onmore.reform(|_| ())}>{ "Earlier lines" }</button>
            </li>
        });
    }
    lines.extend(file.lines.iter().map(|line| line_item(line, clients, onrecord)));
    if lines.is_empty() {
        lines.push(html! { <li key="nothing" class="unobserved">{ "No lines yet" }</li> });
    }
    html! {
        <article key={file.name.clone()} class="sheet" data-testid={format!("file-{}", file.name)}>
            <h3>{ file.name.clone() }<small>
                { line_count_text(file.line_count, file.is_partial_count) }</small></h3>
            <div class="end" tabindex="0" role="region"
                aria-label={format!("Lines of {}", file.name)}>
                <ol>
                    { for lines }
                </ol>
            </div>
        </article>
    }
}

fn line_item(line: &LineView, clients: &ClientNames, onrecord: &Callback<RecordId>) -> Html {
    let record = line.record;
    let onclick = onrecord.reform(move |_| record);
    let badges = line.badges();
    // The margin has the colour of the writer.
    let color = clients.index_of(&line.client).map_or(NEUTRAL, client_color);
    html! {
        <li key={line.key.clone()} class={classes!(line.css_class(), color)}>
            <button class="line" {onclick} title={line.hint()}>
                <span class="token">{ line.token_text() }</span>
                <span class="text">{ line.text.clone() }</span>
                if !badges.is_empty() {
                    <span class="badges">
                        if line.is_wrong() { { drawn(Icon::Warning) } }
                        { badges }
                    </span>
                }
            </button>
        </li>
    }
}
