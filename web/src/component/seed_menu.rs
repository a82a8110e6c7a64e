//! The seed of the run, and what to do with it.

use yew::{Callback, Html, Properties, component, html};

use super::dropdown::Dropdown;
use super::icon::drawn;
use crate::area::layout::OpenDialog;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct SeedMenuProps {
    pub(crate) seed: u64,
    /// The seed that the scenario specifies.
    pub(crate) scenario_seed: u64,
    pub(crate) is_open: bool,
    pub(crate) onseed: Callback<u64>,
    /// Plays the run from its start.
    pub(crate) onrepeat: Callback<()>,
    pub(crate) onopen: Callback<OpenDialog>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn SeedMenu(props: &SeedMenuProps) -> Html {
    let SeedMenuProps { seed, scenario_seed, is_open, onseed, onclose, .. } = props.clone();
    let onopen = props.onopen.reform(|_| OpenDialog::Seed);
    html! { <>
        <button class="header-button seed" data-testid="seed" onclick={onopen}
            aria-haspopup="dialog" aria-expanded={is_open.to_string()}>
            { "Seed " }<b>{ seed }</b>{ drawn(Icon::ChevronDown) }
        </button>
        <Dropdown title={format!("Seed {seed}")} class="seed-menu" anchor="seed" {is_open}
            {onclose}>
            <p class="hint">
                { "The seed determines every random choice, such as the delay of each packet. The \
                   same seed always gives the same run." }
            </p>
            <ul>
                <li><button data-testid="seed-repeat" onclick={props.onrepeat.reform(|_| ())}>
                    { drawn(Icon::Play) }{ "Play this seed again" }
                </button></li>
                <li><button data-testid="seed-next" onclick={onseed.reform(move |_| seed + 1)}>
                    { drawn(Icon::Dice) }{ format!("Another seed ({})", seed + 1) }
                </button></li>
                if seed != scenario_seed {
                    <li><button data-testid="seed-reset"
                        onclick={onseed.reform(move |_| scenario_seed)}>
                        { drawn(Icon::Undo) }
                        { format!("Back to the scenario's seed ({scenario_seed})") }
                    </button></li>
                }
            </ul>
        </Dropdown>
    </> }
}
