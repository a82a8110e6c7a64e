//! The search for a violation: what its panel asks for, and what the worker tells.

use yew::Context;

use super::app::{App, Msg};
use crate::browser;
use crate::feed::worker::{Searcher, Told};
use crate::model::hunt::{Found, Report};

/// The buttons that begin it, and show what came of it.
pub(super) const START: &str = "[data-testid=search-start]";
const PLAY: &str = "[data-testid=search-play]";

impl App {
    /// What concerns the search. Says whether the page is to be drawn anew.
    #[allow(clippy::wildcard_enum_match_arm, reason = "all else was taken in before")]
    pub(super) fn take_search(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::Bounds(bounds) => self.hunt.bounds = bounds,
            Msg::SearchStart => self.start_search(ctx),
            Msg::SearchStop => {
                self.searcher = None;
                self.hunt.stop();
            }
            Msg::SearchTold(told) => self.hear_search(told),
            Msg::SearchPlay => {
                let found = self.hunt.found.as_ref().and_then(Found::scenario);
                if let Some(scenario) = found {
                    self.ui.open = None;
                    self.leave_live();
                    self.studio.show(scenario);
                    self.studio.play_to_violation(!self.ui.is_still);
                }
            }
            _ => return false,
        }
        true
    }

    fn start_search(&mut self, ctx: &Context<Self>) {
        let order = self.hunt.begin(self.studio.film().run(), &self.studio.scenario);
        self.heard_at = browser::now();
        // Not on what stops it: a second Enter would.
        self.focus_next = Some("[data-testid=search-outcome]");
        self.searcher = Searcher::start(&order, &ctx.link().callback(Msg::SearchTold));
        if self.searcher.is_none() {
            self.hunt.stop();
            self.hunt.say("The browser can't start a worker for the search here.");
        }
    }

    fn hear_search(&mut self, told: Told) {
        let now = browser::now();
        match told {
            Told::Report(text) => match serde_json::from_str::<Report>(&text) {
                Ok(report) => self.hunt.hear(report, now - self.heard_at),
                Err(error) => self.hunt.text = format!("The worker is not understood: {error}"),
            },
            Told::Failed => {
                self.hunt.stop();
                self.hunt.say("The search could not be loaded.");
            }
        }
        self.heard_at = now;
        if !self.hunt.is_running {
            let is_found = self.hunt.found.is_some();
            self.focus_next = Some(if is_found { PLAY } else { START });
            self.searcher = None;
        }
    }
}
