//! The menu of a small screen: everything that the header offers where it has the space.

use yew::{Callback, Html, Properties, component, html};

use super::Dialog;
use crate::area::layout::Theme;
use crate::component::icon::drawn;
use crate::model::shortcuts::Command;
use crate::picture::icon::Icon;

/// An entry of the menu.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MenuItem {
    Home,
    Command(Command),
    Live(bool),
    Protections,
    Seed,
    Glossary,
    Theme,
}

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct MenuProps {
    pub(crate) is_live: bool,
    /// Whether the trace is from a real server, so that there is nothing to change.
    pub(crate) is_observed: bool,
    pub(crate) seed: u64,
    pub(crate) theme: Theme,
    pub(crate) onchoose: Callback<MenuItem>,
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn MenuDialog(props: &MenuProps) -> Html {
    let entry = |item: MenuItem, test_id: &'static str, icon: Icon, text: String| {
        let onclick = props.onchoose.reform(move |_| item);
        html! {
            <li key={test_id}>
                <button data-testid={test_id} {onclick}>
                    { drawn(icon) }<span>{ text }</span>
                </button>
            </li>
        }
    };
    let command = |command: Command, test_id: &'static str, icon: Icon, text: &str| {
        entry(MenuItem::Command(command), test_id, icon, text.to_owned())
    };
    let live = if props.is_live || props.is_observed {
        entry(MenuItem::Live(false), "menu-sim", Icon::Play, "Simulated runs".to_owned())
    } else {
        entry(MenuItem::Live(true), "menu-live", Icon::Live, "Live server".to_owned())
    };
    html! {
        <Dialog title="Menu" class="menu page-menu" onclose={props.onclose.clone()}>
            <ul>
                { entry(MenuItem::Home, "menu-home", Icon::Home, "Start screen".to_owned()) }
                { command(Command::Scenarios, "menu-scenarios", Icon::Copy, "Scenarios") }
                if !props.is_observed {
                    { entry(MenuItem::Protections, "menu-protections", Icon::Shield,
                        "Protections".to_owned()) }
                    { entry(
                        MenuItem::Seed, "menu-seed", Icon::Dice, format!("Seed {}", props.seed),
                    ) }
                    { command(Command::ToggleComparison, "menu-compare", Icon::Compare, "Compare") }
                    { command(Command::Search, "menu-search", Icon::Target, "Find a violation") }
                }
                { command(Command::Export, "menu-share", Icon::Share, "Share and export") }
                { command(Command::TogglePresenting, "menu-present", Icon::Present, "Present") }
                { live }
                { entry(MenuItem::Glossary, "menu-glossary", Icon::Book, "Glossary".to_owned()) }
                { command(Command::Legend, "menu-legend", Icon::Notes, "Legend") }
                { entry(
                    MenuItem::Theme, "menu-theme", Icon::Theme, theme_label(props.theme).into(),
                ) }
                { command(Command::Help, "menu-help", Icon::Help, "Keyboard shortcuts") }
            </ul>
        </Dialog>
    }
}

/// Returns the name of the theme, as a label.
pub(crate) const fn theme_label(theme: Theme) -> &'static str {
    match theme {
        Theme::System => "Theme: as the system",
        Theme::Light => "Theme: light",
        Theme::Dark => "Theme: dark",
    }
}
