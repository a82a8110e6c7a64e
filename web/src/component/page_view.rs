//! Draws the state of the page: what each component shows of it.

use std::rc::Rc;

use leasehold_sim::{Invariant, TimeLabels as _};
use yew::{AttrValue, Callback, Html, classes, html};

use super::callbacks::Callbacks;
use super::caption::{Caption, Goal};
use super::comparison::ComparisonPanel;
use super::controls::Controls;
use super::dialog::{
    ExportsDialog, FaultMenu, GlossaryDialog, HelpDialog, LegendDialog, MenuDialog,
    ScenariosDialog, SearchDialog, StartServerDialog,
};
use super::files::Files;
use super::header::{Header, HeaderContent};
use super::inspector::Inspector;
use super::invariants::Invariants;
use super::live_bar::LiveBarProps;
use super::log::Log;
use super::next_steps::{Hints, NextSteps};
use super::scenario_bar::ScenarioBarProps;
use super::side_view::{next_steps, side, side_content};
use super::stage_panel::StagePanel;
use super::start::Start;
use super::strip::Strip;
use super::timeline_panel::TimelinePanel;
use super::toasts::Toasts;
use super::tour::Tour;
use crate::area::layout::OpenDialog;
use crate::area::live::LiveStatus;
use crate::area::page_state::PageState;
use crate::area::start::StartMsg;
use crate::browser;
use crate::feed::connection::ConnectionStatus;
use crate::model::comparison::run_title;
use crate::model::inspector;
use crate::model::link::LINK_LEN_MAX;
use crate::model::panel_data::PanelData;
use crate::model::player::Speed;
use crate::model::protection_labels::{capitalized, protection_labels};
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;
use crate::model::timeline::Timeline;

pub(super) fn page_view(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    if state.start.is_shown {
        return start_view(state, on);
    }
    let tour = state.tour.current();
    let class = classes!(
        "page",
        state.present.is_presenting.then_some("presenting"),
        state.layout.shortcuts_disabled.then_some("shortcuts-off"),
        state.present.has_pointer_halo.then_some("pointer-halo"),
        workspace.comparison.is_some().then_some("comparing"),
        state.is_stale().then_some("connection-stale"),
        format!("tab-{}", state.layout.selected_tab.test_id()),
        tour.map(|(_, stop)| format!("touring tour-{}", stop.part.name())),
        format!("side-{}", side_content(state).code()),
    );
    let data = workspace.panel_data();
    html! {
        <div id="page" {class}>
            <button class="skip" onclick={on.command.reform(|_| Command::ShowView(View::Stage))}>
                { "Skip to stage (1)" }
            </button>
            if state.present.is_presenting { { strip(state) } } else { { header(state, on) } }
            <main class="workspace">
                <div class="left">
                    { pictures(state, on) }
                    { caption_area(state, &data) }
                </div>
                { panel_tabs(state, &on.tab) }
                <div class="right">
                    { side(state, &data, on) }
                    { suggestions(state, on) }
                    { panels(state, &data, on) }
                </div>
            </main>
            { controls(state, &data, on) }
            <Toasts toast={workspace.toast.clone()} is_comparing={workspace.comparison.is_some()}
                onaction={on.toast_action.clone()} ondismiss={on.dismiss_toast.clone()} />
            { dialog(state, on) }
            if let Some((number, stop)) = tour {
                if stop.task.is_none() || !stop.is_done(workspace) {
                    <div class="tour-shade" aria-hidden="true"></div>
                }
                <Tour {number} {stop} is_done={stop.is_done(workspace)}
                    is_touch={state.environment.is_touch} onmsg={on.tour.clone()} />
            }
            if state.present.is_blank { <div class="blank" aria-hidden="true"></div> }
        </div>
    }
}

fn start_view(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let title = if workspace.is_live { "the live view" } else { &workspace.scenario.title };
    html! {
        <div id="page" class="page-start">
            <Start library={Rc::clone(&workspace.library)} group={state.start.group}
                progress={state.start.progress.clone()}
                open_run={state.start.can_return.then(|| title.to_owned())}
                is_server_available={state.environment.is_server_available}
                onmsg={on.start.clone()} onchoose={on.scenario.clone()} onterm={on.term.clone()}
                onglossary={on.open.reform(|()| OpenDialog::Glossary(None))}
                ontheme={on.theme.clone()} />
            <Toasts toast={workspace.toast.clone()} is_comparing={false}
                onaction={on.toast_action.clone()} ondismiss={on.dismiss_toast.clone()} />
            { dialog(state, on) }
        </div>
    }
}

