//! The card of a stop of the tour. The highlighted part of the page follows from a class of the
//! page.

use yew::{Callback, Html, Properties, component, html};

use super::icon::drawn;
use crate::area::tour::TourMsg;
use crate::model::tour::{TOUR, TourStop};
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct TourProps {
    /// The number of the stop, from 1.
    pub(crate) number: usize,
    pub(crate) stop: &'static TourStop,
    /// Whether the user has done what the stop asks for.
    pub(crate) is_done: bool,
    pub(crate) is_touch: bool,
    pub(crate) onmsg: Callback<TourMsg>,
}

#[component]
pub(crate) fn Tour(props: &TourProps) -> Html {
    let TourProps { number, stop, is_done, is_touch, onmsg } = props.clone();
    let send = |msg: TourMsg| onmsg.reform(move |_| msg);
    let next = if number == TOUR.len() { "Finish" } else { "Next" };
    // The instruction stays until it has been followed.
    let task =
        stop.task.map(|task| if is_done { task.result() } else { task.instruction(is_touch) });
    let next_class = if is_done { "primary" } else { "small-button" };
    html! {
        <section class="tour" data-testid="tour" role="dialog" aria-label={stop.title}
            tabindex="-1">
            <header>
                <span class="count">{ format!("{number} of {}", TOUR.len()) }</span>
                <h2>{ stop.title }</h2>
                <button class="quiet close" data-testid="tour-close" aria-label="Close the tour"
                    onclick={send(TourMsg::Close)}>{ drawn(Icon::Close) }</button>
            </header>
            <div aria-live="polite">
                <p>{ stop.text }</p>
                if let Some(task) = task {
                    <p class={if is_done { "task done" } else { "task" }}>
                        { drawn(if is_done { Icon::Check } else { Icon::ArrowRight }) }
                        <span>{ task }</span>
                    </p>
                }
            </div>
            <footer>
                <button class="quiet" data-testid="tour-back" disabled={number == 1}
                    onclick={send(TourMsg::Back)}>{ "Back" }</button>
                <button class={next_class} data-testid="tour-next" onclick={send(TourMsg::Next)}>
                    { next }
                </button>
            </footer>
        </section>
    }
}
