//! How the page is put together.

use std::rc::Rc;

use leasehold_core::sim::RecordNo;
use yew::{AttrValue, Callback, Context, Html, PointerEvent, classes, html};

use super::app::{App, Msg, Open};
use super::compare::Comparison;
use super::controls::{Controls, icon};
use super::derived::Shown;
use super::dialogs::{Exports, Help, Legend, Menu, Scenarios};
use super::draw::{Figure, Pointing, target_of};
use super::header::Header;
use super::log::Log;
use super::panels::{Files, Inspector, Invariants};
use super::question::{Ask, Caption};
use super::search::Search;
use crate::browser;
use crate::model::compare::title;
use crate::model::fields;
use crate::model::keys::{Act, View};
use crate::model::lesson::Phase;
use crate::model::link::LINK_LEN_MAX;
use crate::model::studio::Offer;
use crate::picture::shape::{Picture, Target};

impl App {
    pub(crate) fn page(&self, ctx: &Context<Self>) -> Html {
        let ui = &self.ui;
        let class = classes!(
            "page",
            ui.presents.then_some("presenting"),
            ui.is_quiet.then_some("quiet-keys"),
            ui.has_halo.then_some("haloed"),
            self.studio.compare.is_some().then_some("comparing"),
            format!("tab-{}", ui.tab.hook()),
        );
        html! {
            <div id="page" {class}>
                { self.head(ctx) }
                if ui.is_live {
                    <crate::live::view::Live />
                } else {
                    { self.main(ctx) }
                    { self.foot(ctx) }
                    { self.toast(ctx) }
                }
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
        let mode = |hook: &'static str, text: &'static str, live: bool| {
            let onclick = link.callback(move |_| Msg::Live(live));
            html! {
                <button class="mode" data-testid={hook} aria-pressed={(is_live == live).to_string()}
                    {onclick}>{ text }</button>
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
                    <span class="spring"></span>
                } else {
                    <Header title={AttrValue::from(studio.scenario.title.clone())}
                        number={number.map_or(0, |no| no + 1)} seed={run.seed}
                        without={run.without.clone()} switches={studio.scenario.switches.clone()}
                        onact={onact.clone()} onprotection={link.callback(Msg::Protection)}
                        onseed={link.callback(Msg::Seed)} />
                }
                <div class="modes" role="group" aria-label="What is shown">
                    { mode("mode-sim", "Simulated", false) }
                    if self.ui.can_live { { mode("mode-live", "Live", true) } }
                </div>
                if !is_live {
                    <div class="tools" role="group" aria-label="Tools">
                        { tool(
                            Act::Compare, "Compare with one protection different (M)",
                            "compare", "Compare",
                        ) }
                        { tool(Act::Search, "Find a violation (V)", "search", "Find") }
                        { tool(Act::Export, "Share and export (E)", "share", "Share") }
                        { tool(Act::Present, "Present (P)", "present", "Present") }
                        <button class="quiet tool" title="Light or dark"
                            aria-label={self.theme_label()}
                            onclick={link.callback(|_| Msg::Theme)}>{ "◐" }</button>
                        { tool(Act::Help, "Keys (?)", "help", "?") }
                    </div>
                }
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
        let views = View::ALL.into_iter().filter(|view| *view != View::Stage);
        html! {
            <main class="studio">
                <div class="left">
                if let Some(compare) = &self.studio.compare {
                    <Comparison key="comparison" view={Rc::new(self.comparison(compare))}
                        onmode={link.callback(Msg::CompareMode)}
                        onrecord={link.callback(Msg::Record)}
                        onclose={link.callback(|()| Msg::Act(Act::Compare))} />
                } else {
                    { self.stage_panel(ctx) }
                    { self.lower_panel(ctx) }
                }
                { self.caption_panel(ctx) }
                </div>
                <div class="panel-tabs" role="tablist" aria-label="Panels">{ for views.map(tab) }
                    </div>
                <div class="right">
                    { self.inspector_panel(ctx, &shown) }
                    { self.log_panel(ctx, &shown) }
                    { self.verdict_panel(ctx, &shown) }
                </div>
            </main>
        }
    }

    fn stage_panel(&self, ctx: &Context<Self>) -> Html {
        let picture = Rc::new(self.stage_picture());
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
                    <Figure {picture} focus={self.studio.selected} {onpoint} />
                </div>
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
        let figure = |view: View, picture: Option<Picture>| {
            let onpoint = link.callback(move |pointing| Msg::Point(view, pointing));
            picture.map_or_else(Html::default, |picture| {
                html! { <Figure picture={Rc::new(picture)} {onpoint} /> }
            })
        };
        let is_gantt = lower == View::Gantt;
        html! {
            <section class="panel lower" aria-label="Over time">
                <header class="panel-head">
                    <div class="tabs" role="group" aria-label="Which view">
                        { tab(View::Gantt) }{ tab(View::SpaceTime) }
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
                        }
                    </div>
                </header>
                <div class="lower-place" id="lower">
                    { section(View::Gantt, figure(
                        View::Gantt, is_gantt.then(|| self.gantt_picture()),
                    )) }
                    { section(View::SpaceTime, figure(
                        View::SpaceTime, (!is_gantt).then(|| self.spacetime_picture()),
                    )) }
                </div>
            </section>
        }
    }

    fn caption_panel(&self, ctx: &Context<Self>) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let lesson = &studio.lesson;
        let question = &studio.scenario.question;
        let is_open = match lesson.phase {
            Phase::Ahead => false,
            Phase::Asked | Phase::Revealing => lesson.is_on,
            Phase::Out => lesson.is_on && lesson.was_asked && !self.ui.has_closed_answer,
        };
        let options: Vec<String> = question.options.iter().map(|it| it.text.clone()).collect();
        let state = if lesson.phase == Phase::Asked { "asked" } else { "" };
        let won = studio.goal_reached();
        html! {
            <div class="telling">
                <Caption text={AttrValue::from(studio.caption())}
                    is_spoken={!studio.player.is_playing} />
                if let Some(won) = won {
                    <p class={classes!("goal", won.then_some("won"))} data-testid="goal">
                        { if won { "★ Broken: solved" } else { "Goal: break it" } }
                    </p>
                }
                <div id="question" class={state}>
                    if is_open {
                        <Ask ask={AttrValue::from(question.ask.clone())} options={Rc::new(options)}
                            votes={lesson.votes.clone()} phase={lesson.phase}
                                answer={lesson.answer()}
                            why={AttrValue::from(question.why.clone())}
                            onvote={link.callback(Msg::Vote)}
                                onreveal={link.callback(|()| Msg::Reveal)}
                            onwhy={link.callback(|()| Msg::Why)}
                            onclose={link.callback(|()| Msg::CloseAnswer)} />
                    }
                </div>
            </div>
        }
    }

