//! How the page is put together.

use std::rc::Rc;

use yew::{AttrValue, Callback, Context, Html, PointerEvent, classes, html};

use super::app::{App, Msg};
use super::compare::{ComparisonProps, comparison};
use super::controls::{ControlsProps, controls};
use super::derived::Shown;
use super::draw::{Pointing, figure, target_of};
use super::header::Header;
use super::log::Log;
use super::panels::{Files, Inspector, Invariants};
use super::question::{CaptionProps, QuestionProps, Timer, ask, caption};
use crate::model::compare::Compare;
use crate::model::fields;
use crate::model::keys::{Act, View};
use crate::model::lesson::Phase;
use crate::picture::shape::Target;

impl App {
    pub(crate) fn page(&self, ctx: &Context<Self>) -> Html {
        let ui = &self.ui;
        let class = classes!(
            "page",
            ui.presents.then_some("presenting"),
            ui.is_quiet.then_some("quiet-keys"),
            ui.has_halo.then_some("haloed"),
            self.studio.compare.is_some().then_some("comparing"),
            self.is_stale().then_some("not-live"),
            format!("tab-{}", ui.tab.hook()),
        );
        html! {
            <div id="page" {class}>
                <button class="skip" onclick={ctx.link().callback(|_| {
                    Msg::Act(Act::View(View::Stage))
                })}>{ "To the stage (1)" }</button>
                { self.head(ctx) }
                { self.main(ctx) }
                { self.foot(ctx) }
                { self.toast(ctx) }
                { self.open(ctx) }
                if ui.is_blank { <div class="blank" aria-hidden="true"></div> }
            </div>
        }
    }

