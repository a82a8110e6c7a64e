//! The legend of symbols, arcs and invariants.

use leasehold_sim::Invariant;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::Dialog;
use crate::component::figure::shape_view;
use crate::component::scenario_bar::capitalized;
use crate::model::event_category::EventCategory;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct LegendProps {
    pub(crate) onclose: Callback<()>,
}

/// Entries of the legend that are not event categories.
const LEGEND: [(&str, &str); 10] = [
    ("Outer arc", "Remaining lease according to the server"),
    ("Inner arc", "How long the client believes that it holds the lock"),
    ("Red, dashed", "The client's belief outlasts its lease"),
    ("Blue, dashed", "Live view: belief inferred from the server's replies"),
    ("#7", "Fencing token; each grant has a larger one"),
    ("Outline", "Remaining lease if it is not renewed"),
    ("Blue area", "Client paused"),
    ("Short lines", "On a tenure: lease renewed; red: lease expired"),
    ("Pale band", "Several intervals, too close to distinguish"),
    ("Delay", "A packet takes 0.1 to 0.2 s unless the scenario sets another delay"),
];

#[component]
pub(crate) fn LegendDialog(props: &LegendProps) -> Html {
    let category_row = |category: EventCategory| {
        html! {
            <li key={category.class()}>
                <svg class="picture" viewBox="0 0 28 28" width="28" height="28" aria-hidden="true">
                    { for category.shapes((14.0, 14.0), 9.0).iter().map(shape_view) }
                </svg>
                <b>{ category.letter() }</b>
                <span>{ category.meaning() }</span>
            </li>
        }
    };
    let legend_row = |symbol: &'static str, meaning: AttrValue| {
        html! { <div><dt>{ symbol }</dt><dd>{ meaning }</dd></div> }
    };
    html! {
        <Dialog title="Legend" class="legend" onclose={props.onclose.clone()}>
            <ul>{ for EventCategory::ALL.into_iter().map(category_row) }</ul>
            <dl class="fields">
                { for LEGEND.iter().map(|(symbol, meaning)| {
                    legend_row(symbol, AttrValue::Static(meaning))
                }) }
                { for Invariant::ALL.iter().map(|it| {
                    legend_row(it.name(), AttrValue::from(capitalized(it.sentence())))
                }) }
            </dl>
        </Dialog>
    }
}
