//! Publication of durable events: the state as viewers see it, and the most recent events.
//!
//! - A thread of its own applies the events and owns this copy of the state. The lock service never
//!   waits for a viewer, and no viewer's task waits while the state is copied.
//! - Each viewer reads from a ring at its own pace. A viewer that falls behind the ring restarts
//!   from a snapshot.
//! - An event is encoded at most once for all connected viewers, and only if there are any.

mod batch;
mod metrics;
mod recent_events;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::thread;

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use tokio::sync::{oneshot, watch};

use crate::clock::unix_millis;
use crate::log::LogPosition;
use recent_events::{NextEvents, RecentEvents};

pub use batch::Batch;
pub use metrics::{Counters, Gauges};

/// A snapshot that one viewer is reading is shared with others while it is at most this many events
/// old; the ring contains the events after it.
const SNAPSHOT_AGE_MAX: u64 = 4_096;

/// A handle to the published state and events. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Published {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
}

/// The publishing thread has ended, so the state is not available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the publishing thread has ended; restart the server")]
pub struct PublisherStopped;

type Inspection = Box<dyn FnOnce(&State, LogPosition) + Send>;

enum Input {
    Events(Vec<Event>, LogPosition),
    Inspect(Inspection),
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
}

#[derive(Debug)]
struct Shared {
    recent: Mutex<RecentEvents>,
    newest: watch::Sender<LogIndex>,
    /// The last event of the previous run of the server.
    recovered_index: LogIndex,
    start: ServerStart,
}

/// When the server was started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerStart {
    /// The reading of the server's clock.
    pub at: Time,
    /// The wall clock in milliseconds since 1970. Identifies this run of the server to viewers.
    pub unix_ms: u64,
}

/// The state at one log index, and its JSON once a viewer has needed it.
#[derive(Debug)]
pub struct Snapshot {
    state: State,
    json: OnceLock<String>,
}

/// A reader of the published events.
#[derive(Debug)]
pub struct Viewer {
    published: Published,
    newest: watch::Receiver<LogIndex>,
    last_seen: Option<LogIndex>,
    /// Set until a returning viewer has read all events that it missed.
    catching_up: bool,
}

/// The next update for a viewer.
#[derive(Debug)]
pub enum ViewerUpdate {
    /// The viewer is new, or cannot continue from the last event it saw: see
    /// [`Viewer::start_from_snapshot`].
    SnapshotRequired,
    /// New events.
    Events {
        /// The events, in order and without gaps.
        batch: Arc<Batch>,
        /// The position in the batch of the first event that the viewer has not seen: 0 for a
        /// viewer that is up to date.
        first_unseen: usize,
        /// Whether there are no later events.
        is_last: bool,
    },
    /// There are no new events.
    UpToDate,
}

impl Published {
    /// Starts publication from the recovered state at this position of the log. Call it right after
    /// recovery, so that the viewers' clock agrees with the server's.
    ///
    /// # Panics
    /// If no thread can be started.
    pub fn start(state: State, position: LogPosition) -> Self {
        let start = ServerStart { at: state.last_event_at(), unix_ms: unix_millis() };
        let (inputs, input_receiver) = channel();
        let (newest, _) = watch::channel(state.applied_index());
        let recovered_index = state.applied_index();
        let shared = Arc::new(Shared {
            recent: Mutex::new(RecentEvents::new(&state)),
            newest,
            recovered_index,
            start,
        });
        let shared_for_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("published".to_owned())
            .spawn(move || run(&input_receiver, state, position, &shared_for_thread))
            .expect("cannot start the publishing thread");
        Self { inputs, shared }
    }

    /// Publishes these events, whose durable ones must be stored up to this position of the log.
    /// Does not block.
    ///
    /// Their indices may have gaps, left by events that could not be stored and so never took
    /// effect. Viewers then get a snapshot.
    pub fn publish(&self, events: Vec<Event>, position: LogPosition) {
        // If the thread has ended, later requests for the state report it.
        let _ = self.inputs.send(Input::Events(events, position));
    }

    /// Counts a batch of events that could not be written to the log.
    pub fn record_write_failure(&self) {
        self.shared.lock().record_write_failure();
    }

    /// Returns the state after everything that was published.
    ///
    /// # Panics
    /// If the publishing thread has panicked, which an impossible event causes.
    pub fn state(&self) -> State {
        self.state_and_position().0
    }

    /// Returns the state after everything that was published, and the position in the log.
    ///
    /// # Panics
    /// As [`Published::state`].
    pub fn state_and_position(&self) -> (State, LogPosition) {
        let (responder, response) = channel();
        let inspect = move |state: &State, position| {
            drop(responder.send((state.clone(), position)));
        };
        let _ = self.inputs.send(Input::Inspect(Box::new(inspect)));
        response.recv().expect("the publishing thread has panicked")
    }

    /// Calls `inspect` with the state after everything that was published. It runs on the
    /// publishing thread, so it must be short.
    ///
    /// # Errors
    /// If the publishing thread has ended.
    pub async fn inspect<T: Send + 'static>(
        &self,
        inspect: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, PublisherStopped> {
        let (responder, response) = oneshot::channel();
        let run = move |state: &State, _| drop(responder.send(inspect(state)));
        self.inputs.send(Input::Inspect(Box::new(run))).map_err(|_| PublisherStopped)?;
        response.await.map_err(|_| PublisherStopped)
    }

