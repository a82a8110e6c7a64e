//! The second window, for the one who talks: what is on the first one, what comes next, and the
//! answer. The two speak over a channel that never leaves the browser.

use gloo_events::EventListener;
use wasm_bindgen::{JsCast as _, JsValue};
use web_sys::{BroadcastChannel, MessageEvent};
use yew::{Callback, Component, Context, Html, html};

use crate::browser;
use crate::model::notes::Notes;

/// What the channel is called.
const NAME: &str = "leasehold-notes";

/// What the second window says when it opens.
const HELLO: &str = "hello";

/// One end of the channel.
pub(crate) struct Channel {
    line: BroadcastChannel,
    /// Whether anybody has said that it is there, and what it was told last.
    is_heard: bool,
    told: String,
    /// Kept, since it ends when it is dropped.
    _listener: EventListener,
}

impl Channel {
    /// None where the browser has no such thing.
    pub(crate) fn open(heard: Callback<String>) -> Option<Self> {
        let line = BroadcastChannel::new(NAME).ok()?;
        let listener = EventListener::new(&line, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            if let Some(text) = data {
                heard.emit(text);
            }
        });
        Some(Self { line, is_heard: false, told: String::new(), _listener: listener })
    }

    fn say(&self, text: &str) {
        // Who can't be told is not there.
        self.line.post_message(&JsValue::from_str(text)).ok();
    }

    /// The other end has said something.
    pub(crate) fn hear(&mut self, text: &str) {
        if text == HELLO {
            self.is_heard = true;
            self.told.clear();
        }
    }

    /// Tells the other end, where there is one, what it doesn't know yet.
    pub(crate) fn tell(&mut self, notes: impl FnOnce() -> Notes) {
        if !self.is_heard {
            return;
        }
        let text = notes().write();
        if text != self.told {
            self.say(&text);
            self.told = text;
        }
    }
}

/// Opens the second window.
pub(crate) fn open_window() {
    let size = "popup,width=560,height=720";
    if let Some(window) = browser::window() {
        // A browser that opens no windows says so itself.
        window.open_with_url_and_target_and_features("?mode=notes", NAME, size).ok();
    }
}

/// The second window.
pub(crate) struct NotesPage {
    notes: Option<Notes>,
    _channel: Option<Channel>,
}

impl Component for NotesPage {
    type Message = String;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let channel = Channel::open(ctx.link().callback(|text| text));
        if let Some(channel) = &channel {
            channel.say(HELLO);
        }
        Self { notes: None, _channel: channel }
    }

    fn update(&mut self, _: &Context<Self>, text: String) -> bool {
        let notes = Notes::read(&text);
        let is_news = notes.is_some();
        self.notes = notes.or(self.notes.take());
        is_news
    }

    fn view(&self, _: &Context<Self>) -> Html {
        let Some(notes) = &self.notes else {
            return html! {
                <main class="notes" data-testid="notes">
                    <p class="nothing">
                        { "These notes follow the page in another window of this browser. \
                           Open it, and leave it open." }
                    </p>
                </main>
            };
        };
        let Notes { title, point, time, caption, next, ask, options, why } = notes.clone();
        html! {
            <main class="notes" data-testid="notes">
                <header><h1>{ title }</h1><p class="clock">{ time }</p></header>
                <p class="nothing">{ point }</p>
                <h2>{ "Now" }</h2><p class="now">{ caption }</p>
                <h2>{ "Next" }</h2><p data-testid="notes-next">{ next }</p>
                <h2>{ "The question" }</h2>
                <p>{ ask }</p>
                <ol>{ for options.into_iter().map(|option| html! { <li>{ option }</li> }) }</ol>
                <p class="nothing">{ why }</p>
            </main>
        }
    }
}
