//! Taking something along, and bringing it back: links, pictures, traces, a test.

use leasehold_sim::{Interest, Run, Scenario, Trace, mermaid, shiviz};
use yew::Context;

use super::app::{App, Msg};
use super::dialogs::Export;
use crate::browser;
use crate::model::film::Film;
use crate::model::footage::Recording;
use crate::picture::shape::Picture;

/// Traces of more records than this are not gone through to their end when they are opened.
const CHECKED_MAX: u32 = 400_000;

/// Does it.
pub(crate) fn export(app: &mut App, ctx: &Context<App>, export: Export) {
    let film = app.studio.film();
    let name = format!("{}-{}", app.studio.scenario.name, film.now().as_millis());
    match export {
        Export::Link if film.footage().is_some() => {
            app.studio.say("What was seen can't be put in a link: save it as a file.", Vec::new());
            return;
        }
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
        Export::Notes => {
            super::notes::open_window();
            return;
        }
        Export::Json => {
            let json = match (film.footage(), &app.studio.recorded) {
                (None, _) => recording(film).to_json(),
                (Some(_), Some(recorded)) => recorded.to_string(),
                (Some(_), None) => {
                    app.studio.say("Record first: what was recorded can be saved.", Vec::new());
                    return;
                }
            };
            browser::download_text(&format!("{name}.json"), "application/json", &json);
        }
        Export::ShiViz => {
            let log = shiviz(&recording(film));
            browser::download_text(&format!("{name}.shiviz.log"), "text/plain", &log);
        }
        Export::Mermaid => {
            let diagram = mermaid(&recording(film), Interest::Release);
            browser::download_text(&format!("{name}.mmd"), "text/plain", &diagram);
        }
        Export::Test => {
            let test = test_of(film, &app.studio.scenario.name);
            browser::download_text(&format!("{name}.rs"), "text/plain", &test);
        }
        Export::Found => {
            if let Some(found) = &app.hunt.found {
                let test = test_of(&Film::new(found.run.clone()), "found");
                browser::download_text("found.rs", "text/plain", &test);
            }
        }
    }
    app.studio.say("Saved with your downloads.", Vec::new());
}

fn recording(film: &Film) -> leasehold_sim::Recording {
    leasehold_sim::Recording::new(film.run().clone(), film.trace().to_vec())
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
         use leasehold_sim::{{Invariant, Run}};\n\n\
         #[test]\nfn {name}() {{\n    \
         let run: Run = serde_json::from_str(RUN).unwrap();\n    \
         let violated: Vec<Invariant> =\n        \
         run.go().violations().into_iter().map(|(it, _)| it).collect();\n    \
         assert_eq!(violated, [{}]);\n}}\n\n\
         const RUN: &str = r#\"{run}\"#;\n",
        violated.join(", ")
    )
}

impl App {
    /// A file that somebody chose.
    pub(super) fn import(&mut self, text: Option<&str>) {
        self.leave_live();
        if let Some(text) = text.filter(|text| Recording::is_one(text)) {
            match self.studio.of_recording(text) {
                Ok(recorded) => {
                    (self.studio, self.ui.open, self.must_measure) = (recorded, None, true);
                    self.studio.say("A recording of a real server.", Vec::new());
                }
                Err(error) => {
                    self.studio.say(&format!("That is no recording: {error}."), Vec::new());
                }
            }
            return;
        }
        match read_trace(text.unwrap_or_default()) {
            Ok((scenario, note)) => {
                self.ui.open = None;
                self.studio.show(scenario);
                self.studio.say(&note, Vec::new());
                self.must_measure = true;
            }
            Err(error) => self.studio.say(&format!("That is no trace: {error}."), Vec::new()),
        }
    }
}

/// A scenario, a run or a recording, whichever the text is; and a word on it.
fn read_trace(text: &str) -> Result<(Scenario, String), String> {
    if let Ok(scenario) = serde_json::from_str::<Scenario>(text) {
        scenario.run().validate().map_err(|error| error.to_string())?;
        let note = format!("A scenario: {}.", scenario.title);
        return Ok((scenario, note));
    }
    if let Ok(run) = serde_json::from_str::<Run>(text) {
        run.validate().map_err(|error| error.to_string())?;
        return Ok((of_run("run", &run), "A run, from its beginning.".to_owned()));
    }
    let trace = Trace::read(text)?;
    let fingerprint = trace.run.end_within(CHECKED_MAX).map(|world| world.fingerprint());
    let note = match fingerprint.map(|it| format!("{it:016x}") == trace.fingerprint) {
        Some(true) => "A trace: it is replayed exactly as it was recorded.",
        Some(false) => {
            "A trace, replayed with a newer model: the result differs from what was recorded."
        }
        None => "A trace, replayed. It is too long to be compared with what was recorded.",
    };
    Ok((of_run("trace", &trace.run), note.to_owned()))
}

/// A scenario around a run that has none: what it violates, or just the run.
fn of_run(name: &str, run: &Run) -> Scenario {
    Scenario::keep(name, run).unwrap_or_else(|| Scenario::around(name, run))
}
