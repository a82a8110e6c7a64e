//! The runs that were open before and after the open one, so that nothing is lost when another run
//! is opened: undo, redo and the browser's history lead back to each of them.
//!
//! - A simulated run is retained without its trace, and simulated again when it is shown again. An
//!   observed trace cannot be computed again, so it is retained.
//! - A run keeps its branches, its position, and the state of its question.

use std::collections::BTreeSet;
use std::rc::Rc;

use leasehold_sim::{NodeId, Run, Scenario, VirtualTime};

use super::{Branch, Workspace};
use crate::model::link::Link;
use crate::model::log_rows::LogFilter;
use crate::model::player::{Player, Speed};
use crate::model::quiz::Quiz;
use crate::model::target::Target;
use crate::model::timeline::Timeline;

/// The maximum number of runs before the open one.
const RUNS_MAX: usize = 30;

/// Identifies a run that was opened since the page was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct RunId(pub(crate) u32);

/// The runs before and after the open one.
#[derive(Default)]
pub(super) struct RunHistory {
    current: RunId,
    last_id: u32,
    past: Vec<SavedRun>,
    future: Vec<SavedRun>,
}

/// What is needed to show a run again as it was.
struct SavedRun {
    id: RunId,
    scenario: Rc<Scenario>,
    branches: Vec<SavedBranch>,
    current_branch: usize,
    quiz: Quiz,
    speed: Speed,
    selected: Option<Target>,
    zoomed_range: Option<(VirtualTime, VirtualTime)>,
    filter: LogFilter,
    hidden_lanes: BTreeSet<NodeId>,
    recording_json: Option<Rc<str>>,
}

/// The position and the question before the user went to the start of a branch.
pub(super) struct BeforeStart {
    branch: usize,
    position: u32,
    now: VirtualTime,
    quiz: Quiz,
}

enum SavedBranch {
    Simulated { run: Box<Run>, position: u32, now: VirtualTime, label: String },
    Observed(Box<Branch>),
}

impl SavedBranch {
    fn new(branch: Branch) -> Self {
        let Branch { timeline, label } = branch;
        if timeline.live_trace().is_some() {
            return Self::Observed(Box::new(Branch { timeline, label }));
        }
        let (run, position) = (timeline.run().clone(), timeline.position());
        let now = timeline.wanted_time();
        Self::Simulated { run: Box::new(run), position, now, label }
    }

    fn restore(self) -> Branch {
        match self {
            Self::Observed(branch) => *branch,
            Self::Simulated { run, position, now, label } => {
                let mut timeline = Timeline::new(*run);
                // A time that is not simulated yet is reached later. Several steps can happen at
                // one time.
                timeline.go_to(now);
                if !timeline.is_catching_up() && timeline.position() != position {
                    timeline.go_to_position(position);
                }
                Branch { timeline, label }
            }
        }
    }
}

impl Workspace {
    /// Returns the id of the open run.
    pub(crate) const fn run_id(&self) -> RunId {
        self.history.current
    }

    /// Opens another run instead of the open one, which undo opens again.
    pub(super) fn replace_run(&mut self, scenario: Rc<Scenario>, timeline: Timeline, quiz: Quiz) {
        let saved = self.save_run();
        self.history.past.push(saved);
        if self.history.past.len() > RUNS_MAX {
            self.history.past.remove(0);
        }
        self.history.future.clear();
        self.history.last_id += 1;
        self.history.current = RunId(self.history.last_id);
        self.scenario = scenario;
        self.branches = vec![Branch { timeline, label: String::new() }];
        self.current_branch = 0;
        self.quiz = quiz;
        self.player = Player::default();
        (self.selected, self.zoomed_range, self.recording_json) = (None, None, None);
        self.hints_shown = 0;
        self.filter = LogFilter::default();
        self.hidden_lanes.clear();
        self.run_replaced();
    }

    /// Opens what a link describes, which undo reverts.
    pub(crate) fn open_link(&mut self, link: &Link) {
        let mut opened = Self::from_link(link);
        let toast = opened.toast.take();
        if let Some(branch) = opened.branches.pop() {
            self.replace_run(opened.scenario, branch.timeline, opened.quiz);
            self.toast = toast;
        }
    }

