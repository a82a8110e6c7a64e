//! The data of the panels, computed again only when it can have changed.

use std::cell::RefCell;
use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus};

use super::client_names::ClientNames;
use super::fault_options::FaultOption;
use super::file_views::FileView;
use super::inspector::{Field, InspectorContext, inspector_fields, with_changes};
use super::log_rows::{LogFilter, LogRow, log_rows, without_line_number};
use super::log_search::{LogMatches, LogSearch, ROWS_SEARCHED_MAX};
use super::scene::Scene;
use super::stop_condition::StopCondition;
use super::target::Target;
use super::timeline::Timeline;
use super::workspace::Workspace;

/// Everything that the data depends on.
#[derive(Clone, Debug, PartialEq)]
struct CacheKey {
    version: u64,
    selected: Option<Target>,
    filter: LogFilter,
    row_limit: usize,
    log_search: LogSearch,
    compares_files: bool,
    /// Fields that count down change ten times a second.
    tenth_of_second: u64,
}

/// The data of the panels.
#[derive(Clone, Default)]
pub(crate) struct PanelData {
    pub(crate) fields: Rc<Vec<(Field, Option<String>)>>,
    pub(crate) faults: Rc<Vec<FaultOption>>,
    pub(crate) rows: Rc<Vec<LogRow>>,
    pub(crate) has_more_rows: bool,
    /// The rows that the user searches for.
    pub(crate) matches: Rc<LogMatches>,
    pub(crate) statuses: Rc<Vec<(Invariant, InvariantStatus, InvariantStatus)>>,
    pub(crate) files: Rc<Vec<FileView>>,
    pub(crate) clients: Rc<ClientNames>,
    /// The stop conditions: name and label.
    pub(crate) choices: Rc<Vec<(String, String)>>,
}

/// The most recent data.
#[derive(Default)]
pub(crate) struct PanelCache {
    last: RefCell<Option<(CacheKey, PanelData)>>,
}

impl PanelCache {
    pub(crate) fn get(&self, workspace: &Workspace) -> PanelData {
        let key = CacheKey {
            version: workspace.revision,
            selected: workspace.selected,
            filter: workspace.filter,
            row_limit: workspace.row_limit,
            log_search: workspace.log_search.clone(),
            compares_files: workspace.compares_files,
            tenth_of_second: workspace
                .selected
                .map_or(0, |_| workspace.timeline().now().as_millis() / 100),
        };
        if let Some((last, data)) = &*self.last.borrow()
            && *last == key
        {
            return data.clone();
        }
        let data = PanelData::new(workspace);
        *self.last.borrow_mut() = Some((key, data.clone()));
        data
    }
}

impl PanelData {
    fn new(workspace: &Workspace) -> Self {
        let timeline = workspace.timeline();
        let scene = workspace.scene();
        let past = timeline.past();
        let current_step_start = past.len() - timeline.step_records(timeline.position()).len();
        let violated = timeline.violated();
        let search = &workspace.log_search;
        let limit = workspace.row_limit;
        let (mut rows, mut has_more) = log_rows(
            timeline.run(),
            past,
            current_step_start,
            &violated,
            (
                workspace.filter,
                if search.is_active() { limit.max(ROWS_SEARCHED_MAX) } else { limit },
            ),
            timeline.time_display(),
        );
        if timeline.live_trace().is_some() {
            rows.iter_mut().for_each(|row| row.action = without_line_number(&row.action));
        }
        let mut matches = LogMatches::default();
        if search.is_active() {
            matches = search.matches(&mut rows, has_more);
            let shown = limit.max(matches.rows_needed(&rows));
            has_more |= rows.len() > shown;
            rows.truncate(shown);
        }
        let (fields, faults) = match workspace.selected {
            Some(target) => {
                let now = inspector_fields(timeline.inspector_context(), &scene, target);
                let previous = previous_fields(timeline, target);
                (with_changes(now, &previous), workspace.available_faults(target))
            }
            None => (Vec::new(), Vec::new()),
        };
        let file_views = timeline.file_views(workspace.correct_world(), workspace.row_limit / 2);
        Self {
            fields: Rc::new(fields),
            faults: Rc::new(faults),
            rows: Rc::new(rows),
            has_more_rows: has_more,
            matches: Rc::new(matches),
            statuses: Rc::new(timeline.statuses()),
            clients: Rc::new(ClientNames::of_run(timeline.run())),
            files: Rc::new(file_views),
            choices: Rc::new(if timeline.live_trace().is_some() {
                Vec::new()
            } else {
                StopCondition::choices(timeline.run())
            }),
        }
    }
}

/// Returns the fields before the current step.
fn previous_fields(timeline: &Timeline, target: Target) -> Vec<Field> {
    let inspect =
        |context: InspectorContext<'_>, scene: &Scene| inspector_fields(context, scene, target);
    timeline.with_previous_step(inspect).unwrap_or_default()
}
