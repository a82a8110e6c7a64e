//! The layout of the page.

use std::rc::Rc;

use yew::{AttrValue, Callback, Context, Html, PointerEvent, classes, html};

use super::app::App;
use super::comparison::{ComparisonProps, comparison_panel};
use super::controls::{ControlsProps, controls};
use super::figure::{PointerAction, figure, target_of};
use super::header::Header;
use super::log::Log;
use super::messages::{Msg, PointerMsg, QuizMsg, RunMsg, ViewMsg};
use super::panel_cache::PanelData;
use super::panels::{Files, Inspector, Invariants};
use super::question::{CaptionProps, QuestionProps, VoteTimer, caption, question_view};
use crate::model::comparison::Comparison;
use crate::model::inspector;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::{Command, View};
use crate::model::target::Target;

impl App {
    pub(crate) fn page_view(&self, ctx: &Context<Self>) -> Html {
        let ui = &self.ui;
        let class = classes!(
            "page",
            ui.is_presenting.then_some("presenting"),
            ui.shortcuts_disabled.then_some("shortcuts-off"),
            ui.has_pointer_halo.then_some("pointer-halo"),
            self.workspace.comparison.is_some().then_some("comparing"),
            self.is_stale().then_some("connection-stale"),
            format!("tab-{}", ui.selected_tab.test_id()),
        );
        html! {
            <div id="page" {class}>
                <button class="skip" onclick={ctx.link().callback(|_| {
                    Msg::Command(Command::ShowView(View::Stage))
                })}>{ "Skip to stage (1)" }</button>
                { self.header(ctx) }
                { self.main_area(ctx) }
                { self.footer(ctx) }
                { self.toast_view(ctx) }
                { self.dialog_view(ctx) }
                if ui.is_blank { <div class="blank" aria-hidden="true"></div> }
            </div>
        }
    }

