//! Text in which each term of the glossary is a button that opens its entry.

use yew::{AttrValue, Callback, Html, Properties, component, html};

use crate::model::glossary::split_at_terms;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct TermTextProps {
    pub(crate) text: AttrValue,
    /// Receives the name of a term.
    pub(crate) onterm: Callback<&'static str>,
}

#[component]
pub(crate) fn TermText(props: &TermTextProps) -> Html {
    let segments = split_at_terms(&props.text).into_iter().map(|segment| match segment.term {
        None => html! { { segment.text.to_owned() } },
        Some(term) => html! {
            <button class="term" title={format!("What is this? {}", term.name)}
                onclick={props.onterm.reform(|_| term.name)}>
                { segment.text.to_owned() }
            </button>
        },
    });
    html! { <>{ for segments }</> }
}
