//! The glossary: each domain term in two sentences.

use yew::{Callback, Html, Properties, classes, component, html};

use super::Dialog;
use crate::model::glossary::{TERMS, Term};

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct GlossaryProps {
    /// The name of the term that is highlighted.
    pub(crate) term: Option<&'static str>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn GlossaryDialog(props: &GlossaryProps) -> Html {
    let entry = |term: &Term| {
        let is_current = props.term == Some(term.name);
        html! {
            <div key={term.name} id={term.id()} tabindex="-1"
                class={classes!(is_current.then_some("current"))}
                data-testid={is_current.then_some("glossary-current")}>
                <dt>{ term.name }</dt>
                <dd>{ term.meaning }</dd>
            </div>
        }
    };
    html! {
        <Dialog title="Glossary" class="glossary" onclose={props.onclose.clone()}>
            <dl data-testid="glossary">{ for TERMS.iter().map(entry) }</dl>
        </Dialog>
    }
}
