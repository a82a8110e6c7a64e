//! The workspace: the open scenario, its branches, the position, the selection, and the operations
//! that keys and buttons perform on them.
//!
//! The operations are in the submodules: [`branches`] for faults and protections, [`history`] for
//! the runs that were open before, [`navigation`] for playing and seeking, [`live`] for servers.

mod branches;
#[cfg(test)]
mod catch_up_tests;
mod history;
mod live;
mod navigation;
#[cfg(test)]
mod question_tests;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::rc::Rc;

use leasehold_sim::{
    Invariant, NodeId, Record, RecordId, Run, Scenario, VirtualTime, World, library,
};

use super::comparison::Comparison;
use super::correct_run::CorrectRun;
use super::link::{Link, short_digest};
use super::log_rows::{LogFilter, ROWS_PER_PAGE};
use super::log_search::LogSearch;
use super::panel_data::{PanelCache, PanelData};
use super::player::Player;
use super::quiz::{Quiz, QuizPhase};
use super::scene::Scene;
use super::timeline::Timeline;
use crate::model::target::Target;
use history::{BeforeStart, RunHistory};

pub(crate) use history::RunId;

#[allow(clippy::struct_excessive_bools, reason = "independent conditions")]
pub(crate) struct Workspace {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) scenario: Rc<Scenario>,
    /// The branches of the run; `current_branch` is shown.
    branches: Vec<Branch>,
    current_branch: usize,
    history: RunHistory,
    before_start: Option<BeforeStart>,
    pub(crate) player: Player,
    pub(crate) quiz: Quiz,
    pub(crate) selected: Option<Target>,
    /// The part of the run that timelines show; all of it if unset.
    pub(crate) zoomed_range: Option<(VirtualTime, VirtualTime)>,
    pub(crate) filter: LogFilter,
    pub(crate) log_search: LogSearch,
    pub(crate) row_limit: usize,
    /// The nodes that the space-time diagram omits.
    pub(crate) hidden_lanes: BTreeSet<NodeId>,
    /// Whether a live server extends the trace.
    pub(crate) is_live: bool,
    /// Whether the position follows the end of the live trace.
    pub(crate) is_following: bool,
    /// The recording that is open, as JSON.
    pub(crate) recording_json: Option<Rc<str>>,
    /// The position at which [`Self::play_until`] pauses.
    play_until_position: Option<u32>,
    /// The number of hints of the puzzle that are shown.
    pub(super) hints_shown: usize,
    pub(crate) toast: Option<Toast>,
    pub(crate) comparison: Option<Comparison>,
    scene: Rc<Scene>,
    panel_cache: PanelCache,
    /// Whether the files show the differences to a run with all protections.
    pub(crate) compares_files: bool,
    correct_run: CorrectRun,
    /// Whether the run has changed since the question was updated.
    is_quiz_outdated: bool,
    /// Increases whenever the position or the run changes.
    pub(crate) revision: u64,
}

/// A run with its whole trace, whatever may be shown.
pub(crate) struct WholeRun<'a> {
    pub(crate) run: &'a Run,
    pub(crate) trace: &'a [Record],
    pub(crate) violated: Vec<(Invariant, RecordId)>,
}

struct Branch {
    timeline: Timeline,
    /// The change that created it.
    label: String,
}

/// A notification about the last operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Toast {
    pub(crate) text: String,
    pub(crate) actions: Vec<ToastAction>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ToastAction {
    Undo,
    Compare,
    PlayFromStart,
    SaveRecording,
}

impl Workspace {
    /// Opens what a link describes; the first scenario if it names none.
    pub(crate) fn from_link(link: &Link) -> Self {
        let library = Rc::new(library());
        let found = link
            .scenario
            .as_ref()
            .and_then(|name| library.iter().find(|scenario| scenario.name == *name));
        let named = found.unwrap_or(&library[0]);
        let run = link.run(named);
        // A run that is not in the library has no scenario of its own.
        let is_own_run = link.config.is_some() && found.is_none();
        let own_run = run.as_ref().ok().filter(|_| is_own_run);
        let name = link.scenario.as_deref().unwrap_or("run");
        let scenario =
            own_run.map_or_else(|| named.clone(), |run| Scenario::for_any_run(name, run));
        let mut problems = Vec::new();
        if let Some(name) = &link.scenario
            && found.is_none()
            && link.config.is_none()
        {
            let shown = &scenario.title;
            problems.push(format!("There is no scenario “{name}” (scenario). Showing “{shown}”."));
        }
        if let Err(error) = &run {
            problems.push(format!(
                "The link describes a run that is not valid: {error}. \
                Showing the scenario's own run."
            ));
        }
        let mut timeline = Timeline::new(run.unwrap_or_else(|_| scenario.resolve_run()));
        match (link.time, link.position) {
            (Some(at), Some(position)) => timeline.go_to_position_at(position, at),
            (Some(at), None) => timeline.go_to(at),
            (None, _) => {}
        }
        problems.extend(link.problems.iter().map(|it| it.sentence(timeline.run())));
        // While a question is open, the digest is that of the run up to the position.
        let worlds = [timeline.final_world(), timeline.world()].into_iter().flatten();
        let digests: Vec<String> = worlds.map(|world| short_digest(world.fingerprint())).collect();
        if problems.is_empty() && link.digest.as_ref().is_some_and(|it| !digests.contains(it)) {
            problems.push(
                "This is not the run that was shared: the link was changed on its way, or this \
                page has a newer model."
                    .to_owned(),
            );
        }
        if link.is_recording {
            problems
                .push("A recording is not part of its address. Import its file again.".to_owned());
        }
        let mut quiz = Quiz::new(&scenario, &timeline, link.scenario.is_some() && !is_own_run);
        // A link to the question opens it.
        if !timeline.is_catching_up() {
            quiz.position_reached(timeline.position(), true);
        }
        let mut workspace = Self::with_timeline(library, scenario, timeline, quiz);
        if !problems.is_empty() {
            workspace.show_toast(&problems.join(" "), Vec::new());
        }
        workspace.refresh();
        workspace
    }

