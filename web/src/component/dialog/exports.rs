//! The dialog to share a link, export pictures and traces, and import files.

use wasm_bindgen::JsCast as _;
use web_sys::{Event, File, HtmlInputElement};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::Dialog;
use crate::area::effect::PictureFormat;
use crate::area::share::ExportKind;
use crate::browser;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ExportsProps {
    pub(crate) address: AttrValue,
    pub(crate) is_too_long: bool,
    /// The names of the pictures.
    pub(crate) pictures: Vec<&'static str>,
    /// Whether the run has stops to save pictures of.
    pub(crate) has_stops: bool,
    pub(crate) onexport: Callback<ExportKind>,
    pub(crate) onimport: Callback<File>,
    /// The latest toast, such as the result of an import; the dialog covers the toast itself.
    pub(crate) notice: Option<AttrValue>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn ExportsDialog(props: &ExportsProps) -> Html {
    let ExportsProps {
        address, is_too_long, pictures, has_stops, onexport, notice, onclose, ..
    } = props.clone();
    let button = |export: ExportKind, text: &'static str, test_id: &'static str| {
        let onclick = onexport.reform(move |_| export.clone());
        html! { <button class="small-button" data-testid={test_id} {onclick}>{ text }</button> }
    };
    html! {
        <Dialog title="Share and export" class="exports" {onclose}>
            if let Some(notice) = notice {
                <p class="notice" role="status">{ notice }</p>
            }
            <section>
                <h3>{ "Link to this time" }</h3>
                <div class="row">
                    <input readonly=true value={address} aria-label="Link" data-testid="link" />
                    { button(ExportKind::Link, "Copy", "copy-link") }
                    if browser::has_share_sheet() {
                        { button(ExportKind::ShareSheet, "Share…", "share-sheet") }
                    }
                </div>
                if is_too_long {
                    <p class="nothing">
                        { "Some mail programs shorten links of this length. \
                        Share the trace as a file instead." }
                    </p>
                }
            </section>
            <section>
                <h3>{ "Pictures as on the screen, with title and legend" }</h3>
                { for pictures.into_iter().map(|name| picture_row(name, has_stops, &button)) }
            </section>
            <section>
                <h3>{ "Run" }</h3>
                <div class="row">
                    { button(ExportKind::Trace, "Trace (JSON)", "export-json") }
                    { button(ExportKind::ShiViz, "ShiViz log", "export-shiviz") }
                    { button(ExportKind::Mermaid, "Mermaid", "export-mermaid") }
                    { button(ExportKind::RustTest, "Rust test", "export-test") }
                </div>
            </section>
            <section>
                <h3>{ "Presenter" }</h3>
                <div class="row">
                    { button(
                        ExportKind::Notes, "Open notes in a second window", "open-notes",
                    ) }
                </div>
            </section>
            <ImportSection onimport={props.onimport.clone()} />
        </Dialog>
    }
}

/// Returns the buttons that save one picture. `button` takes an export, a text and a test id.
fn picture_row(
    name: &'static str,
    has_stops: bool,
    button: &impl Fn(ExportKind, &'static str, &'static str) -> Html,
) -> Html {
    let (picture, stops) = (ExportKind::Picture, ExportKind::StopPictures);
    html! {
        <div class="row" key={name}>
            <span class="name">{ name }</span>
            { button(picture(name, PictureFormat::Svg), "SVG", "export-svg") }
            { button(picture(name, PictureFormat::Png(1)), "PNG", "export-png") }
            { button(picture(name, PictureFormat::Png(2)), "PNG 2×", "export-png-2") }
            if has_stops {
                { button(stops(name, PictureFormat::Png(2)), "PNG for each stop", "export-steps") }
                { button(stops(name, PictureFormat::Svg), "SVG for each stop", "export-steps-svg") }
            }
        </div>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ImportSectionProps {
    onimport: Callback<File>,
}

#[component]
fn ImportSection(props: &ImportSectionProps) -> Html {
    let import = props.onimport.clone();
    let onchange = move |event: Event| {
        let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
        let file = field.and_then(|field| field.files()).and_then(|files| files.get(0));
        if let Some(file) = file {
            import.emit(file);
        }
    };
    html! {
        <section>
            <h3>{ "Import a trace or recording" }</h3>
            <input type="file" accept=".json,application/json" {onchange} data-testid="import"
                aria-label="Trace, recording, run or scenario file" />
        </section>
    }
}
