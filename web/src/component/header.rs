//! The head of the page: which scenario, which protections, which luck, simulated or live.

use std::collections::BTreeSet;

use leasehold_sim::Protection;
use yew::{AttrValue, Callback, Html, Properties, classes, component, html};

use crate::model::keys::Act;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HeaderProps {
    pub(crate) title: AttrValue,
    /// The place of the scenario in the library, from 1 on; 0 for one from elsewhere.
    pub(crate) number: usize,
    pub(crate) seed: u64,
    /// It was seen of a real server: there is nothing to switch.
    pub(crate) is_seen: bool,
    pub(crate) without: BTreeSet<Protection>,
    /// The protections that the scenario is about.
    pub(crate) switches: Vec<Protection>,
    pub(crate) onact: Callback<Act>,
    pub(crate) onprotection: Callback<Protection>,
    pub(crate) onseed: Callback<u64>,
}

/// The scenario's part of the head.
#[component]
pub(crate) fn Header(props: &HeaderProps) -> Html {
    let HeaderProps { title, number, seed, onact, onseed, .. } = props.clone();
    let scenarios = onact.reform(|_| Act::Scenarios);
    let shown = if number == 0 { "✦".to_owned() } else { number.to_string() };
    let other = onseed.reform(move |_| seed + 1);
    html! { <>
        <button class="picker" data-testid="scenario" onclick={scenarios}
            aria-haspopup="dialog" title="Choose another scenario (O)">
            <span class="number">{ shown }</span>
            <span class="title">{ title.clone() }</span>
            <span class="more" aria-hidden="true">{ "▾" }</span>
        </button>
        if props.is_seen {
            <span class="spring"></span>
        } else {
            { chips(props) }
            <button class="seed quiet" onclick={other}
                title="The seed decides every draw of luck. Draw another">
                { "seed " }<b>{ seed }</b>
            </button>
        }
    </> }
}

fn chips(props: &HeaderProps) -> Html {
    let chip = |(no, protection): (usize, Protection)| {
        let off = props.without.contains(&protection);
        let is_subject = props.switches.contains(&protection);
        let onclick = props.onprotection.reform(move |_| protection);
        let class = classes!("chip", off.then_some("off"), is_subject.then_some("subject"));
        let hint = if off { "off" } else { "on" };
        let key = if no < 9 { format!(" (Shift {})", no + 1) } else { String::new() };
        let title = format!("{}. It is {hint}{key}", capital(protection.sentence()));
        html! {
            <button {class} {onclick} {title} key={protection.name()}
                data-testid={format!("protection-{protection}")}
                aria-pressed={(!off).to_string()}>
                <span class="mark" aria-hidden="true">{ if off { "✕" } else { "✓" } }</span>
                { words(protection) }
            </button>
        }
    };
    // What the scenario is about comes first.
    let mut all: Vec<(usize, Protection)> = Protection::ALL.into_iter().enumerate().collect();
    all.sort_by_key(|(no, it)| (!props.switches.contains(it), *no));
    html! {
        <div class="chips" role="group" aria-label="Protections" tabindex="-1">
            { for all.into_iter().map(chip) }
        </div>
    }
}

fn words(protection: Protection) -> String {
    protection.name().replace('-', " ")
}

/// With a capital at its beginning. Ours begin with plain letters; the table of all others would
/// weigh more than this header.
pub(crate) fn capital(sentence: &str) -> String {
    let mut sentence = sentence.to_owned();
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}
