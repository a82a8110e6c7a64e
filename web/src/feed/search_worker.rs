//! Searches for a violation in a web worker, so that the page stays responsive.
//!
//! - The worker is this same program, loaded again by a script of its own. It is loaded soon after
//!   the page and stays, so that the search works offline.
//! - Each message begins with the number of its search. The worker searches in slices: a new
//!   request replaces the current search, and [`STOP`] ends it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use gloo_events::EventListener;
use gloo_timers::callback::Timeout;
use leasehold_sim::{Search, SearchStage};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, Worker, WorkerOptions, WorkerType};
use yew::Callback;

use super::search_protocol::{SearchReport, SearchRequest, WorkerEvent};

/// The number of states between two reports.
const STATES_PER_REPORT: u64 = 20_000;

/// The worker's first message: it can receive a request.
const READY: &str = "ready";

/// The message that ends the current search.
const STOP: &str = "stop";

/// The page's side: a worker that is loading, idle or searching.
pub(crate) struct SearchWorker {
    worker: Worker,
    status: Rc<Status>,
    _listeners: [EventListener; 2],
}

#[derive(Default)]
struct Status {
    is_ready: Cell<bool>,
    has_failed: Cell<bool>,
    /// The number of the current search, if there is one.
    search: Cell<Option<u32>>,
    last_search: Cell<u32>,
    /// The request to send as soon as the worker is ready.
    pending: RefCell<Option<String>>,
}

impl SearchWorker {
    /// Loads a worker from the script at this address. Returns `None` if the browser can't.
    pub(crate) fn load(script: &str, callback: &Callback<WorkerEvent>) -> Option<Self> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(script, &options).ok()?;
        let status = Rc::<Status>::default();
        let (events, target, shared) = (callback.clone(), worker.clone(), Rc::clone(&status));
        let message_listener = EventListener::new(&worker, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            match data {
                Some(text) if text == READY => {
                    shared.is_ready.set(true);
                    if let Some(request) = shared.pending.take() {
                        target.post_message(&JsValue::from_str(&request)).ok();
                    }
                }
                // Reports of an earlier search can still arrive.
                Some(text) => {
                    if let Some((search, report)) = numbered(&text)
                        && shared.search.get() == Some(search)
                    {
                        events.emit(WorkerEvent::Report(report.to_owned()));
                    }
                }
                None => {}
            }
        });
        let (events, shared) = (callback.clone(), Rc::clone(&status));
        let error_listener = EventListener::new(&worker, "error", move |_| {
            shared.has_failed.set(true);
            // Before a search, the failure is of no interest: the next search loads another worker.
            if shared.search.take().is_some() {
                events.emit(WorkerEvent::Failed);
            }
        });
        Some(Self { worker, status, _listeners: [message_listener, error_listener] })
    }

    /// Whether the worker can still be used.
    pub(crate) fn is_usable(&self) -> bool {
        !self.status.has_failed.get()
    }

    /// Starts a search, instead of the current one.
    pub(crate) fn start(&self, request: &SearchRequest) {
        let search = self.status.last_search.get() + 1;
        self.status.last_search.set(search);
        self.status.search.set(Some(search));
        let request = serde_json::to_string(request).unwrap_or_default();
        let message = format!("{search} {request}");
        if self.status.is_ready.get() {
            self.worker.post_message(&JsValue::from_str(&message)).ok();
        } else {
            *self.status.pending.borrow_mut() = Some(message);
        }
    }

    /// Ends the current search.
    pub(crate) fn stop(&self) {
        *self.status.pending.borrow_mut() = None;
        if self.status.search.take().is_some() && self.status.is_ready.get() {
            self.worker.post_message(&JsValue::from_str(STOP)).ok();
        }
    }
}

impl Drop for SearchWorker {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// Splits a message into the number of its search and the rest.
fn numbered(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.split_once(' ')?;
    Some((number.parse().ok()?, rest))
}

/// The worker's side: waits for requests, and searches.
pub(crate) fn run_worker() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let current = Rc::<Cell<u32>>::default();
    let reply_scope = scope.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let text = event.data().as_string().unwrap_or_default();
        let Some((number, request)) = numbered(&text) else {
            // The stop message.
            current.set(0);
            return;
        };
        if let Ok(SearchRequest { run, limits }) = serde_json::from_str(request) {
            current.set(number);
            let search = Search::new(run, limits);
            explore(reply_scope.clone(), search, number, Rc::clone(&current));
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The handler lives as long as the worker.
    on_message.forget();
    scope.post_message(&JsValue::from_str(READY)).ok();
}

/// Explores a slice and reports, then lets the worker receive messages before the next slice.
fn explore(
    scope: DedicatedWorkerGlobalScope,
    mut search: Search,
    number: u32,
    current: Rc<Cell<u32>>,
) {
    if current.get() != number {
        return;
    }
    let stage = search.explore(STATES_PER_REPORT);
    let report = serde_json::to_string(&SearchReport::from_search(&search)).unwrap_or_default();
    // This fails only if the page is gone; the browser then terminates the worker.
    scope.post_message(&JsValue::from_str(&format!("{number} {report}"))).ok();
    if stage == SearchStage::Searching {
        Timeout::new(0, move || explore(scope, search, number, current)).forget();
    }
}
