//! Export and import: links, pictures, traces, recordings, and Rust tests.

use leasehold_sim::{Importance, RecordingHeader, Run, Scenario, mermaid, shiviz};
use yew::Context;

use super::app::App;
use super::dialogs::ExportKind;
use super::messages::ExportMsg;
use crate::browser;
use crate::model::live_trace::LiveRecording;
use crate::model::timeline::Timeline;
use crate::picture::shape::Picture;

/// Imported traces with more records than this are not replayed to verify their fingerprint.
const RECORDS_CHECKED_MAX: u32 = 400_000;

/// Exports as requested.
pub(crate) fn run_export(app: &mut App, ctx: &Context<App>, export: ExportKind) {
    let timeline = app.workspace.timeline();
    let name = format!("{}-{}", app.workspace.scenario.name, timeline.now().as_millis());
    match export {
        ExportKind::Link if timeline.live_trace().is_some() => {
            app.workspace.show_toast(
                "Live data cannot be shared as a link. Save a recording instead.",
                Vec::new(),
            );
            return;
        }
        ExportKind::Link => {
            let address = browser::page_url(&app.workspace.link_to_now().to_query());
            browser::copy_text(&address, ctx.link().callback(ExportMsg::LinkCopied));
            return;
        }
        ExportKind::Svg(picture_index) => {
            if let Some((view, picture)) = app.pictures().get(picture_index) {
                let svg = picture.to_svg(&browser::picture_style());
                browser::download_text(&format!("{name}-{view}.svg"), "image/svg+xml", &svg);
            }
        }
        ExportKind::Png(picture_index, scale) => {
            if let Some((view, picture)) = app.pictures().get(picture_index) {
                let svg = picture.to_svg(&browser::picture_style());
                let size = (picture.width, picture.height);
                let file = format!("{name}-{view}.png");
                browser::download_png(&file, &svg, size, f64::from(scale));
            }
        }
        ExportKind::StopPictures(picture_index) => export_stop_pictures(app, picture_index),
        ExportKind::Notes => {
            super::notes_window::open_window();
            return;
        }
        ExportKind::Trace => {
            let json = match (timeline.live_trace(), &app.workspace.recording_json) {
                (None, _) => simulated_recording(timeline).to_json(),
                (Some(_), Some(recorded)) => recorded.to_string(),
                (Some(_), None) => {
                    app.workspace
                        .show_toast("Nothing to save yet. Start a recording first.", Vec::new());
                    return;
                }
            };
            browser::download_text(&format!("{name}.json"), "application/json", &json);
        }
        ExportKind::ShiViz => {
            let log = shiviz(&simulated_recording(timeline));
            browser::download_text(&format!("{name}.shiviz.log"), "text/plain", &log);
        }
        ExportKind::Mermaid => {
            let diagram = mermaid(&simulated_recording(timeline), Importance::Release);
            browser::download_text(&format!("{name}.mmd"), "text/plain", &diagram);
        }
        ExportKind::RustTest => {
            let test = rust_test(timeline, &app.workspace.scenario.name);
            browser::download_text(&format!("{name}.rs"), "text/plain", &test);
        }
        ExportKind::FoundTest => {
            if let Some(found) = &app.search.found {
                let test = rust_test(&Timeline::new(found.run.clone()), "found");
                browser::download_text("found.rs", "text/plain", &test);
            }
        }
    }
    app.workspace.show_toast("Saved to your downloads", Vec::new());
}

fn simulated_recording(timeline: &Timeline) -> leasehold_sim::Recording {
    leasehold_sim::Recording::new(timeline.run().clone(), timeline.trace().to_vec())
}

/// Downloads a numbered picture of each stop.
fn export_stop_pictures(app: &mut App, picture_index: usize) {
    let position = app.workspace.timeline().position();
    let now = app.workspace.timeline().now();
    let stop_positions: Vec<u32> =
        app.workspace.quiz.stops.iter().map(|stop_position| stop_position.position).collect();
    let style = browser::picture_style();
    for (number, stop_position) in (1..).zip(stop_positions) {
        app.workspace.move_timeline(|timeline| timeline.go_to_position(stop_position));
        if let Some((view, picture)) = app.pictures().get(picture_index) {
            let picture: &Picture = picture;
            let file = format!("{}-{view}-{number}.svg", app.workspace.scenario.name);
            browser::download_text(&file, "image/svg+xml", &picture.to_svg(&style));
        }
    }
    app.workspace.move_timeline(|timeline| {
        timeline.go_to_position(position);
        timeline.go_to(now);
    });
}

