//! The playback: playing, stepping and seeking, and the animation frames that advance it.

use leasehold_sim::{RecordId, VirtualTime};

use super::context::{Context, PageArea, Redraw};
use super::live::LiveMsg;
use super::scenario::ScenarioMsg;
use crate::model::player::Speed;
use crate::model::stop_condition::StopCondition;

/// The minimum interval between updates of the panels during playback, in milliseconds.
const PANEL_INTERVAL_MS: f64 = 90.0;

/// The assumed duration of the first frame, in milliseconds.
const FIRST_FRAME_MS: f64 = 16.0;

/// The minimum interval between frames of the live view, in milliseconds: 30 frames a second.
const LIVE_FRAME_MS: f64 = 32.0;

/// How long a frame may simulate, in milliseconds. The rest of the frame is for drawing and input.
const SLICE_MS: f64 = 8.0;

pub(crate) enum PlayerMsg {
    PlayPause,
    Step {
        forward: bool,
    },
    /// Goes to the next or previous key event.
    StepImportant {
        forward: bool,
    },
    /// Goes to the next or previous event of the selected node.
    StepOfNode {
        forward: bool,
    },
    GoToStart,
    GoToEnd,
    GoToStop {
        forward: bool,
    },
    GoToTime(VirtualTime),
    GoToRecord(RecordId),
    GoToNextViolation,
    Nudge {
        forward: bool,
    },
    PlayFromStart,
    /// Plays until the stop condition of this name is met.
    PlayUntil(String),
    Slower,
    Faster,
    AutoPace,
    /// The animation frame at this time, in milliseconds.
    Frame(f64),
    /// Advances the run by one frame that ends at this time and lasts this long, in milliseconds.
    Advance {
        frame_time: f64,
        elapsed_ms: f64,
    },
}

#[derive(Default)]
pub(crate) struct PlayerArea {
    /// The time of the last frame, in milliseconds, while the page is animating.
    last_frame: Option<f64>,
    /// The revision that the panels show, and when they were drawn.
    last_panel_draw: (u64, f64),
    /// How long the last drawing of the page took, in milliseconds.
    draw_ms: f64,
}

impl PageArea for PlayerArea {
    type Msg = PlayerMsg;

    fn update(&mut self, msg: PlayerMsg, cx: &mut Context<'_>) -> Redraw {
        let workspace = &mut *cx.workspace;
        match msg {
            PlayerMsg::PlayPause => workspace.toggle_playback(),
            PlayerMsg::Step { forward } => workspace.step(forward),
            PlayerMsg::StepImportant { forward } => workspace.go_to_important(forward),
            PlayerMsg::StepOfNode { forward } => workspace.go_to_selected_node(forward),
            PlayerMsg::GoToStart => workspace.go_to_start(),
            PlayerMsg::GoToEnd => {
                workspace.go_to(workspace.timeline().end());
                workspace.is_following = workspace.is_live;
            }
            PlayerMsg::GoToStop { forward: true }
                if cx.settings.is_presenting && workspace.timeline().is_at_end() =>
            {
                cx.send(ScenarioMsg::ShowNextSteps);
            }
            PlayerMsg::GoToStop { forward } => workspace.go_to_stop(forward),
            PlayerMsg::GoToTime(time) => workspace.go_to(time),
            PlayerMsg::GoToRecord(record) => workspace.go_to_record(record),
            PlayerMsg::GoToNextViolation => workspace.go_to_next_violation(),
            PlayerMsg::Nudge { forward } => workspace.nudge(forward),
            PlayerMsg::PlayFromStart => {
                workspace.go_to(VirtualTime::START);
                workspace.player.is_playing = !cx.environment.reduced_motion;
            }
            PlayerMsg::PlayUntil(name) => {
                if let Some(until) = StopCondition::from_name(&name) {
                    workspace.play_until(until);
                }
            }
            PlayerMsg::Slower => workspace.player.slow_down(),
            PlayerMsg::Faster => workspace.player.speed_up(),
            PlayerMsg::AutoPace => workspace.player.speed = Speed::Auto,
            PlayerMsg::Frame(frame_time) => return self.frame_started(frame_time, cx),
            PlayerMsg::Advance { frame_time, elapsed_ms } => {
                return self.advance(frame_time, elapsed_ms, cx);
            }
        }
        Redraw::Page
    }
}

impl PlayerArea {
    /// Starts over with the frames, because another run is shown.
    pub(super) fn run_replaced(&mut self) {
        self.last_frame = None;
    }

    /// Notes how long the last drawing of the page took.
    pub(crate) fn page_drawn(&mut self, draw_ms: f64) {
        self.draw_ms = draw_ms;
    }

    /// Decides whether the page has time for this frame.
    fn frame_started(&self, frame_time: f64, cx: &mut Context<'_>) -> Redraw {
        let elapsed_ms = self.last_frame.map(|last| frame_time - last);
        // A page that is slow to draw must leave time for incoming messages.
        let frame_interval_ms = LIVE_FRAME_MS.max(self.draw_ms * 3.0);
        let is_early = elapsed_ms.is_some_and(|elapsed_ms| elapsed_ms < frame_interval_ms);
        if !(cx.workspace.is_live && is_early) {
            cx.send(LiveMsg::AdvanceClock);
            let elapsed_ms = elapsed_ms.unwrap_or(FIRST_FRAME_MS);
            cx.send(PlayerMsg::Advance { frame_time, elapsed_ms });
        }
        Redraw::Nothing
    }

    fn advance(&mut self, frame_time: f64, elapsed_ms: f64, cx: &mut Context<'_>) -> Redraw {
        let (clock, slice_ends_at) = (cx.environment.clock, cx.now() + SLICE_MS);
        let mut has_time = || clock() < slice_ends_at;
        let must_draw = cx.workspace.advance_frame_while(elapsed_ms, &mut has_time);
        let is_animating = cx.workspace.player.is_playing || cx.workspace.is_following;
        self.last_frame = is_animating.then_some(frame_time);
        let is_catching_up = cx.workspace.timeline().is_catching_up();
        if !must_draw {
            Redraw::Nothing
        } else if !(is_animating || is_catching_up) || self.must_draw_panels(frame_time, cx) {
            Redraw::Page
        } else if is_catching_up {
            // Drawing less leaves more time for the simulation.
            Redraw::Nothing
        } else {
            Redraw::Pictures
        }
    }

    /// Whether to draw the panels in this frame. They change less often than the pictures, because
    /// text that changes in every frame cannot be read.
    fn must_draw_panels(&mut self, frame_time: f64, cx: &Context<'_>) -> bool {
        let (revision, drawn_at) = self.last_panel_draw;
        // Some fields of a selected target count down.
        let has_changed = revision != cx.workspace.revision || cx.workspace.selected.is_some();
        if !has_changed || frame_time - drawn_at < PANEL_INTERVAL_MS {
            return false;
        }
        self.last_panel_draw = (cx.workspace.revision, frame_time);
        true
    }
}
