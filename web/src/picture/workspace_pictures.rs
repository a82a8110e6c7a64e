//! The pictures of a workspace, in the sizes of their areas on the page.

use leasehold_sim::{Importance, VirtualTime};

use super::card::{Card, card_shape};
use super::gantt::{self, GanttInput, gantt, lease_axis};
use super::load::load;
use super::shape::{Area, Picture};
use super::spacetime::{self, spacetime};
use super::stage::{self, StageInput, stage};
use super::tape::{TapeInput, tape};
use crate::model::comparison::{Comparison, ComparisonMode};
use crate::model::lease_view::LeaseView;
use crate::model::shortcuts::View;
use crate::model::target::Target;
use crate::model::timeline::Timeline;
use crate::model::workspace::Workspace;

/// The sizes of the picture areas, in CSS pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sizes {
    pub(crate) stage: (f64, f64),
    pub(crate) lower: (f64, f64),
    pub(crate) tape: (f64, f64),
}

/// How the pictures are shown.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PictureSettings {
    pub(crate) sizes: Sizes,
    /// Which timeline is shown.
    pub(crate) timeline_view: View,
    pub(crate) is_to_scale: bool,
    pub(crate) is_presenting: bool,
    pub(crate) reduced_motion: bool,
    /// The target that the pointer or the focus is on, and where.
    pub(crate) hovered: Option<(View, Target, (f64, f64))>,
}

impl PictureSettings {
    /// Returns the area of a picture of this size, with a font size that is readable there.
    fn area(self, size: (f64, f64)) -> Area {
        Area::new(size, self.is_presenting)
    }

    /// Returns the time at a horizontal position of a view, if the view has a time axis there.
    pub(crate) fn time_at(self, view: View, workspace: &Workspace, x: f64) -> Option<VirtualTime> {
        let area = self.area(self.sizes.lower);
        let axis = lease_axis(workspace.visible_range(), area);
        (matches!(view, View::Gantt | View::Load) && x >= axis.left).then(|| axis.time_at(x))
    }
}

/// Draws the pictures of a workspace.
#[derive(Clone, Copy)]
pub(crate) struct WorkspacePictures<'a> {
    workspace: &'a Workspace,
    settings: PictureSettings,
}

impl<'a> WorkspacePictures<'a> {
    pub(crate) const fn new(workspace: &'a Workspace, settings: PictureSettings) -> Self {
        Self { workspace, settings }
    }

    /// Returns the pictures on the page with their ids. The Tab key reaches the target of the
    /// first.
    pub(crate) fn shown(&self) -> Vec<(&'static str, Picture, Option<Target>)> {
        let mut pictures = Vec::new();
        if let Some(comparison) = &self.workspace.comparison {
            pictures.extend(self.comparison(comparison).into_iter().map(|(id, it)| (id, it, None)));
        } else {
            let stage = self.with_card(View::Stage, self.stage(), self.settings.sizes.stage);
            pictures.push(("picture-stage", stage, self.workspace.selected));
            let view = self.settings.timeline_view;
            let (id, timeline) = match view {
                View::SpaceTime => ("picture-spacetime", self.spacetime()),
                View::Load => ("picture-load", self.load()),
                View::Stage
                | View::Gantt
                | View::Inspector
                | View::Log
                | View::Invariants
                | View::Files => ("picture-gantt", self.gantt()),
            };
            pictures.push((id, self.with_card(view, timeline, self.settings.sizes.lower), None));
        }
        pictures.push(("picture-tape", self.tape(), None));
        pictures
    }

