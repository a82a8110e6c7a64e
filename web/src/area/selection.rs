//! What the user points at, by mouse, finger or keyboard, and the menu of its faults.

use super::context::{Context, PageArea, Redraw};
use super::effect::{Effect, Timer};
use super::layout::{LayoutMsg, OpenDialog};
use super::question::QuestionMsg;
use super::why::WhyMsg;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::View;
use crate::model::target::Target;

/// How long a touch lasts before it opens the menu of its target, in milliseconds.
const LONG_PRESS_MS: u32 = 500;

/// A click on a picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct PointerAction {
    pub(crate) target: Option<Target>,
    /// Whether the menu of the target was requested.
    pub(crate) is_menu: bool,
    /// The horizontal position in the picture, in CSS pixels.
    pub(crate) x: f64,
}

/// A target that the pointer or the focus is on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Hover {
    pub(crate) view: View,
    pub(crate) target: Target,
    /// The position of the pointer or of the target in the picture, in CSS pixels.
    pub(crate) at: (f64, f64),
}

pub(crate) enum SelectionMsg {
    Pointed(View, PointerAction),
    /// The pointer or the focus is on a target, or has left it.
    Hovered(Option<Hover>),
    /// A touch has started on this target, or has ended.
    PressStarted(Option<Target>),
    /// The touch has lasted long enough to open the menu.
    LongPressed,
    /// Reveals the answer of an open question, or explains it if it is shown, or else opens the
    /// menu of this target or of the selected one.
    Activate(Option<Target>),
    /// Opens the menu of the selected target.
    OpenMenu,
    /// Moves the focus to the next or previous target in the same picture.
    FocusNeighbour {
        forward: bool,
    },
    /// The focus has moved to this target.
    Focused(Option<Target>),
}

#[derive(Default)]
pub(crate) struct SelectionArea {
    /// The target of a touch that has not ended yet.
    pressed: Option<Target>,
    /// The target with a card beside it.
    pub(super) hovered: Option<Hover>,
}

impl PageArea for SelectionArea {
    type Msg = SelectionMsg;

    fn update(&mut self, msg: SelectionMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            SelectionMsg::Pointed(view, action) => {
                self.press(None, cx);
                point(view, action, cx);
            }
            SelectionMsg::Hovered(hovered) => {
                let target = |hover: Option<Hover>| hover.map(|it| (it.view, it.target));
                if target(self.hovered) == target(hovered) {
                    return Redraw::Nothing;
                }
                self.hovered = hovered;
                return Redraw::Pictures;
            }
            SelectionMsg::PressStarted(target) => {
                self.press(target, cx);
                return Redraw::Nothing;
            }
            SelectionMsg::LongPressed => {
                if let Some(target) = self.pressed.take() {
                    open_menu(target, cx);
                }
            }
            SelectionMsg::Activate(focused) => {
                if cx.workspace.quiz.phase == QuizPhase::Open {
                    cx.send(QuestionMsg::Reveal);
                } else if focused.is_none()
                    && cx.workspace.quiz.answer().is_some_and(|_| cx.workspace.quiz.is_shown())
                {
                    cx.send(WhyMsg::ExplainAnswer);
                } else if let Some(target) = focused.or(cx.workspace.selected) {
                    open_menu(target, cx);
                }
            }
            SelectionMsg::OpenMenu => {
                if let Some(target) = cx.workspace.selected {
                    open_menu(target, cx);
                }
            }
            SelectionMsg::FocusNeighbour { forward } => {
                cx.request(Effect::FocusNeighbour { forward });
                return Redraw::Nothing;
            }
            SelectionMsg::Focused(target) => {
                cx.workspace.selected = target.or(cx.workspace.selected);
            }
        }
        Redraw::Page
    }
}

impl SelectionArea {
    fn press(&mut self, target: Option<Target>, cx: &mut Context<'_>) {
        self.pressed = target;
        cx.request(match target {
            Some(_) => Effect::StartTimer(Timer::LongPress, LONG_PRESS_MS),
            None => Effect::StopTimer(Timer::LongPress),
        });
    }
}

fn point(view: View, action: PointerAction, cx: &mut Context<'_>) {
    let workspace = &mut *cx.workspace;
    match (action.target, action.is_menu) {
        (Some(target), true) => open_menu(target, cx),
        (Some(Target::Record(record)), false) => workspace.go_to_record(record),
        (Some(target), false) => {
            let is_same = workspace.selected == Some(target);
            workspace.selected = (!is_same).then_some(target);
            // If one panel is shown at a time, show the one with the target's faults.
            if !is_same && view == View::Stage && (cx.environment.is_narrow)() {
                cx.send(LayoutMsg::SelectTab(View::Inspector));
            }
        }
        (None, _) => match cx.settings.time_at(view, workspace, action.x) {
            Some(time) => workspace.go_to(time),
            None => workspace.selected = None,
        },
    }
}

/// Opens the menu of a target. Locks and records have no faults, so they are only selected.
fn open_menu(target: Target, cx: &mut Context<'_>) {
    cx.workspace.selected = Some(target);
    match target {
        Target::Lock(_) | Target::Record(_) => {}
        Target::Node(_) | Target::Link(_) | Target::Packet(_) => {
            cx.send(LayoutMsg::Open(OpenDialog::FaultMenu));
        }
    }
}
