//! The data of the panels, computed again only when it can have changed.

use std::cell::RefCell;
use std::rc::Rc;

use leasehold_sim::{Invariant, InvariantStatus, World};

use super::app::App;
use crate::model::fault_options::FaultOption;
use crate::model::file_views::FileView;
use crate::model::inspector::{Field, InspectorContext, inspector_fields, with_changes};
use crate::model::log_rows::{LogFilter, LogRow, log_rows, without_line_number};
use crate::model::scene::Scene;
use crate::model::stop_condition::StopCondition;
use crate::model::target::Target;

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
    /// The fingerprint of a run, and the final state of the same run with all protections.
    correct: RefCell<Option<(u64, Rc<World>)>>,
}

impl PanelCache {
    pub(crate) fn get(&self, app: &App) -> PanelData {
        let workspace = &app.workspace;
        let key = CacheKey {
            version: workspace.revision,
            selected: workspace.selected,
            filter: workspace.filter,
            row_limit: workspace.row_limit,
            compares_files: app.ui.compares_files,
            tenth_of_second: workspace
                .selected
                .map_or(0, |_| workspace.timeline().now().as_millis() / 100),
        };
        if let Some((last, data)) = &*self.last.borrow()
            && *last == key
        {
            return data.clone();
        }
        let data = self.compute(app);
        *self.last.borrow_mut() = Some((key, data.clone()));
        data
    }

    fn compute(&self, app: &App) -> PanelData {
        let workspace = &app.workspace;
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
            (workspace.filter, workspace.row_limit),
            timeline.time_display(),
        );
        if timeline.live_trace().is_some() {
            rows.iter_mut().for_each(|row| row.action = without_line_number(&row.action));
        }
        let (fields, faults) = match workspace.selected {
            Some(target) => {
                let now = inspector_fields(timeline.inspector_context(), &scene, target);
                let previous = previous_fields(app, target);
                (with_changes(now, &previous), workspace.available_faults(target))
            }
            None => (Vec::new(), Vec::new()),
        };
        let correct_run = app.ui.compares_files.then(|| self.correct_run(app));
        PanelData {
            fields: Rc::new(fields),
            faults: Rc::new(faults),
            rows: Rc::new(rows),
            has_more_rows: has_more,
            statuses: Rc::new(timeline.statuses()),
            files: Rc::new(timeline.file_views(correct_run.as_deref(), workspace.row_limit / 2)),
            choices: Rc::new(if timeline.live_trace().is_some() {
                Vec::new()
            } else {
                StopCondition::choices(timeline.run())
            }),
        }
    }

    fn correct_run(&self, app: &App) -> Rc<World> {
        let timeline = app.workspace.timeline();
        if let Some((fingerprint, world)) = &*self.correct.borrow()
            && *fingerprint == timeline.fingerprint()
        {
            return Rc::clone(world);
        }
        let mut run = timeline.run().clone();
        run.without.clear();
        let mut world = World::new(run);
        let mut trace = Vec::new();
        // Limits the time that this takes for a long run.
        while world.steps() < 200_000 && world.step(&mut trace) {
            trace.clear();
        }
        let world = Rc::new(world);
        *self.correct.borrow_mut() = Some((timeline.fingerprint(), Rc::clone(&world)));
        world
    }
}

/// Returns the fields before the current step.
fn previous_fields(app: &App, target: Target) -> Vec<Field> {
    let inspect =
        |context: InspectorContext<'_>, scene: &Scene| inspector_fields(context, scene, target);
    app.workspace.timeline().with_previous_step(inspect).unwrap_or_default()
}
