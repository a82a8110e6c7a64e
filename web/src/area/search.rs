//! The search for a violation: its limits, its progress, and its result.

use leasehold_sim::SearchLimits;

use super::context::{Context, PageArea, Redraw};
use super::effect::Effect;
use super::scenario::ScenarioMsg;
use super::share::{Destination, ExportKind, ShareMsg};
use crate::feed::search_protocol::{SearchReport, WorkerEvent};
use crate::model::violation_search::{SearchResult, ViolationSearch};

/// The buttons that start the search and play its result.
pub(super) const START_BUTTON: &str = "[data-testid=search-start]";
const PLAY_BUTTON: &str = "[data-testid=search-play]";

/// The progress and the result.
const OUTCOME: &str = "[data-testid=search-outcome]";

pub(crate) enum SearchMsg {
    SetLimits(SearchLimits),
    Start,
    Stop,
    Worker(WorkerEvent),
    PlayResult,
    /// Exports a Rust test that replays the result.
    SaveTest(Destination),
    /// Copies a link to the result.
    ShareResult,
}

pub(crate) struct SearchArea {
    pub(crate) search: ViolationSearch,
    /// When the last report arrived, in milliseconds.
    last_report_at: f64,
}

impl Default for SearchArea {
    fn default() -> Self {
        Self { search: ViolationSearch::new(), last_report_at: 0.0 }
    }
}

impl PageArea for SearchArea {
    type Msg = SearchMsg;

    fn update(&mut self, msg: SearchMsg, cx: &mut Context<'_>) -> Redraw {
        match msg {
            SearchMsg::SetLimits(limits) => self.search.limits = limits,
            SearchMsg::Start => {
                if let Err(reason) = cx.workspace.whole_run() {
                    self.search.set_text(reason);
                    return Redraw::Page;
                }
                let workspace = &cx.workspace;
                let request = self.search.start(workspace.timeline().run(), &workspace.scenario);
                self.last_report_at = cx.now();
                cx.request(Effect::StartSearch(Box::new(request)));
                // Not the stop button: a second Enter would stop the search.
                cx.request(Effect::Focus(vec![OUTCOME.to_owned()]));
            }
            SearchMsg::Stop => {
                self.search.stop();
                cx.request(Effect::StopSearch);
            }
            SearchMsg::Worker(event) => self.apply_worker_event(event, cx),
            SearchMsg::PlayResult => {
                let found = self.search.found.as_ref().and_then(SearchResult::scenario);
                if let Some(scenario) = found {
                    cx.send(ScenarioMsg::OpenViolation(Box::new(scenario)));
                }
            }
            SearchMsg::ShareResult => {
                let found = self.search.found.as_ref().and_then(SearchResult::scenario);
                if let Some(scenario) = found {
                    cx.send(ShareMsg::Export(ExportKind::FoundLink(Box::new(scenario))));
                }
            }
            SearchMsg::SaveTest(destination) => {
                if let Some(found) = &self.search.found {
                    let run = Box::new(found.run.clone());
                    cx.send(ShareMsg::Export(ExportKind::FoundTest(run, destination)));
                }
            }
        }
        Redraw::Page
    }
}

impl SearchArea {
    fn apply_worker_event(&mut self, event: WorkerEvent, cx: &mut Context<'_>) {
        let now = cx.now();
        match event {
            WorkerEvent::Report(text) => match serde_json::from_str::<SearchReport>(&text) {
                Ok(report) => self.search.update(report, now - self.last_report_at),
                Err(error) => {
                    self.search.text =
                        format!("The search sent an unreadable report: {error}. Reload the page.");
                }
            },
            WorkerEvent::Failed => {
                self.search.stop();
                self.search.set_text(
                    "The search could not be loaded: the host of this page does not answer. \
                    Search again as soon as it is reachable.",
                );
            }
            WorkerEvent::Unavailable => {
                self.search.stop();
                self.search.set_text(
                    "The search cannot run: the browser does not allow workers here. \
                    Open the page from a web server, not from a file.",
                );
            }
        }
        self.last_report_at = now;
        if !self.search.is_running {
            let button = if self.search.found.is_some() { PLAY_BUTTON } else { START_BUTTON };
            cx.request(Effect::Focus(vec![button.to_owned()]));
            cx.request(Effect::StopSearch);
        }
    }
}
