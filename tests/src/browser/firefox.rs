//! Firefox: its settings, and what its driver does in its own way.
//!
//! The driver has no command for the messages of the console. They come as events of WebDriver
//! BiDi, over a WebSocket beside the driver's commands.

use std::net::TcpStream;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{self, Message, WebSocket};

use super::{Browser, free_port};
use crate::wait::{WAIT_LIMIT, wait_for};

/// Only one Firefox runs at a time: each has several processes that are busy at its start.
static TURN: Mutex<()> = Mutex::new(());

/// The window must be able to become as narrow as a phone.
const WINDOW_STYLE: &str = ":root { min-width: 0 !important; min-height: 0 !important; }";

pub(super) fn wait_for_turn() -> MutexGuard<'static, ()> {
    // A test that failed has dropped its browser.
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(super) fn driver_arguments(port: u16) -> Vec<String> {
    // The default of the second port is the same for all drivers.
    let (marionette, events) = (free_port(), free_port());
    vec![
        format!("--port={port}"),
        format!("--marionette-port={marionette}"),
        format!("--websocket-port={events}"),
    ]
}

/// # Panics
/// If the profile cannot be written.
pub(super) fn capabilities(profile: &Path) -> Value {
    let style = profile.join("chrome");
    std::fs::create_dir_all(&style).expect("the profile can be written");
    std::fs::write(style.join("userChrome.css"), WINDOW_STYLE).expect("the profile can be written");
    json!({ "webSocketUrl": true, "moz:firefoxOptions": {
        "args": ["-headless", "-profile", profile],
        "prefs": {
            "toolkit.legacyUserProfileCustomizations.stylesheets": true,
            // The preferences of a light theme with motion, whatever this machine has.
            "layout.css.prefers-color-scheme.content-override": 1,
            "ui.prefersReducedMotion": 0,
            // Nothing but the page's own requests.
            "app.normandy.enabled": false,
            "network.captive-portal-service.enabled": false,
            "network.connectivity-service.enabled": false,
        },
    }})
}

impl Browser {
    /// Resizes the window until the viewport has this size: the driver knows only the size of the
    /// window.
    pub(super) fn resize_firefox(&self, width: u32, height: u32) {
        let (mut window_width, mut window_height) = (width, height);
        wait_for("the size of the viewport", || {
            let size = self.client.set_window_size(window_width, window_height);
            self.runtime.block_on(size).expect("the window can be resized");
            let inner = self.run("return [innerWidth, innerHeight]");
            let length = |index: usize| {
                inner[index].as_u64().and_then(|length| u32::try_from(length).ok()).unwrap_or(0)
            };
            if (length(0), length(1)) == (width, height) {
                return Some(());
            }
            window_width = (window_width + width).saturating_sub(length(0));
            window_height = (window_height + height).saturating_sub(length(1));
            None
        });
    }
}

/// The messages of the console.
pub(super) struct Console {
    socket: WebSocket<TcpStream>,
    last_command: u64,
}

impl Console {
    /// Subscribes to the messages, at the URL that the driver has named.
    ///
    /// # Panics
    /// If the browser does not accept it.
    pub(super) fn subscribe(url: &str) -> Self {
        let host = url.strip_prefix("ws://").and_then(|rest| rest.split('/').next());
        let host = host.unwrap_or_else(|| panic!("{url} has no host"));
        let stream = TcpStream::connect(host).unwrap_or_else(|error| panic!("{url}: {error}"));
        stream.set_read_timeout(Some(WAIT_LIMIT)).expect("a time limit");
        let (socket, _) = tungstenite::client(url, stream).expect("the browser accepts it");
        let mut console = Self { socket, last_command: 0 };
        console.call("session.subscribe", &json!({"events": ["log.entryAdded"]}));
        console
    }

    /// Returns the warnings and errors of pages since the last call.
    pub(super) fn errors(&mut self) -> Vec<String> {
        // Everything that was logged before the answer to a command comes before it.
        let entries = self.call("session.status", &json!({}));
        let is_error = |entry: &&Value| ["error", "warn"].iter().any(|it| entry["level"] == *it);
        let text = |entry: &Value| entry["text"].as_str().unwrap_or_default().to_owned();
        entries.iter().filter(is_error).map(text).collect()
    }

    /// Sends a command. Returns the entries that were logged before its answer.
    fn call(&mut self, method: &str, parameters: &Value) -> Vec<Value> {
        self.last_command += 1;
        let command = json!({"id": self.last_command, "method": method, "params": parameters});
        self.socket.send(Message::text(command.to_string())).expect("the browser reads");
        let mut entries = Vec::new();
        loop {
            let message = self.socket.read().expect("the browser answers");
            let Message::Text(text) = message else { continue };
            let message: Value = serde_json::from_str(&text).expect("the browser sends JSON");
            if message["method"] == "log.entryAdded" {
                entries.push(message["params"].clone());
            } else if message["id"] == self.last_command {
                assert_eq!(message["type"], "success", "{method}: {message}");
                return entries;
            }
        }
    }
}
