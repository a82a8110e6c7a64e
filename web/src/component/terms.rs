//! Text in which each term of the glossary is a button that opens its entry, and clients have their
//! colours.

use std::rc::Rc;

use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::who::text_with_clients;
use crate::model::client_names::ClientNames;
use crate::model::glossary::split_at_terms;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct TermTextProps {
    pub(crate) text: AttrValue,
    #[prop_or_default]
    pub(crate) clients: Rc<ClientNames>,
    /// Receives the name of a term.
    pub(crate) onterm: Callback<&'static str>,
}

#[component]
pub(crate) fn TermText(props: &TermTextProps) -> Html {
    let segments = split_at_terms(&props.text).into_iter().map(|segment| match segment.term {
        None => text_with_clients(segment.text, &props.clients),
        Some(term) => html! {
            <button class="term" title={format!("What is this? {}", term.name)}
                onclick={props.onterm.reform(|_| term.name)}>
                { segment.text.to_owned() }
            </button>
        },
    });
    html! { <>{ for segments }</> }
}