    fn inspector_panel(&self, ctx: &Context<Self>, shown: &Shown) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let title = studio.selected.map_or_else(
            || "Inspector".to_owned(),
            |target| fields::title(&studio.scene(), target),
        );
        html! {
            <section class="panel inspector" id="panel-inspector" data-testid="inspector"
                aria-label="Inspector">
                <Inspector title={AttrValue::from(title)} fields={Rc::clone(&shown.fields)}
                    faults={Rc::clone(&shown.faults)} is_empty={studio.selected.is_none()}
                    onfault={link.callback(Msg::Fault)}
                    onmenu={link.callback(|()| Msg::Act(Act::Enter))} />
            </section>
        }
    }

    fn log_panel(&self, ctx: &Context<Self>, shown: &Shown) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let only = studio.filter.node.map(Target::Node).or(studio.filter.lock.map(Target::Lock));
        let only = only.map(|target| fields::title(&studio.scene(), target));
        let selected = match studio.selected {
            Some(Target::Record(record)) => Some(record),
            _ => None,
        };
        html! {
            <section class="panel log" id="panel-log" data-testid="log" aria-label="Log">
                <Log rows={Rc::clone(&shown.rows)} has_more={shown.has_more}
                    least={studio.filter.least} {only} {selected}
                    onrecord={link.callback(Msg::Record)} onleast={link.callback(Msg::Least)}
                    onall={link.callback(|()| Msg::All)}
                        onmore={link.callback(|()| Msg::MoreRows)} />
            </section>
        }
    }

    fn verdict_panel(&self, ctx: &Context<Self>, shown: &Shown) -> Html {
        let link = ctx.link();
        let film = self.studio.film();
        html! { <>
            <section class="panel invariants-panel" id="panel-invariants" data-testid="invariants"
                aria-label="Invariants">
                <Invariants statuses={Rc::clone(&shown.statuses)}
                    tells_whole={self.studio.lesson.hidden_from().is_none()}
                    onwitness={link.callback(|record: RecordNo| Msg::Record(record))} />
            </section>
            <section class="panel files" id="panel-files" data-testid="files" aria-label="Files">
                <Files files={Rc::clone(&shown.files)} compares={self.ui.compares_files}
                    can_compare={!film.run().without.is_empty()}
                    oncompare={link.callback(|()| Msg::AgainstCorrect)}
                    onrecord={link.callback(Msg::Record)} />
            </section>
        </> }
    }

    fn foot(&self, ctx: &Context<Self>) -> Html {
        let studio = &self.studio;
        let link = ctx.link();
        let film = studio.film();
        html! {
            <Controls is_playing={studio.player.is_playing}
                is_asked={studio.lesson.phase == Phase::Asked}
                speed={AttrValue::from(studio.player.speed.label())}
                is_auto={studio.player.speed == crate::model::player::Speed::Auto}
                now={film.now()} end={film.end()}
                digest={(film.fingerprint(), film.world().fingerprint())}
                    tape={Rc::new(self.tape_picture())}
                onact={link.callback(Msg::Act)} ontime={link.callback(Msg::Time)}
                onpoint={Callback::from(|_: Pointing| {})} />
        }
    }

    fn toast(&self, ctx: &Context<Self>) -> Html {
        let offer = |offer: &Offer| {
            let (offer, text) = match offer {
                Offer::Undo => (Offer::Undo, "Undo (U)"),
                Offer::Compare => (Offer::Compare, "Compare"),
                Offer::FromStart => (Offer::FromStart, "From the start"),
            };
            let onclick = ctx.link().callback(move |_| Msg::Offer(offer));
            html! { <button class="small-button" {onclick}>{ text }</button> }
        };
        html! {
            <div class="toasts" role="status" aria-live="polite">
                if let Some(toast) = &self.studio.toast {
                    <div class="toast" data-testid="toast">
                        <span>{ toast.text.clone() }</span>
                        { for toast.offers.iter().map(offer) }
                        <button class="quiet close" aria-label="Close"
                            onclick={ctx.link().callback(|_| Msg::ToastEnds)}>{ icon("close") }
                                </button>
                    </div>
                }
            </div>
        }
    }

    fn open(&self, ctx: &Context<Self>) -> Html {
        let link = ctx.link();
        let studio = &self.studio;
        let onclose = link.callback(|()| Msg::Close);
        match self.ui.open {
            None => Html::default(),
            Some(Open::Scenarios) => html! {
                <Scenarios library={Rc::clone(&studio.library)}
                    current={AttrValue::from(studio.scenario.name.clone())}
                    onchoose={link.callback(Msg::Choose)} {onclose} />
            },
            Some(Open::Menu) => {
                let scene = studio.scene();
                let title = studio.selected.map(|it| fields::title(&scene, it)).unwrap_or_default();
                let faults = studio.selected.map(|it| studio.faults(it)).unwrap_or_default();
                html! {
                    <Menu title={AttrValue::from(title)} faults={Rc::new(faults)}
                        onfault={link.callback(Msg::Fault)} {onclose} />
                }
            }
            Some(Open::Help) => html! {
                <Help is_quiet={self.ui.is_quiet} onquiet={link.callback(|()| Msg::Quiet)}
                    {onclose} />
            },
            Some(Open::Legend) => html! { <Legend {onclose} /> },
            Some(Open::Exports) => {
                let query = studio.link().write();
                html! {
                    <Exports is_too_long={query.len() > LINK_LEN_MAX}
                        address={AttrValue::from(browser::address(&query))}
                        pictures={self.pictures()} onexport={link.callback(Msg::Export)}
                        onimport={link.callback(Msg::Import)} {onclose} />
                }
            }
            Some(Open::Search) => html! {
                <Search hunt={self.hunt.clone()} of={AttrValue::from(title(studio.film().run()))}
                    onbounds={link.callback(Msg::Bounds)}
                        onsearch={link.callback(|()| Msg::SearchStart)}
                    oncancel={link.callback(|()| Msg::SearchStop)}
                    onplay={link.callback(|()| Msg::SearchPlay)}
                    ontest={link.callback(|()| Msg::Export(super::dialogs::Export::Test))}
                        {onclose} />
            },
        }
    }
}