/// Returns the source of a Rust test that replays the run and expects its violations.
fn rust_test(timeline: &Timeline, name: &str) -> String {
    let run = serde_json::to_string_pretty(timeline.run()).unwrap_or_default();
    let violated: Vec<String> =
        timeline.violated().iter().map(|(it, _)| format!("Invariant::{it}")).collect();
    let name = name.replace('-', "_");
    format!(
        "//! Replays a run that was exported from the page, and checks which invariants it \
        violates.\n\n\
         use leasehold_sim::{{Invariant, InvariantStatus, Run}};\n\n\
         #[test]\nfn {name}() {{\n    \
         let run: Run = serde_json::from_str(RUN).unwrap();\n    \
         let is_violated = |it: &InvariantStatus| \
         matches!(it, InvariantStatus::Violated {{ .. }});\n    \
         let statuses = run.execute().statuses.into_iter();\n    \
         let violated: Vec<Invariant> =\n        \
         statuses.filter(|(_, it)| is_violated(it)).map(|(it, _)| it).collect();\n    \
         assert_eq!(violated, [{}]);\n}}\n\n\
         const RUN: &str = r#\"{run}\"#;\n",
        violated.join(", ")
    )
}

impl App {
    /// Opens the text of an imported file.
    pub(super) fn import_text(&mut self, text: Option<&str>) {
        self.leave_live();
        if let Some(text) = text.filter(|text| LiveRecording::matches(text)) {
            match self.workspace.for_recording(text) {
                Ok(workspace) => {
                    (self.workspace, self.ui.open_dialog, self.must_measure) =
                        (workspace, None, true);
                    self.workspace.show_toast("Opened a recording of a lock server", Vec::new());
                }
                Err(error) => {
                    self.workspace
                        .show_toast(&format!("Cannot open the recording: {error}"), Vec::new());
                }
            }
            return;
        }
        match read_trace(text.unwrap_or_default()) {
            Ok((scenario, note)) => {
                self.ui.open_dialog = None;
                self.workspace.open_run(scenario);
                self.workspace.show_toast(&note, Vec::new());
                self.must_measure = true;
            }
            Err(error) => {
                self.workspace.show_toast(&format!("Cannot open the trace: {error}"), Vec::new());
            }
        }
    }
}

/// Parses a scenario, a run or a trace, and returns it with a notice for the user.
fn read_trace(text: &str) -> Result<(Scenario, String), String> {
    if let Ok(scenario) = serde_json::from_str::<Scenario>(text) {
        scenario.resolve_run().validate().map_err(|error| error.to_string())?;
        let note = format!("Opened a scenario: {}", scenario.title);
        return Ok((scenario, note));
    }
    if let Ok(run) = serde_json::from_str::<Run>(text) {
        run.validate().map_err(|error| error.to_string())?;
        return Ok((scenario_for_run("run", &run), "Opened a run at its start".to_owned()));
    }
    let trace = RecordingHeader::from_json(text)?;
    let fingerprint =
        trace.run.execute_within(RECORDS_CHECKED_MAX).map(|world| world.fingerprint());
    let note = match fingerprint.map(|it| format!("{it:016x}") == trace.fingerprint) {
        Some(true) => "Opened a trace; the replay matches the recording exactly",
        Some(false) => "Opened a trace; the replay in this version differs from the recording",
        None => "Opened a trace; it is too long to compare its replay with the recording",
    };
    Ok((scenario_for_run("trace", &trace.run), note.to_owned()))
}

/// Returns a scenario for a run that has none; its violation becomes the scenario's point.
fn scenario_for_run(name: &str, run: &Run) -> Scenario {
    Scenario::from_violating_run(name, run).unwrap_or_else(|| Scenario::from_run(name, run))
}