    /// Opens the run and the state of another workspace, which undo reverts.
    pub(crate) fn open_workspace(&mut self, mut other: Self) {
        if let Some(branch) = other.branches.pop() {
            self.replace_run(other.scenario, branch.timeline, other.quiz);
            self.recording_json = other.recording_json;
        }
    }

    /// Opens the previous run again. Returns whether there is one.
    pub(super) fn reopen_previous(&mut self) -> bool {
        let Some(saved) = self.history.past.pop() else { return false };
        let current = self.save_run();
        self.history.future.push(current);
        self.restore_run(saved);
        true
    }

    /// Opens the run again that [`Self::reopen_previous`] has left. Returns whether there is one.
    pub(super) fn reopen_next(&mut self) -> bool {
        let Some(saved) = self.history.future.pop() else { return false };
        let current = self.save_run();
        self.history.past.push(current);
        self.restore_run(saved);
        true
    }

    /// Opens a run again, for the browser's history. Returns whether it is retained.
    pub(crate) fn reopen(&mut self, id: RunId) -> bool {
        let is_past = self.history.past.iter().any(|it| it.id == id);
        let is_future = self.history.future.iter().any(|it| it.id == id);
        while self.history.current != id {
            let has_moved =
                (is_past && self.reopen_previous()) || (is_future && self.reopen_next());
            if !has_moved {
                return false;
            }
        }
        true
    }

    /// Forgets the runs before the open one, because the user has not seen them.
    pub(crate) fn forget_previous_runs(&mut self) {
        self.history.past.clear();
    }

    /// Notes the position and the question, because the user goes to the start.
    pub(super) fn note_before_start(&mut self) {
        let timeline = self.timeline();
        let (position, now) = (timeline.position(), timeline.now());
        if position > 0 && !self.is_live && !timeline.is_catching_up() {
            let (branch, quiz) = (self.current_branch, self.quiz.clone());
            self.before_start = Some(BeforeStart { branch, position, now, quiz });
        }
    }

    /// Returns to where the user was before going to the start of this branch. Returns whether the
    /// user has done that.
    pub(super) fn return_from_start(&mut self) -> bool {
        let is_of_branch = |it: &mut BeforeStart| it.branch == self.current_branch;
        let Some(before) = self.before_start.take_if(is_of_branch) else { return false };
        self.player.is_playing = false;
        self.move_timeline(|timeline| timeline.go_to_position_at(before.position, before.now));
        self.quiz = before.quiz;
        self.apply_horizon();
        true
    }

    /// Forgets the runs after the open one, because the open one has changed.
    pub(super) fn forget_next_runs(&mut self) {
        self.history.future.clear();
    }

    /// Takes the open run out of the workspace.
    fn save_run(&mut self) -> SavedRun {
        let branches = std::mem::take(&mut self.branches);
        SavedRun {
            id: self.history.current,
            scenario: Rc::clone(&self.scenario),
            branches: branches.into_iter().map(SavedBranch::new).collect(),
            current_branch: self.current_branch,
            quiz: self.quiz.clone(),
            speed: self.player.speed,
            selected: self.selected,
            zoomed_range: self.zoomed_range,
            filter: self.filter,
            hidden_lanes: std::mem::take(&mut self.hidden_lanes),
            recording_json: self.recording_json.take(),
        }
    }

    fn restore_run(&mut self, saved: SavedRun) {
        self.history.current = saved.id;
        self.scenario = saved.scenario;
        self.branches = saved.branches.into_iter().map(SavedBranch::restore).collect();
        self.current_branch = saved.current_branch;
        self.quiz = saved.quiz;
        self.player = Player::default();
        self.player.speed = saved.speed;
        (self.selected, self.zoomed_range) = (saved.selected, saved.zoomed_range);
        (self.filter, self.hidden_lanes) = (saved.filter, saved.hidden_lanes);
        self.recording_json = saved.recording_json;
        self.run_replaced();
    }

    /// Resets what belongs to no run, and derives the rest again.
    fn run_replaced(&mut self) {
        (self.toast, self.comparison, self.play_until_position) = (None, None, None);
        self.hints_shown = 0;
        self.log_search.close();
        self.before_start = None;
        self.is_quiz_outdated = self.timeline().is_catching_up();
        self.row_limit = crate::model::log_rows::ROWS_PER_PAGE;
        self.refresh();
    }
}
