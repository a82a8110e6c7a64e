//! The data of the panels, computed again only when it can have changed.

use std::cell::RefCell;
use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus};

use super::fault_options::FaultOption;
use super::file_views::FileView;
use super::inspector::{Field, InspectorContext, inspector_fields, with_changes};
use super::log_rows::{LogFilter, LogRow, log_rows, without_line_number};
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
    pub(crate) statuses: Rc<Vec<(Invariant, InvariantStatus, InvariantStatus)>>,
    pub(crate) files: Rc<Vec<FileView>>,
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
        let (mut rows, has_more) = log_rows(
            timeline.run(),
            past,
            current_step_start,
            &violated,
            workspace.filter,
            workspace.row_limit,
        );
        if timeline.live_trace().is_some() {
            rows.iter_mut().for_each(|row| row.action = without_line_number(&row.action));
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
            statuses: Rc::new(timeline.statuses()),
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
