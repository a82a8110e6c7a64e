//! `GET /api/events`: a WebSocket that sends every event to viewers as it happens.
//!
//! - The server never waits for a viewer. A viewer reads from a ring, and restarts from a snapshot
//!   if it has fallen behind the ring.
//! - A viewer's rate is limited to what a person can follow, so that viewers do not slow down the
//!   lock service. Above that rate a viewer misses events, and the snapshot says how many.
//! - A viewer that reads nothing, or sends nothing, for half a minute is disconnected.
//! - Events from before the server stops are sent before the stream closes.

use std::future::ready;
use std::time::Duration;

use axum::body::Bytes;
use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade, close_code};
use axum::extract::{Query, State as Shared};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Response};
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::time::Time;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use super::AppState;
use crate::published::{Published, ServerStart, Snapshot, Viewer, ViewerUpdate};

/// The maximum number of messages in a round before the server checks whether the viewer has sent
/// anything. At one round in 33 ms it allows a million events a second.
const ROUND_MESSAGES_MAX: usize = 64;

/// The maximum duration of a round, for viewers that read slowly.
const ROUND_TIME_MAX: Duration = Duration::from_secs(1);

/// Events are batched for at most this long: a screen cannot usefully show more than 30 updates a
/// second. All viewers share the same rounds, so a message is encoded once for all of them.
const ROUND_INTERVAL: Duration = Duration::from_millis(33);

/// The rate limit for a viewer in bytes of events: about 30,000 events a second, far more than a
/// page can show.
const BYTES_PER_SECOND: i64 = 4_000_000;

/// The minimum interval between two snapshots for a viewer, so that it also sees the events between
/// them.
const SNAPSHOT_INTERVAL_MIN: Duration = Duration::from_secs(1);

/// The interval at which a viewer is pinged, and at which an idle stream sends heartbeats.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(5);

/// A viewer that reads nothing, or does not even answer a ping, for this long is disconnected.
const VIEWER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long to wait for a viewer's close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// The maximum length of a viewer's messages, all of which are ignored.
const INBOUND_LEN_MAX: usize = 4_096;

#[derive(Deserialize)]
pub(super) struct EventsQuery {
    /// The log index after which to resume.
    from: Option<u64>,
    /// When the server was started that the viewer knows.
    started: Option<u64>,
}

pub(super) async fn events(
    Shared(app): Shared<AppState>,
    Query(EventsQuery { from, started }): Query<EventsQuery>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let Ok(permit) = app.viewer_permits.clone().try_acquire_owned() else {
        return (
            StatusCode::SERVICE_UNAVAILABLE,
            "too many viewers; close another one and try again\n",
        )
            .into_response();
    };
    let upgrade = upgrade.max_message_size(INBOUND_LEN_MAX).max_frame_size(INBOUND_LEN_MAX);
    upgrade.on_upgrade(async move |socket| {
        // A viewer of an earlier run cannot resume: it may have seen events that are lost.
        let start = app.published.server_start();
        let is_same_run = started.is_none_or(|unix_ms| unix_ms == start.unix_ms);
        let viewer = app.published.subscribe(from.filter(|_| is_same_run).map(LogIndex::new));
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
    /// Returns when the next round begins.
    fn next_round(&self) -> Instant {
        let (now, interval) = (Instant::now(), ROUND_INTERVAL.as_millis());
        let rounds = now.duration_since(self.started_at).as_millis() / interval + 1;
        let after = u64::try_from(rounds * interval).unwrap_or(u64::MAX);
        self.started_at + Duration::from_millis(after)
    }
}

/// A connected viewer.
struct ViewerConnection {
    app: AppState,
    socket: WebSocket,
    viewer: Viewer,
    budget: ByteBudget,
    /// When the viewer may get another snapshot.
    next_snapshot_at: Instant,
    /// When anything was last received from the viewer.
    last_received: Instant,
    /// When a text message was last sent to the viewer.
    last_sent: Instant,
    /// When to send the next ping.
    next_ping: Instant,
}

/// A token bucket of bytes that holds one second's worth. It is negative if the last message was
/// longer than what was available.
struct ByteBudget {
    available: i64,
    refilled_at: Instant,
}

/// The viewer has disconnected or is too slow.
struct Disconnected;

impl ViewerConnection {
    /// Serves the viewer until it disconnects or the server stops.
    async fn run(mut self) {
        loop {
            // Read before the updates, so that the updates after it include everything published
            // before shutdown.
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

    /// Sends the updates that the viewer has not seen, within its budget or all of them. Returns
    /// whether there are more.
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
        let (start, recovered) =
            (self.app.published.server_start(), self.app.published.recovered_index());
        let encoded = spawn_blocking(move || {
            let text = snapshot_json(&snapshot, (at, start), missed, recovered);
            (text, snapshot)
        });
        let (text, snapshot) = encoded.await.map_err(|_| Disconnected)?;
        self.send_text(text.into()).await?;
        // Other viewers can share the snapshot until it is dropped.
        drop(snapshot);
        Ok(())
    }

    /// Waits for an update. Checks meanwhile that the viewer is alive.
    async fn wait_for_update(&mut self, has_more: bool) -> Result<(), Disconnected> {
        loop {
            let next_heartbeat = self.next_ping.min(self.last_sent + HEARTBEAT_INTERVAL);
            tokio::select! {
                // Receiving comes before the timeout check, so that a pending message counts; both
                // come before sending more updates.
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
        // Scripts in browsers cannot see pings, so the heartbeat is also sent as a message.
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
        let reason = "the server is shutting down".into();
        let close = Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }));
        let closing = async {
            let _ = self.socket.send(close).await;
            // Closing with unread input would reset the connection and lose messages in transit.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        let _ = timeout(CLOSE_TIMEOUT, closing).await;
    }
}

impl ByteBudget {
    const fn new(at: Instant) -> Self {
        Self { available: BYTES_PER_SECOND, refilled_at: at }
    }

    /// Refills the bucket and returns whether it is empty.
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
    serde_json::to_string(&events).expect("events can be serialized")
}

fn snapshot_json(
    snapshot: &Snapshot,
    (at, start): (Time, ServerStart),
    missed: u64,
    recovered: LogIndex,
) -> String {
    let (index, at_ms) = (snapshot.index(), at.as_millis());
    let missed = if missed > 0 { format!(r#","missed":{missed}"#) } else { String::new() };
    let (started_at_ms, started_unix_ms) = (start.at.as_millis(), start.unix_ms);
    let started = format!(r#""started_at_ms":{started_at_ms},"started_unix_ms":{started_unix_ms}"#);
    let state = snapshot.json();
    let head = format!(r#""type":"snapshot","index":{index},"at_ms":{at_ms}{missed}"#);
    format!(r#"{{{head},{started},"recovered":{recovered},"state":{state}}}"#)
}

fn heartbeat_json(published: &Published) -> String {
    let (index, at) = published.latest();
    json!({"type": "heartbeat", "index": index, "at_ms": at}).to_string()
}
