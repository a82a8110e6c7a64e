//! `GET /api/events`: everything that happens, as it happens, to whoever watches.
//!
//! A viewer is never waited for: it reads from a ring, and begins again with a snapshot where it
//! has fallen out of it.

use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use leasehold_core::id::Index;
use leasehold_core::state::State;
use serde::Deserialize;
use serde_json::json;
use tokio::time::{Instant, sleep_until, timeout};

use super::App;
use crate::published::News;

/// At most this many events go into one message.
const EVENTS_MAX: usize = 512;

/// Messages are not sent more often than this: 30 a second is what a screen can show.
const MESSAGE_EVERY: Duration = Duration::from_millis(33);

/// Where nothing happens, this often it is said that nothing does.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);

/// A viewer who takes nothing for this long is gone.
const SEND_MAX: Duration = Duration::from_secs(20);

#[derive(Deserialize)]
pub(super) struct From {
    from: Option<u64>,
}

pub(super) async fn events(
    Shared(app): Shared<App>,
    Query(From { from }): Query<From>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(seat) = app.viewers.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    };
    upgrade.max_message_size(4_096).on_upgrade(async move |socket| {
        follow(app, socket, from.map(Index::new)).await;
        drop(seat);
    })
}

/// Tells one viewer everything, until it leaves or the server ends.
async fn follow(app: App, mut socket: WebSocket, mut seen: Option<Index>) {
    let mut newest = app.published.newest();
    let mut ending = app.ending.clone();
    loop {
        let until = Instant::now() + MESSAGE_EVERY;
        newest.mark_unchanged();
        if !tell_all(&app, &mut socket, &mut seen).await {
            return;
        }
        if *ending.borrow() {
            let reason = "the server ends".into();
            let frame = CloseFrame { code: close_code::AWAY, reason };
            let _ = socket.send(Message::Close(Some(frame))).await;
            return;
        }
        sleep_until(until).await;
        let quiet = Instant::now() + HEARTBEAT_EVERY;
        loop {
            tokio::select! {
                changed = newest.changed() => {
                    if changed.is_err() { return }
                    break;
                }
                _ = ending.changed() => break,
                () = sleep_until(quiet) => {
                    if !send(&mut socket, heartbeat(&app)).await { return }
                    let _ = socket.send(Message::Ping(Bytes::new())).await;
                    break;
                }
                // Nothing that a viewer says means anything, but that it is gone.
                message = socket.recv() => if !matches!(message, Some(Ok(_))) { return },
            }
        }
    }
}

/// Sends what the viewer hasn't seen yet. Says whether it is still there.
async fn tell_all(app: &App, socket: &mut WebSocket, seen: &mut Option<Index>) -> bool {
    loop {
        let message = match app.published.news(*seen, EVENTS_MAX) {
            News::Nothing => return true,
            News::Snapshot { state, missed } => {
                *seen = Some(state.index());
                snapshot(&state, missed)
            }
            News::Events(events) => {
                let mut text = r#"{"type":"events","events":["#.to_owned();
                for (n, shown) in events.iter().enumerate() {
                    if n > 0 {
                        text.push(',');
                    }
                    text.push_str(shown.json());
                }
                text.push_str("]}");
                *seen = events.last().map(|shown| shown.event.index).or(*seen);
                text
            }
        };
        if !send(socket, message).await {
            return false;
        }
    }
}

fn snapshot(state: &State, missed: u64) -> String {
    let mut message = json!({
        "type": "snapshot",
        "index": state.index(),
        "at_ms": state.now(),
        "state": state,
    });
    if missed > 0 {
        message["missed"] = json!(missed);
    }
    message.to_string()
}

fn heartbeat(app: &App) -> String {
    let (index, now) = app.published.look(|state| (state.index(), state.now()));
    json!({"type": "heartbeat", "index": index, "at_ms": now}).to_string()
}

async fn send(socket: &mut WebSocket, text: String) -> bool {
    matches!(timeout(SEND_MAX, socket.send(Message::Text(text.into()))).await, Ok(Ok(())))
}
