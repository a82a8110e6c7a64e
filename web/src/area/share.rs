//! Export and import: links, pictures, traces, recordings, and Rust tests.

use leasehold_sim::{
    Importance, Invariant, RecordId, Recording, RecordingHeader, Run, Scenario, mermaid, rust_test,
    shiviz,
};
use web_sys::File;

use super::address::{Moment, PAUSED_MOMENT_MS, PLAYING_MOMENT_MS};
use super::context::{Context, PageArea, Redraw};
use super::effect::{Effect, PictureFormat, Timer};
use super::layout::{LayoutMsg, OpenDialog};
use super::live::LiveMsg;
use super::present::PresentMsg;
use super::scenario::ScenarioMsg;
use super::search::SearchMsg;
use crate::model::live_trace::LiveRecording;
use crate::model::time_display::TimeReading;
use crate::model::workspace::Workspace;
use crate::picture::exported::Frame;
use crate::picture::workspace_pictures::WorkspacePictures;

/// Imported traces with more records than this are not replayed to verify their fingerprint.
const RECORDS_CHECKED_MAX: u32 = 400_000;

/// Something to export.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ExportKind {
    Link,
    /// The link, by the share sheet of the device.
    ShareSheet,
    /// The link to this run, which violates an invariant.
    FoundLink(Box<Scenario>),
    /// The picture with this name.
    Picture(&'static str, PictureFormat),
    /// Numbered pictures of this name, one for each stop.
    StopPictures(&'static str, PictureFormat),
    Trace,
    ShiViz,
    Mermaid,
    /// A Rust test that replays the run.
    RustTest,
    /// A Rust test that replays this run, which violates an invariant; copied to the clipboard, or
    /// else saved as a file.
    FoundTest(Box<Run>, Destination),
    /// The presenter's notes, in a second window.
    Notes,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Destination {
    Clipboard,
    File,
}

pub(crate) enum ShareMsg {
    Export(ExportKind),
    ImportFile(File),
    /// The text of an imported file, unless it cannot be read.
    FileRead(Option<String>),
    LinkCopied(bool),
    TestCopied(bool),
    /// Writes the moment on the screen into the address.
    SaveMoment,
}

#[derive(Default)]
pub(crate) struct ShareArea {
    /// The moment in the address.
    saved_moment: Moment,
    /// The delay of the timer that writes the moment, in milliseconds, while it is running.
    saving_in_ms: Option<u32>,
}

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
            ShareMsg::SaveMoment => {
                self.saving_in_ms = None;
                if Moment::of(cx.workspace) == self.saved_moment {
                    return Redraw::Nothing;
                }
                self.saved_moment = Moment::of(cx.workspace);
                if !cx.is_start_shown {
                    cx.update_address();
                }
                return Redraw::Nothing;
            }
            ShareMsg::TestCopied(true) => {
                cx.show_toast("Test copied. It belongs in a file in sim/tests.");
            }
            // The clipboard is not available; a file always is.
            ShareMsg::TestCopied(false) => cx.send(SearchMsg::SaveTest(Destination::File)),
            ShareMsg::LinkCopied(true) => cx.show_toast("Link copied."),
            ShareMsg::LinkCopied(false) => {
                cx.send(LayoutMsg::Open(OpenDialog::Exports));
                cx.show_toast(
                    "The browser denied access to the clipboard. Select the link here, and copy it.",
                );
            }
        }
        Redraw::Page
    }
}

impl ShareArea {
    /// Notes which moment the address describes, because the page was opened with it.
    pub(super) fn page_opened(&mut self, workspace: &Workspace) {
        self.saved_moment = Moment::of(workspace);
    }

    /// Returns the effect that writes the moment into the address soon, if it has changed.
    pub(super) fn moment_changed(&mut self, workspace: &Workspace) -> Option<Effect> {
        let is_playing = workspace.player.is_playing;
        let delay_ms = if is_playing { PLAYING_MOMENT_MS } else { PAUSED_MOMENT_MS };
        // A run that has just been paused is not written as late as while it played.
        let is_saving = self.saving_in_ms.is_some_and(|pending_ms| pending_ms <= delay_ms);
        if is_saving || workspace.is_live || Moment::of(workspace) == self.saved_moment {
            return None;
        }
        self.saving_in_ms = Some(delay_ms);
        Some(Effect::StartTimer(Timer::Moment, delay_ms))
    }
}

