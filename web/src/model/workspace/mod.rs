//! The workspace: the open scenario, its branches, the position, the selection, and the operations
//! that keys and buttons perform on them.
//!
//! The operations are in the submodules: [`branches`] for faults and protections, [`navigation`]
//! for playing and seeking, [`live`] for servers.

mod branches;
mod live;
mod navigation;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::rc::Rc;

use leasehold_sim::{NodeId, Scenario, VirtualTime, library};

use super::comparison::Comparison;
use super::link::Link;
use super::log_rows::{LogFilter, ROWS_PER_PAGE};
use super::player::Player;
use super::quiz::Quiz;
use super::scene::Scene;
use super::timeline::Timeline;
use crate::model::target::Target;

pub(crate) struct Workspace {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) scenario: Rc<Scenario>,
    /// The branches of the run; `current_branch` is shown.
    branches: Vec<Branch>,
    current_branch: usize,
    pub(crate) player: Player,
    pub(crate) quiz: Quiz,
    pub(crate) selected: Option<Target>,
    /// The part of the run that timelines show; all of it if unset.
    pub(crate) zoomed_range: Option<(VirtualTime, VirtualTime)>,
    pub(crate) filter: LogFilter,
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
    pub(crate) toast: Option<Toast>,
    pub(crate) comparison: Option<Comparison>,
    scene: Rc<Scene>,
    /// Increases whenever the position or the run changes.
    pub(crate) revision: u64,
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
        let unknown = link.scenario.is_some() && found.is_none() && link.config.is_none();
        let scenario = found.unwrap_or(&library[0]).clone();
        let run = link.run(&scenario);
        let is_invalid = run.is_none();
        let mut timeline = Timeline::new(run.unwrap_or_else(|| scenario.resolve_run()));
        match (link.time, link.position) {
            (Some(at), Some(position)) => timeline.go_to_position_at(position, at),
            (Some(at), None) => timeline.go_to(at),
            (None, _) => {}
        }
        let digest_differs = link
            .digest
            .as_ref()
            .is_some_and(|digest| *digest != super::link::short_digest(timeline.fingerprint()));
        let mut quiz = Quiz::new(&scenario, &timeline, link.scenario.is_some());
        // A link to the question opens it.
        quiz.position_reached(timeline.position(), true);
        let mut workspace = Self::with_timeline(library, scenario, timeline, quiz);
        let notice = if is_invalid {
            Some("The link is not valid. Showing the original scenario.")
        } else if unknown {
            Some("Unknown scenario. Showing the first one.")
        } else if digest_differs {
            Some("Replayed with a newer model: the result differs from the shared run.")
        } else {
            None
        };
        workspace.toast = notice.map(|text| Toast { text: text.to_owned(), actions: Vec::new() });
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
            player: Player::default(),
            quiz,
            selected: None,
            zoomed_range: None,
            filter: LogFilter::default(),
            row_limit: ROWS_PER_PAGE,
            hidden_lanes: BTreeSet::new(),
            is_live: false,
            is_following: false,
            recording_json: None,
            play_until_position: None,
            toast: None,
            comparison: None,
            scene: Rc::default(),
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

    /// Updates everything that is derived from the current position.
    fn refresh(&mut self) {
        let timeline = self.timeline();
        self.scene = Rc::new(timeline.scene());
        self.revision += 1;
        if let Some(Target::Packet(packet_id)) = self.selected
            && !self.scene.packets.iter().any(|packet| packet.id == packet_id)
        {
            self.selected = None;
        }
        let now = self.timeline().now();
        if let Some(comparison) = &mut self.comparison {
            comparison.other.go_to(now);
        }
    }

    /// Opens a scenario at its beginning.
    pub(crate) fn open_scenario(&mut self, scenario: Scenario) {
        let timeline = Timeline::new(scenario.resolve_run());
        self.quiz = Quiz::new(&scenario, &timeline, true);
        self.scenario = Rc::new(scenario);
        self.branches = vec![Branch { timeline, label: String::new() }];
        self.current_branch = 0;
        self.player = Player::default();
        (self.selected, self.zoomed_range, self.toast, self.comparison) = (None, None, None, None);
        (self.play_until_position, self.recording_json) = (None, None);
        self.filter = LogFilter::default();
        self.row_limit = ROWS_PER_PAGE;
        self.hidden_lanes.clear();
        self.refresh();
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
        link.time = Some(timeline.now());
        // Several steps can happen at one time, for example at a question.
        link.position = timeline.has_more_steps_now().then(|| timeline.position());
        link.digest = Some(super::link::short_digest(timeline.fingerprint()));
        link
    }
}
