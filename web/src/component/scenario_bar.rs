//! The part of the header for a simulated run: scenario, protections, and seed.

use leasehold_sim::Protection;
use yew::{AttrValue, Callback, Html, Properties, component, html};

use super::icon::drawn;
use super::protections::Protections;
use super::seed_menu::SeedMenu;
use crate::area::layout::OpenDialog;
use crate::model::protection_labels::ProtectionLabel;
use crate::model::shortcuts::Command;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct ScenarioBarProps {
    pub(crate) title: AttrValue,
    /// The number of the scenario in the library, from 1; 0 if it is not in the library.
    pub(crate) number: usize,
    pub(crate) seed: u64,
    /// The seed that the scenario specifies.
    pub(crate) scenario_seed: u64,
    /// Whether the trace is from a real server, which has nothing to switch.
    pub(crate) is_observed: bool,
    /// All protections, in the order of their numbers.
    pub(crate) protections: Vec<ProtectionLabel>,
    pub(crate) open_dialog: Option<OpenDialog>,
    pub(crate) oncommand: Callback<Command>,
    pub(crate) onprotection: Callback<Protection>,
    pub(crate) onseed: Callback<u64>,
    pub(crate) onrepeat: Callback<()>,
    pub(crate) onopen: Callback<OpenDialog>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn ScenarioBar(props: &ScenarioBarProps) -> Html {
    let ScenarioBarProps { title, number, oncommand, onopen, onclose, .. } = props.clone();
    let scenarios = oncommand.reform(|_| Command::Scenarios);
    let is_open = |dialog: OpenDialog| props.open_dialog == Some(dialog);
    html! { <>
        <button class="picker" data-testid="scenario" onclick={scenarios}
            aria-haspopup="dialog" title="Choose a scenario (O)">
            if number > 0 { <span class="number">{ number }</span> }
            <span class="title">{ title }</span>
            { drawn(Icon::ChevronDown) }
        </button>
        if !props.is_observed {
            <Protections labels={props.protections.clone()}
                is_menu_open={is_open(OpenDialog::Protections)}
                onprotection={props.onprotection.clone()} onopen={onopen.clone()}
                onclose={onclose.clone()} />
            <SeedMenu seed={props.seed} scenario_seed={props.scenario_seed}
                is_open={is_open(OpenDialog::Seed)} onseed={props.onseed.clone()}
                onrepeat={props.onrepeat.clone()} {onopen} {onclose} />
        }
    </> }
}
