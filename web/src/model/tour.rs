//! The tour: five stops in the first runs that show the page and the point of the project. At two
//! of them the user does something.

use leasehold_sim::{Protection, VirtualTime};

use super::shortcuts::View;
use super::workspace::Workspace;

/// A stop of the tour.
#[derive(Debug, PartialEq)]
pub(crate) struct TourStop {
    pub(crate) title: &'static str,
    /// What to see, in one or two sentences.
    pub(crate) text: &'static str,
    /// The part of the page that is highlighted.
    pub(crate) part: TourPart,
    /// What the user is asked to do, if anything.
    pub(crate) task: Option<TourTask>,
    scenario: &'static str,
    /// The time at which the run is shown, in milliseconds.
    at_ms: u64,
}

/// The part of the page that a stop highlights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TourPart {
    Stage,
    Leases,
    Files,
    /// The leases, and the button that plays.
    LeasesAndPlay,
    /// The protections in the header.
    Protections,
}

impl TourPart {
    /// Returns the word for it in classes of the page.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Leases => "leases",
            Self::Files => "files",
            Self::LeasesAndPlay => "leases-and-play",
            Self::Protections => "protections",
        }
    }

    /// Returns the view to show, if the screen has space for only one.
    pub(crate) const fn view(self) -> View {
        match self {
            Self::Stage | Self::Leases | Self::LeasesAndPlay | Self::Protections => View::Gantt,
            Self::Files => View::Files,
        }
    }
}

/// Something that the user does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TourTask {
    /// Plays the run for some seconds.
    Play,
    /// Disables fencing.
    DisableFencing,
}

/// How long the run must have played for [`TourTask::Play`] to be done, in microseconds: longer
/// than the interval between heartbeats.
const PLAYED_US: u64 = 3_500_000;

/// The stops, in order.
pub(crate) const TOUR: [TourStop; 5] = [
    TourStop {
        title: "The stage",
        text: "Clients on the left ask the lock server for locks. Only the holder of a lock may \
               append to its file; the letters on the packets say what they ask for.",
        part: TourPart::Stage,
        task: None,
        scenario: "five-clients",
        at_ms: 2_600,
    },
    TourStop {
        title: "A lease",
        text: "Each bar is a tenure: one client holds one lock. The lease behind it has an end, \
               and each heartbeat of the client moves that end further away.",
        part: TourPart::LeasesAndPlay,
        task: Some(TourTask::Play),
        scenario: "client-crash",
        at_ms: 800,
    },
    TourStop {
        title: "A pause",
        text: "client_1 was paused and sent no heartbeats, so its lease expired and client_2 got \
               the lock. client_1 does not know this: when it wakes up, it will still append.",
        part: TourPart::Leases,
        task: None,
        scenario: "gc-pause",
        at_ms: 14_000,
    },
    TourStop {
        title: "The fencing token",
        text: "Each tenure has a larger token, #1 and then #2. client_1 woke up and sent its \
               append with token #1; the file has the line of #2 only, because the server rejects \
               an old token.",
        part: TourPart::Files,
        task: None,
        scenario: "gc-pause",
        at_ms: 18_200,
    },
    TourStop {
        title: "Without the protection",
        text: "Every protection can be switched off. The same run, with the same seed, then shows \
               what it was for.",
        part: TourPart::Protections,
        task: Some(TourTask::DisableFencing),
        scenario: "gc-pause",
        at_ms: 18_200,
    },
];

impl TourStop {
    /// Opens the run of the stop at its time. A run that is already open stays open.
    pub(crate) fn show(&self, workspace: &mut Workspace) {
        let scenario = workspace.library.iter().find(|it| it.name == self.scenario).cloned();
        let Some(scenario) = scenario else { return };
        if *workspace.timeline().run() != scenario.resolve_run() || workspace.is_live {
            workspace.open_scenario(scenario);
        }
        workspace.set_quiz_enabled(false);
        workspace.player.stop();
        workspace.toast = None;
        workspace.go_to(VirtualTime::from_millis(self.at_ms));
    }

