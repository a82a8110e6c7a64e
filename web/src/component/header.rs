//! The header: the way home, the run or the server, the mode, and the tools.

use yew::{Callback, Html, Properties, component, html};

use super::dialog::theme_label;
use super::icon::drawn;
use super::live_bar::{LiveBar, LiveBarProps};
use super::scenario_bar::{ScenarioBar, ScenarioBarProps};
use crate::area::layout::{OpenDialog, Theme};
use crate::area::start::StartMsg;
use crate::model::shortcuts::Command;
use crate::picture::icon::Icon;

/// What the header is about.
#[derive(Clone, PartialEq)]
pub(crate) enum HeaderContent {
    Scenario(ScenarioBarProps),
    Live(LiveBarProps),
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct HeaderProps {
    pub(crate) content: HeaderContent,
    /// Whether the trace is from a real server. A recording is neither simulated nor live.
    pub(crate) is_observed: bool,
    /// Whether a lock server has served the page.
    pub(crate) is_server_available: bool,
    pub(crate) theme: Theme,
    pub(crate) oncommand: Callback<Command>,
    pub(crate) onlive: Callback<bool>,
    pub(crate) ontheme: Callback<()>,
    pub(crate) onstart: Callback<StartMsg>,
    pub(crate) onopen: Callback<OpenDialog>,
}

#[component]
pub(crate) fn Header(props: &HeaderProps) -> Html {
    html! {
        <header class="bar" role="banner">
            <h1 class="brand">
                <button data-testid="home" title="Start screen"
                    onclick={props.onstart.reform(|_| StartMsg::Home)}>{ "Leasehold" }</button>
            </h1>
            { match props.content.clone() {
                HeaderContent::Scenario(props) => html! { <ScenarioBar ..props /> },
                HeaderContent::Live(props) => html! { <LiveBar ..props /> },
            } }
            <span class="spacer"></span>
            <ModeSwitch is_live={matches!(props.content, HeaderContent::Live(_))}
                is_observed={props.is_observed} is_server_available={props.is_server_available}
                onlive={props.onlive.clone()} />
            <Tools is_observed={props.is_observed} theme={props.theme}
                oncommand={props.oncommand.clone()} ontheme={props.ontheme.clone()} />
            <button class="header-button menu-button" data-testid="menu" aria-label="Menu"
                aria-haspopup="dialog" onclick={props.onopen.reform(|_| OpenDialog::Menu)}>
                { drawn(Icon::Menu) }
            </button>
        </header>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ModeSwitchProps {
    is_live: bool,
    is_observed: bool,
    is_server_available: bool,
    onlive: Callback<bool>,
}

/// Chooses between simulation and live view. Hidden if there is nothing to choose.
#[component]
fn ModeSwitch(props: &ModeSwitchProps) -> Html {
    let is_live = props.is_live;
    let is_simulated = !is_live && !props.is_observed;
    let button = |test_id: &'static str, text: &'static str, live: bool, is_pressed: bool| {
        let onclick = props.onlive.reform(move |_| live);
        html! {
            <button class="mode" data-testid={test_id} {onclick}
                aria-pressed={is_pressed.to_string()}>
                { text }
            </button>
        }
    };
    html! {
        <div class="modes" role="group" aria-label="Mode"
            hidden={!props.is_server_available && !props.is_observed}>
            { button("mode-sim", "Simulated", false, is_simulated) }
            if props.is_server_available {
                { button("mode-live", "Live", true, is_live) }
            }
        </div>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct ToolsProps {
    is_observed: bool,
    theme: Theme,
    oncommand: Callback<Command>,
    ontheme: Callback<()>,
}

/// The tools. Where there is little space, each is an icon, and its name is a tooltip.
#[component]
fn Tools(props: &ToolsProps) -> Html {
    let button = |command: Command,
                  icon: Icon,
                  label: &'static str,
                  test_id: &'static str,
                  text: &'static str| {
        let onclick = props.oncommand.reform(move |_| command);
        html! {
            <button class="quiet tool" data-testid={test_id} title={label} aria-label={label}
                {onclick}>
                { drawn(icon) }<span class="tool-name">{ text }</span>
            </button>
        }
    };
    let theme = theme_label(props.theme);
    html! {
        <div class="tools" role="group" aria-label="Tools">
            if !props.is_observed {
                { button(
                    Command::ToggleComparison, Icon::Compare,
                    "Compare with and without protections (M)", "compare", "Compare",
                ) }
                { button(Command::Search, Icon::Target, "Find a violation (V)", "search", "Find") }
            }
            { button(Command::Export, Icon::Share, "Share and export (E)", "share", "Share") }
            { button(
                Command::TogglePresenting, Icon::Present, "Present (P)", "present", "Present",
            ) }
            <button class="quiet tool symbol" data-testid="theme" title={theme} aria-label={theme}
                onclick={props.ontheme.reform(|_| ())}>{ drawn(Icon::Theme) }</button>
            <button class="quiet tool symbol" data-testid="help" title="Keyboard shortcuts (?)"
                aria-label="Keyboard shortcuts (?)"
                onclick={props.oncommand.reform(|_| Command::Help)}>{ drawn(Icon::Help) }</button>
        </div>
    }
}
