//! The panel of the timelines below the stage: leases and space-time.

use yew::{Callback, Html, Properties, component, html};

use super::figure::Figure;
use crate::area::selection::PointerAction;
use crate::model::shortcuts::{Command, View};

#[derive(Clone, PartialEq, Properties)]
#[allow(clippy::struct_excessive_bools, reason = "independent states")]
pub(crate) struct TimelinePanelProps {
    /// Which timeline is shown.
    pub(crate) view: View,
    /// Whether there is a space-time diagram. The trace of a real server contains no packets.
    pub(crate) has_spacetime: bool,
    pub(crate) is_to_scale: bool,
    /// Whether a node is selected, so that its lane can be hidden.
    pub(crate) has_selected_node: bool,
    pub(crate) has_hidden_lanes: bool,
    pub(crate) onview: Callback<View>,
    pub(crate) ongantt: Callback<PointerAction>,
    pub(crate) onspacetime: Callback<PointerAction>,
    pub(crate) oncommand: Callback<Command>,
    pub(crate) onscale: Callback<()>,
    pub(crate) onhide: Callback<()>,
    pub(crate) onshowall: Callback<()>,
}

#[component]
pub(crate) fn TimelinePanel(props: &TimelinePanelProps) -> Html {
    let shown_view = props.view;
    let tab = |view: View| {
        let onclick = props.onview.reform(move |_| view);
        html! {
            <button key={view.test_id()} class="tab"
                aria-pressed={(shown_view == view).to_string()} {onclick}>
                { view.title() }
            </button>
        }
    };
    let section = |view: View, id: &'static str, onpoint: &Callback<PointerAction>| {
        html! {
            <div class="picture-area" data-testid={view.test_id()}
                id={format!("panel-{}", view.test_id())}
                hidden={shown_view != view} data-time="" role="region" tabindex="-1"
                aria-label={view.title()}>
                if shown_view == view { <Figure {id} onpoint={onpoint.clone()} /> }
            </div>
        }
    };
    html! {
        <section class="panel lower" aria-label="Timeline">
            <header class="panel-header">
                <div class="tabs" role="group" aria-label="View">
                    { tab(View::Gantt) }
                    if props.has_spacetime { { tab(View::SpaceTime) } }
                </div>
                <div class="zoom" role="group" aria-label="Zoom">
                    if shown_view == View::Gantt {
                        <ZoomButtons oncommand={props.oncommand.clone()} />
                    } else {
                        <LaneButtons is_to_scale={props.is_to_scale}
                            has_selected_node={props.has_selected_node}
                            has_hidden_lanes={props.has_hidden_lanes}
                            onscale={props.onscale.clone()} onhide={props.onhide.clone()}
                            onshowall={props.onshowall.clone()} />
                    }
                </div>
            </header>
            <div class="lower-area" id="lower">
                { section(View::Gantt, "picture-gantt", &props.ongantt) }
                { section(View::SpaceTime, "picture-spacetime", &props.onspacetime) }
            </div>
        </section>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ZoomButtonsProps {
    oncommand: Callback<Command>,
}

#[component]
fn ZoomButtons(props: &ZoomButtonsProps) -> Html {
    let on = |command: Command| props.oncommand.reform(move |_| command);
    html! { <>
        <button class="quiet" onclick={on(Command::Zoom { zoom_in: false })}
            title="Zoom out (S)" aria-label="Zoom out">{ "−" }</button>
        <button class="quiet" onclick={on(Command::Zoom { zoom_in: true })}
            title="Zoom in (W)" aria-label="Zoom in">{ "+" }</button>
        <button class="quiet" onclick={on(Command::FitTime)}
            title="Show the whole run (0)">{ "Fit" }</button>
    </> }
}

#[derive(Clone, PartialEq, Properties)]
struct LaneButtonsProps {
    is_to_scale: bool,
    has_selected_node: bool,
    has_hidden_lanes: bool,
    onscale: Callback<()>,
    onhide: Callback<()>,
    onshowall: Callback<()>,
}

#[component]
fn LaneButtons(props: &LaneButtonsProps) -> Html {
    html! { <>
        <button class="quiet" aria-pressed={props.is_to_scale.to_string()}
            onclick={props.onscale.reform(|_| ())}>{ "To scale" }</button>
        <button class="quiet" data-testid="hide-lane"
            title="Hide the lane of the selected node" disabled={!props.has_selected_node}
            onclick={props.onhide.reform(|_| ())}>{ "Hide lane" }</button>
        if props.has_hidden_lanes {
            <button class="quiet" data-testid="all-lanes"
                onclick={props.onshowall.reform(|_| ())}>{ "Show all lanes" }</button>
        }
    </> }
}
