//! "Find a violation": what is looked for, how far, how far it is, and what came of it.

use std::collections::BTreeSet;

use leasehold_sim::{Bounds, FaultKind, Invariant};
use wasm_bindgen::JsCast as _;
use web_sys::{Event, HtmlInputElement};
use yew::{AttrValue, Callback, Html, html};

use super::dialog::Dialog;
use crate::model::hunt::Hunt;
use crate::picture::shape::tenths;

#[derive(Clone)]
pub(crate) struct SearchProps {
    pub(crate) hunt: Hunt,
    /// Which protections are off, in words.
    pub(crate) of: AttrValue,
    pub(crate) onbounds: Callback<Bounds>,
    pub(crate) onsearch: Callback<()>,
    pub(crate) oncancel: Callback<()>,
    pub(crate) onplay: Callback<()>,
    pub(crate) ontest: Callback<()>,
    pub(crate) onclose: Callback<()>,
}

pub(crate) fn search(props: &SearchProps) -> Html {
    let SearchProps { hunt, of, onbounds, .. } = props.clone();
    let bounds = hunt.bounds.clone();
    let invariant = |it: Invariant| {
        let checked = bounds.invariants.contains(&it);
        let (bounds, onbounds) = (bounds.clone(), onbounds.clone());
        let onchange = move |_: Event| {
            let mut bounds = bounds.clone();
            toggle(&mut bounds.invariants, it);
            onbounds.emit(bounds);
        };
        html! {
            <label key={it.name()} title={it.sentence()}>
                <input type="checkbox" {checked} {onchange} />{ it.name() }
            </label>
        }
    };
    let kind = |it: FaultKind| {
        let checked = bounds.faults.contains(&it);
        let (bounds, onbounds) = (bounds.clone(), onbounds.clone());
        let onchange = move |_: Event| {
            let mut bounds = bounds.clone();
            toggle(&mut bounds.faults, it);
            onbounds.emit(bounds);
        };
        html! { <label key={it.name()}><input type="checkbox" {checked} {onchange} />{ it.name() }
        </label> }
    };
    let number = |label: &'static str, value: u64, most: u64, set: fn(&mut Bounds, u64)| {
        let (bounds, onbounds) = (bounds.clone(), onbounds.clone());
        let onchange = move |event: Event| {
            let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
            let number = field.and_then(|field| field.value().parse::<u64>().ok());
            let mut bounds = bounds.clone();
            set(&mut bounds, number.unwrap_or(value).clamp(0, most));
            onbounds.emit(bounds);
        };
        html! {
            <label>{ label }
                <input type="number" min="0" max={most.to_string()} value={value.to_string()}
                    {onchange} />
            </label>
        }
    };
    html! {
        <Dialog title="Find a violation" class="search" onclose={props.onclose.clone()}>
            <p>{ format!("This run, {of}, with nothing done to it; then with ever more faults, the \
                smallest first.") }</p>
            { outcome(props) }
            <fieldset><legend>{ "Look for" }</legend>
                { for Invariant::ALL.into_iter().filter(|it| *it != Invariant::L2).map(invariant) }
            </fieldset>
            <fieldset><legend>{ "Faults" }</legend>
                { for FaultKind::ALL.into_iter().map(kind) }
            </fieldset>
            <fieldset><legend>{ "At most" }</legend>
                { number("faults", bounds.faults_max as u64, 4, |bounds, to| {
                    bounds.faults_max = usize::try_from(to).unwrap_or(1);
                }) }
                { number("events", u64::from(bounds.events_max), 2_000, |bounds, to| {
                    bounds.events_max = u32::try_from(to).unwrap_or(400).max(1);
                }) }
            </fieldset>
        </Dialog>
    }
}

fn toggle<T: Ord + Clone>(set: &mut BTreeSet<T>, it: T) {
    if !set.remove(&it) {
        set.insert(it);
    }
}

fn outcome(props: &SearchProps) -> Html {
    let hunt = &props.hunt;
    let search = props.onsearch.reform(|_| ());
    html! {
        <section class="outcome" data-testid="search-outcome" role="status" tabindex="-1">
            if hunt.is_running {
                <progress max="100" value={hunt.percent().map(tenths)} />
                <p>{ hunt.text.clone() }{ hunt.rate() }</p>
                <button class="small-button" onclick={props.oncancel.reform(|_| ())}>{ "Stop" }
                    </button>
            } else {
                if !hunt.text.is_empty() {
                    <p class="verdict">{ hunt.text.clone() }</p>
                }
                if let Some(found) = &hunt.found {
                    <ol class="recipe">{ for found.steps.iter().map(|step| html! { <li>
                        { step.clone() }</li> }) }</ol>
                    <p class="nothing">{ found.why_minimal.clone() }</p>
                    <div class="row">
                        <button class="primary" data-testid="search-play"
                            onclick={props.onplay.reform(|_| ())}>{ "Play it" }</button>
                        <button class="small-button" onclick={props.ontest.reform(|_| ())}>
                            { "Save as a test" }</button>
                    </div>
                }
                <button class="primary" data-testid="search-start" onclick={search}>
                    { if hunt.found.is_some() { "Search again" } else { "Search" } }
                </button>
            }
        </section>
    }
}
