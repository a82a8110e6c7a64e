//! The dialog "Find a violation": limits, progress, and result of a search.

use leasehold_sim::{FaultKind, Invariant, SearchLimits};
use wasm_bindgen::JsCast as _;
use web_sys::{Event, HtmlInputElement};
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::Dialog;
use crate::model::toggle::toggle;
use crate::model::violation_search::ViolationSearch;
use crate::picture::shape::format_tenths;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct SearchDialogProps {
    pub(crate) search: ViolationSearch,
    /// A description of the run, with its disabled protections.
    pub(crate) run_title: AttrValue,
    pub(crate) onlimits: Callback<SearchLimits>,
    pub(crate) onsearch: Callback<()>,
    pub(crate) oncancel: Callback<()>,
    pub(crate) onplay: Callback<()>,
    pub(crate) ontest: Callback<()>,
    pub(crate) onshare: Callback<()>,
    /// The latest toast, such as the result of copying a link; the dialog covers the toast itself.
    pub(crate) notice: Option<AttrValue>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn SearchDialog(props: &SearchDialogProps) -> Html {
    let SearchDialogProps { search, run_title, onlimits, .. } = props.clone();
    let limits = search.limits.clone();
    let invariant = |it: Invariant| {
        let checked = limits.invariants.contains(&it);
        let (old_limits, onlimits) = (limits.clone(), onlimits.clone());
        let onchange = move |_: Event| {
            let mut limits = old_limits.clone();
            toggle(&mut limits.invariants, it);
            onlimits.emit(limits);
        };
        html! {
            <label key={it.name()} title={it.sentence()}>
                <input type="checkbox" {checked} {onchange} />{ it.name() }</label>
        }
    };
    let fault_kind = |it: FaultKind| {
        let checked = limits.faults.contains(&it);
        let (old_limits, onlimits) = (limits.clone(), onlimits.clone());
        let onchange = move |_: Event| {
            let mut limits = old_limits.clone();
            toggle(&mut limits.faults, it);
            onlimits.emit(limits);
        };
        html! { <label key={it.name()}><input type="checkbox" {checked} {onchange} />{ it.name() }
        </label> }
    };
    let number = |label: &'static str, value: u64, max: u64, set: fn(&mut SearchLimits, u64)| {
        let (limits, onlimits) = (limits.clone(), onlimits.clone());
        let onchange = move |event: Event| {
            let field = event.target().and_then(|it| it.dyn_into::<HtmlInputElement>().ok());
            let number = field.and_then(|field| field.value().parse::<u64>().ok());
            let mut limits = limits.clone();
            set(&mut limits, number.unwrap_or(value).clamp(0, max));
            onlimits.emit(limits);
        };
        html! {
            <label>{ label }
                <input type="number" min="0" max={max.to_string()} value={value.to_string()}
                    {onchange} />
            </label>
        }
    };
    html! {
        <Dialog title="Find a violation" class="search" onclose={props.onclose.clone()}>
            <p>{ format!("Replays this run ({run_title}) without faults first, then with one \
            fault, then with combinations of faults.") }</p>
            <SearchOutcome search={props.search.clone()} onsearch={props.onsearch.clone()}
                oncancel={props.oncancel.clone()} onplay={props.onplay.clone()}
                ontest={props.ontest.clone()} onshare={props.onshare.clone()} />
            if let Some(notice) = props.notice.clone() {
                <p class="notice" role="status">{ notice }</p>
            }
            <fieldset><legend>{ "Invariants" }</legend>
                { for Invariant::ALL.into_iter().filter(|it| *it != Invariant::L2).map(invariant) }
            </fieldset>
            <fieldset><legend>{ "Faults" }</legend>
                { for FaultKind::ALL.into_iter().map(fault_kind) }
            </fieldset>
            <fieldset><legend>{ "Limits" }</legend>
                { number("Maximum faults", limits.faults_max as u64, 4, |limits, to| {
                    limits.faults_max = usize::try_from(to).unwrap_or(1);
                }) }
                { number("Maximum events", u64::from(limits.events_max), 2_000, |limits, to| {
                    limits.events_max = u32::try_from(to).unwrap_or(400).max(1);
                }) }
            </fieldset>
        </Dialog>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct SearchOutcomeProps {
    search: ViolationSearch,
    onsearch: Callback<()>,
    oncancel: Callback<()>,
    onplay: Callback<()>,
    ontest: Callback<()>,
    onshare: Callback<()>,
}

/// The progress of the search, or its result.
#[component]
fn SearchOutcome(props: &SearchOutcomeProps) -> Html {
    let search = &props.search;
    let onstart = props.onsearch.reform(|_| ());
    html! {
        <section class="outcome" data-testid="search-outcome" role="status" tabindex="-1">
            if search.is_running {
                <progress max="100" value={search.percent().map(format_tenths)} />
                <p>{ search.text.clone() }{ search.rate_text() }</p>
                <button class="small-button" onclick={props.oncancel.reform(|_| ())}>{ "Stop" }
                    </button>
            } else {
                if !search.text.is_empty() {
                    <p class="result">{ search.text.clone() }</p>
                }
                if let Some(found) = &search.found {
                    <ol class="result-steps">{ for found.steps.iter().map(|step| html! { <li>
                        { step.clone() }</li> }) }</ol>
                    <div class="row">
                        <button class="primary" data-testid="search-play"
                            onclick={props.onplay.reform(|_| ())}>{ "Play" }</button>
                        <button class="small-button" data-testid="search-share"
                            onclick={props.onshare.reform(|_| ())}>{ "Share" }</button>
                        <button class="small-button" data-testid="search-test"
                            onclick={props.ontest.reform(|_| ())}>{ "Copy as test" }</button>
                    </div>
                    <details data-testid="search-minimal" open=true>
                        <summary>{ "Why minimal" }</summary>
                        <p class="nothing">{ found.why_minimal.clone() }</p>
                    </details>
                }
                <button class="primary" data-testid="search-start" onclick={onstart}>
                    { if search.found.is_some() { "Search again" } else { "Search" } }
                </button>
            }
        </section>
    }
}
