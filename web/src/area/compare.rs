//! The comparison of the run with another run of the same seed.

use super::context::{Context, PageArea, Redraw};
use crate::model::comparison::ComparisonMode;

pub(crate) enum CompareMsg {
    /// Opens or closes the comparison.
    Toggle,
    /// Opens the comparison, with the run as it is now.
    Restart,
    SetMode(ComparisonMode),
}

/// Nothing yet: the workspace has both runs.
#[derive(Default)]
pub(crate) struct CompareArea;

impl PageArea for CompareArea {
    type Msg = CompareMsg;

    fn update(&mut self, msg: CompareMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            CompareMsg::Toggle => {
                cx.workspace.toggle_comparison();
                cx.update_address();
            }
            CompareMsg::Restart => {
                cx.workspace.comparison = None;
                cx.workspace.toggle_comparison();
                cx.update_address();
            }
            CompareMsg::SetMode(mode) => {
                if let Some(comparison) = &mut cx.workspace.comparison {
                    comparison.mode = mode;
                }
            }
        }
        Redraw::Page
    }
}
