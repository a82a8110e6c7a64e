//! The panels beside the pictures: the filter of the log, and what the files are compared with.

use leasehold_sim::Importance;

use super::context::{Context, PageArea, Redraw};
use crate::model::log_rows::ROWS_PER_PAGE;

pub(crate) enum PanelsMsg {
    SetMinImportance(Importance),
    /// Restricts the log to events of the selected target.
    FilterBySelection,
    ClearFilter,
    ShowMoreRows,
    ToggleFileComparison,
}

/// Nothing yet: the workspace has the filter, because the log belongs to its run.
#[derive(Default)]
pub(crate) struct PanelsArea;

impl PageArea for PanelsArea {
    type Msg = PanelsMsg;

    fn update(&mut self, msg: PanelsMsg, cx: &mut Context<'_>) -> Redraw {
        let workspace = &mut *cx.workspace;
        match msg {
            PanelsMsg::SetMinImportance(importance) => workspace.filter.min_importance = importance,
            PanelsMsg::FilterBySelection => workspace.filter_by_selection(),
            PanelsMsg::ClearFilter => {
                (workspace.filter.node, workspace.filter.lock) = (None, None);
            }
            PanelsMsg::ShowMoreRows => workspace.row_limit += ROWS_PER_PAGE,
            PanelsMsg::ToggleFileComparison => {
                workspace.compares_files = !workspace.compares_files;
            }
        }
        Redraw::Page
    }
}
