//! The root component: owns the state of the page, and routes between it, the browser and the
//! components.

use yew::{Component, Context, Html};

use super::callbacks::Callbacks;
use super::host::{Host, PROGRESS_KEY};
use super::page_history;
use super::page_view::page_view;
use crate::area::context::{Environment, Redraw};
use crate::area::message::Msg;
use crate::area::page_state::{Outcome, PageState};
use crate::browser;
use crate::model::link::Link;

/// Matches if the page shows one panel at a time, as in narrow.css.
const NARROW_SCREEN: &str = "(max-width: 860px)";

pub(crate) struct App {
    state: PageState,
    callbacks: Callbacks,
    host: Host,
    /// When the last drawing of the page started, in milliseconds, if a message requested it.
    draw_started_at: Option<f64>,
}

impl Component for App {
    type Message = Msg;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let environment = Environment {
            clock: browser::now,
            random: browser::random,
            utc_offset_minutes: browser::utc_offset_minutes,
            is_narrow: || browser::matches_media(NARROW_SCREEN),
            reduced_motion: browser::matches_media("(prefers-reduced-motion: reduce)"),
            load_progress: || browser::load(PROGRESS_KEY),
            is_touch: browser::matches_media("(pointer: coarse)"),
            is_server_available: browser::meta_content("leasehold-server").as_deref()
                == Some("live"),
        };
        let link = Link::parse(&page_history::current_query());
        let (state, outcome) = PageState::open(&link, environment);
        let callbacks = Callbacks::new(ctx.link());
        let host = Host::new(ctx.link());
        let mut app = Self { state, callbacks, host, draw_started_at: None };
        app.perform(outcome);
        app
    }

    fn update(&mut self, _: &Context<Self>, msg: Msg) -> bool {
        let outcome = self.state.update(msg);
        match self.perform(outcome) {
            Redraw::Nothing => false,
            Redraw::Pictures => {
                self.host.paint(&self.state);
                false
            }
            Redraw::Page => {
                self.draw_started_at = Some(browser::now());
                true
            }
        }
    }

    fn view(&self, _: &Context<Self>) -> Html {
        page_view(&self.state, &self.callbacks)
    }

    fn rendered(&mut self, _: &Context<Self>, _: bool) {
        self.host.paint(&self.state);
        if let Some(started_at) = self.draw_started_at.take() {
            self.state.player.page_drawn(browser::now() - started_at);
        }
        self.host.page_drawn(&self.state);
    }
}

impl App {
    /// Performs the effects of a message. Returns what must be drawn again.
    fn perform(&mut self, Outcome { redraw, effects }: Outcome) -> Redraw {
        for effect in effects {
            self.host.perform(effect);
        }
        self.host.follow(&self.state);
        redraw
    }
}
