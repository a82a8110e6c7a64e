//! Handles the messages of the search for a violation.

use yew::Context;

use super::app::App;
use super::messages::SearchMsg;
use crate::browser;
use crate::feed::search_protocol::SearchReport;
use crate::feed::search_worker::{SearchWorker, WorkerEvent};
use crate::model::violation_search::SearchResult;

/// The buttons that start the search and play its result.
pub(super) const START_BUTTON: &str = "[data-testid=search-start]";
const PLAY_BUTTON: &str = "[data-testid=search-play]";

impl App {
    pub(super) fn handle_search(&mut self, ctx: &Context<Self>, msg: SearchMsg) {
        match msg {
            SearchMsg::SetLimits(limits) => self.search.limits = limits,
            SearchMsg::Start => self.start_search(ctx),
            SearchMsg::Stop => {
                self.search_worker = None;
                self.search.stop();
            }
            SearchMsg::Worker(event) => self.handle_search_event(event),
            SearchMsg::PlayResult => {
                let found = self.search.found.as_ref().and_then(SearchResult::scenario);
                if let Some(scenario) = found {
                    self.ui.open_dialog = None;
                    self.leave_live();
                    self.workspace.open_run(scenario);
                    self.workspace.replay_violation(!self.ui.reduced_motion);
                }
            }
        }
    }

    fn start_search(&mut self, ctx: &Context<Self>) {
        let request = self.search.start(self.workspace.timeline().run(), &self.workspace.scenario);
        self.last_report_at = browser::now();
        // Not the stop button: a second Enter would stop the search.
        self.focus_after_draw = Some("[data-testid=search-outcome]");
        let callback = ctx.link().callback(SearchMsg::Worker);
        self.search_worker = browser::meta_content("leasehold-worker")
            .and_then(|script| SearchWorker::start(&script, &request, &callback));
        if self.search_worker.is_none() {
            self.search.stop();
            self.search
                .set_text("Cannot start the search: the browser does not allow workers here");
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
