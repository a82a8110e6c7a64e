//! The strip at the top of a presentation: the state of the experiment. Presenting hides the
//! header.

use leasehold_sim::{Invariant, Protection};
use yew::{AttrValue, Html, Properties, classes, component, html};

use super::icon::drawn;
use crate::model::protection_labels::capitalized;
use crate::picture::icon::Icon;
use crate::picture::presented_text::strip_size;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct StripProps {
    pub(crate) title: AttrValue,
    /// The number of the scenario in the library, from 1; 0 if it is not in the library.
    pub(crate) number: usize,
    /// The source of the trace, if it is from a real server: its code and its text.
    pub(crate) source: Option<(&'static str, AttrValue)>,
    /// The protections that are disabled.
    pub(crate) without: Vec<Protection>,
    /// The invariants that are violated up to the current position.
    pub(crate) violated: Vec<Invariant>,
}

#[component]
pub(crate) fn Strip(props: &StripProps) -> Html {
    let title = match props.number {
        0 => props.title.clone(),
        number => AttrValue::from(format!("{number} · {}", props.title)),
    };
    let without: Vec<(String, String)> = props
        .without
        .iter()
        .map(|it| (format!("strip-without-{it}"), capitalized(&format!("{} off", display(*it)))))
        .collect();
    let violated: Vec<(String, String)> =
        props.violated.iter().map(|it| (format!("strip-violated-{it}"), it.heading())).collect();
    let chips = without.iter().chain(&violated).map(|(_, text)| text.clone());
    let size = strip_size(&title, &chips.collect::<Vec<_>>());
    html! {
        <header class={classes!("strip", size)} data-testid="strip">
            <h1>{ title }</h1>
            if let Some((code, text)) = props.source.clone() {
                <p class="status source" data-status={code} data-testid="from">{ text }</p>
            }
            <ul class="strip-chips" aria-label="State of the experiment">
                { for without.into_iter().map(|(id, text)| html! {
                    <li key={id.clone()} data-testid={id} class="strip-chip">{ text }</li>
                }) }
                { for violated.into_iter().map(|(id, text)| html! {
                    <li key={id.clone()} data-testid={id} class="strip-chip violated">
                        { drawn(Icon::Cross) }{ text }</li>
                }) }
            </ul>
        </header>
    }
}

fn display(protection: Protection) -> String {
    protection.name().replace('-', " ")
}
