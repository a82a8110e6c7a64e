//! `GET /api/events`: everything that happens, as it happens, to whoever watches.
//!
//! - A viewer is never waited for: it reads from a ring, and begins again with a snapshot where
//!   it has fallen out of it.
//! - Viewers have what a person can follow, and no more, so that they don't slow down what they
//!   watch: where more happens than that, each misses some of it, and is told so.
//! - A viewer that takes nothing, or is silent, for half a minute is gone.
//! - What happened before the server ended is told before the stream ends.

use std::future::ready;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use super::AppState;
use crate::published::{Published, Snapshot, Viewer, ViewerUpdate};

/// After so many messages in a row it is looked whether the viewer has said something. At one
/// round in 33 ms it is enough for a million events a second.
const ROUND_MESSAGES_MAX: usize = 64;

/// So it is after this long, where the viewer takes its time.
const ROUND_TIME_MAX: Duration = Duration::from_secs(1);

/// Messages are gathered for at most this long: 30 times a second is what a screen can show.
/// Viewers are told at the same moments, so that what is written for one serves all.
const ROUND_INTERVAL: Duration = Duration::from_millis(33);

/// How many bytes of events a viewer is told in a second: some 30,000 events, far more than a page
/// can show.
const BYTES_PER_SECOND: i64 = 4_000_000;

/// A viewer that was lost begins again at most this often: it should see something of what happens
/// between two snapshots.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// How often a viewer is asked whether it is there, and, where nothing happens, told so.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// A viewer that takes nothing, or doesn't even answer a ping, for this long is gone.
const VIEWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for a viewer's goodbye.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// Nothing that a viewer says means anything, so it need not be long.
const INBOUND_LEN_MAX: usize = 4_096;

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    from: Option<u64>,
}

pub(super) async fn events(
    Shared(app): Shared<AppState>,
    Query(EventsQuery { from }): Query<EventsQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(permit) = app.viewer_permits.clone().try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many viewers\n").into_response();
    };
    let upgrade = upgrade.max_message_size(INBOUND_LEN_MAX).max_frame_size(INBOUND_LEN_MAX);
    upgrade.on_upgrade(async move |socket| {
        let viewer = app.published.subscribe(from.map(LogIndex::new));
        let now = Instant::now();
        let connection = ViewerConnection {
            app,
            socket,
            viewer,
            budget: ByteBudget::new(now),
            next_snapshot_at: now,
            last_received: now,
            last_sent: now,
            next_ping: now + HEARTBEAT_INTERVAL,
        };
        connection.run().await;
        drop(permit);
    })
}

#[derive(Serialize)]
struct EventsMessage<'a> {
    r#type: &'static str,
    events: &'a [Event],
}

impl AppState {
    /// When viewers are told next what has happened by then.
    fn next_round(&self) -> Instant {
        let (now, interval) = (Instant::now(), ROUND_INTERVAL.as_millis());
        let rounds = now.duration_since(self.started_at).as_millis() / interval + 1;
        let after = u64::try_from(rounds * interval).unwrap_or(u64::MAX);
        self.started_at + Duration::from_millis(after)
    }
}

/// One viewer being told everything.
struct ViewerConnection {
    app: AppState,
    socket: WebSocket,
    viewer: Viewer,
    budget: ByteBudget,
    /// When it may begin again, should it be lost.
    next_snapshot_at: Instant,
    /// When something last came from it.
    last_received: Instant,
    /// When it was last told something.
    last_sent: Instant,
    /// When to ask next whether it is there.
    next_ping: Instant,
}

/// How much of the events a viewer may be told: as much as a second's worth at once. Below zero
/// where the last message had more than was left.
struct ByteBudget {
    available: i64,
    refilled_at: Instant,
}

/// The viewer has left, or takes too long.
struct Disconnected;

impl ViewerConnection {
    /// Goes on until the viewer leaves or the server ends.
    async fn run(mut self) {
        loop {
            // Looked at before the news: what is set now comes after all that there will be.
            let shutting_down = *self.app.shutting_down.borrow();
            let next_round = self.app.next_round();
            let Ok(has_more) = self.send_updates(shutting_down).await else { return };
            if shutting_down && !has_more {
                return self.close().await;
            }
            if !shutting_down {
                sleep_until(next_round).await;
            }
            if self.wait_for_update(has_more).await.is_err() {
                return;
            }
        }
    }

