//! The inspector: the fields and faults of the selected target.

use std::rc::Rc;

use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::icon::drawn;
use super::who::text_with_clients;
use crate::model::client_names::ClientNames;
use crate::model::fault_options::FaultOption;
use crate::model::inspector::Field;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct InspectorProps {
    pub(crate) title: AttrValue,
    pub(crate) clients: Rc<ClientNames>,
    /// The fields, each with its previous value if that differs.
    pub(crate) fields: Rc<Vec<(Field, Option<String>)>>,
    pub(crate) faults: Rc<Vec<FaultOption>>,
    pub(crate) is_empty: bool,
    pub(crate) onfault: Callback<FaultOption>,
    pub(crate) onmenu: Callback<()>,
    pub(crate) onfilter: Callback<()>,
}

/// The fields and faults of the selected target.
#[component]
pub(crate) fn Inspector(props: &InspectorProps) -> Html {
    let InspectorProps { title, fields, faults, is_empty, onmenu, .. } = props.clone();
    let keyed_faults = faults.iter().filter(|fault| fault.key.is_some());
    html! {
        <section class="panel inspector" id="panel-inspector" data-testid="inspector"
            aria-label="Inspector">
            <header class="panel-header">
                <h2>{ text_with_clients(&title, &props.clients) }</h2>
                if is_empty {
                    <p class="nothing">{ "Select a node, link, packet or lock" }</p>
                }
                if !is_empty {
                    <button class="quiet" onclick={props.onfilter.reform(|_| ())}
                        title="Show only related events in the log">{ "Filter log" }</button>
                }
                if !faults.is_empty() {
                    <button class="quiet" onclick={onmenu.reform(|_| ())}
                        title="All faults (Enter)">
                        { "More" }{ drawn(Icon::ChevronDown) }
                    </button>
                }
            </header>
            <div class="scroll-area" hidden={is_empty} tabindex="0" role="region"
                aria-label="Details">
                if !faults.is_empty() {
                    <div class="actions" role="group" aria-label="Faults">
                        { for keyed_faults.map(|fault| fault_button(fault, &props.onfault)) }
                    </div>
                }
                <dl class="fields">
                    { for fields.iter().map(|(field, previous)| html! {
                        <div key={field.name}
                            class={classes!(previous.is_some().then_some("changed"))}>
                            <dt>{ field.name }</dt>
                            <dd>
                                if let Some(previous) = previous {
                                    <s>{ previous.clone() }</s>{ " " }
                                }
                                { text_with_clients(&field.value, &props.clients) }
                            </dd>
                        </div>
                    }) }
                </dl>
            </div>
        </section>
    }
}

fn fault_button(fault: &FaultOption, onfault: &Callback<FaultOption>) -> Html {
    let fault_clicked = fault.clone();
    let onclick = onfault.reform(move |_| fault_clicked.clone());
    let reason = fault.unavailable_reason.clone();
    let title = reason.as_ref().map(|reason| format!("Unavailable: {reason}"));
    html! {
        <button class="small-button" {onclick} {title} aria-disabled={reason.is_some().to_string()}>
            { fault.text.clone() }
            if let Some(key) = fault.key { <kbd aria-hidden="true">{ key_name(key) }</kbd> }
        </button>
    }
}

/// Returns the label of a key.
pub(crate) fn key_name(key: char) -> String {
    if key == 'D' { "Shift D".to_owned() } else { key.to_string() }
}
