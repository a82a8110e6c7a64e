//! Taking something along: links, pictures, traces, a test.

use leasehold_core::sim::{Recording, mermaid, shiviz};
use yew::Context;

use super::app::{App, Msg};
use super::dialogs::Export;
use crate::browser;
use crate::model::film::Film;
use crate::picture::shape::Picture;

/// Does it.
pub(crate) fn export(app: &mut App, ctx: &Context<App>, export: Export) {
    let film = app.studio.film();
    let name = format!("{}-{}", app.studio.scenario.name, film.now().as_millis());
    match export {
        Export::Link => {
            let address = browser::address(&app.studio.link().write());
            browser::copy(&address, ctx.link().callback(Msg::Copied));
            return;
        }
        Export::Svg(no) => {
            if let Some((view, picture)) = app.pictures().get(no) {
                let svg = picture.svg(&browser::picture_style());
                browser::download_text(&format!("{name}-{view}.svg"), "image/svg+xml", &svg);
            }
        }
        Export::Png(no, scale) => {
            if let Some((view, picture)) = app.pictures().get(no) {
                let svg = picture.svg(&browser::picture_style());
                let size = (picture.width, picture.height);
                let file = format!("{name}-{view}.png");
                browser::download_png(&file, &svg, size, f64::from(scale));
            }
        }
        Export::Steps(no) => stops(app, no),
        Export::Json => {
            let json = recording(film).to_json();
            browser::download_text(&format!("{name}.json"), "application/json", &json);
        }
        Export::ShiViz => {
            let log = shiviz(&recording(film));
            browser::download_text(&format!("{name}.shiviz.log"), "text/plain", &log);
        }
        Export::Mermaid => {
            let diagram = mermaid(&recording(film), leasehold_core::sim::Interest::Release);
            browser::download_text(&format!("{name}.mmd"), "text/plain", &diagram);
        }
        Export::Test => {
            let test = test_of(film, &app.studio.scenario.name);
            browser::download_text(&format!("{name}.rs"), "text/plain", &test);
        }
    }
    app.studio.say("Saved with your downloads.", Vec::new());
}

fn recording(film: &Film) -> Recording {
    Recording::new(film.run().clone(), film.trace().to_vec())
}

/// A picture of each stop, numbered.
fn stops(app: &mut App, no: usize) {
    let place = app.studio.film().place();
    let now = app.studio.film().now();
    let places: Vec<u32> = app.studio.lesson.stops.iter().map(|stop| stop.place).collect();
    let style = browser::picture_style();
    for (nth, stop) in (1..).zip(places) {
        app.studio.peek(|film| film.go_to_place(stop));
        if let Some((view, picture)) = app.pictures().get(no) {
            let picture: &Picture = picture;
            let file = format!("{}-{view}-{nth}.svg", app.studio.scenario.name);
            browser::download_text(&file, "image/svg+xml", &picture.svg(&style));
        }
    }
    app.studio.peek(|film| {
        film.go_to_place(place);
        film.go_to(now);
    });
}

/// A test in Rust that goes through the run and expects what came of it.
fn test_of(film: &Film, name: &str) -> String {
    let run = serde_json::to_string_pretty(film.run()).unwrap_or_default();
    let violated: Vec<String> =
        film.violated().iter().map(|(it, _)| format!("Invariant::{it}")).collect();
    let name = name.replace('-', "_");
    format!(
        "//! A run that was found with the page, and what comes of it.\n\n\
         use leasehold_core::sim::{{Invariant, Run}};\n\n\
         #[test]\nfn {name}() {{\n    \
         let run: Run = serde_json::from_str(RUN).unwrap();\n    \
         let violated: Vec<Invariant> =\n        \
         run.go().violations().into_iter().map(|(it, _)| it).collect();\n    \
         assert_eq!(violated, [{}]);\n}}\n\n\
         const RUN: &str = r#\"{run}\"#;\n",
        violated.join(", ")
    )
}
