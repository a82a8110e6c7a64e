//! Browser I/O with the server that served this page: the event stream over a WebSocket, its state,
//! and its files.

use gloo_events::EventListener;
use gloo_net::http::Request;
use leasehold_core::id::Name;
use wasm_bindgen::JsCast as _;
use web_sys::{MessageEvent, WebSocket};
use yew::Callback;

use super::connection::SocketEvent;
use super::resume_point::ResumePoint;

/// A WebSocket. Dropping it closes it, and no more events follow.
pub(crate) struct Socket {
    socket: WebSocket,
    /// Retained because the browser calls them.
    _listeners: [EventListener; 3],
}

impl Socket {
    /// Subscribes to the events after `after`, or to all. Returns `None` if the browser refuses to
    /// connect.
    pub(crate) fn open(
        after: Option<ResumePoint>,
        callback: &Callback<SocketEvent>,
    ) -> Option<Self> {
        let query = after.map_or_else(String::new, ResumePoint::query);
        let socket = WebSocket::new(&format!("{}api/events{query}", websocket_base_url()?)).ok()?;
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
        // This fails only if it is already closed.
        self.socket.close().ok();
    }
}

/// Returns the address of the page's folder, with a WebSocket scheme.
fn websocket_base_url() -> Option<String> {
    let location = web_sys::window()?.location();
    let scheme = if location.protocol().ok()? == "https:" { "wss" } else { "ws" };
    let path = location.pathname().ok()?;
    let folder = &path[..=path.rfind('/')?];
    Some(format!("{scheme}://{}{folder}", location.host().ok()?))
}

/// Fetches the server's state. Returns `None` on failure.
pub(crate) async fn fetch_state() -> Option<String> {
    let response = Request::get("api/state").send().await.ok()?;
    if response.ok() { response.text().await.ok() } else { None }
}

/// Fetches the contents of a guarded file. Returns `None` on failure.
pub(crate) async fn fetch_file(name: &Name) -> Option<Vec<u8>> {
    let response = Request::get(&format!("api/files/{name}")).send().await.ok()?;
    if response.ok() { response.binary().await.ok() } else { None }
}