/// Whether the trace is from a real server.
fn is_observed(state: &PageState) -> bool {
    state.workspace.timeline().live_trace().is_some()
}

fn header(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let is_observed = is_observed(state);
    let live = state.live.status(&state.environment).filter(|_| workspace.is_live);
    let times = workspace.timeline().time_display();
    let content = if let Some(LiveStatus { connection, recorded_s }) = live {
        HeaderContent::Live(LiveBarProps {
            status: connection,
            events_behind: (!workspace.is_following).then(|| workspace.events_behind()),
            counts: workspace.scene().server.counts,
            recorded_s,
            time_reading: times.has_wall_clock().then(|| times.reading()),
            onfollow: on.follow.clone(),
            onrecord: on.record_live.clone(),
            onclock: on.switch_clock.clone(),
        })
    } else {
        let run = workspace.timeline().run();
        let index = workspace.library.iter().position(|it| it.name == workspace.scenario.name);
        HeaderContent::Scenario(ScenarioBarProps {
            title: AttrValue::from(workspace.scenario.title.clone()),
            number: index.map_or(0, |index| index + 1),
            seed: run.seed,
            scenario_seed: workspace.scenario.seed,
            is_observed,
            protections: protection_labels(&run.without, &workspace.scenario.switches),
            open_dialog: state.layout.open_dialog,
            oncommand: on.command.clone(),
            onprotection: on.protection.clone(),
            onseed: on.seed.clone(),
            onrepeat: on.repeat.clone(),
            onopen: on.open.clone(),
            onclose: on.close_dialog.clone(),
        })
    };
    html! {
        <Header {content} {is_observed} theme={state.layout.theme}
            is_server_available={state.environment.is_server_available}
            oncommand={on.command.clone()} onlive={on.show_live.clone()}
            ontheme={on.theme.clone()} onstart={on.start.clone()} onopen={on.open.clone()} />
    }
}

fn pictures(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    if let Some(comparison) = &workspace.comparison {
        return html! {
            <ComparisonPanel view={Rc::new(comparison.view(workspace.timeline()))}
                onmode={on.comparison_mode.clone()} onrecord={on.record.clone()}
                oncommand={on.command.clone()} />
        };
    }
    let settings = state.picture_settings();
    html! { <>
        <StagePanel has_no_clients={workspace.is_live && workspace.scene().clients.is_empty()}
            onpoint={on.point_stage.clone()} onhover={on.hover.clone()}
            onpress={on.press.clone()}
            oncommand={on.command.clone()} />
        <TimelinePanel view={settings.timeline_view} has_spacetime={!is_observed(state)}
            is_to_scale={settings.is_to_scale}
            has_selected_node={workspace.selected_node().is_some()}
            has_hidden_lanes={!workspace.hidden_lanes.is_empty()}
            onview={on.timeline.clone()} ongantt={on.point_gantt.clone()}
            onspacetime={on.point_spacetime.clone()} onload={on.point_load.clone()}
            onhover={on.hover.clone()} oncommand={on.command.clone()}
            onscale={on.toggle_scale.clone()} onhide={on.hide_lane.clone()}
            onshowall={on.show_all_lanes.clone()} />
    </> }
}

fn caption_area(state: &PageState, data: &PanelData) -> Html {
    let workspace = &state.workspace;
    let is_stale = state.is_stale();
    let is_at_rest = !workspace.player.is_playing && !workspace.is_following;
    let text = stale_notice(state).unwrap_or_else(|| workspace.caption());
    let goal = workspace.goal_progress();
    html! {
        <div class="caption-area">
            <Caption text={AttrValue::from(text)} clients={Rc::clone(&data.clients)}
                is_warning={is_stale}
                is_announced={is_stale || is_at_rest} />
            if let Some(goal) = goal {
                <Goal text={AttrValue::from(goal.text)} is_reached={goal.is_reached} />
            }
        </div>
    }
}

/// Returns what to do next, and the hints of a puzzle. A presentation has no space for them.
fn suggestions(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    if state.present.is_presenting || state.tour.current().is_some() {
        return Html::default();
    }
    let steps = next_steps(state);
    let has_hints = !workspace.scenario.hints.is_empty();
    html! { <>
        if !steps.is_empty() {
            <NextSteps {steps} onstep={on.next_step.clone()} />
        }
        if has_hints {
            <Hints shown={workspace.shown_hints().to_vec()} next={workspace.next_hint()}
                onstep={on.next_step.clone()} />
        }
    </> }
}

