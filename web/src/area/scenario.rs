//! The scenario: which run is open, with which protections and seed, and undoing changes of it.

use leasehold_sim::{Protection, Scenario};

use super::address;
use super::compare::CompareMsg;
use super::context::{Context, PageArea, Redraw};
use super::layout::LayoutMsg;
use super::live::LiveMsg;
use super::start::StartMsg;
use super::tour::TourMsg;
use crate::model::link::Link;
use crate::model::next_steps::NextStep;
use crate::model::workspace::{RunId, Workspace};

pub(crate) enum ScenarioMsg {
    /// Opens the scenario with this index in the library.
    OpenFromLibrary(usize),
    /// Opens a run that is not in the library, without a question, and shows a notice.
    OpenRun(Box<Scenario>, Option<String>),
    /// Opens a run that violates an invariant, shortly before the violation.
    OpenViolation(Box<Scenario>),
    ToggleProtection(Protection),
    SetSeed(u64),
    /// Performs a suggestion at the end of the run.
    PerformNextStep(NextStep),
    /// Shows the suggestions also while presenting.
    ShowNextSteps,
    Undo,
    Redo,
    /// Shows an entry of the browser's history: a run of this page, or else what a query describes.
    ShowEntry(Option<RunId>, String),
}

#[derive(Default)]
pub(crate) struct ScenarioArea {
    /// The revision of the workspace for which the presenter asked what comes next.
    asked_at: Option<u64>,
}

impl ScenarioArea {
    /// Returns the suggestions to show. A presenter must ask for them.
    pub(crate) fn next_steps(&self, workspace: &Workspace, is_presenting: bool) -> Vec<NextStep> {
        if is_presenting && self.asked_at != Some(workspace.revision) {
            return Vec::new();
        }
        workspace.next_steps()
    }
}

impl PageArea for ScenarioArea {
    type Msg = ScenarioMsg;

    fn update(&mut self, msg: ScenarioMsg, cx: &mut Context<'_>) -> Redraw {
        let run_before = cx.workspace.run_id();
        match msg {
            // Only the workspace of the simulation can open a scenario.
            ScenarioMsg::OpenFromLibrary(_)
            | ScenarioMsg::OpenRun(..)
            | ScenarioMsg::OpenViolation(_)
            | ScenarioMsg::ShowEntry(..)
                if cx.workspace.is_live && !is_live_entry(&msg) =>
            {
                cx.send(LiveMsg::Leave);
                cx.send(msg);
                return Redraw::Nothing;
            }
            ScenarioMsg::OpenFromLibrary(index) => {
                let scenario = cx.workspace.library.get(index).cloned();
                if let Some(scenario) = scenario {
                    cx.workspace.open_scenario(scenario);
                    cx.workspace.player.is_playing = !cx.environment.reduced_motion;
                }
                show_run(cx);
            }
            ScenarioMsg::OpenRun(scenario, notice) => {
                cx.workspace.open_run(*scenario);
                if let Some(notice) = notice {
                    cx.show_toast(&notice);
                }
                show_run(cx);
            }
            ScenarioMsg::OpenViolation(scenario) => {
                cx.workspace.open_run(*scenario);
                cx.workspace.replay_violation(!cx.environment.reduced_motion);
                show_run(cx);
            }
            ScenarioMsg::ToggleProtection(protection) => {
                cx.workspace.toggle_protection(protection);
            }
            ScenarioMsg::SetSeed(seed) => cx.workspace.reseed(seed),
            ScenarioMsg::PerformNextStep(step) => perform(&step, cx),
            ScenarioMsg::ShowNextSteps => self.asked_at = Some(cx.workspace.revision),
            ScenarioMsg::Undo => cx.workspace.undo(),
            ScenarioMsg::Redo => cx.workspace.redo(),
            ScenarioMsg::ShowEntry(run, query) => {
                cx.send(LayoutMsg::CloseDialog);
                address::show_entry(run, &query, cx);
                return Redraw::Page;
            }
        }
        if cx.workspace.run_id() == run_before {
            cx.update_address();
        } else {
            cx.push_address();
        }
        Redraw::Page
    }
}

fn perform(step: &NextStep, cx: &mut Context<'_>) {
    match step {
        NextStep::OpenScenario { index, .. } => cx.send(ScenarioMsg::OpenFromLibrary(*index)),
        NextStep::Compare => cx.send(CompareMsg::Restart),
        NextStep::Disable(_) | NextStep::Restore | NextStep::ShowHint { .. } => {
            cx.workspace.perform_next_step(step);
            cx.workspace.player.is_playing &= !cx.environment.reduced_motion;
        }
    }
}

/// Closes what covers the run.
fn show_run(cx: &mut Context<'_>) {
    cx.send(LayoutMsg::CloseDialog);
    cx.send(StartMsg::Hide);
    cx.send(TourMsg::Abandon);
}

/// Whether the message shows an entry of the browser's history that is about the live view.
fn is_live_entry(msg: &ScenarioMsg) -> bool {
    matches!(msg, ScenarioMsg::ShowEntry(_, query) if Link::parse(query).is_live)
}
