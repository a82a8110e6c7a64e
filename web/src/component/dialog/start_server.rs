//! How to start a lock server for the live view.

use yew::{Callback, Html, Properties, component, html};

use super::Dialog;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct StartServerProps {
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn StartServerDialog(props: &StartServerProps) -> Html {
    html! {
        <Dialog title="Live: watch a real server" class="start-server"
            onclose={props.onclose.clone()}>
            <p>
                { "A lock server shows its sessions, locks and files on a page like this one. This \
                   copy of the page was not served by one." }
            </p>
            <ol class="steps">
                <li>{ "Start a server, here with five clients as an example:" }
                    <pre><code>{ "cargo xtask serve --demo" }</code></pre></li>
                <li>{ "Open the address that it prints, such as:" }
                    <pre><code>{ "http://127.0.0.1:7780" }</code></pre></li>
                <li>{ "Choose Live." }</li>
            </ol>
        </Dialog>
    }
}