/// Returns the state of the experiment, for presentations, which hide the header.
fn strip(state: &PageState) -> Html {
    let workspace = &state.workspace;
    let index = workspace.library.iter().position(|it| it.name == workspace.scenario.name);
    html! {
        <Strip title={AttrValue::from(workspace.scenario.title.clone())}
            number={index.map_or(0, |index| index + 1)} source={source(state)}
            without={workspace.timeline().run().without.iter().copied().collect::<Vec<_>>()}
            violated={violated_now(workspace.timeline())} />
    }
}

/// Returns the invariants that are violated up to the current position.
fn violated_now(timeline: &Timeline) -> Vec<Invariant> {
    let statuses = timeline.statuses().into_iter();
    statuses.filter(|(_, now, _)| now.witness().is_some()).map(|(it, ..)| it).collect()
}

/// Returns the notice that replaces the caption while the connection is not live.
fn stale_notice(state: &PageState) -> Option<String> {
    let status = state.live.status(&state.environment).filter(|_| state.is_stale())?.connection;
    let timeline = state.workspace.timeline();
    let last_update = timeline.time_display().label(timeline.now());
    Some(match status {
        ConnectionStatus::Connecting => "Connecting to the server…".to_owned(),
        ConnectionStatus::Live | ConnectionStatus::Stale { .. } | ConnectionStatus::Lost { .. } => {
            format!("{}. Last update at {last_update}.", capitalized(&status.description()))
        }
    })
}

/// Returns the source of the trace, if it is from a real server: its code and its text.
fn source(state: &PageState) -> Option<(&'static str, AttrValue)> {
    match state.live.status(&state.environment) {
        Some(status) if state.workspace.is_live => {
            let code = status.connection.code();
            let suffix = if status.recorded_s.is_some() { ", recording" } else { "" };
            Some((code, AttrValue::from(format!("{code}{suffix}"))))
        }
        _ if is_observed(state) => Some(("recorded", AttrValue::from("recording"))),
        _ => None,
    }
}

/// Returns the buttons that choose a panel, if the screen has space for only one.
fn panel_tabs(state: &PageState, ontab: &Callback<View>) -> Html {
    let tab = |view: View| {
        let onclick = ontab.reform(move |_| view);
        let selected = (state.layout.selected_tab == view).to_string();
        html! {
            <button key={view.test_id()} role="tab" aria-selected={selected} {onclick}>
                { view.title() }
            </button>
        }
    };
    let is_observed = is_observed(state);
    let views = View::ALL
        .into_iter()
        .filter(|view| *view != View::Stage && !(is_observed && *view == View::SpaceTime));
    html! {
        <div class="panel-tabs" role="tablist" aria-label="Panels">{ for views.map(tab) }</div>
    }
}

fn panels(state: &PageState, data: &PanelData, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let title_of = |target: Target| inspector::target_title(&workspace.scene(), target);
    let title = workspace.selected.map_or_else(|| "Inspector".to_owned(), title_of);
    let filter = workspace.filter;
    let filtered_to = filter.node.map(Target::Node).or(filter.lock.map(Target::Lock)).map(title_of);
    let selected_record = match workspace.selected {
        Some(Target::Record(record)) => Some(record),
        _ => None,
    };
    html! { <>
        <Inspector title={AttrValue::from(title)} clients={Rc::clone(&data.clients)}
            fields={Rc::clone(&data.fields)} faults={Rc::clone(&data.faults)}
            is_empty={workspace.selected.is_none()} onfault={on.fault.clone()}
            onmenu={on.menu.clone()} onfilter={on.filter_by_selection.clone()} />
        <Log rows={Rc::clone(&data.rows)} clients={Rc::clone(&data.clients)}
            has_more={data.has_more_rows} has_past={!workspace.timeline().past().is_empty()}
            min_importance={filter.min_importance} {filtered_to} selected={selected_record}
            onrecord={on.record.clone()} onwhy={on.explain.clone()}
            onminimportance={on.min_importance.clone()} onterm={on.term.clone()}
            onclearfilter={on.clear_filter.clone()} onmore={on.more_rows.clone()}
            search={workspace.log_search.clone()} matches={Rc::clone(&data.matches)}
            onsearch={on.log_search.clone()} />
        <Invariants statuses={Rc::clone(&data.statuses)}
            shows_whole_run={workspace.quiz.hidden_after().is_none()}
            onwitness={on.record.clone()} onterm={on.term.clone()} />
        <Files files={Rc::clone(&data.files)} clients={Rc::clone(&data.clients)}
            is_comparing={workspace.compares_files}
            can_compare={!workspace.timeline().run().without.is_empty()}
            oncompare={on.toggle_file_comparison.clone()}
            onrecord={on.record.clone()} onmore={on.more_rows.clone()} />
    </> }
}