    /// Whether the user has done what the stop asks for. A stop without a task is always done.
    pub(crate) fn is_done(&self, workspace: &Workspace) -> bool {
        match self.task {
            None => true,
            Some(TourTask::Play) => {
                let start = VirtualTime::from_millis(self.at_ms);
                workspace.timeline().now().as_micros() >= start.as_micros() + PLAYED_US
            }
            Some(TourTask::DisableFencing) => {
                workspace.timeline().run().without.contains(&Protection::Fencing)
            }
        }
    }
}

impl TourTask {
    /// Returns what to do. A touch screen has no keys.
    pub(crate) const fn instruction(self, is_touch: bool) -> &'static str {
        match (self, is_touch) {
            (Self::Play, false) => "Press Play (Space) and watch the end of the lease.",
            (Self::Play, true) => "Tap Play and watch the end of the lease.",
            (Self::DisableFencing, false) => "Click Fencing in the header (Shift 1).",
            (Self::DisableFencing, true) => "Tap Fencing in the header.",
        }
    }

    /// Returns what to see after it has been done.
    pub(crate) const fn result(self) -> &'static str {
        match self {
            Self::Play => "The heartbeats have renewed the lease.",
            Self::DisableFencing => {
                "The stale line of token #1 is now in the file, after the line of #2: S2 and S4 \
                 are violated."
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;
    use leasehold_sim::Invariant;

    #[test]
    fn each_stop_shows_what_its_text_says() {
        let mut workspace = Workspace::from_link(&Link::default());
        for stop in &TOUR {
            stop.show(&mut workspace);
            assert_eq!(workspace.timeline().now(), VirtualTime::from_millis(stop.at_ms));
            assert_eq!(stop.is_done(&workspace), stop.task.is_none(), "{}", stop.title);
            assert!(!workspace.quiz.is_shown() && workspace.timeline().violated().is_empty());
        }
        let mut past_of = |stop: usize| {
            TOUR[stop].show(&mut workspace);
            past(&workspace)
        };
        let paused = past_of(2);
        assert!(paused.contains("SessionExpired") && !paused.contains("Resumed"), "{paused}");
        let rejected = past_of(3);
        assert!(rejected.contains("Resumed") && rejected.contains("RequestRefused"), "{rejected}");
    }

    /// Returns the kinds of the records so far.
    fn past(workspace: &Workspace) -> String {
        format!("{:?}", workspace.timeline().past().iter().map(|it| &it.kind).collect::<Vec<_>>())
    }

    #[test]
    fn lease_is_renewed_while_the_run_plays() {
        let mut workspace = Workspace::from_link(&Link::default());
        TOUR[1].show(&mut workspace);
        let before = past(&workspace);
        assert!(before.contains("LockGranted") && !before.contains("LeaseRenewed"), "{before}");
        workspace.go_to(VirtualTime::from_millis(TOUR[1].at_ms) + PLAYED_US);
        assert!(TOUR[1].is_done(&workspace) && past(&workspace).contains("LeaseRenewed"));
    }

    #[test]
    fn fencing_that_is_disabled_lets_the_stale_line_in() {
        let mut workspace = Workspace::from_link(&Link::default());
        TOUR[4].show(&mut workspace);
        workspace.toggle_protection(Protection::Fencing);
        assert!(TOUR[4].is_done(&workspace));
        let violated: Vec<Invariant> =
            workspace.timeline().violated().iter().map(|(it, _)| *it).collect();
        assert_eq!(violated, [Invariant::S2, Invariant::S4]);
    }

    #[test]
    fn texts_are_short() {
        for stop in &TOUR {
            assert!(stop.text.matches(". ").count() <= 1 && stop.text.len() < 210, "{}", stop.text);
        }
    }
}
