//! The header: the run or the server, the mode, and the tools.

use yew::{Callback, Html, Properties, component, html};

use super::live_bar::{LiveBar, LiveBarProps};
use super::scenario_bar::{ScenarioBar, ScenarioBarProps};
use crate::area::layout::Theme;
use crate::model::shortcuts::Command;

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
}

#[component]
pub(crate) fn Header(props: &HeaderProps) -> Html {
    html! {
        <header class="bar" role="banner">
            <h1 class="brand">{ "leasehold" }</h1>
            { match props.content.clone() {
                HeaderContent::Scenario(props) => html! { <ScenarioBar ..props /> },
                HeaderContent::Live(props) => html! { <LiveBar ..props /> },
            } }
            <ModeSwitch is_live={matches!(props.content, HeaderContent::Live(_))}
                is_observed={props.is_observed} is_server_available={props.is_server_available}
                onlive={props.onlive.clone()} />
            <Tools is_observed={props.is_observed} theme={props.theme}
                oncommand={props.oncommand.clone()} ontheme={props.ontheme.clone()} />
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
        <div class="modes" role="group" aria-label="Mode">
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

#[component]
fn Tools(props: &ToolsProps) -> Html {
    let button =
        |command: Command, label: &'static str, test_id: &'static str, text: &'static str| {
            let onclick = props.oncommand.reform(move |_| command);
            html! {
                <button class="quiet tool" data-testid={test_id} title={label} aria-label={label}
                    {onclick}>
                    { text }
                </button>
            }
        };
    let theme = match props.theme {
        Theme::System => "Theme: system",
        Theme::Light => "Theme: light",
        Theme::Dark => "Theme: dark",
    };
    html! {
        <div class="tools" role="group" aria-label="Tools">
            if !props.is_observed {
                { button(
                    Command::ToggleComparison, "Compare with and without protections (M)",
                    "compare", "Compare",
                ) }
                { button(Command::Search, "Find a violation (V)", "search", "Find") }
            }
            { button(Command::Export, "Share and export (E)", "share", "Share") }
            { button(Command::TogglePresenting, "Present (P)", "present", "Present") }
            <button class="quiet tool" title="Theme" aria-label={theme}
                onclick={props.ontheme.reform(|_| ())}>{ "◐" }</button>
            { button(Command::Help, "Keyboard shortcuts (?)", "help", "?") }
        </div>
    }
}
