//! The part of the header for a simulated run: scenario, protections, and seed.

use std::collections::BTreeSet;

use leasehold_sim::Protection;
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use crate::model::shortcuts::Command;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ScenarioBarProps {
    pub(crate) title: AttrValue,
    /// The number of the scenario in the library, from 1; 0 if it is not in the library.
    pub(crate) number: usize,
    pub(crate) seed: u64,
    /// Whether the trace is from a real server, which has nothing to switch.
    pub(crate) is_observed: bool,
    pub(crate) without: BTreeSet<Protection>,
    /// The protections that the scenario is about.
    pub(crate) switches: Vec<Protection>,
    pub(crate) oncommand: Callback<Command>,
    pub(crate) onprotection: Callback<Protection>,
    pub(crate) onseed: Callback<u64>,
}

#[component]
pub(crate) fn ScenarioBar(props: &ScenarioBarProps) -> Html {
    let ScenarioBarProps { title, number, seed, oncommand, onseed, .. } = props.clone();
    let scenarios = oncommand.reform(|_| Command::Scenarios);
    let number_text = if number == 0 { "✦".to_owned() } else { number.to_string() };
    let on_next_seed = onseed.reform(move |_| seed + 1);
    html! { <>
        <button class="picker" data-testid="scenario" onclick={scenarios}
            aria-haspopup="dialog" title="Choose a scenario (O)">
            <span class="number">{ number_text }</span>
            <span class="title">{ title.clone() }</span>
            <span class="more" aria-hidden="true">{ "▾" }</span>
        </button>
        if props.is_observed {
            <span class="spacer"></span>
        } else {
            <ProtectionToggles without={props.without.clone()} switches={props.switches.clone()}
                onprotection={props.onprotection.clone()} />
            <button class="seed quiet" onclick={on_next_seed}
                title="The seed determines all random choices. Click for the next seed">
                { "seed " }<b>{ seed }</b>
            </button>
        }
    </> }
}

#[derive(Clone, PartialEq, Properties)]
struct ProtectionTogglesProps {
    without: BTreeSet<Protection>,
    switches: Vec<Protection>,
    onprotection: Callback<Protection>,
}

#[component]
fn ProtectionToggles(props: &ProtectionTogglesProps) -> Html {
    let chip = |(index, protection): (usize, Protection)| {
        let is_disabled = props.without.contains(&protection);
        let is_highlighted = props.switches.contains(&protection);
        let onclick = props.onprotection.reform(move |_| protection);
        let class =
            classes!("chip", is_disabled.then_some("off"), is_highlighted.then_some("highlighted"));
        let state = if is_disabled { "off" } else { "on" };
        let key = if index < 9 { format!(" (Shift {})", index + 1) } else { String::new() };
        let title = format!("{}. Currently {state}{key}", capitalized(protection.sentence()));
        html! {
            <button {class} {onclick} {title} key={protection.name()}
                data-testid={format!("protection-{protection}")}
                aria-pressed={(!is_disabled).to_string()}>
                <span class="mark" aria-hidden="true">
                    { if is_disabled { "✕" } else { "✓" } }
                </span>
                { display_name(protection) }
            </button>
        }
    };
    // The protections that the scenario is about come first.
    let mut all: Vec<(usize, Protection)> = Protection::ALL.into_iter().enumerate().collect();
    all.sort_by_key(|(index, it)| (!props.switches.contains(it), *index));
    html! {
        <div class="chips" role="group" aria-label="Protections" tabindex="-1">
            { for all.into_iter().map(chip) }
        </div>
    }
}

fn display_name(protection: Protection) -> String {
    protection.name().replace('-', " ")
}

/// Returns the sentence with its first letter capitalized. The sentences of this project begin with
/// ASCII letters, so the page does not need the Unicode tables.
pub(crate) fn capitalized(sentence: &str) -> String {
    let mut sentence = sentence.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