fn export(kind: ExportKind, cx: &mut Context<'_>) {
    if covers_whole_run(&kind)
        && let Err(reason) = cx.workspace.whole_run()
    {
        cx.show_toast(reason);
        return;
    }
    let timeline = cx.workspace.timeline();
    let is_observed = timeline.live_trace().is_some();
    let name = format!("{}-{}", cx.workspace.scenario.name, timeline.now().as_millis());
    match kind {
        ExportKind::Link | ExportKind::ShareSheet if is_observed => {
            cx.show_toast(
                "A link cannot contain live data. Record it, and share the recording as a file.",
            );
            return;
        }
        ExportKind::ShareSheet => {
            let title = export_title(cx.workspace).join(", ");
            let query = cx.workspace.link_to_now().to_query();
            cx.request(Effect::OpenShareSheet { title, query });
            return;
        }
        ExportKind::FoundLink(scenario) => {
            cx.request(Effect::CopyLink(cx.workspace.link_to_found(&scenario).to_query()));
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
            cx.show_toast("There is no recording yet. Record for a while, then save it.");
            return;
        }
        ExportKind::Picture(view, format) => save_picture(view, format, (&name, ""), cx),
        ExportKind::StopPictures(view, format) => save_stop_pictures(view, format, cx),
        ExportKind::Trace => {
            let recorded = cx.workspace.recording_json.as_ref().filter(|_| is_observed);
            let json = recorded
                .map_or_else(|| simulated_recording(cx.workspace).to_json(), ToString::to_string);
            save_text(format!("{name}.json"), "application/json", json, cx);
        }
        ExportKind::ShiViz => {
            let log = shiviz(&simulated_recording(cx.workspace));
            save_text(format!("{name}.shiviz.log"), "text/plain", log, cx);
        }
        ExportKind::Mermaid => {
            let title = export_title(cx.workspace);
            let recording = simulated_recording(cx.workspace);
            let diagram = mermaid(&recording, &title.join(", "), Importance::Release);
            save_text(format!("{name}.mmd"), "text/plain", diagram, cx);
        }
        ExportKind::RustTest => {
            save_text(format!("{name}.rs"), "text/plain", rust_test_of(cx.workspace), cx);
        }
        ExportKind::FoundTest(run, Destination::Clipboard) => {
            cx.request(Effect::CopyTest(found_test(&run)));
            return;
        }
        ExportKind::FoundTest(run, Destination::File) => {
            save_text("found.rs".to_owned(), "text/plain", found_test(&run), cx);
        }
    }
    cx.show_toast("Saved to your downloads.");
}

/// Returns a Rust test of a run that the search has found.
fn found_test(run: &Run) -> String {
    rust_test_with(run, &run.execute().violations(), "found")
}

/// Whether an export shows more than the present.
const fn covers_whole_run(kind: &ExportKind) -> bool {
    match kind {
        ExportKind::Trace | ExportKind::ShiViz | ExportKind::Mermaid | ExportKind::RustTest => true,
        ExportKind::Link
        | ExportKind::ShareSheet
        | ExportKind::FoundLink(_)
        | ExportKind::Notes
        | ExportKind::Picture(..)
        | ExportKind::StopPictures(..)
        | ExportKind::FoundTest(..) => false,
    }
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
    let picture = WorkspacePictures::new(cx.workspace, cx.settings).named(view);
    if let Some(picture) = picture {
        let ending = match format {
            PictureFormat::Svg => "svg".to_owned(),
            PictureFormat::Png(1) => "png".to_owned(),
            PictureFormat::Png(scale) => format!("{scale}x.png"),
        };
        let file_name = format!("{prefix}-{view}{suffix}.{ending}");
        let frame = Frame { title: export_title(cx.workspace), axis: axis_label(view, cx) };
        let picture = picture.framed(&frame);
        cx.request(Effect::SavePicture { file_name, picture, format });
    }
}

