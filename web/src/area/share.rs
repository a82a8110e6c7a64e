//! Export and import: links, pictures, traces, recordings, and Rust tests.

use leasehold_sim::{Importance, Recording, RecordingHeader, Run, Scenario, mermaid, shiviz};
use web_sys::File;

use super::context::{Context, PageArea, Redraw};
use super::effect::{Effect, PictureFormat};
use super::layout::{LayoutMsg, OpenDialog};
use super::live::LiveMsg;
use super::present::PresentMsg;
use super::scenario::ScenarioMsg;
use crate::model::live_trace::LiveRecording;
use crate::model::timeline::Timeline;
use crate::picture::workspace_pictures::WorkspacePictures;

/// Imported traces with more records than this are not replayed to verify their fingerprint.
const RECORDS_CHECKED_MAX: u32 = 400_000;

/// Something to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportKind {
    Link,
    /// The picture with this name.
    Picture(&'static str, PictureFormat),
    /// Numbered pictures of this name, one for each stop.
    StopPictures(&'static str),
    Trace,
    ShiViz,
    Mermaid,
    /// A Rust test that replays the run.
    RustTest,
    /// A Rust test that replays this run, which violates an invariant.
    FoundTest(Box<Run>),
    /// The presenter's notes, in a second window.
    Notes,
}

pub(crate) enum ShareMsg {
    Export(ExportKind),
    ImportFile(File),
    /// The text of an imported file, unless it cannot be read.
    FileRead(Option<String>),
    LinkCopied(bool),
}

/// Nothing yet: what is exported is in the workspace.
#[derive(Default)]
pub(crate) struct ShareArea;

impl PageArea for ShareArea {
    type Msg = ShareMsg;

    fn update(&mut self, msg: ShareMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            ShareMsg::Export(kind) => export(kind, cx),
            ShareMsg::ImportFile(file) => {
                cx.request(Effect::ReadFile(file));
                return Redraw::Nothing;
            }
            ShareMsg::FileRead(text) => import(&text.unwrap_or_default(), cx),
            ShareMsg::LinkCopied(true) => cx.show_toast("Link copied"),
            ShareMsg::LinkCopied(false) => {
                cx.send(LayoutMsg::Open(OpenDialog::Exports));
                cx.show_toast(
                    "The browser denied access to the clipboard. Copy the link from here.",
                );
            }
        }
        Redraw::Page
    }
}

fn export(kind: ExportKind, cx: &mut Context<'_>) {
    let timeline = cx.workspace.timeline();
    let is_observed = timeline.live_trace().is_some();
    let name = format!("{}-{}", cx.workspace.scenario.name, timeline.now().as_millis());
    match kind {
        ExportKind::Link if is_observed => {
            cx.show_toast("Live data cannot be shared as a link. Save a recording instead.");
            return;
        }
        ExportKind::Link => {
            cx.request(Effect::CopyLink(cx.workspace.link_to_now().to_query()));
            return;
        }
        ExportKind::Notes => {
            cx.send(PresentMsg::OpenNotes);
            return;
        }
        ExportKind::Trace if is_observed && cx.workspace.recording_json.is_none() => {
            cx.show_toast("Nothing to save yet. Start a recording first.");
            return;
        }
        ExportKind::Picture(view, format) => save_picture(view, format, (&name, ""), cx),
        ExportKind::StopPictures(view) => save_stop_pictures(view, cx),
        ExportKind::Trace => {
            let recorded = cx.workspace.recording_json.as_ref().filter(|_| is_observed);
            let json = recorded
                .map_or_else(|| simulated_recording(timeline).to_json(), ToString::to_string);
            save_text(format!("{name}.json"), "application/json", json, cx);
        }
        ExportKind::ShiViz => {
            let log = shiviz(&simulated_recording(timeline));
            save_text(format!("{name}.shiviz.log"), "text/plain", log, cx);
        }
        ExportKind::Mermaid => {
            let diagram = mermaid(&simulated_recording(timeline), Importance::Release);
            save_text(format!("{name}.mmd"), "text/plain", diagram, cx);
        }
        ExportKind::RustTest => {
            let test = rust_test(timeline, &cx.workspace.scenario.name);
            save_text(format!("{name}.rs"), "text/plain", test, cx);
        }
        ExportKind::FoundTest(run) => {
            let test = rust_test(&Timeline::new(*run), "found");
            save_text("found.rs".to_owned(), "text/plain", test, cx);
        }
    }
    cx.show_toast("Saved to your downloads");
}

fn save_text(file_name: String, media_type: &'static str, text: String, cx: &mut Context<'_>) {
    cx.request(Effect::SaveText { file_name, media_type, text });
}

/// Saves the picture with this name. Its file name has this prefix and suffix.
fn save_picture(
    view: &str,
    format: PictureFormat,
    (prefix, suffix): (&str, &str),
    cx: &mut Context<'_>,
) {
    if let Some(picture) = WorkspacePictures::new(cx.workspace, cx.settings).named(view) {
        let ending = match format {
            PictureFormat::Svg => "svg".to_owned(),
            PictureFormat::Png(1) => "png".to_owned(),
            PictureFormat::Png(scale) => format!("{scale}x.png"),
        };
        let file_name = format!("{prefix}-{view}{suffix}.{ending}");
        cx.request(Effect::SavePicture { file_name, picture, format });
    }
}

/// Saves a numbered picture of each stop.
fn save_stop_pictures(view: &str, cx: &mut Context<'_>) {
    let position = cx.workspace.timeline().position();
    let now = cx.workspace.timeline().now();
    let stops: Vec<u32> = cx.workspace.quiz.stops.iter().map(|stop| stop.position).collect();
    for (number, stop) in (1..).zip(stops) {
        cx.workspace.move_timeline(|timeline| timeline.go_to_position(stop));
        let name = cx.workspace.scenario.name.clone();
        save_picture(view, PictureFormat::Svg, (&name, &format!("-{number}")), cx);
    }
    cx.workspace.move_timeline(|timeline| {
        timeline.go_to_position(position);
        timeline.go_to(now);
    });
}

fn simulated_recording(timeline: &Timeline) -> Recording {
    Recording::new(timeline.run().clone(), timeline.trace().to_vec())
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

/// Opens the text of an imported file.
fn import(text: &str, cx: &mut Context<'_>) {
    if LiveRecording::matches(text) {
        cx.send(LiveMsg::OpenRecording(text.to_owned()));
        return;
    }
    match read_trace(text) {
        Ok((scenario, note)) => {
            cx.send(ScenarioMsg::OpenRun(Box::new(scenario), Some(note)));
        }
        Err(error) => cx.show_toast(&format!("Cannot open the trace: {error}")),
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
