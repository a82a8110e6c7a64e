//! The search for a violation: what its panel asks for, and what the worker tells.

use yew::Context;

use super::app::{App, Msg};
use crate::browser;
use crate::feed::search_worker::{SearchWorker, WorkerEvent};
use crate::model::violation_search::{SearchReport, SearchResult};

/// The buttons that begin it, and show what came of it.
pub(super) const START_BUTTON: &str = "[data-testid=search-start]";
const PLAY_BUTTON: &str = "[data-testid=search-play]";

impl App {
    /// What concerns the search. Says whether the page is to be drawn anew.
    #[allow(clippy::wildcard_enum_match_arm, reason = "all else was taken in before")]
    pub(super) fn handle_search(&mut self, ctx: &Context<Self>, msg: Msg) -> bool {
        match msg {
            Msg::SetSearchLimits(bounds) => self.search.limits = bounds,
            Msg::StartSearch => self.start_search(ctx),
            Msg::StopSearch => {
                self.search_worker = None;
                self.search.stop();
            }
            Msg::SearchEvent(event) => self.handle_search_event(event),
            Msg::PlaySearchResult => {
                let found = self.search.found.as_ref().and_then(SearchResult::scenario);
                if let Some(scenario) = found {
                    self.ui.open_dialog = None;
                    self.leave_live();
                    self.workspace.open_run(scenario);
                    self.workspace.replay_violation(!self.ui.reduced_motion);
                }
            }
            _ => return false,
        }
        true
    }

    fn start_search(&mut self, ctx: &Context<Self>) {
        let request = self.search.start(self.workspace.timeline().run(), &self.workspace.scenario);
        self.last_report_at = browser::now();
        // Not on what stops it: a second Enter would.
        self.focus_after_draw = Some("[data-testid=search-outcome]");
        self.search_worker = SearchWorker::start(&request, &ctx.link().callback(Msg::SearchEvent));
        if self.search_worker.is_none() {
            self.search.stop();
            self.search.set_text("Cannot start the search: the browser does not allow workers here");
        }
    }

    fn handle_search_event(&mut self, event: WorkerEvent) {
        let now = browser::now();
        match event {
            WorkerEvent::Report(text) => match serde_json::from_str::<SearchReport>(&text) {
                Ok(report) => self.search.update(report, now - self.last_report_at),
                Err(error) => self.search.text = format!("Cannot read the search report: {error}"),
            },
            WorkerEvent::Failed => {
                self.search.stop();
                self.search.set_text("Cannot load the search worker");
            }
        }
        self.last_report_at = now;
        if !self.search.is_running {
            let is_found = self.search.found.is_some();
            self.focus_after_draw = Some(if is_found { PLAY_BUTTON } else { START_BUTTON });
            self.search_worker = None;
        }
    }
}
