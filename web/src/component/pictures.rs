//! The pictures of the current run, in the sizes of their areas.

use std::rc::Rc;

use leasehold_sim::{Importance, TimeLabels as _, VirtualTime};

use super::app::{App, Pictures};
use crate::browser;
use crate::model::shortcuts::View;
use crate::model::target::Target;
use crate::model::timeline::Timeline;
use crate::picture::gantt::{self, Names, gantt};
use crate::picture::shape::{Area, Picture, clamp, to_f64};
use crate::picture::spacetime::{self, spacetime};
use crate::picture::stage::{StageOptions, stage};
use crate::picture::tape::{TapeInput, tape};

impl App {
    pub(super) fn stage_picture(&self) -> Picture {
        let workspace = &self.workspace;
        let scene = workspace.scene();
        let mut area = self.area(self.sizes.stage);
        if self.ui.is_presenting {
            // Each client has two lines of text, which must not overlap.
            let lines = 2.1 * to_f64(scene.clients.len().max(1));
            area.em = clamp(area.height / lines, 13.0, area.em);
        }
        let options = StageOptions {
            selected: workspace.selected,
            marks_doomed_packets: workspace.quiz.hidden_after().is_none()
                && !workspace.quiz.is_enabled,
            reduced_motion: self.ui.reduced_motion,
        };
        stage(&scene, workspace.timeline().now(), area, options)
    }

    pub(crate) fn display_names(&self) -> (Vec<String>, Vec<String>) {
        let config = &self.workspace.timeline().run().config;
        let locks = config.locks.iter().map(ToString::to_string).collect();
        let mut nodes = vec!["server".to_owned()];
        nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
        (locks, nodes)
    }

    pub(super) fn gantt_picture(&self) -> Picture {
        let workspace = &self.workspace;
        self.lease_picture(
            (workspace.timeline(), None),
            self.area(self.sizes.lower),
            workspace.selected,
        )
    }

    /// Returns the leases of a run in the visible range, with those of another run as an overlay.
    pub(super) fn lease_picture(
        &self,
        (timeline, other): (&Timeline, Option<&Timeline>),
        area: Area,
        selected: Option<Target>,
    ) -> Picture {
        let overlay = other.map(Timeline::intervals);
        let (locks, nodes) = self.display_names();
        let input = gantt::GanttInput {
            intervals: &timeline.intervals(),
            names: Names { locks: &locks, nodes: &nodes },
            now: timeline.now(),
            lease_us: timeline.run().config.lease_ms * 1_000,
            violations: &timeline.violations(),
            is_inferred: timeline.live_trace().is_some(),
            must_fit: self.ui.is_presenting,
            overlay: overlay.as_deref(),
        };
        gantt(&input, self.workspace.visible_range(), area, selected)
    }

    pub(super) fn spacetime_picture(&self) -> Picture {
        let workspace = &self.workspace;
        let timeline = workspace.timeline();
        let (locks, nodes) = self.display_names();
        let selected_record = match workspace.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        let input = spacetime::SpacetimeInput {
            past: timeline.past(),
            intervals: &timeline.intervals(),
            names: Names { locks: &locks, nodes: &nodes },
            now: timeline.now(),
            is_to_scale: self.ui.is_to_scale,
            selected_record,
            selected_node: workspace.selected_node(),
            hidden_lanes: &workspace.hidden_lanes,
            shows_heartbeats: workspace.filter.min_importance <= Importance::Heartbeat,
        };
        spacetime(&input, self.area(self.sizes.lower))
    }

    pub(super) fn tape_picture(&self) -> Picture {
        let workspace = &self.workspace;
        let timeline = workspace.timeline();
        let stops: Vec<VirtualTime> = workspace.quiz.stops.iter().map(|stop| stop.at).collect();
        let input = TapeInput {
            intervals: &timeline.intervals(),
            locks: timeline.run().config.locks.len(),
            start: timeline.start(),
            end: timeline.end(),
            now: timeline.now(),
            hidden_after: workspace.quiz.hidden_after().map(|at| at.max(timeline.now())),
            violations: &timeline.violations(),
            stops: if workspace.quiz.is_enabled { &stops } else { &[] },
        };
        let (width, height) = self.sizes.tape;
        tape(&input, Area { width: width.max(120.0), height: height.max(40.0), em: 12.0 })
    }

    /// Paints all pictures on the page, and updates the clock.
    pub(super) fn paint(&self) {
        let mut painters = self.painters.borrow_mut();
        let mut paint = |id: &'static str, picture: Picture, focus: Option<Target>| {
            if let Some(svg) = browser::element(id) {
                painters.entry(id).or_default().paint(&svg, picture, focus, self.is_animating());
            }
        };
        if let Some(comparison) = &self.workspace.comparison {
            for (id, picture) in self.comparison_pictures(comparison) {
                paint(id, picture, None);
            }
        } else {
            paint("picture-stage", self.stage_picture(), self.workspace.selected);
            if self.ui.lower_view == View::SpaceTime {
                paint("picture-spacetime", self.spacetime_picture(), None);
            } else {
                paint("picture-gantt", self.gantt_picture(), None);
            }
        }
        paint("picture-tape", self.tape_picture(), None);
        let timeline = self.workspace.timeline();
        let labels = [timeline.now(), timeline.end()].map(|at| timeline.time_display().label(at));
        browser::show_time(timeline.now(), &labels[0], &labels[1]);
    }

    /// Returns the pictures that can be exported.
    pub(crate) fn pictures(&self) -> Pictures {
        let mut pictures = vec![
            ("stage", Rc::new(self.stage_picture())),
            ("leases", Rc::new(self.gantt_picture())),
        ];
        if self.workspace.timeline().live_trace().is_none() {
            pictures.push(("space-time", Rc::new(self.spacetime_picture())));
        }
        pictures.push(("tape", Rc::new(self.tape_picture())));
        Rc::new(pictures)
    }
}
