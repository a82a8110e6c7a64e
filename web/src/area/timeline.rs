//! The timelines below the stage: which one is shown, and which part of the run.

use super::context::{Context, PageArea, Redraw};
use crate::model::shortcuts::View;

pub(crate) enum TimelineMsg {
    Show(View),
    Zoom {
        zoom_in: bool,
    },
    Pan {
        forward: bool,
    },
    /// Shows the whole run.
    Fit,
    /// Switches between even distances of the events and a scale.
    ToggleScale,
    /// Hides the lane of the selected node.
    HideSelectedLane,
    ShowAllLanes,
}

pub(crate) struct TimelineArea {
    pub(super) view: View,
    pub(super) is_to_scale: bool,
}

impl TimelineArea {
    /// Shows the timeline that a link names.
    pub(super) fn new(view: Option<&str>) -> Self {
        let view = match view {
            Some("spacetime") => View::SpaceTime,
            _ => View::Gantt,
        };
        Self { view, is_to_scale: false }
    }
}

impl PageArea for TimelineArea {
    type Msg = TimelineMsg;

    fn update(&mut self, msg: TimelineMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            TimelineMsg::Show(view) => match view {
                View::Gantt | View::SpaceTime => self.view = view,
                View::Stage | View::Inspector | View::Log | View::Invariants | View::Files => {}
            },
            TimelineMsg::Zoom { zoom_in } => cx.workspace.zoom(zoom_in),
            TimelineMsg::Pan { forward } => cx.workspace.pan(forward),
            TimelineMsg::Fit => cx.workspace.zoomed_range = None,
            TimelineMsg::ToggleScale => self.is_to_scale = !self.is_to_scale,
            TimelineMsg::HideSelectedLane => cx.workspace.hide_lane(),
            TimelineMsg::ShowAllLanes => cx.workspace.hidden_lanes.clear(),
        }
        Redraw::Page
    }
}