    /// Returns the names of the pictures that can be exported.
    pub(crate) fn names(&self) -> Vec<&'static str> {
        // The trace of a real server contains no packets.
        let has_spacetime = self.workspace.timeline().live_trace().is_none();
        let names = ["stage", "leases", "space-time", "load", "tape"].into_iter();
        names.filter(|name| has_spacetime || *name != "space-time").collect()
    }

    /// Returns the picture with this name.
    pub(crate) fn named(&self, name: &str) -> Option<Picture> {
        match name {
            "stage" => Some(self.stage()),
            "leases" => Some(self.gantt()),
            "space-time" => Some(self.spacetime()),
            "load" => Some(self.load()),
            "tape" => Some(self.tape()),
            _ => None,
        }
    }

    fn stage(&self) -> Picture {
        let workspace = self.workspace;
        let scene = workspace.scene();
        let input = StageInput {
            selected: workspace.selected,
            marks_doomed_packets: workspace.quiz.hidden_after().is_none()
                && !workspace.quiz.is_enabled,
            reduced_motion: self.settings.reduced_motion,
            ..StageInput::new(&scene, workspace.timeline().now())
        };
        stage(&input, self.settings.area(self.settings.sizes.stage))
    }

    /// Adds the card of the target that the pointer or the focus is on, if it is in this picture.
    fn with_card(&self, view: View, mut picture: Picture, size: (f64, f64)) -> Picture {
        let hovered = self.settings.hovered.filter(|(hovered_view, ..)| *hovered_view == view);
        if let Some((_, target, at)) = hovered
            && let Some(card) = self.card(view, target)
        {
            let clients = &self.workspace.timeline().run().config.clients;
            let name = card.client.and_then(|it| usize::from(it.0).checked_sub(1));
            let name = name.and_then(|index| clients.get(index)).map(|it| it.name.as_str());
            picture.shapes.push(card_shape(&card, name, at, self.settings.area(size)));
        }
        picture
    }

    /// Returns what the card beside a target says.
    fn card(&self, view: View, target: Target) -> Option<Card> {
        let timeline = self.workspace.timeline();
        match (view, target) {
            (View::Stage, _) => {
                let scene = self.workspace.scene();
                stage::card_for(&StageInput::new(&scene, timeline.now()), target)
            }
            (_, Target::Record(record)) if view != View::Gantt => Card::of_record(timeline, record),
            (_, target) => {
                let card = gantt::card_for(&GanttInput::new(&LeaseView::new(timeline)), target);
                let of_record = || match target {
                    Target::Record(record) => Card::of_record(timeline, record),
                    Target::Node(_) | Target::Link(_) | Target::Packet(_) | Target::Lock(_) => None,
                };
                card.or_else(of_record)
            }
        }
    }

    fn load(&self) -> Picture {
        let area = self.settings.area(self.settings.sizes.lower);
        let view = LeaseView::new(self.workspace.timeline());
        load(&view, self.workspace.visible_range(), area)
    }

    fn gantt(&self) -> Picture {
        let workspace = self.workspace;
        let area = self.settings.area(self.settings.sizes.lower);
        self.leases((workspace.timeline(), None), area, workspace.selected)
    }

    /// Returns the leases of a run in the visible range, with those of another run as an overlay.
    fn leases(
        &self,
        (timeline, other): (&Timeline, Option<&Timeline>),
        area: Area,
        selected: Option<Target>,
    ) -> Picture {
        let overlay = other.map(Timeline::intervals);
        let view = LeaseView::new(timeline);
        let input = GanttInput {
            must_fit: self.settings.is_presenting,
            overlay: overlay.as_deref(),
            ..GanttInput::new(&view)
        };
        gantt(&input, self.workspace.visible_range(), area, selected)
    }

    fn spacetime(&self) -> Picture {
        let workspace = self.workspace;
        let timeline = workspace.timeline();
        let selected_record = match workspace.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        let input = spacetime::SpacetimeInput {
            past: timeline.past(),
            view: &LeaseView::new(timeline),
            is_to_scale: self.settings.is_to_scale,
            selected_record,
            selected_node: workspace.selected_node(),
            hidden_lanes: &workspace.hidden_lanes,
            shows_heartbeats: workspace.filter.min_importance <= Importance::Heartbeat,
        };
        spacetime(&input, self.settings.area(self.settings.sizes.lower))
    }

    fn tape(&self) -> Picture {
        let workspace = self.workspace;
        let timeline = workspace.timeline();
        let stops = workspace.quiz.shown_stops(timeline.position()).map(|stop| stop.at);
        let stops: Vec<VirtualTime> = stops.collect();
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
        let (width, height) = self.settings.sizes.tape;
        tape(&input, Area { width: width.max(120.0), height: height.max(40.0), em: 12.0 })
    }

    /// Returns the pictures of both runs with their ids.
    fn comparison(&self, comparison: &Comparison) -> Vec<(&'static str, Picture)> {
        let timeline = self.workspace.timeline();
        let (width, height) = self.settings.sizes.stage;
        let is_wide = comparison.mode == ComparisonMode::SideBySide && width > 700.0;
        let width = if is_wide { width / 2.0 - 24.0 } else { width - 24.0 };
        // Two stacked pictures and their files must fit.
        let fraction =
            if comparison.mode == ComparisonMode::Stacked || !is_wide { 0.3 } else { 0.55 };
        let area = self.settings.area((width.max(240.0), (height * fraction).clamp(110.0, 420.0)));
        let other = &comparison.other;
        let overlay = (comparison.mode == ComparisonMode::Overlaid).then_some(other);
        let mut pictures = Vec::new();
        if let Some(id) = picture_id(ComparedSide::A, comparison.mode) {
            pictures.push((id, self.leases((timeline, overlay), area, None)));
        }
        if let Some(id) = picture_id(ComparedSide::B, comparison.mode) {
            pictures.push((id, self.leases((other, None), area, None)));
        }
        pictures
    }
}

/// A side of a comparison: A is the current run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComparedSide {
    A,
    B,
}

/// Returns the id of a side's picture. Overlaid runs share one picture; the text mode has none.
pub(crate) const fn picture_id(side: ComparedSide, mode: ComparisonMode) -> Option<&'static str> {
    match (side, mode) {
        (_, ComparisonMode::Text) | (ComparedSide::B, ComparisonMode::Overlaid) => None,
        (ComparedSide::A, _) => Some("picture-a"),
        (ComparedSide::B, _) => Some("picture-b"),
    }
}