    fn head(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let onact = link.callback(Msg::Act);
        let studio = &self.studio;
        let run = studio.film().run();
        let number = studio.library.iter().position(|it| it.name == studio.scenario.name);
        let is_live = self.ui.is_live;
        // A recording is neither of the two.
        let is_seen = studio.film().footage().is_some();
        let mode = |hook: &'static str, text: &'static str, live: bool| {
            let onclick = link.callback(move |_| Msg::Mode { is_live: live });
            html! {
                <button class="mode" data-testid={hook} {onclick}
                    aria-pressed={(is_live == live && (live || !is_seen)).to_string()}>
                    { text }
                </button>
            }
        };
        let tool = |act: Act, label: &'static str, hook: &'static str, text: &'static str| {
            let onclick = onact.reform(move |_| act);
            html! {
                <button class="quiet tool" data-testid={hook} title={label} aria-label={label}
                    {onclick}>
                    { text }
                </button>
            }
        };
        html! {
            <header class="bar" role="banner">
                <h1 class="brand">{ "leasehold" }</h1>
                if is_live {
                    { self.live_head(ctx) }
                } else {
                    <Header {is_seen}
                        title={AttrValue::from(studio.scenario.title.clone())}
                        number={number.map_or(0, |no| no + 1)} seed={run.seed}
                        without={run.without.clone()} switches={studio.scenario.switches.clone()}
                        onact={self.on.act.clone()} onprotection={self.on.protection.clone()}
                        onseed={self.on.seed.clone()} />
                }
                <div class="modes" role="group" aria-label="What is shown">
                    { mode("mode-sim", "Simulated", false) }
                    if self.ui.can_live { { mode("mode-live", "Live", true) } }
                </div>
                <div class="tools" role="group" aria-label="Tools">
                    if !is_seen {
                        { tool(
                            Act::Compare, "Compare with one protection different (M)",
                            "compare", "Compare",
                        ) }
                        { tool(Act::Search, "Find a violation (V)", "search", "Find") }
                    }
                        { tool(Act::Export, "Share and export (E)", "share", "Share") }
                        { tool(Act::Present, "Present (P)", "present", "Present") }
                        <button class="quiet tool" title="Light or dark"
                            aria-label={self.theme_label()}
                            onclick={link.callback(|_| Msg::Theme)}>{ "◐" }</button>
                        { tool(Act::Help, "Keys (?)", "help", "?") }
                </div>
            </header>
        }
    }

    fn theme_label(&self) -> String {
        format!(
            "Light or dark; now: {}",
            match self.ui.theme {
                super::app::Theme::System => "as the system",
                super::app::Theme::Light => "light",
                super::app::Theme::Dark => "dark",
            }
        )
    }

    fn main(&self, ctx: &Context<Self>) -> Html {
        let shown = self.derived.of(self);
        let link = ctx.link();
        let tab = |view: View| {
            let onclick = link.callback(move |_| Msg::Tab(view));
            let selected = (self.ui.tab == view).to_string();
            html! {
                <button key={view.hook()} role="tab" aria-selected={selected} {onclick}>
                    { view.title() }
                </button>
            }
        };
        let is_seen = self.studio.film().footage().is_some();
        let views = View::ALL
            .into_iter()
            .filter(|view| *view != View::Stage && !(is_seen && *view == View::SpaceTime));
        html! {
            <main class="studio">
                <div class="left">
                if let Some(compare) = &self.studio.compare {
                    { self.comparison_panel(ctx, compare) }
                } else {
                    { self.stage_panel(ctx) }
                    { self.lower_panel(ctx) }
                }
                { self.caption_panel(ctx) }
                </div>
                <div class="panel-tabs" role="tablist" aria-label="Panels">{ for views.map(tab) }
                    </div>
                <div class="right">
                    { self.inspector_panel(&shown) }
                    { self.log_panel(&shown) }
                    { self.verdict_panel(&shown) }
                </div>
            </main>
        }
    }

    fn comparison_panel(&self, ctx: &Context<Self>, compare: &Compare) -> Html {
        comparison(&ComparisonProps {
            view: Rc::new(self.comparison(compare)),
            onmode: ctx.link().callback(Msg::CompareMode),
            onrecord: ctx.link().callback(Msg::Record),
            onclose: ctx.link().callback(|()| Msg::Act(Act::Compare)),
        })
    }

    fn stage_panel(&self, ctx: &Context<Self>) -> Html {
        let onpoint = ctx.link().callback(|pointing| Msg::Point(View::Stage, pointing));
        let onpointerdown = ctx.link().callback(|event: PointerEvent| {
            let by_finger = event.pointer_type() != "mouse";
            Msg::Press(target_of(&event).filter(|_| by_finger))
        });
        let release = ctx.link().callback(|_: PointerEvent| Msg::Press(None));
        html! {
            <section class="panel stage" id="panel-stage" data-testid="stage" aria-label="Stage">
                <div class="picture-place" id="stage" {onpointerdown} onpointerup={release.clone()}
                    onpointercancel={release}>
                    { figure("picture-stage", &onpoint) }
                </div>
                if self.ui.is_live && self.studio.scene().clients.is_empty() {
                    <p class="empty">
                        { "No client has a session. Five that come and go: " }
                        <code>{ "leasehold demo --loop" }</code>
                    </p>
                }
                <button class="quiet legend-button" title="What the signs mean (I)"
                    onclick={ctx.link().callback(|_| Msg::Act(Act::Legend))}>{ "Signs" }</button>
            </section>
        }
    }

    fn lower_panel(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let lower = self.ui.lower;
        let tab = |view: View| {
            let onclick = link.callback(move |_| Msg::Lower(view));
            html! {
                <button key={view.hook()} class="tab" aria-pressed={(lower == view).to_string()}
                    {onclick}>
                    { view.title() }
                </button>
            }
        };
        let act = |act: Act| link.callback(move |_| Msg::Act(act));
        let section = |view: View, inside: Html| {
            html! {
                <div class="picture-place" data-testid={view.hook()}
                    id={format!("panel-{}", view.hook())}
                    hidden={lower != view} data-time="" role="region" tabindex="-1"
                    aria-label={view.title()}>{ inside }</div>
            }
        };
        let figure = |view: View, id: &'static str| {
            let onpoint = link.callback(move |pointing| Msg::Point(view, pointing));
            if lower == view { figure(id, &onpoint) } else { Html::default() }
        };
        let is_gantt = lower == View::Gantt;
        html! {
            <section class="panel lower" aria-label="Over time">
                <header class="panel-head">
                    <div class="tabs" role="group" aria-label="Which view">
                        { tab(View::Gantt) }
                        // Of a real server no packets are seen.
                        if self.studio.film().footage().is_none() { { tab(View::SpaceTime) } }
                    </div>
                    <div class="zoom" role="group" aria-label="Zoom">
                        if is_gantt {
                            <button class="quiet" onclick={act(Act::Zoom { closer: false })}
                                title="Farther (S)" aria-label="Farther">{ "−" }</button>
                            <button class="quiet" onclick={act(Act::Zoom { closer: true })}
                                title="Closer (W)" aria-label="Closer">{ "+" }</button>
                            <button class="quiet" onclick={act(Act::FitTime)}
                                title="All of it (0)">{ "Fit" }</button>
                        } else {
                            <button class="quiet" aria-pressed={self.ui.is_to_scale.to_string()}
                                onclick={link.callback(|_| Msg::Scale)}>{ "To scale" }</button>
                            <button class="quiet" data-testid="hide-lane"
                                title="Leave out the lane of the selected node"
                                disabled={self.studio.selected_node().is_none()}
                                onclick={link.callback(|_| Msg::HideLane)}>{ "Hide lane" }</button>
                            if !self.studio.hidden.is_empty() {
                                <button class="quiet" data-testid="all-lanes"
                                    onclick={link.callback(|_| Msg::AllLanes)}>{ "All lanes" }
                                        </button>
                            }
                        }
                    </div>
                </header>
                <div class="lower-place" id="lower">
                    { section(View::Gantt, figure(View::Gantt, "picture-gantt")) }
                    { section(View::SpaceTime, figure(View::SpaceTime, "picture-spacetime")) }
                </div>
            </section>
        }
    }

    fn caption_panel(&self, ctx: &Context<Self>) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let lesson = &studio.lesson;
        let question = &studio.scenario.question;
        let options: Vec<String> = question.options.iter().map(|it| it.text.clone()).collect();
        let state = if lesson.phase == Phase::Asked { "asked" } else { "" };
        let is_stale = self.is_stale();
        let told = caption(&CaptionProps {
            text: AttrValue::from(self.stale_words().unwrap_or_else(|| studio.caption())),
            is_alarm: is_stale,
            is_spoken: is_stale || (!studio.player.is_playing && !studio.follows),
        });
        let question_panel = if lesson.is_shown() {
            ask(&QuestionProps {
                ask: AttrValue::from(question.ask.clone()),
                options: Rc::new(options),
                votes: lesson.votes.clone(),
                is_alone: !self.ui.presents,
                guess: lesson.guess(),
                phase: lesson.phase,
                answer: lesson.answer(),
                why: AttrValue::from(studio.why()),
                left: self.timer.as_ref().map(Timer::left),
                ontimer: link.callback(|()| Msg::TimerStart),
                onvote: link.callback(Msg::Vote),
                onreveal: link.callback(|()| Msg::Reveal),
                onwhy: link.callback(|()| Msg::Why),
                onclose: link.callback(|()| Msg::CloseAnswer),
            })
        } else {
            Html::default()
        };
        html! {
            <div class="telling">
                if self.ui.presents { { self.where_from() } }
                { told }
                if let Some(goal) = studio.goal() {
                    <p class={classes!("goal", goal.is_won.then_some("won"))} data-testid="goal">
                        { goal.text }
                    </p>
                }
                <div id="question" class={state}>
                    { question_panel }
                </div>
            </div>
        }
    }

    fn inspector_panel(&self, shown: &Shown) -> Html {
        let studio = &self.studio;
        let title = studio.selected.map_or_else(
            || "Inspector".to_owned(),
            |target| fields::title(&studio.scene(), target),
        );
        html! {
            <section class="panel inspector" id="panel-inspector" data-testid="inspector"
                aria-label="Inspector">
                <Inspector title={AttrValue::from(title)} fields={Rc::clone(&shown.fields)}
                    faults={Rc::clone(&shown.faults)} is_empty={studio.selected.is_none()}
                    onfault={self.on.fault.clone()} onmenu={self.on.menu.clone()}
                    ononly={self.on.only.clone()} />
            </section>
        }
    }

    fn log_panel(&self, shown: &Shown) -> Html {
        let studio = &self.studio;
        let only = studio.filter.node.map(Target::Node).or(studio.filter.lock.map(Target::Lock));
        let only = only.map(|target| fields::title(&studio.scene(), target));
        let selected = match studio.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        html! {
            <section class="panel log" id="panel-log" data-testid="log" aria-label="Log">
                <Log rows={Rc::clone(&shown.rows)} has_more={shown.has_more}
                    has_past={!studio.film().past().is_empty()}
                    least={studio.filter.least} {only} {selected}
                    onrecord={self.on.record.clone()} onleast={self.on.least.clone()}
                    onall={self.on.all.clone()} onmore={self.on.more.clone()} />
            </section>
        }
    }

    fn verdict_panel(&self, shown: &Shown) -> Html {
        let film = self.studio.film();
        html! { <>
            <section class="panel invariants-panel" id="panel-invariants" data-testid="invariants"
                aria-label="Invariants">
                <Invariants statuses={Rc::clone(&shown.statuses)}
                    tells_whole={self.studio.lesson.hidden_from().is_none()}
                    onwitness={self.on.record.clone()} />
            </section>
            <section class="panel files" id="panel-files" data-testid="files" aria-label="Files">
                <Files files={Rc::clone(&shown.files)} compares={self.ui.compares_files}
                    can_compare={!film.run().without.is_empty()}
                    oncompare={self.on.against.clone()} onrecord={self.on.record.clone()}
                    onmore={self.on.more.clone()} />
            </section>
        </> }
    }

    fn foot(&self, ctx: &Context<Self>) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let film = studio.film();
        controls(&ControlsProps {
            is_playing: studio.player.is_playing || (studio.follows && !self.is_stale()),
            is_first: studio.film().past().is_empty() && !self.ui.is_live,
            is_asked: studio.lesson.phase == Phase::Asked,
            speed: AttrValue::from(studio.player.speed.label()),
            is_auto: studio.player.speed == crate::model::player::Speed::Auto,
            is_growing: studio.follows,
            begin: film.begin(),
            end: film.end(),
            digest: film.world().map(|world| (film.fingerprint(), world.fingerprint())),
            choices: self.derived.of(self).choices,
            onuntil: link.callback(Msg::Until),
            onact: link.callback(Msg::Act),
            ontime: link.callback(Msg::Time),
            onpoint: Callback::from(|_: Pointing| {}),
        })
    }
}
