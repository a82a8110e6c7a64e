//! Searches for a violation in a web worker, so that the page stays responsive.
//!
//! The worker is this same program, loaded again by a script of its own. It accepts one request,
//! reports its progress, and ends with the result. Dropping the [`SearchWorker`] terminates it.

use gloo_events::EventListener;
use leasehold_sim::{Search, SearchStage};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, Worker, WorkerOptions, WorkerType};
use yew::Callback;

use super::search_protocol::{SearchReport, SearchRequest, WorkerEvent};

/// The number of states between two reports.
const STATES_PER_REPORT: u64 = 20_000;

/// The worker's first message: it can receive the request.
const READY: &str = "ready";

/// The page's side of a running search.
pub(crate) struct SearchWorker {
    worker: Worker,
    _listeners: [EventListener; 2],
}

impl SearchWorker {
    /// Starts a worker from the script at this address. Returns `None` if the browser can't.
    pub(crate) fn start(
        script: &str,
        request: &SearchRequest,
        callback: &Callback<WorkerEvent>,
    ) -> Option<Self> {
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(script, &options).ok()?;
        let request = serde_json::to_string(request).ok()?;
        let (events, request_target) = (callback.clone(), worker.clone());
        let message_listener = EventListener::new(&worker, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            match data {
                Some(text) if text == READY => {
                    request_target.post_message(&JsValue::from_str(&request)).ok();
                }
                Some(text) => events.emit(WorkerEvent::Report(text)),
                None => events.emit(WorkerEvent::Failed),
            }
        });
        let on_error = callback.clone();
        let error_listener =
            EventListener::new(&worker, "error", move |_| on_error.emit(WorkerEvent::Failed));
        Some(Self { worker, _listeners: [message_listener, error_listener] })
    }
}

impl Drop for SearchWorker {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// The worker's side: waits for its request, then searches.
pub(crate) fn run_worker() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let reply_scope = scope.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let request = event.data().as_string();
        if let Some(request) = request.and_then(|text| serde_json::from_str(&text).ok()) {
            search(&reply_scope, request);
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // The handler lives as long as the worker.
    on_message.forget();
    scope.post_message(&JsValue::from_str(READY)).ok();
}

fn search(scope: &DedicatedWorkerGlobalScope, SearchRequest { run, limits }: SearchRequest) {
    let mut search = Search::new(run, limits);
    loop {
        let stage = search.explore(STATES_PER_REPORT);
        let report = serde_json::to_string(&SearchReport::from_search(&search)).unwrap_or_default();
        // This fails only if the page is gone; the browser then terminates the worker.
        scope.post_message(&JsValue::from_str(&report)).ok();
        if stage != SearchStage::Searching {
            return;
        }
    }
}
