//! The presenter's notes in a second window: the current caption, the next one, and the answer.
//! The windows communicate over a channel that never leaves the browser.

use gloo_events::EventListener;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};
use yew::{Callback, Component, Context, Html, html};

use crate::area::present::NOTES_HELLO;
use crate::browser;
use crate::model::notes::Notes;

const CHANNEL_NAME: &str = "leasehold-notes";

/// One end of the channel.
pub(crate) struct NotesChannel {
    channel: BroadcastChannel,
    /// Retained, because dropping it removes the listener.
    _listener: EventListener,
}

impl NotesChannel {
    /// Opens the channel. Returns `None` if the browser does not support it.
    pub(crate) fn open(on_message: Callback<String>) -> Option<Self> {
        let channel = BroadcastChannel::new(CHANNEL_NAME).ok()?;
        let listener = EventListener::new(&channel, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            if let Some(text) = data {
                on_message.emit(text);
            }
        });
        Some(Self { channel, _listener: listener })
    }

    pub(crate) fn post(&self, text: &str) {
        // A failed post means that no window is listening.
        self.channel.post_message(&JsValue::from_str(text)).ok();
    }
}

/// Opens the second window.
pub(crate) fn open_window() {
    let size = "popup,width=560,height=720";
    if let Some(window) = browser::window() {
        // A browser that blocks the window shows its own message.
        window.open_with_url_and_target_and_features("?mode=notes", CHANNEL_NAME, size).ok();
    }
}

/// The root component of the notes window.
pub(crate) struct NotesWindow {
    notes: Option<Notes>,
    _channel: Option<NotesChannel>,
}

impl Component for NotesWindow {
    type Message = String;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let channel = NotesChannel::open(ctx.link().callback(|text| text));
        if let Some(channel) = &channel {
            channel.post(NOTES_HELLO);
        }
        Self { notes: None, _channel: channel }
    }

    fn update(&mut self, _: &Context<Self>, text: String) -> bool {
        let notes = Notes::decode(&text);
        let is_valid = notes.is_some();
        self.notes = notes.or(self.notes.take());
        is_valid
    }

    fn view(&self, _: &Context<Self>) -> Html {
        let Some(notes) = &self.notes else {
            return html! {
                <main class="notes" data-testid="notes">
                    <p class="nothing">
                        { "These notes follow the page in another window of this browser. \
                        Keep that window open." }
                    </p>
                </main>
            };
        };
        let Notes { title, point, time, caption, next, question, options, explanation } =
            notes.clone();
        html! {
            <main class="notes" data-testid="notes">
                <header><h1>{ title }</h1><p class="clock">{ time }</p></header>
                <p class="nothing">{ point }</p>
                <h2>{ "Now" }</h2><p class="now">{ caption }</p>
                <h2>{ "Next" }</h2><p data-testid="notes-next">{ next }</p>
                <h2>{ "Question" }</h2>
                <p>{ question }</p>
                <ol>{ for options.into_iter().map(|option| html! { <li>{ option }</li> }) }</ol>
                <p class="nothing">{ explanation }</p>
            </main>
        }
    }
}
