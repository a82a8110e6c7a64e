//! The start screen: what this is, four ways into it, and the library by groups.

use std::rc::Rc;

use leasehold_sim::{Scenario, ScenarioGroup, groups_of};
use web_sys::KeyboardEvent;
use yew::{Callback, Html, Properties, component, html};

use super::dialog::ProgressLine;
use super::icon::drawn;
use super::scenario_card::Cards;
use super::terms::TermText;
use super::thumbnail::Hero;
use crate::area::start::{StartMsg, group_test_id};
use crate::model::progress::Progress;
use crate::picture::icon::Icon;

#[derive(Clone, PartialEq, Properties)]
pub(crate) struct StartProps {
    pub(crate) library: Rc<Vec<Scenario>>,
    pub(crate) group: ScenarioGroup,
    pub(crate) progress: Progress,
    /// The title of the run that was open before, to return to it.
    pub(crate) open_run: Option<String>,
    /// Whether a lock server has served the page.
    pub(crate) is_server_available: bool,
    pub(crate) onmsg: Callback<StartMsg>,
    pub(crate) onchoose: Callback<usize>,
    pub(crate) onterm: Callback<&'static str>,
    pub(crate) onglossary: Callback<()>,
    pub(crate) ontheme: Callback<()>,
}

#[component]
pub(crate) fn Start(props: &StartProps) -> Html {
    let StartProps { library, onmsg, onchoose, .. } = props.clone();
    html! {
        <main class="start" data-testid="start">
            <section class="start-top">
                <div class="start-intro">
                    <h1>{ "Leasehold" }</h1>
                    <p class="start-claim">
                        { "Watch a lock server keep a file right while clients crash, packets \
                           vanish and clocks lie." }
                    </p>
                    <p class="start-lead">
                        <TermText onterm={props.onterm.clone()}
                            text="A lease is a lock with a time limit: if its client falls silent, \
                                  the server gives the lock to the next one. The first client may \
                                  wake up later and not know it; a fencing token, a number that \
                                  grows with each grant, makes its late write harmless." />
                    </p>
                    <Ways open_run={props.open_run.clone()}
                        is_server_available={props.is_server_available} onmsg={onmsg.clone()} />
                </div>
                <Hero library={Rc::clone(&library)} onchoose={onchoose.clone()} />
            </section>
            <section class="start-library" aria-label="Scenarios">
                <GroupTabs library={Rc::clone(&library)} selected={props.group}
                    onselect={onmsg.reform(StartMsg::SelectGroup)} />
                <div id="group-panel" role="tabpanel" aria-label={props.group.title()}>
                    <Cards library={Rc::clone(&library)} group={props.group}
                        progress={props.progress.clone()} current={None::<String>} {onchoose} />
                </div>
            </section>
            <footer class="start-foot">
                <ProgressLine progress={props.progress.clone()} count={library.len()}
                    onreset={onmsg.reform(|()| StartMsg::ResetProgress)} />
                <button class="quiet" data-testid="start-glossary"
                    onclick={props.onglossary.reform(|_| ())}>{ "Glossary" }</button>
                <button class="quiet" onclick={props.ontheme.reform(|_| ())}>{ "Theme" }</button>
            </footer>
        </main>
    }
}

#[derive(Clone, PartialEq, Properties)]
struct WaysProps {
    open_run: Option<String>,
    is_server_available: bool,
    onmsg: Callback<StartMsg>,
}

/// The buttons that lead into the project.
#[component]
fn Ways(props: &WaysProps) -> Html {
    let way = |msg: StartMsg, test_id: &'static str, icon: Icon, text: &str, about: &str| {
        html! {
            <button class="way" data-testid={test_id} onclick={props.onmsg.reform(move |_| msg)}>
                { drawn(icon) }
                <span class="name">{ text.to_owned() }</span>
                <span class="about">{ about.to_owned() }</span>
            </button>
        }
    };
    let live = if props.is_server_available { "this server, now" } else { "needs a server" };
    html! { <>
        <div class="ways">
            { way(StartMsg::Play, "start-play", Icon::Play, "Play", "the first run") }
            { way(StartMsg::StartTour, "start-tour", Icon::Clock, "Tour", "two minutes") }
            { way(StartMsg::Live, "start-live", Icon::Live, "Live", live) }
            { way(StartMsg::BreakIt, "start-break", Icon::Target, "Break it", "a puzzle") }
        </div>
        if let Some(title) = &props.open_run {
            <button class="small-button start-return" data-testid="start-return"
                onclick={props.onmsg.reform(|_| StartMsg::Return)}>
                { drawn(Icon::Undo) }{ format!("Back to {title}") }<kbd>{ "U" }</kbd>
            </button>
        }
    </> }
}

#[derive(Clone, PartialEq, Properties)]
struct GroupTabsProps {
    library: Rc<Vec<Scenario>>,
    selected: ScenarioGroup,
    onselect: Callback<ScenarioGroup>,
}

#[component]
fn GroupTabs(props: &GroupTabsProps) -> Html {
    let groups: Vec<ScenarioGroup> = groups_of(&props.library).into_iter().map(|it| it.0).collect();
    let position = groups.iter().position(|group| *group == props.selected).unwrap_or(0);
    let onkeydown = {
        let (groups, onselect) = (groups.clone(), props.onselect.clone());
        move |event: KeyboardEvent| {
            let next = match event.key().as_str() {
                "ArrowRight" => position + 1,
                "ArrowLeft" => position + groups.len() - 1,
                _ => return,
            };
            event.prevent_default();
            onselect.emit(groups[next % groups.len()]);
        }
    };
    let tab = |group: &ScenarioGroup| {
        let group = *group;
        let is_selected = group == props.selected;
        html! {
            <button key={group.title()} role="tab" aria-selected={is_selected.to_string()}
                tabindex={if is_selected { "0" } else { "-1" }} aria-controls="group-panel"
                data-testid={group_test_id(group)} onclick={props.onselect.reform(move |_| group)}>
                { group.title() }
            </button>
        }
    };
    html! {
        <div class="group-tabs" role="tablist" aria-label="Groups of scenarios" {onkeydown}>
            { for groups.iter().map(tab) }
        </div>
    }
}
