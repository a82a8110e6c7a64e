//! Faults that the user injects into the run.

use super::context::{Context, PageArea, Redraw};
use super::layout::LayoutMsg;
use crate::model::fault_options::FaultOption;

pub(crate) enum InjectMsg {
    /// Injects a fault at the current time, unless it is unavailable.
    Inject(FaultOption),
    /// Injects the fault that the menu of the selected target lists under this letter.
    InjectByKey(char),
}

/// Nothing yet: the workspace has the interventions.
#[derive(Default)]
pub(crate) struct InjectArea;

impl PageArea for InjectArea {
    type Msg = InjectMsg;

    fn update(&mut self, msg: InjectMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            InjectMsg::Inject(fault) => {
                match fault.unavailable_reason {
                    None => cx.workspace.inject_fault(fault.action, &fault.text),
                    Some(reason) => cx.show_toast(&format!("{}: {reason}", fault.text)),
                }
                cx.send(LayoutMsg::CloseDialog);
            }
            InjectMsg::InjectByKey(key) => cx.workspace.inject_fault_by_key(key),
        }
        Redraw::Page
    }
}