    fn with_timeline(
        library: Rc<Vec<Scenario>>,
        scenario: Scenario,
        timeline: Timeline,
        quiz: Quiz,
    ) -> Self {
        Self {
            library,
            scenario: Rc::new(scenario),
            branches: vec![Branch { timeline, label: String::new() }],
            current_branch: 0,
            history: RunHistory::default(),
            before_start: None,
            player: Player::default(),
            quiz,
            selected: None,
            zoomed_range: None,
            filter: LogFilter::default(),
            log_search: LogSearch::default(),
            row_limit: ROWS_PER_PAGE,
            hidden_lanes: BTreeSet::new(),
            is_live: false,
            is_following: false,
            recording_json: None,
            play_until_position: None,
            hints_shown: 0,
            toast: None,
            comparison: None,
            scene: Rc::default(),
            panel_cache: PanelCache::default(),
            compares_files: false,
            correct_run: CorrectRun::default(),
            is_quiz_outdated: false,
            revision: 0,
        }
    }

    pub(crate) fn timeline(&self) -> &Timeline {
        &self.branches[self.current_branch].timeline
    }

    fn timeline_mut(&mut self) -> &mut Timeline {
        &mut self.branches[self.current_branch].timeline
    }

    pub(crate) fn scene(&self) -> Rc<Scene> {
        Rc::clone(&self.scene)
    }

    /// Returns the data of the panels. It is computed again only if it can have changed.
    pub(crate) fn panel_data(&self) -> PanelData {
        self.panel_cache.get(self)
    }

    /// Returns the final state of the same run with all protections, if the files are compared with
    /// it and it has been simulated.
    pub(super) fn correct_world(&self) -> Option<&World> {
        self.correct_run.world(self.timeline().run()).filter(|_| self.compares_files)
    }

    /// Hides everything after the horizon of the question from the page. Called whenever the
    /// position, the run, or the state of the question changes.
    fn apply_horizon(&mut self) {
        let timeline = &mut self.branches[self.current_branch].timeline;
        let horizon = self.quiz.horizon(timeline.position());
        let mut has_changed = timeline.set_horizon(horizon);
        if let Some(comparison) = &mut self.comparison {
            has_changed |= comparison.apply_horizon(timeline);
        }
        self.revision += u64::from(has_changed);
    }

    /// Returns the whole run, for exports and searches that the user asks for.
    ///
    /// # Errors
    ///
    /// If the question is on the page and not answered: returns what to do.
    pub(crate) fn whole_run(&self) -> Result<WholeRun<'_>, &'static str> {
        if self.quiz.is_shown() && self.quiz.phase != QuizPhase::Answered {
            return Err("Reveal the answer first: this covers the whole run.");
        }
        let timeline = self.timeline();
        let violated = timeline.final_world().map(|world| world.checkers().violations());
        Ok(WholeRun {
            run: timeline.run(),
            trace: timeline.full_trace(),
            violated: violated.unwrap_or_else(|| timeline.violated()),
        })
    }

    /// Updates everything that is derived from the current position.
    fn refresh(&mut self) {
        let timeline = self.timeline();
        self.scene = Rc::new(timeline.scene());
        self.revision += 1;
        if let Some(Target::Packet(packet_id)) = self.selected
            && !self.timeline().is_catching_up()
            && !self.scene.packets.iter().any(|packet| packet.id == packet_id)
        {
            self.selected = None;
        }
        let now = self.timeline().now();
        if let Some(comparison) = &mut self.comparison {
            comparison.other.go_to(now);
        }
        self.apply_horizon();
    }

