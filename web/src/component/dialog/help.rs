//! The list of keyboard shortcuts.

use yew::{Callback, Html, Properties, component, html};

use super::Dialog;
use crate::model::shortcuts::SHORTCUTS;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HelpProps {
    /// Whether single-letter shortcuts are disabled.
    pub(crate) shortcuts_disabled: bool,
    pub(crate) ontoggle: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn HelpDialog(props: &HelpProps) -> Html {
    let HelpProps { shortcuts_disabled, ontoggle, onclose } = props.clone();
    html! {
        <Dialog title="Keyboard shortcuts" class="help" {onclose}>
            <div class="keys">
                { for SHORTCUTS.iter().map(|(title, keys)| html! {
                    <section key={*title}>
                        <h3>{ *title }</h3>
                        <dl>{ for keys.iter().map(|(key, action)| html! {
                            <div><dt>{ *key }</dt><dd>{ *action }</dd></div>
                        }) }</dl>
                    </section>
                }) }
            </div>
            <label class="switch">
                <input type="checkbox" checked={!shortcuts_disabled}
                    onchange={ontoggle.reform(|_| ())} />
                { "Enable single-letter shortcuts" }
            </label>
        </Dialog>
    }
}
