//! The stream of events over a WebSocket, and the bytes of files, from the server that served
//! this page.

use gloo_events::EventListener;
use gloo_net::http::Request;
use leasehold_core::id::{LogIndex, Name};
use wasm_bindgen::JsCast as _;
use web_sys::{MessageEvent, WebSocket};
use yew::Callback;

/// One connection. Closed when it is dropped; then nothing more comes of it.
pub(crate) struct Socket {
    socket: WebSocket,
    /// Kept, since the browser calls into them.
    _listeners: [EventListener; 3],
}

/// What comes of a connection.
pub(crate) enum SocketEvent {
    Message(String),
    /// It is gone, or never came to be.
    Closed,
}

impl Socket {
    /// Asks for what happened after `after`, or for everything. None where the browser refuses
    /// even to try.
    pub(crate) fn open(after: Option<LogIndex>, callback: &Callback<SocketEvent>) -> Option<Self> {
        let from = after.map_or_else(String::new, |after| format!("?from={after}"));
        let socket = WebSocket::new(&format!("{}api/events{from}", websocket_base_url()?)).ok()?;
        let message = callback.clone();
        let message = EventListener::new(&socket, "message", move |event| {
            let data = event.dyn_ref::<MessageEvent>().and_then(|event| event.data().as_string());
            if let Some(text) = data {
                message.emit(SocketEvent::Message(text));
            }
        });
        let close_listener = |kind| {
            let callback = callback.clone();
            EventListener::new(&socket, kind, move |_| callback.emit(SocketEvent::Closed))
        };
        let listeners = [message, close_listener("close"), close_listener("error")];
        Some(Self { socket, _listeners: listeners })
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // It may be closed already; then there is nothing to do.
        self.socket.close().ok();
    }
}

/// Where the page itself lies, as an address of a WebSocket.
fn websocket_base_url() -> Option<String> {
    let location = web_sys::window()?.location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    let path = location.pathname().ok()?;
    let folder = &path[..=path.rfind('/')?];
    Some(format!("{scheme}://{}{folder}", location.host().ok()?))
}

/// The server's state, where it can be had.
pub(crate) async fn fetch_state() -> Option<String> {
    let response = Request::get("api/state").send().await.ok()?;
    if response.ok() { response.text().await.ok() } else { None }
}

/// The bytes of a guarded file, where they can be had.
pub(crate) async fn fetch_file(name: &Name) -> Option<Vec<u8>> {
    let response = Request::get(&format!("api/files/{name}")).send().await.ok()?;
    if response.ok() { response.binary().await.ok() } else { None }
}
