//! The explanation of an event: its chain of causes, one event after the other. The pictures
//! follow.

use leasehold_sim::{Importance, RecordId, Run, VirtualTime};

use super::context::{Context, PageArea, Redraw};
use crate::model::cause_chain::CauseChain;
use crate::model::target::Target;
use crate::model::workspace::Workspace;

pub(crate) enum WhyMsg {
    /// Explains an event.
    Explain(RecordId),
    /// Explains the event that shows the answer of the question.
    ExplainAnswer,
    /// Goes to the next or previous event of the chain. After the last one, the explanation ends.
    Step { forward: bool },
    /// Ends the explanation, and returns to the position at which it was requested.
    Close,
}

#[derive(Default)]
pub(crate) struct WhyArea {
    open: Option<OpenChain>,
}

struct OpenChain {
    chain: CauseChain,
    /// The run that it explains.
    run: Run,
    /// Where to return.
    opened_at: (u32, VirtualTime),
}

impl PageArea for WhyArea {
    type Msg = WhyMsg;

    fn update(&mut self, msg: WhyMsg, cx: &mut Context<'_>) -> Redraw {
        let workspace = &mut *cx.workspace;
        match msg {
            WhyMsg::Explain(record) => self.explain(record, workspace),
            WhyMsg::ExplainAnswer => {
                if let Some(record) = answer_record(workspace) {
                    self.explain(record, workspace);
                }
            }
            WhyMsg::Step { forward } => {
                let Some(open) = &mut self.open else { return Redraw::Nothing };
                if open.chain.step(forward) {
                    workspace.go_to_record(open.chain.slide().record);
                } else if forward {
                    self.close(workspace);
                }
            }
            WhyMsg::Close => self.close(workspace),
        }
        Redraw::Page
    }
}

impl WhyArea {
    /// Returns the chain that is shown.
    pub(crate) fn chain(&self) -> Option<&CauseChain> {
        self.open.as_ref().map(|open| &open.chain)
    }

    fn explain(&mut self, record: RecordId, workspace: &mut Workspace) {
        let timeline = workspace.timeline();
        // An explanation that begins inside of another one returns to where that began.
        let opened_at = match &self.open {
            Some(open) => open.opened_at,
            None => (timeline.position(), timeline.now()),
        };
        let Some(chain) = CauseChain::new(timeline, record) else { return };
        let run = timeline.run().clone();
        workspace.go_to_record(chain.slide().record);
        self.open = Some(OpenChain { chain, run, opened_at });
    }

    fn close(&mut self, workspace: &mut Workspace) {
        if let Some(OpenChain { opened_at: (position, time), .. }) = self.open.take() {
            workspace.go_to_position_at(position, time);
            workspace.selected = None;
        }
    }

    /// Ends the explanation if the user has moved on: to another event, another run, or by playing.
    pub(super) fn follow(&mut self, workspace: &Workspace) {
        self.open = self.open.take().filter(|open| {
            let (record, timeline) = (open.chain.slide().record, workspace.timeline());
            workspace.selected == Some(Target::Record(record))
                && timeline.position() == timeline.position_of(record)
                && !workspace.player.is_playing
                && *workspace.timeline().run() == open.run
        });
    }
}

/// Returns the event that shows the answer: the most important record of its step.
fn answer_record(workspace: &Workspace) -> Option<RecordId> {
    let position = workspace.quiz.answer_position()?;
    let timeline = workspace.timeline();
    let records = timeline.step_records(position);
    let last = records.iter().rposition(|it| Importance::from_record(it) >= Importance::Release);
    let first = timeline.first_record_of_step(position);
    Some(RecordId(first + u32::try_from(last.unwrap_or(0)).unwrap_or(0)))
}