fn controls(state: &PageState, data: &PanelData, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let timeline = workspace.timeline();
    let digest = timeline
        .world()
        .map(|world| (timeline.run_fingerprint(), world.fingerprint(), timeline.fingerprint()));
    html! {
        <Controls is_playing={state.is_animating()}
            is_unstarted={timeline.past().is_empty() && !workspace.is_live}
            is_question_open={workspace.quiz.phase == QuizPhase::Open}
            speed={AttrValue::from(workspace.player.speed.label())}
            is_auto={workspace.player.speed == Speed::Auto} is_growing={workspace.is_following}
            start={timeline.start()} end={timeline.end()} {digest}
            catch_up_percent={timeline.catch_up_percent()}
            choices={Rc::clone(&data.choices)} onuntil={on.until.clone()}
            oncommand={on.command.clone()} ontime={on.time.clone()} />
    }
}

fn dialog(state: &PageState, on: &Callbacks) -> Html {
    let workspace = &state.workspace;
    let onclose = on.close_dialog.clone();
    match state.layout.open_dialog {
        None => Html::default(),
        Some(OpenDialog::Scenarios) => html! {
            <ScenariosDialog library={Rc::clone(&workspace.library)}
                current={AttrValue::from(workspace.scenario.name.clone())}
                progress={state.start.progress.clone()} onchoose={on.scenario.clone()}
                onreset={on.start.reform(|()| StartMsg::ResetProgress)} {onclose} />
        },
        // These are below their buttons in the header.
        Some(OpenDialog::Protections | OpenDialog::Seed) => Html::default(),
        Some(OpenDialog::Menu) => html! {
            <MenuDialog is_live={workspace.is_live} is_observed={is_observed(state)}
                seed={workspace.timeline().run().seed} theme={state.layout.theme}
                onchoose={on.menu_item.clone()} {onclose} />
        },
        Some(OpenDialog::Glossary(term)) => html! { <GlossaryDialog {term} {onclose} /> },
        Some(OpenDialog::StartServer) => html! { <StartServerDialog {onclose} /> },
        Some(OpenDialog::FaultMenu) => {
            let title =
                workspace.selected.map(|it| inspector::target_title(&workspace.scene(), it));
            let faults =
                workspace.selected.map(|it| workspace.available_faults(it)).unwrap_or_default();
            html! {
                <FaultMenu title={AttrValue::from(title.unwrap_or_default())}
                    faults={Rc::new(faults)} onfault={on.fault.clone()} {onclose} />
            }
        }
        Some(OpenDialog::Help) => html! {
            <HelpDialog shortcuts_disabled={state.layout.shortcuts_disabled}
                ontoggle={on.toggle_shortcuts.clone()} {onclose} />
        },
        Some(OpenDialog::Legend) => html! {
            <LegendDialog onterm={on.term.clone()} {onclose} />
        },
        Some(OpenDialog::Exports) => {
            let query = workspace.link_to_now().to_query();
            let notice = workspace.toast.as_ref().map(|it| AttrValue::from(it.text.clone()));
            html! {
                <ExportsDialog is_too_long={query.len() > LINK_LEN_MAX}
                    address={AttrValue::from(browser::page_url(&query))}
                    pictures={state.pictures().names()} has_stops={!workspace.quiz.stops.is_empty()}
                    onexport={on.export.clone()}
                    onimport={on.import.clone()} {notice} {onclose} />
            }
        }
        Some(OpenDialog::Search) => html! {
            <SearchDialog search={state.search.search.clone()}
                run_title={AttrValue::from(run_title(workspace.timeline().run()))}
                onlimits={on.limits.clone()} onsearch={on.start_search.clone()}
                oncancel={on.stop_search.clone()} onplay={on.play_result.clone()}
                ontest={on.save_test.clone()} onshare={on.share_result.clone()}
                notice={workspace.toast.as_ref().map(|it| AttrValue::from(it.text.clone()))}
                {onclose} />
        },
    }
}
