//! The search for a violation, in a worker: the page stays as quick as it is.
//!
//! The worker is this very program, loaded a second time by a script of its own. It takes one
//! order, tells how far it is, and at its end what it found. Whoever drops it ends it.

use gloo_events::EventListener;
use leasehold_sim::{Search, Stage};
use wasm_bindgen::closure::Closure;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{DedicatedWorkerGlobalScope, MessageEvent, Worker, WorkerOptions, WorkerType};
use yew::Callback;

use crate::browser;
use crate::model::hunt::{Order, Report};

/// After so many states it tells how far it is.
const STATES_BETWEEN: u64 = 20_000;

/// What the worker says when it can take its order.
const READY: &str = "ready";

/// A search that goes on.
pub(crate) struct Searcher {
    worker: Worker,
    _listeners: [EventListener; 2],
}

/// What came of it.
pub(crate) enum Told {
    /// A report, as JSON.
    Report(String),
    /// It could not even be loaded.
    Failed,
}

impl Searcher {
    /// Begins; none where the browser can't.
    pub(crate) fn start(order: &Order, callback: &Callback<Told>) -> Option<Self> {
        let script = browser::meta("leasehold-worker")?;
        let options = WorkerOptions::new();
        options.set_type(WorkerType::Module);
        let worker = Worker::new_with_options(&script, &options).ok()?;
        let order = serde_json::to_string(order).ok()?;
        let (told, asked) = (callback.clone(), worker.clone());
        let message = EventListener::new(&worker, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            match data {
                Some(text) if text == READY => {
                    // It has just said that it listens.
                    asked.post_message(&JsValue::from_str(&order)).ok();
                }
                Some(text) => told.emit(Told::Report(text)),
                None => told.emit(Told::Failed),
            }
        });
        let failed = callback.clone();
        let error = EventListener::new(&worker, "error", move |_| failed.emit(Told::Failed));
        Some(Self { worker, _listeners: [message, error] })
    }
}

impl Drop for Searcher {
    fn drop(&mut self) {
        self.worker.terminate();
    }
}

/// The worker's side: waits for its order.
pub(crate) fn serve() {
    let Ok(scope) = js_sys::global().dyn_into::<DedicatedWorkerGlobalScope>() else { return };
    let own = scope.clone();
    let take = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
        let order = event.data().as_string();
        if let Some(order) = order.and_then(|text| serde_json::from_str::<Order>(&text).ok()) {
            search(&own, order);
        }
    });
    scope.set_onmessage(Some(take.as_ref().unchecked_ref()));
    // It lives as long as the worker does.
    take.forget();
    scope.post_message(&JsValue::from_str(READY)).ok();
}

fn search(scope: &DedicatedWorkerGlobalScope, Order { run, bounds }: Order) {
    let mut search = Search::new(run, bounds);
    loop {
        let stage = search.go(STATES_BETWEEN);
        let report = serde_json::to_string(&Report::of(&search)).unwrap_or_default();
        // Nobody hears it where the page has gone; then the worker is ended.
        scope.post_message(&JsValue::from_str(&report)).ok();
        if stage != Stage::Searching {
            return;
        }
    }
}
