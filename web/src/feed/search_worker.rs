//! The search for a violation, in a worker: the page stays as quick as it is.
//!
//! The worker is this very program, loaded a second time by a script of its own. It takes one
//! order, tells how far it is, and at its end what it found. Whoever drops it ends it.

use gloo_events::EventListener;
use leasehold_sim::{Search, SearchStage};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, Worker, WorkerOptions, WorkerType};
use yew::Callback;

use crate::browser;
use crate::model::violation_search::{SearchReport, SearchRequest};

/// After so many states it tells how far it is.
const STATES_PER_REPORT: u64 = 20_000;

/// What the worker says when it can take its order.
const READY: &str = "ready";

/// A search that goes on.
pub(crate) struct SearchWorker {
    worker: Worker,
    _listeners: [EventListener; 2],
}

/// What came of it.
pub(crate) enum WorkerEvent {
    /// A report, as JSON.
    Report(String),
    /// It could not even be loaded.
    Failed,
}

impl SearchWorker {
    /// Begins; none where the browser can't.
    pub(crate) fn start(request: &SearchRequest, callback: &Callback<WorkerEvent>) -> Option<Self> {
        let script = browser::meta_content("leasehold-worker")?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&script, &options).ok()?;
        let request = serde_json::to_string(request).ok()?;
        let (events, request_target) = (callback.clone(), worker.clone());
        let message_listener = EventListener::new(&worker, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            match data {
                Some(text) if text == READY => {
                    // It has just said that it listens.
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

/// The worker's side: waits for its order.
pub(crate) fn run_worker() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let own = scope.clone();
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let request = event.data().as_string();
        if let Some(request) =
            request.and_then(|text| serde_json::from_str::<SearchRequest>(&text).ok())
        {
            search(&own, request);
        }
    });
    scope.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    // It lives as long as the worker does.
    on_message.forget();
    scope.post_message(&JsValue::from_str(READY)).ok();
}

fn search(
    scope: &DedicatedWorkerGlobalScope,
    SearchRequest { run, limits: bounds }: SearchRequest,
) {
    let mut run_search = Search::new(run, bounds);
    loop {
        let stage = run_search.explore(STATES_PER_REPORT);
        let report =
            serde_json::to_string(&SearchReport::from_search(&run_search)).unwrap_or_default();
        // Nobody hears it where the page has gone; then the worker is ended.
        scope.post_message(&JsValue::from_str(&report)).ok();
        if stage != SearchStage::Searching {
            return;
        }
    }
}
