//! What is seen: tables of what is known, and whether it is still true.

use wasm_bindgen::JsCast as _;
use wasm_bindgen::prelude::Closure;
use web_sys::{MessageEvent, WebSocket};
use yew::{Component, Context, Html, html};

use crate::model::Model;

/// The whole page.
pub(crate) struct Page {
    model: Model,
    live: bool,
    /// Kept, since the browser calls into them.
    socket: Option<(WebSocket, Closure<dyn FnMut(MessageEvent)>, Closure<dyn FnMut()>)>,
}

/// What the stream brings.
pub(crate) enum News {
    Message(String),
    Closed,
}

impl Component for Page {
    type Message = News;
    type Properties = ();

    fn create(ctx: &Context<Self>) -> Self {
        let mut page = Self { model: Model::default(), live: false, socket: None };
        page.connect(ctx);
        page
    }

    fn update(&mut self, _: &Context<Self>, news: News) -> bool {
        match news {
            News::Message(text) => self.live = self.model.take(&text).is_ok(),
            News::Closed => self.live = false,
        }
        true
    }

    fn view(&self, _: &Context<Self>) -> Html {
        let status = if self.live { "live" } else { "lost: no answer from the server; reload" };
        let locks = self.model.state.locks().iter().map(|(name, lock)| {
            let holder = lock.tenure().and_then(|it| self.model.state.session(it.session_no));
            let holder = holder.map_or_else(|| "free".to_owned(), |it| it.client.to_string());
            let token = lock.tenure().map(|it| it.token.to_string()).unwrap_or_default();
            html! { <tr key={name.to_string()}>
                <td>{ name.to_string() }</td><td>{ holder }</td><td>{ token }</td>
                <td>{ lock.line().len() }</td>
            </tr> }
        });
        let events = self.model.recent.iter().take(50).map(|event| {
            html! { <li key={event.index.number()} data-testid="log-row">
                { format!("{} {}", event.at, event.fact.word()) }
            </li> }
        });
        html! { <main>
            <h1>{ "leasehold" }</h1>
            <p data-testid="live-status" role="status">{ status }</p>
            <table>
                <caption>{ "Locks" }</caption>
                <thead><tr><th>{ "lock" }</th><th>{ "holder" }</th><th>{ "token" }</th>
                    <th>{ "waiting" }</th></tr></thead>
                <tbody>{ for locks }</tbody>
            </table>
            <ol data-testid="log">{ for events }</ol>
        </main> }
    }
}

impl Page {
    fn connect(&mut self, ctx: &Context<Self>) {
        let Some(host) = web_sys::window().and_then(|window| window.location().host().ok()) else {
            return;
        };
        let Ok(socket) = WebSocket::new(&format!("ws://{host}/api/events")) else { return };
        let link = ctx.link().clone();
        let message = Closure::<dyn FnMut(MessageEvent)>::new(move |event: MessageEvent| {
            if let Some(text) = event.data().as_string() {
                link.send_message(News::Message(text));
            }
        });
        let link = ctx.link().clone();
        let closed = Closure::<dyn FnMut()>::new(move || link.send_message(News::Closed));
        socket.set_onmessage(Some(message.as_ref().unchecked_ref()));
        socket.set_onclose(Some(closed.as_ref().unchecked_ref()));
        self.socket = Some((socket, message, closed));
    }
}
