//! The panels beside the pictures: the filter of the log, and what the files are compared with.

use leasehold_sim::Importance;

use super::context::{Context, PageArea, Redraw};
use super::effect::Effect;
use crate::model::log_rows::ROWS_PER_PAGE;

pub(crate) enum PanelsMsg {
    SetMinImportance(Importance),
    /// Restricts the log to events of the selected target.
    FilterBySelection,
    ClearFilter,
    ShowMoreRows,
    ToggleFileComparison,
    /// Opens the search in the log, and focuses its field.
    OpenSearch,
    CloseSearch,
    SetSearchText(String),
    /// Goes to the next older match, or to the next newer one.
    GoToMatch {
        older: bool,
    },
}

/// The row of the current match.
const CURRENT_MATCH: &str = ".log-rows .current-match";

const SEARCH_FIELD: &str = "[data-testid=log-search]";

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
            PanelsMsg::OpenSearch => {
                workspace.log_search.is_open = true;
                cx.request(Effect::Focus(vec![SEARCH_FIELD.to_owned()]));
            }
            PanelsMsg::CloseSearch => {
                workspace.log_search.close();
                cx.request(Effect::Focus(vec!["[data-testid=log-search-open]".to_owned()]));
            }
            PanelsMsg::SetSearchText(text) => {
                workspace.log_search.set_text(text);
                cx.request(Effect::ScrollTo(CURRENT_MATCH));
            }
            PanelsMsg::GoToMatch { older } => {
                let matches = workspace.panel_data().matches;
                workspace.log_search.go_to_next(&matches, older);
                cx.request(Effect::ScrollTo(CURRENT_MATCH));
            }
            PanelsMsg::ToggleFileComparison => {
                workspace.compares_files = !workspace.compares_files;
            }
        }
        Redraw::Page
    }
}