/// Returns the meaning of the horizontal axis of a picture, if it has one.
fn axis_label(view: &str, cx: &Context<'_>) -> Option<&'static str> {
    match view {
        "stage" => None,
        "space-time" if !cx.settings.is_to_scale => {
            Some("Time, from event to event (not to scale)")
        }
        _ if cx.workspace.timeline().live_trace().is_some() => {
            Some(match cx.workspace.timeline().time_display().reading() {
                TimeReading::SinceStart => "Time since the server's start, in seconds",
                TimeReading::WallClock => "Time of day",
            })
        }
        _ => Some("Time since the start of the run, in seconds"),
    }
}

/// Returns the title of an export, and the protections, seed and time that it shows.
fn export_title(workspace: &Workspace) -> Vec<String> {
    let timeline = workspace.timeline();
    let scenario = &workspace.scenario;
    let index = workspace.library.iter().position(|it| it.name == scenario.name);
    let title = match index {
        Some(index) => format!("{} · {}", index + 1, scenario.title),
        None => scenario.title.clone(),
    };
    if timeline.live_trace().is_some() {
        return vec![title, format!("At {}", timeline.now())];
    }
    let run = timeline.run();
    let off: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    let protections = if off.is_empty() {
        "All protections on".to_owned()
    } else {
        format!("Protections off: {}", off.join(", "))
    };
    let faults =
        run.interventions.len() - scenario.interventions.len().min(run.interventions.len());
    let faults = match faults {
        0 => String::new(),
        1 => " · 1 fault added".to_owned(),
        count => format!(" · {count} faults added"),
    };
    let moment = format!("Seed {} · at {}", run.seed, timeline.now());
    vec![title, format!("{protections}{faults} · {moment}")]
}

/// Saves a numbered picture of each stop.
fn save_stop_pictures(view: &str, format: PictureFormat, cx: &mut Context<'_>) {
    let position = cx.workspace.timeline().position();
    let now = cx.workspace.timeline().now();
    // What an open question hides is not exported either.
    let shown = cx.workspace.quiz.shown_stops(position);
    let positions: Vec<u32> = shown.map(|stop| stop.position).collect();
    for (number, stop) in (1..).zip(positions) {
        cx.workspace.move_timeline(|timeline| timeline.go_to_position(stop));
        let name = cx.workspace.scenario.name.clone();
        save_picture(view, format, (&name, &format!("-{number}")), cx);
    }
    cx.workspace.move_timeline(|timeline| timeline.go_to_position_at(position, now));
}

fn simulated_recording(workspace: &Workspace) -> Recording {
    let trace = workspace.whole_run().map_or(workspace.timeline().trace(), |it| it.trace);
    Recording::new(workspace.timeline().run().clone(), trace.to_vec())
}

/// Returns the source of a Rust test that replays the run and expects its violations.
fn rust_test_of(workspace: &Workspace) -> String {
    let name = &workspace.scenario.name;
    let test = workspace.whole_run().map(|it| rust_test_with(it.run, &it.violated, name));
    test.unwrap_or_default()
}

fn rust_test_with(run: &Run, violated: &[(Invariant, RecordId)], name: &str) -> String {
    // The statuses of a run are in this order.
    let is_violated = |it: &Invariant| violated.iter().any(|(violated, _)| violated == it);
    let violated: Vec<Invariant> = Invariant::ALL.into_iter().filter(is_violated).collect();
    rust_test(name, run, &violated)
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
        return Ok((Scenario::for_any_run("run", &run), "Opened a run at its start".to_owned()));
    }
    let trace = RecordingHeader::from_json(text)?;
    let fingerprint =
        trace.run.execute_within(RECORDS_CHECKED_MAX).map(|world| world.fingerprint());
    let note = match fingerprint.map(|it| format!("{it:016x}") == trace.fingerprint) {
        Some(true) => "Opened a trace; the replay matches the recording exactly",
        Some(false) => "Opened a trace; the replay in this version differs from the recording",
        None => "Opened a trace; it is too long to compare its replay with the recording",
    };
    Ok((Scenario::for_any_run("trace", &trace.run), note.to_owned()))
}
