//! The panel of the stage.

use yew::{Callback, Html, PointerEvent, Properties, component, html};

use super::figure::{Figure, target_of};
use crate::area::selection::PointerAction;
use crate::model::shortcuts::Command;
use crate::model::target::Target;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct StagePanelProps {
    /// Whether to say how to start clients.
    pub(crate) has_no_clients: bool,
    pub(crate) onpoint: Callback<PointerAction>,
    /// A touch has started on this target, or has ended.
    pub(crate) onpress: Callback<Option<Target>>,
    pub(crate) oncommand: Callback<Command>,
}

#[component]
pub(crate) fn StagePanel(props: &StagePanelProps) -> Html {
    let onpointerdown = props.onpress.reform(|event: PointerEvent| {
        let by_finger = event.pointer_type() != "mouse";
        target_of(&event).filter(|_| by_finger)
    });
    let press_ended = props.onpress.reform(|_: PointerEvent| None);
    html! {
        <section class="panel stage" id="panel-stage" data-testid="stage" aria-label="Stage"
            tabindex="-1">
            <div class="picture-area" id="stage" {onpointerdown}
                onpointerup={press_ended.clone()} onpointercancel={press_ended}>
                <Figure id="picture-stage" onpoint={props.onpoint.clone()} />
            </div>
            if props.has_no_clients {
                <p class="empty">
                    { "No clients connected. Start a demo: " }
                    <code>{ "leasehold demo --loop" }</code>
                </p>
            }
            <button class="quiet legend-button" title="Legend (I)"
                onclick={props.oncommand.reform(|_| Command::Legend)}>
                { "Legend" }
            </button>
        </section>
    }
}