    /// Opens a scenario at its beginning.
    pub(crate) fn open_scenario(&mut self, scenario: Scenario) {
        let timeline = Timeline::new(scenario.resolve_run());
        let quiz = Quiz::new(&scenario, &timeline, true);
        self.replace_run(Rc::new(scenario), timeline, quiz);
    }

    pub(crate) fn is_library_scenario(&self) -> bool {
        self.library.iter().any(|it| *it == *self.scenario)
    }

    /// Restricts the log to the selected node or lock.
    pub(crate) fn filter_by_selection(&mut self) {
        (self.filter.node, self.filter.lock) = match self.selected {
            Some(Target::Node(node) | Target::Link(node)) => (Some(node), None),
            Some(Target::Lock(lock)) => (None, Some(lock)),
            Some(Target::Packet(_) | Target::Record(_)) | None => (None, None),
        };
    }

    pub(crate) fn selected_node(&self) -> Option<NodeId> {
        match self.selected {
            Some(Target::Node(node)) => Some(node),
            Some(Target::Link(_) | Target::Lock(_) | Target::Packet(_) | Target::Record(_))
            | None => None,
        }
    }

    /// Hides the lane of the selected node in the space-time diagram.
    pub(crate) fn hide_lane(&mut self) {
        let nodes = self.timeline().run().config.clients.len() + 1;
        match self.selected_node() {
            Some(_) if self.hidden_lanes.len() + 1 == nodes => {
                self.show_toast("The last lane cannot be hidden.", Vec::new());
            }
            Some(node) => {
                self.hidden_lanes.insert(node);
                self.selected = None;
            }
            None => {}
        }
    }

    pub(crate) fn show_toast(&mut self, text: &str, actions: Vec<ToastAction>) {
        self.toast = Some(Toast { text: text.to_owned(), actions });
    }

    /// Returns the caption: that of the stop, or a sentence about the last important record.
    pub(crate) fn caption(&self) -> String {
        let timeline = self.timeline();
        if let Some(stop) = self.quiz.stop_at(timeline.position()) {
            return stop.caption.clone();
        }
        if timeline.past().is_empty() && !self.scenario.point.is_empty() {
            return self.scenario.point.clone();
        }
        let (run, past) = (timeline.run(), timeline.past());
        let caption = super::log_rows::caption(run, past, timeline.time_display());
        if timeline.live_trace().is_some() {
            super::log_rows::without_line_number(&caption)
        } else {
            caption
        }
    }

    /// Explains the answer. The scenario's explanation applies only to its unchanged run.
    pub(crate) fn explanation(&self) -> String {
        let run = self.timeline().run();
        if *run == self.scenario.resolve_run() {
            return self.scenario.question.explanation.clone();
        }
        let without = if run.without.is_empty() {
            String::new()
        } else {
            format!(" {}", super::comparison::run_title(run))
        };
        format!(
            "This answer was computed from the current run{without}. The log shows the reasons."
        )
    }

    /// Returns a link to the current time.
    pub(crate) fn link_to_now(&self) -> Link {
        let timeline = self.timeline();
        let mut link = Link::for_run(&self.scenario, timeline.run(), self.is_library_scenario());
        link.time = Some(timeline.wanted_time());
        // Several steps can happen at one time, for example at a question. Whether they do is part
        // of what an open question hides.
        let may_be_between = timeline.horizon().is_some() || timeline.has_more_steps_now();
        let is_between = may_be_between && !timeline.is_catching_up();
        link.position = is_between.then(|| timeline.position());
        link.digest = Some(short_digest(timeline.fingerprint()));
        // Named in any case, so that a link without them is known to be incomplete.
        link.without = Some(timeline.run().without.clone());
        link
    }

    /// Returns a link to the start of a run that a search has found in this scenario.
    pub(crate) fn link_to_found(&self, found: &Scenario) -> Link {
        let run = found.resolve_run();
        let is_library_scenario = self.is_library_scenario() && run.config == self.scenario.config;
        let origin = if is_library_scenario { &*self.scenario } else { found };
        let mut link = Link::for_run(origin, &run, is_library_scenario);
        link.without = Some(run.without.clone());
        let fingerprint = Timeline::new(run).fingerprint();
        link.digest = Some(short_digest(fingerprint));
        link
    }

    /// Returns the contents of the page's address.
    pub(crate) fn address(&self) -> Link {
        if self.is_live {
            return Link { is_live: true, ..Link::default() };
        }
        if self.timeline().live_trace().is_some() {
            return Link { is_recording: true, ..Link::default() };
        }
        let link = self.link_to_now();
        let run = self.timeline().run();
        let without =
            link.without.filter(|_| run.without != self.scenario.without || link.config.is_some());
        Link { digest: None, without, ..link }
    }
}
