//! The explanation of an event: one of its causes at a time. The pictures show the same event.

use std::rc::Rc;

use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use super::who::text_with_clients;
use crate::model::cause_chain::CauseSlide;
use crate::model::client_names::ClientNames;
use crate::picture::presented_text::explanation_size;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct WhyProps {
    pub(crate) slide: CauseSlide,
    pub(crate) clients: Rc<ClientNames>,
    /// The number of the event, counted from 1, and the number of events.
    pub(crate) progress: (usize, usize),
    /// What the whole chain shows; for the last event.
    pub(crate) conclusion: Option<AttrValue>,
    /// Goes to the next event, or to the previous one.
    pub(crate) onstep: Callback<bool>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn Why(props: &WhyProps) -> Html {
    let WhyProps { slide, progress: (number, count), conclusion, onstep, onclose, .. } =
        props.clone();
    let with_clients = |text: &str| text_with_clients(text, &props.clients);
    let is_violation = !slide.violations.is_empty();
    let texts = [slide.reason.as_deref(), slide.led_to.as_deref(), conclusion.as_deref()];
    let texts = texts.into_iter().flatten().chain(slide.violations.iter().map(String::as_str));
    let size = explanation_size(&slide.sentence, &texts.collect::<Vec<_>>());
    let class = classes!("why", size, is_violation.then_some("violating"));
    html! {
        <section {class} data-testid="why" aria-label="Why" aria-live="polite">
            <header>
                <h2>{ "Why" }</h2>
                <p class="progress" data-testid="why-progress">
                    { format!("{number} of {count}") }
                </p>
                <button class="quiet close" title="Close (Esc)" aria-label="Close (Esc)"
                    onclick={onclose.reform(|_| ())}>{ "Close" }</button>
            </header>
            <p class="at">{ slide.time.clone() }</p>
            <p class="sentence" data-testid="why-sentence">
                { with_clients(&slide.sentence) }
            </p>
            { for slide.violations.iter().map(|text| html! {
                <p class="violation-text">{ with_clients(text) }</p>
            }) }
            if let Some(reason) = &slide.reason {
                <p class="reason">{ with_clients(&format!("because {reason}")) }</p>
            }
            if let Some(led_to) = &slide.led_to {
                <p class="led-to"><b>{ "Led to " }</b>{ with_clients(led_to) }</p>
            }
            if let Some(conclusion) = conclusion {
                <p class="conclusion">{ with_clients(&conclusion) }</p>
            }
            <footer>
                <button class="quiet" disabled={number == 1} data-testid="why-back"
                    onclick={onstep.reform(|_| false)}>
                    { "Back " }<kbd>{ "←" }</kbd>
                </button>
                <button class="primary" data-testid="why-next" onclick={onstep.reform(|_| true)}>
                    { if number == count { "Done " } else { "Next " } }<kbd>{ "→" }</kbd>
                </button>
            </footer>
        </section>
    }
}