    /// Returns a viewer of the events after `after`, or of all that follow a snapshot if `after` is
    /// `None` or no longer retained.
    pub fn subscribe(&self, after: Option<LogIndex>) -> Viewer {
        Viewer {
            published: self.clone(),
            newest: self.shared.newest.subscribe(),
            last_seen: after,
            catching_up: true,
        }
    }

    /// Returns the current metrics.
    pub fn metrics(&self) -> (Counters, Gauges) {
        let recent = self.shared.lock();
        (recent.counters().clone(), recent.gauges())
    }

    /// Returns the index of the last published event, and the estimated time of the server's clock.
    ///
    /// The time is derived from the events, so it lags by at least the duration of storing one. It
    /// never decreases, but the next event may have happened slightly before it.
    pub fn latest(&self) -> (LogIndex, Time) {
        self.shared.lock().latest()
    }

    /// Returns the index of the last recovered event. A viewer whose last event is not after it was
    /// connected before the server started.
    pub fn recovered_index(&self) -> LogIndex {
        self.shared.recovered_index
    }

    /// Returns when the server was started.
    pub fn server_start(&self) -> ServerStart {
        self.shared.start
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, PublisherStopped> {
        let (responder, response) = oneshot::channel();
        self.inputs.send(Input::Snapshot(responder)).map_err(|_| PublisherStopped)?;
        response.await.map_err(|_| PublisherStopped)
    }
}

impl Viewer {
    /// Returns the next update without blocking.
    pub fn next_update(&mut self) -> ViewerUpdate {
        let Some(last_seen) = self.last_seen else { return ViewerUpdate::SnapshotRequired };
        match self.published.shared.lock().next_after(last_seen, self.catching_up) {
            NextEvents::UpToDate => ViewerUpdate::UpToDate,
            NextEvents::Events { batch, first_unseen, is_last } => {
                self.catching_up &= !is_last;
                self.last_seen = Some(batch.last_index());
                ViewerUpdate::Events { batch, first_unseen, is_last }
            }
            NextEvents::SnapshotRequired => ViewerUpdate::SnapshotRequired,
        }
    }

    /// Returns a snapshot to start from, and the number of log indices that the viewer has missed:
    /// 0 for a new viewer.
    ///
    /// # Errors
    /// If the publishing thread has ended.
    pub async fn start_from_snapshot(&mut self) -> Result<(Arc<Snapshot>, u64), PublisherStopped> {
        let snapshot = self.published.snapshot().await?;
        let index = snapshot.index();
        let missed =
            self.last_seen.map_or(0, |last_seen| index.number().saturating_sub(last_seen.number()));
        self.last_seen = Some(index);
        self.catching_up = false;
        Ok((snapshot, missed))
    }

    /// Waits until something was published since the last call.
    ///
    /// # Errors
    /// If the publishing thread has ended.
    pub async fn changed(&mut self) -> Result<(), PublisherStopped> {
        self.newest.changed().await.map_err(|_| PublisherStopped)
    }
}

impl Snapshot {
    fn new(state: &State) -> Self {
        Self { state: state.clone(), json: OnceLock::new() }
    }

    /// Returns the index of the last event in the snapshot.
    pub const fn index(&self) -> LogIndex {
        self.state.applied_index()
    }

    /// Returns the state as JSON, without its secrets. Encoding takes long, so call it on a
    /// blocking thread.
    ///
    /// # Panics
    /// Never: every state can be serialized.
    pub fn json(&self) -> &str {
        self.json
            .get_or_init(|| serde_json::to_string(&self.state).expect("a state can be serialized"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, RecentEvents> {
        self.recent.lock().expect("no panic occurs while the lock is held")
    }
}

/// The publishing thread: runs as long as there is a handle.
fn run(inputs: &Receiver<Input>, mut state: State, mut position: LogPosition, shared: &Shared) {
    // Viewers own the snapshot while they read it.
    let mut shared_snapshot: Weak<Snapshot> = Weak::new();
    for input in inputs {
        match input {
            Input::Events(events, new_position) => {
                position = new_position;
                events.iter().for_each(|event| state.apply(event));
                shared.lock().record(events, &state);
                shared.newest.send_replace(state.applied_index());
            }
            Input::Inspect(inspect) => inspect(&state, position),
            Input::Snapshot(responder) => {
                let oldest_usable = state.applied_index().number().saturating_sub(SNAPSHOT_AGE_MAX);
                let reusable = shared_snapshot.upgrade().filter(|snapshot| {
                    // No viewer could continue from a snapshot before a gap.
                    let next = shared.lock().next_after(snapshot.index(), true);
                    snapshot.index().number() >= oldest_usable
                        && !matches!(next, NextEvents::SnapshotRequired)
                });
                let snapshot = reusable.unwrap_or_else(|| Arc::new(Snapshot::new(&state)));
                shared_snapshot = Arc::downgrade(&snapshot);
                let _ = responder.send(snapshot);
            }
        }
    }
}

#[cfg(test)]
mod tests;
