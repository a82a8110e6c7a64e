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
use leasehold_core::id::Index;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until, timeout};

use super::App;
use crate::published::{News, Published, Snapshot, Viewer};

/// After so many messages in a row it is looked whether the viewer has said something. At one
/// round in 33 ms it is enough for a million events a second.
const MESSAGES_MAX: usize = 64;

/// So it is after this long, where the viewer takes its time.
const TELL_MAX: Duration = Duration::from_secs(1);

/// Messages are gathered for at most this long: 30 times a second is what a screen can show.
/// Viewers are told at the same moments, so that what is written for one serves all.
const GATHER: Duration = Duration::from_millis(33);

/// How many bytes of events a viewer is told in a second: some 30,000 events, far more than a page
/// can show.
const BYTES_PER_SECOND: i64 = 4_000_000;

/// A viewer that was lost begins again at most this often: it should see something of what happens
/// between two snapshots.
const BEGIN_EVERY: Duration = Duration::from_secs(1);

/// How often a viewer is asked whether it is there, and, where nothing happens, told so.
const BEAT_EVERY: Duration = Duration::from_secs(5);

/// A viewer that takes nothing, or doesn't even answer a ping, for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// How long to wait for a viewer's goodbye.
const GOODBYE_MAX: Duration = Duration::from_millis(500);

/// Nothing that a viewer says means anything, so it need not be long.
const HEARD_LEN_MAX: usize = 4_096;

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
    let upgrade = upgrade.max_message_size(HEARD_LEN_MAX).max_frame_size(HEARD_LEN_MAX);
    upgrade.on_upgrade(async move |socket| {
        let viewer = app.published.follow(from.map(Index::new));
        let now = Instant::now();
        let telling = Telling {
            app,
            socket,
            viewer,
            allowance: Allowance::new(now),
            begins: now,
            heard: now,
            told: now,
            ping: now + BEAT_EVERY,
        };
        telling.run().await;
        drop(seat);
    })
}

#[derive(Serialize)]
struct Events<'a> {
    r#type: &'static str,
    events: &'a [Event],
}

impl App {
    /// When viewers are told next what has happened by then.
    fn next_round(&self) -> Instant {
        let (now, gather) = (Instant::now(), GATHER.as_millis());
        let rounds = now.duration_since(self.opened).as_millis() / gather + 1;
        let after = u64::try_from(rounds * gather).unwrap_or(u64::MAX);
        self.opened + Duration::from_millis(after)
    }
}

/// One viewer being told everything.
struct Telling {
    app: App,
    socket: WebSocket,
    viewer: Viewer,
    allowance: Allowance,
    /// When it may begin again, should it be lost.
    begins: Instant,
    /// When something last came from it.
    heard: Instant,
    /// When it was last told something.
    told: Instant,
    /// When to ask next whether it is there.
    ping: Instant,
}

/// How much of the events a viewer may be told: as much as a second's worth at once. Below zero
/// where the last message had more than was left.
struct Allowance {
    bytes: i64,
    at: Instant,
}

/// The viewer has left, or takes too long.
struct Left;

impl Telling {
    /// Goes on until the viewer leaves or the server ends.
    async fn run(mut self) {
        loop {
            // Looked at before the news: what is set now comes after all that there will be.
            let ends = *self.app.ending.borrow();
            let until = self.app.next_round();
            let Ok(more) = self.tell_news(ends).await else { return };
            if ends && !more {
                return self.say_goodbye().await;
            }
            if !ends {
                sleep_until(until).await;
            }
            if self.wait_for_news(more).await.is_err() {
                return;
            }
        }
    }

    /// Tells what the viewer hasn't seen yet, as far as it may be told by now, or all of it. Says
    /// whether there is more of it.
    async fn tell_news(&mut self, all: bool) -> Result<bool, Left> {
        let begun = Instant::now();
        for _ in 0..MESSAGES_MAX {
            let now = Instant::now();
            if now > begun + TELL_MAX {
                return Ok(true);
            }
            if self.allowance.is_spent(now) && !all {
                return Ok(true);
            }
            match self.viewer.news() {
                News::Nothing => return Ok(false),
                News::Events { batch, from, is_all } => {
                    let text = match from {
                        0 => batch.text(events_text),
                        _ => events_text(&batch.events()[from..]).into(),
                    };
                    self.allowance.spend(text.len());
                    self.tell(text).await?;
                    if is_all {
                        return Ok(false);
                    }
                }
                News::Lost if now < self.begins && !all => return Ok(true),
                News::Lost => {
                    self.tell_snapshot().await?;
                    self.begins = Instant::now() + BEGIN_EVERY;
                }
            }
        }
        Ok(true)
    }