    fn header(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let oncommand = link.callback(Msg::Command);
        let workspace = &self.workspace;
        let run = workspace.timeline().run();
        let scenario_index =
            workspace.library.iter().position(|it| it.name == workspace.scenario.name);
        let is_live = self.ui.is_live;
        // A recording is neither simulated nor live.
        let is_observed = workspace.timeline().live_trace().is_some();
        let mode_button = |test_id: &'static str, text: &'static str, live: bool| {
            let onclick = link.callback(move |_| Msg::SetLive { is_live: live });
            html! {
                <button class="mode" data-testid={test_id} {onclick}
                    aria-pressed={(is_live == live && (live || !is_observed)).to_string()}>
                    { text }
                </button>
            }
        };
        let tool_button = |command: Command,
                           label: &'static str,
                           test_id: &'static str,
                           text: &'static str| {
            let onclick = oncommand.reform(move |_| command);
            html! {
                <button class="quiet tool" data-testid={test_id} title={label} aria-label={label}
                    {onclick}>
                    { text }
                </button>
            }
        };
        html! {
            <header class="bar" role="banner">
                <h1 class="brand">{ "leasehold" }</h1>
                if is_live {
                    { self.live_header(ctx) }
                } else {
                    <Header {is_observed}
                        title={AttrValue::from(workspace.scenario.title.clone())}
                        number={scenario_index.map_or(0, |index| index + 1)} seed={run.seed}
                        without={run.without.clone()}
                        switches={workspace.scenario.switches.clone()}
                        oncommand={self.callbacks.command.clone()}
                        onprotection={self.callbacks.protection.clone()}
                        onseed={self.callbacks.seed.clone()} />
                }
                <div class="modes" role="group" aria-label="Mode">
                    { mode_button("mode-sim", "Simulated", false) }
                    if self.ui.is_live_available { { mode_button("mode-live", "Live", true) } }
                </div>
                <div class="tools" role="group" aria-label="Tools">
                    if !is_observed {
                        { tool_button(
                            Command::ToggleComparison, "Compare with and without protections (M)",
                            "compare", "Compare",
                        ) }
                        { tool_button(Command::Search, "Find a violation (V)", "search", "Find") }
                    }
                        { tool_button(Command::Export, "Share and export (E)", "share", "Share") }
                        { tool_button(
                            Command::TogglePresenting, "Present (P)", "present", "Present",
                        ) }
                        <button class="quiet tool" title="Theme"
                            aria-label={self.theme_label()}
                            onclick={link.callback(|_| ViewMsg::CycleTheme)}>{ "◐" }</button>
                        { tool_button(Command::Help, "Keyboard shortcuts (?)", "help", "?") }
                </div>
            </header>
        }
    }

    fn theme_label(&self) -> String {
        format!(
            "Theme: {}",
            match self.ui.theme {
                super::app::Theme::System => "system",
                super::app::Theme::Light => "light",
                super::app::Theme::Dark => "dark",
            }
        )
    }

    fn main_area(&self, ctx: &Context<Self>) -> Html {
        let data = self.panel_cache.get(self);
        let link = ctx.link();
        let tab = |view: View| {
            let onclick = link.callback(move |_| ViewMsg::SelectTab(view));
            let selected = (self.ui.selected_tab == view).to_string();
            html! {
                <button key={view.test_id()} role="tab" aria-selected={selected} {onclick}>
                    { view.title() }
                </button>
            }
        };
        let is_observed = self.workspace.timeline().live_trace().is_some();
        let views = View::ALL
            .into_iter()
            .filter(|view| *view != View::Stage && !(is_observed && *view == View::SpaceTime));
        html! {
            <main class="workspace">
                <div class="left">
                    if let Some(comparison) = &self.workspace.comparison {
                        { self.comparison_panel(ctx, comparison) }
                    } else {
                        { self.stage_panel(ctx) }
                        { self.lower_panel(ctx) }
                    }
                    { self.caption_and_question(ctx) }
                </div>
                <div class="panel-tabs" role="tablist" aria-label="Panels">{ for views.map(tab) }
                    </div>
                <div class="right">
                    { self.inspector_panel(&data) }
                    { self.log_panel(&data) }
                    { self.result_panels(&data) }
                </div>
            </main>
        }
    }

    fn comparison_panel(&self, ctx: &Context<Self>, comparison: &Comparison) -> Html {
        comparison_panel(&ComparisonProps {
            view: Rc::new(self.comparison_view(comparison)),
            onmode: ctx.link().callback(ViewMsg::SetComparisonMode),
            onrecord: ctx.link().callback(RunMsg::GoToRecord),
            onclose: ctx.link().callback(|()| Msg::Command(Command::ToggleComparison)),
        })
    }

    fn stage_panel(&self, ctx: &Context<Self>) -> Html {
        let onpoint = ctx.link().callback(|pointing| PointerMsg::Pointed(View::Stage, pointing));
        let onpointerdown = ctx.link().callback(|event: PointerEvent| {
            let by_finger = event.pointer_type() != "mouse";
            PointerMsg::PressStarted(target_of(&event).filter(|_| by_finger))
        });
        let press_ended = ctx.link().callback(|_: PointerEvent| PointerMsg::PressStarted(None));
        html! {
            <section class="panel stage" id="panel-stage" data-testid="stage" aria-label="Stage">
                <div class="picture-area" id="stage" {onpointerdown}
                    onpointerup={press_ended.clone()} onpointercancel={press_ended}>
                    { figure("picture-stage", &onpoint) }
                </div>
                if self.ui.is_live && self.workspace.scene().clients.is_empty() {
                    <p class="empty">
                        { "No clients connected. Start a demo: " }
                        <code>{ "leasehold demo --loop" }</code>
                    </p>
                }
                <button class="quiet legend-button" title="Legend (I)"
                    onclick={ctx.link().callback(|_| Msg::Command(Command::Legend))}>
                    { "Legend" }
                </button>
            </section>
        }
    }

    fn lower_panel(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let lower_view = self.ui.lower_view;
        let tab = |view: View| {
            let onclick = link.callback(move |_| ViewMsg::SelectLowerView(view));
            html! {
                <button key={view.test_id()} class="tab"
                    aria-pressed={(lower_view == view).to_string()} {onclick}>
                    { view.title() }
                </button>
            }
        };
        let section = |view: View, inside: Html| {
            html! {
                <div class="picture-area" data-testid={view.test_id()}
                    id={format!("panel-{}", view.test_id())}
                    hidden={lower_view != view} data-time="" role="region" tabindex="-1"
                    aria-label={view.title()}>{ inside }</div>
            }
        };
        let figure = |view: View, id: &'static str| {
            let onpoint = link.callback(move |pointing| PointerMsg::Pointed(view, pointing));
            if lower_view == view { figure(id, &onpoint) } else { Html::default() }
        };
        html! {
            <section class="panel lower" aria-label="Timeline">
                <header class="panel-header">
                    <div class="tabs" role="group" aria-label="View">
                        { tab(View::Gantt) }
                        // The trace of a real server contains no packets.
                        if self.workspace.timeline().live_trace().is_none() {
                            { tab(View::SpaceTime) }
                        }
                    </div>
                    { self.lower_view_buttons(ctx) }
                </header>
                <div class="lower-area" id="lower">
                    { section(View::Gantt, figure(View::Gantt, "picture-gantt")) }
                    { section(View::SpaceTime, figure(View::SpaceTime, "picture-spacetime")) }
                </div>
            </section>
        }
    }

    fn lower_view_buttons(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let command_callback = |command: Command| link.callback(move |_| Msg::Command(command));
        html! {
            <div class="zoom" role="group" aria-label="Zoom">
                if self.ui.lower_view == View::Gantt {
                    <button class="quiet"
                        onclick={command_callback(Command::Zoom { zoom_in: false })}
                        title="Zoom out (S)" aria-label="Zoom out">{ "−" }</button>
                    <button class="quiet"
                        onclick={command_callback(Command::Zoom { zoom_in: true })}
                        title="Zoom in (W)" aria-label="Zoom in">{ "+" }</button>
                    <button class="quiet" onclick={command_callback(Command::FitTime)}
                        title="Show the whole run (0)">{ "Fit" }</button>
                } else {
                    <button class="quiet" aria-pressed={self.ui.is_to_scale.to_string()}
                        onclick={link.callback(|_| ViewMsg::ToggleTimeScale)}>
                        { "To scale" }
                    </button>
                    <button class="quiet" data-testid="hide-lane"
                        title="Hide the lane of the selected node"
                        disabled={self.workspace.selected_node().is_none()}
                        onclick={link.callback(|_| ViewMsg::HideSelectedLane)}>
                        { "Hide lane" }
                    </button>
                    if !self.workspace.hidden_lanes.is_empty() {
                        <button class="quiet" data-testid="all-lanes"
                            onclick={link.callback(|_| ViewMsg::ShowAllLanes)}>
                            { "Show all lanes" }
                        </button>
                    }
                }
            </div>
        }
    }

    fn caption_and_question(&self, ctx: &Context<Self>) -> Html {
        let workspace = &self.workspace;
        let link = ctx.link();
        let quiz = &workspace.quiz;
        let question = &workspace.scenario.question;
        let options: Vec<String> = question.options.iter().map(|it| it.text.clone()).collect();
        let question_class = if quiz.phase == QuizPhase::Open { "question-open" } else { "" };
        let is_stale = self.is_stale();
        let caption_view = caption(&CaptionProps {
            text: AttrValue::from(self.stale_notice().unwrap_or_else(|| workspace.caption())),
            is_warning: is_stale,
            is_announced: is_stale || (!workspace.player.is_playing && !workspace.is_following),
        });
        let question_panel = if quiz.is_shown() {
            question_view(&QuestionProps {
                question: AttrValue::from(question.text.clone()),
                options: Rc::new(options),
                votes: quiz.votes.clone(),
                is_alone: !self.ui.is_presenting,
                vote: quiz.last_vote(),
                phase: quiz.phase,
                answer: quiz.answer(),
                explanation: AttrValue::from(workspace.explanation()),
                seconds_left: self.vote_timer.as_ref().map(VoteTimer::seconds_left),
                ontimer: link.callback(|()| QuizMsg::StartVoteTimer),
                onvote: link.callback(QuizMsg::Vote),
                onreveal: link.callback(|()| QuizMsg::Reveal),
                onexplain: link.callback(|()| QuizMsg::ShowExplanation),
                onclose: link.callback(|()| QuizMsg::CloseAnswer),
            })
        } else {
            Html::default()
        };
        html! {
            <div class="caption-area">
                if self.ui.is_presenting { { self.source_badge() } }
                { caption_view }
                if let Some(goal) = workspace.goal_progress() {
                    <p class={classes!("goal", goal.is_reached.then_some("reached"))}
                        data-testid="goal">
                        { goal.text }
                    </p>
                }
                <div id="question" class={question_class}>
                    { question_panel }
                </div>
            </div>
        }
    }

    fn inspector_panel(&self, data: &PanelData) -> Html {
        let workspace = &self.workspace;
        let title = workspace.selected.map_or_else(
            || "Inspector".to_owned(),
            |target| inspector::target_title(&workspace.scene(), target),
        );
        html! {
            <section class="panel inspector" id="panel-inspector" data-testid="inspector"
                aria-label="Inspector">
                <Inspector title={AttrValue::from(title)} fields={Rc::clone(&data.fields)}
                    faults={Rc::clone(&data.faults)} is_empty={workspace.selected.is_none()}
                    onfault={self.callbacks.fault.clone()} onmenu={self.callbacks.menu.clone()}
                    onfilter={self.callbacks.filter_by_selection.clone()} />
            </section>
        }
    }

    fn log_panel(&self, data: &PanelData) -> Html {
        let workspace = &self.workspace;
        let filtered_to =
            workspace.filter.node.map(Target::Node).or(workspace.filter.lock.map(Target::Lock));
        let filtered_to =
            filtered_to.map(|target| inspector::target_title(&workspace.scene(), target));
        let selected = match workspace.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        html! {
            <section class="panel log" id="panel-log" data-testid="log" aria-label="Log">
                <Log rows={Rc::clone(&data.rows)} has_more={data.has_more_rows}
                    has_past={!workspace.timeline().past().is_empty()}
                    min_importance={workspace.filter.min_importance} {filtered_to} {selected}
                    onrecord={self.callbacks.record.clone()}
                    onminimportance={self.callbacks.min_importance.clone()}
                    onclearfilter={self.callbacks.clear_filter.clone()}
                    onmore={self.callbacks.more_rows.clone()} />
            </section>
        }
    }

    fn result_panels(&self, data: &PanelData) -> Html {
        let timeline = self.workspace.timeline();
        html! { <>
            <section class="panel invariants-panel" id="panel-invariants" data-testid="invariants"
                aria-label="Invariants">
                <Invariants statuses={Rc::clone(&data.statuses)}
                    shows_whole_run={self.workspace.quiz.hidden_after().is_none()}
                    onwitness={self.callbacks.record.clone()} />
            </section>
            <section class="panel files" id="panel-files" data-testid="files" aria-label="Files">
                <Files files={Rc::clone(&data.files)} is_comparing={self.ui.compares_files}
                    can_compare={!timeline.run().without.is_empty()}
                    oncompare={self.callbacks.toggle_file_comparison.clone()}
                    onrecord={self.callbacks.record.clone()}
                    onmore={self.callbacks.more_rows.clone()} />
            </section>
        </> }
    }

    fn footer(&self, ctx: &Context<Self>) -> Html {
        let workspace = &self.workspace;
        let link = ctx.link();
        let timeline = workspace.timeline();
        controls(&ControlsProps {
            is_playing: workspace.player.is_playing || (workspace.is_following && !self.is_stale()),
            is_unstarted: workspace.timeline().past().is_empty() && !self.ui.is_live,
            is_question_open: workspace.quiz.phase == QuizPhase::Open,
            speed: AttrValue::from(workspace.player.speed.label()),
            is_auto: workspace.player.speed == crate::model::player::Speed::Auto,
            is_growing: workspace.is_following,
            start: timeline.start(),
            end: timeline.end(),
            digest: timeline.world().map(|world| (timeline.fingerprint(), world.fingerprint())),
            choices: self.panel_cache.get(self).choices,
            onuntil: link.callback(RunMsg::PlayUntil),
            oncommand: link.callback(Msg::Command),
            ontime: link.callback(RunMsg::GoToTime),
            onpoint: Callback::from(|_: PointerAction| {}),
        })
    }
}
