//! The tour through the first runs: which stop is shown.

use super::context::{Context, PageArea, Redraw};
use super::effect::Effect;
use super::layout::LayoutMsg;
use super::live::LiveMsg;
use super::start::StartMsg;
use crate::model::tour::{TOUR, TourStop};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TourMsg {
    Start,
    /// Goes to the next stop. After the last one, the start screen is shown.
    Next,
    Back,
    /// Ends the tour, and keeps the run that is open.
    Close,
    /// Ends the tour, because another run was opened.
    Abandon,
}

#[derive(Default)]
pub(crate) struct TourArea {
    /// The index of the stop that is shown.
    stop: Option<usize>,
}

impl TourArea {
    /// Returns the stop that is shown and its number, from 1.
    pub(crate) fn current(&self) -> Option<(usize, &'static TourStop)> {
        let index = self.stop?;
        Some((index + 1, TOUR.get(index)?))
    }

    fn show(&mut self, index: usize, cx: &mut Context<'_>) {
        let Some(stop) = TOUR.get(index) else { return };
        self.stop = Some(index);
        let run_before = cx.workspace.run_id();
        stop.show(cx.workspace);
        cx.send(LayoutMsg::SelectTab(stop.part.view()));
        cx.request(Effect::Focus(vec!["[data-testid=tour]".to_owned()]));
        if cx.workspace.run_id() == run_before {
            cx.update_address();
        } else {
            cx.push_address();
        }
    }
}

impl PageArea for TourArea {
    type Msg = TourMsg;

    fn update(&mut self, msg: TourMsg, cx: &mut Context<'_>) -> Redraw {
        match (msg, self.stop) {
            // Only the workspace of the simulation can open a scenario.
            (TourMsg::Start, _) if cx.workspace.is_live => {
                cx.send(LiveMsg::Leave);
                cx.send(msg);
                return Redraw::Nothing;
            }
            (TourMsg::Start, _) => {
                cx.send(StartMsg::Hide);
                self.show(0, cx);
            }
            (TourMsg::Next, Some(index)) if index + 1 < TOUR.len() => self.show(index + 1, cx),
            (TourMsg::Next, Some(_)) => cx.send(StartMsg::Home),
            (TourMsg::Back, Some(index)) => self.show(index.saturating_sub(1), cx),
            (TourMsg::Close, Some(_)) => {
                self.stop = None;
                cx.workspace.set_quiz_enabled(true);
            }
            (TourMsg::Abandon, Some(_)) => self.stop = None,
            (TourMsg::Next | TourMsg::Back | TourMsg::Close | TourMsg::Abandon, None) => {
                return Redraw::Nothing;
            }
        }
        Redraw::Page
    }
}
