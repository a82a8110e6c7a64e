//! The protections: those that the scenario is about as buttons in the header, and all of them in a
//! menu.

use yew::{Callback, Html, Properties, classes, component, html};

use leasehold_sim::Protection;

use super::dropdown::Dropdown;
use super::icon::drawn;
use crate::area::layout::OpenDialog;
use crate::model::protection_labels::ProtectionLabel;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ProtectionsProps {
    /// All protections, in the order of their numbers.
    pub(crate) labels: Vec<ProtectionLabel>,
    pub(crate) is_menu_open: bool,
    pub(crate) onprotection: Callback<Protection>,
    pub(crate) onopen: Callback<OpenDialog>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn Protections(props: &ProtectionsProps) -> Html {
    let own = props.labels.iter().filter(|label| label.is_own);
    let others_off = props.labels.iter().filter(|label| !label.is_own && !label.is_on).count();
    let onopen = props.onopen.reform(|_| OpenDialog::Protections);
    html! { <>
        <div class="chips" role="group" aria-label="Protections of this scenario">
            { for own.map(|label| chip(label, &props.onprotection)) }
        </div>
        <button class="header-button" data-testid="protections" onclick={onopen}
            aria-haspopup="dialog" aria-expanded={props.is_menu_open.to_string()}
            aria-label={format!("All protections ({})", props.labels.len())}>
            <span class="long">{ "Protections" }</span>
            <span class="short">{ "All" }</span>
            { format!("({})", props.labels.len()) }
            if others_off > 0 {
                <span class="others-off">{ format!("{others_off} off") }</span>
            }
            { drawn(Icon::ChevronDown) }
        </button>
        <Dropdown title="Protections" class="protections" anchor="protections"
            is_open={props.is_menu_open} onclose={props.onclose.clone()}>
            <p class="hint">
                { "Turn one off, and the same run shows what it was for. A real server always has \
                   all of them." }
            </p>
            <ul>{ for props.labels.iter().map(|label| menu_row(label, &props.onprotection)) }</ul>
        </Dropdown>
    </> }
}

fn chip(label: &ProtectionLabel, onprotection: &Callback<Protection>) -> Html {
    let protection = label.protection;
    let onclick = onprotection.reform(move |_| protection);
    let state = if label.is_on { "on" } else { "off" };
    let title = format!("{} Now {state} ({}).", label.sentence, label.key);
    html! {
        <button key={protection.name()} {onclick} {title}
            class={classes!("chip", (!label.is_on).then_some("off"))}
            data-testid={format!("protection-{protection}")}
            aria-pressed={label.is_on.to_string()}>
            <span class="number">{ label.number }</span>
            <span>{ label.name.clone() }</span>
            if label.is_on { { drawn(Icon::Check) } } else { <span>{ "off" }</span> }
        </button>
    }
}

fn menu_row(label: &ProtectionLabel, onprotection: &Callback<Protection>) -> Html {
    let protection = label.protection;
    let onclick = onprotection.reform(move |_| protection);
    // The button in the header has the plain name.
    let prefix = if label.is_own { "menu-" } else { "" };
    html! {
        <li key={protection.name()}>
            <button class={classes!("protection", (!label.is_on).then_some("off"))} {onclick}
                data-testid={format!("{prefix}protection-{protection}")}
                aria-pressed={label.is_on.to_string()}>
                <span class="number">{ label.number }</span>
                <span class="name">
                    { label.name.clone() }
                    if label.is_own { <small>{ "this scenario's" }</small> }
                </span>
                <span class="state">{ if label.is_on { "On" } else { "Off" } }</span>
                <span class="sentence">{ label.sentence.clone() }</span>
                <kbd aria-hidden="true">{ label.key.clone() }</kbd>
            </button>
        </li>
    }
}