    async fn tell_snapshot(&mut self) -> Result<(), Left> {
        let (snapshot, missed) = self.viewer.begin().await.map_err(|_| Left)?;
        let (_, at) = self.app.published.now();
        let recovered = self.app.published.recovered();
        let made = spawn_blocking(move || {
            let text = snapshot_text(&snapshot, at.as_millis(), missed, recovered);
            (text, snapshot)
        });
        let (text, snapshot) = made.await.map_err(|_| Left)?;
        self.tell(text.into()).await?;
        // Until here another viewer may share it.
        drop(snapshot);
        Ok(())
    }

    /// Waits until there are news, and sees to it meanwhile that the viewer is there.
    async fn wait_for_news(&mut self, are_there: bool) -> Result<(), Left> {
        loop {
            let beat = self.ping.min(self.told + BEAT_EVERY);
            tokio::select! {
                // Before it is found silent, it is heard; and both before there are more news.
                biased;
                message = self.socket.recv() => {
                    let Some(Ok(_)) = message else { return Err(Left) };
                    self.heard = Instant::now();
                }
                () = sleep_until(beat) => self.beat().await?,
                _ = self.app.ending.changed() => return Ok(()),
                () = ready(()), if are_there => return Ok(()),
                changed = self.viewer.changed() => return changed.map_err(|_| Left),
            }
        }
    }

    async fn beat(&mut self) -> Result<(), Left> {
        if self.heard.elapsed() > SILENCE_MAX {
            return Err(Left);
        }
        if self.ping <= Instant::now() {
            self.send(Message::Ping(Bytes::new())).await?;
            self.ping = Instant::now() + BEAT_EVERY;
        }
        // Scripts see no ping, so they are told as well.
        if self.told.elapsed() >= BEAT_EVERY {
            let text = heartbeat_text(&self.app.published);
            self.tell(text.into()).await?;
        }
        Ok(())
    }

    async fn tell(&mut self, text: Utf8Bytes) -> Result<(), Left> {
        self.send(Message::Text(text)).await?;
        self.told = Instant::now();
        Ok(())
    }

    async fn send(&mut self, message: Message) -> Result<(), Left> {
        match timeout(SILENCE_MAX, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Left),
        }
    }

    async fn say_goodbye(mut self) {
        let reason = "the server ends".into();
        let close = Message::Close(Some(CloseFrame { code: close_code::AWAY, reason }));
        let goodbye = async {
            let _ = self.socket.send(close).await;
            // Who closes at once with something unread loses what was on its way.
            while let Some(Ok(_)) = self.socket.recv().await {}
        };
        let _ = timeout(GOODBYE_MAX, goodbye).await;
    }
}

impl Allowance {
    const fn new(at: Instant) -> Self {
        Self { bytes: BYTES_PER_SECOND, at }
    }

    /// Whether there is nothing left of it at this moment.
    fn is_spent(&mut self, now: Instant) -> bool {
        let micros = i64::try_from(now.duration_since(self.at).as_micros()).unwrap_or(i64::MAX);
        let grown = micros.saturating_mul(BYTES_PER_SECOND) / 1_000_000;
        if grown > 0 {
            self.bytes = self.bytes.saturating_add(grown).min(BYTES_PER_SECOND);
            self.at = now;
        }
        self.bytes <= 0
    }

    const fn spend(&mut self, bytes: usize) {
        self.bytes = self.bytes.saturating_sub_unsigned(bytes as u64);
    }
}

fn events_text(events: &[Event]) -> String {
    let events = Events { r#type: "events", events };
    serde_json::to_string(&events).expect("events are JSON")
}

fn snapshot_text(snapshot: &Snapshot, at_ms: u64, missed: u64, recovered: Index) -> String {
    let index = snapshot.index();
    let missed = if missed > 0 { format!(r#","missed":{missed}"#) } else { String::new() };
    let state = snapshot.json();
    let head = format!(r#""type":"snapshot","index":{index},"at_ms":{at_ms}{missed}"#);
    format!(r#"{{{head},"recovered":{recovered},"state":{state}}}"#)
}

fn heartbeat_text(published: &Published) -> String {
    let (index, at) = published.now();
    json!({"type": "heartbeat", "index": index, "at_ms": at}).to_string()
}
