//! The scenario: which run is open, with which protections and seed, and undoing changes of it.

use leasehold_sim::{Protection, Scenario};

use super::context::{Context, PageArea, Redraw};
use super::layout::LayoutMsg;
use super::live::LiveMsg;

pub(crate) enum ScenarioMsg {
    /// Opens the scenario with this index in the library.
    OpenFromLibrary(usize),
    /// Opens a run that is not in the library, without a question, and shows a notice.
    OpenRun(Box<Scenario>, Option<String>),
    /// Opens a run that violates an invariant, shortly before the violation.
    OpenViolation(Box<Scenario>),
    ToggleProtection(Protection),
    /// Toggles the protection of this number key, counted from 0.
    ToggleProtectionByKey(usize),
    SetSeed(u64),
    Undo,
    Redo,
}

/// Nothing yet: the workspace has the run and its branches.
#[derive(Default)]
pub(crate) struct ScenarioArea;

impl PageArea for ScenarioArea {
    type Msg = ScenarioMsg;

    fn update(&mut self, msg: ScenarioMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            // Only the workspace of the simulation can open a scenario.
            ScenarioMsg::OpenFromLibrary(_)
            | ScenarioMsg::OpenRun(..)
            | ScenarioMsg::OpenViolation(_)
                if cx.workspace.is_live =>
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
                cx.send(LayoutMsg::CloseDialog);
            }
            ScenarioMsg::OpenRun(scenario, notice) => {
                cx.workspace.open_run(*scenario);
                if let Some(notice) = notice {
                    cx.show_toast(&notice);
                }
                cx.send(LayoutMsg::CloseDialog);
            }
            ScenarioMsg::OpenViolation(scenario) => {
                cx.workspace.open_run(*scenario);
                cx.workspace.replay_violation(!cx.environment.reduced_motion);
                cx.send(LayoutMsg::CloseDialog);
            }
            ScenarioMsg::ToggleProtection(protection) => {
                cx.workspace.toggle_protection(protection);
            }
            ScenarioMsg::ToggleProtectionByKey(index) => {
                if let Some(protection) = Protection::ALL.get(index) {
                    cx.workspace.toggle_protection(*protection);
                }
            }
            ScenarioMsg::SetSeed(seed) => cx.workspace.reseed(seed),
            ScenarioMsg::Undo => cx.workspace.undo(),
            ScenarioMsg::Redo => cx.workspace.redo(),
        }
        cx.update_address();
        Redraw::Page
    }
}