    /// Tells what the viewer hasn't seen yet, as far as it may be told by now, or all of it. Says
    /// whether there is more of it.
    async fn send_updates(&mut self, send_all: bool) -> Result<bool, Disconnected> {
        let started = Instant::now();
        for _ in 0..ROUND_MESSAGES_MAX {
            let now = Instant::now();
            if now > started + ROUND_TIME_MAX {
                return Ok(true);
            }
            if self.budget.is_exhausted(now) && !send_all {
                return Ok(true);
            }
            match self.viewer.next_update() {
                ViewerUpdate::UpToDate => return Ok(false),
                ViewerUpdate::Events { batch, first_unseen, is_last } => {
                    let message = match first_unseen {
                        0 => batch.encoded(events_json),
                        _ => events_json(&batch.events()[first_unseen..]).into(),
                    };
                    self.budget.consume(message.len());
                    self.send_text(message).await?;
                    if is_last {
                        return Ok(false);
                    }
                }
                ViewerUpdate::SnapshotRequired if now < self.next_snapshot_at && !send_all => {
                    return Ok(true);
                }
                ViewerUpdate::SnapshotRequired => {
                    self.send_snapshot().await?;
                    self.next_snapshot_at = Instant::now() + SNAPSHOT_INTERVAL_MIN;
                }
            }
        }
        Ok(true)
    }

    async fn send_snapshot(&mut self) -> Result<(), Disconnected> {
        let (snapshot, missed) =
            self.viewer.start_from_snapshot().await.map_err(|_| Disconnected)?;
        let (_, at) = self.app.published.latest();
        let recovered = self.app.published.recovered_index();
        let encoded = spawn_blocking(move || {
            let text = snapshot_json(&snapshot, at.as_millis(), missed, recovered);
            (text, snapshot)
        });
        let (text, snapshot) = encoded.await.map_err(|_| Disconnected)?;
        self.send_text(text.into()).await?;
        // Until here another viewer may share it.
        drop(snapshot);
        Ok(())
    }

    /// Waits until there are news, and sees to it meanwhile that the viewer is there.
    async fn wait_for_update(&mut self, has_more: bool) -> Result<(), Disconnected> {
        loop {
            let next_heartbeat = self.next_ping.min(self.last_sent + HEARTBEAT_INTERVAL);
            tokio::select! {
                // Before it is found silent, it is heard; and both before there are more news.
                biased;
                message = self.socket.recv() => {
                    let Some(Ok(_)) = message else { return Err(Disconnected) };
                    self.last_received = Instant::now();
                }
                () = sleep_until(next_heartbeat) => self.send_due_heartbeat().await?,
                _ = self.app.shutting_down.changed() => return Ok(()),
                () = ready(()), if has_more => return Ok(()),
                changed = self.viewer.changed() => return changed.map_err(|_| Disconnected),
            }
        }
    }

    async fn send_due_heartbeat(&mut self) -> Result<(), Disconnected> {
        if self.last_received.elapsed() > VIEWER_TIMEOUT {
            return Err(Disconnected);
        }
        if self.next_ping <= Instant::now() {
            self.send(Message::Ping(Bytes::new())).await?;
            self.next_ping = Instant::now() + HEARTBEAT_INTERVAL;
        }
        // Scripts see no ping, so they are told as well.
        if self.last_sent.elapsed() >= HEARTBEAT_INTERVAL {
            let text = heartbeat_json(&self.app.published);
            self.send_text(text.into()).await?;
        }
        Ok(())
    }

    async fn send_text(&mut self, text: Utf8Bytes) -> Result<(), Disconnected> {
        self.send(Message::Text(text)).await?;
        self.last_sent = Instant::now();
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Disconnected> {
        match timeout(VIEWER_TIMEOUT, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Disconnected),
        }
    }

    async fn close(mut self) {
        let reason = "the server ends".into();
        let close = Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }));
        let closing = async {
            let _ = self.socket.send(close).await;
            // Who closes at once with something unread loses what was on its way.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl ByteBudget {
    const fn new(at: Instant) -> Self {
        Self { available: BYTES_PER_SECOND, refilled_at: at }
    }

    /// Whether there is nothing left of it at this moment.
    fn is_exhausted(&mut self, now: Instant) -> bool {
        let micros =
            i64::try_from(now.duration_since(self.refilled_at).as_micros()).unwrap_or(i64::MAX);
        let refill = micros.saturating_mul(BYTES_PER_SECOND) / 1_000_000;
        if refill > 0 {
            self.available = self.available.saturating_add(refill).min(BYTES_PER_SECOND);
            self.refilled_at = now;
        }
        self.available <= 0
    }

    const fn consume(&mut self, bytes: usize) {
        self.available = self.available.saturating_sub_unsigned(bytes as u64);
    }
}

fn events_json(events: &[Event]) -> String {
    let events = EventsMessage { r#type: "events", events };
    serde_json::to_string(&events).expect("events are JSON")
}

fn snapshot_json(snapshot: &Snapshot, at_ms: u64, missed: u64, recovered: LogIndex) -> String {
    let index = snapshot.index();
    let missed = if missed > 0 { format!(r#","missed":{missed}"#) } else { String::new() };
    let state = snapshot.json();
    let head = format!(r#""type":"snapshot","index":{index},"at_ms":{at_ms}{missed}"#);
    format!(r#"{{{head},"recovered":{recovered},"state":{state}}}"#)
}

fn heartbeat_json(published: &Published) -> String {
    let (index, at) = published.latest();
    json!({"type": "heartbeat", "index": index, "at_ms": at}).to_string()
}
