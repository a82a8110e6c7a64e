//! The menu of all faults that apply to one target.

use std::rc::Rc;

use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::Dialog;
use crate::component::inspector::key_name;
use crate::model::fault_options::FaultOption;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct FaultMenuProps {
    pub(crate) title: AttrValue,
    pub(crate) faults: Rc<Vec<FaultOption>>,
    pub(crate) onfault: Callback<FaultOption>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn FaultMenu(props: &FaultMenuProps) -> Html {
    let FaultMenuProps { title, faults, onfault, onclose } = props.clone();
    let entry = |(index, fault): (usize, &FaultOption)| {
        let fault_clicked = fault.clone();
        let onclick = onfault.reform(move |_| fault_clicked.clone());
        let unavailable_reason = fault.unavailable_reason.clone();
        html! {
            <li key={fault.text.clone()}>
                <button {onclick} autofocus={index == 0}
                    aria-disabled={unavailable_reason.is_some().to_string()}>
                    <span>{ fault.text.clone() }</span>
                    if let Some(reason) = unavailable_reason {
                        <small>{ reason }</small>
                    } else if let Some(key) = fault.key {
                        <kbd aria-hidden="true">{ key_name(key) }</kbd>
                    }
                </button>
            </li>
        }
    };
    html! {
        <Dialog {title} class="menu" {onclose}>
            if faults.is_empty() {
                <p class="nothing">
                    { "No faults available. Select a node, link or packet." }</p>
            }
            <ul>{ for faults.iter().enumerate().map(entry) }</ul>
        </Dialog>
    }
}
