//! The browser's history: an entry for each run, and the moment in it.

use gloo_events::EventListener;
use yew::html::Scope;

use super::app::App;
use crate::area::address::Address;
use crate::area::scenario::ScenarioMsg;
use crate::browser;
use crate::model::workspace::RunId;

/// What the browser stores with an entry: the page load that made it, the run, and the query.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EntryState {
    page_load: u64,
    run: RunId,
    query: String,
}

impl EntryState {
    fn encode(&self) -> String {
        format!("{} {} {}", self.page_load, self.run.0, self.query)
    }

    fn decode(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let page_load = parts.next()?.parse().ok()?;
        let run = RunId(parts.next()?.parse().ok()?);
        Some(Self { page_load, run, query: parts.next()?.to_owned() })
    }
}

/// Returns the query of the current entry: the one that the browser stores with it, because a URL
/// may be too short, or else that of the URL.
pub(super) fn current_query() -> String {
    let stored = browser::history_state().and_then(|text| EntryState::decode(&text));
    stored.map_or_else(browser::query, |entry| entry.query)
}

pub(super) struct PageHistory {
    page_load: u64,
}

impl PageHistory {
    /// Registers a listener for Back and Forward. It is removed when it is dropped.
    pub(super) fn new(link: &Scope<App>) -> (Self, Option<EventListener>) {
        let page_load = browser::page_load();
        let on_entry = link.callback(move |()| {
            let entry = browser::history_state().and_then(|text| EntryState::decode(&text));
            match entry {
                Some(entry) => {
                    let run = (entry.page_load == page_load).then_some(entry.run);
                    ScenarioMsg::ShowEntry(run, entry.query)
                }
                None => ScenarioMsg::ShowEntry(None, browser::query()),
            }
        });
        let listener = browser::window()
            .map(|window| EventListener::new(&window, "popstate", move |_| on_entry.emit(())));
        let history = Self { page_load };
        history.store(&browser::query(), RunId::default(), current_query(), false);
        (history, listener)
    }

    /// Sets the address, and what the browser stores with it.
    pub(super) fn set(&self, address: &Address) {
        self.store(&address.query, address.run, address.full_query.clone(), address.is_new);
    }

    fn store(&self, query: &str, run: RunId, full_query: String, is_new: bool) {
        let state = EntryState { page_load: self.page_load, run, query: full_query };
        browser::set_address(query, &state.encode(), is_new);
    }
}
