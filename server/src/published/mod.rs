//! What is durable, and so may be seen: the state as viewers see it, and the last events.
//!
//! - A thread of its own folds the events and owns the state, so nobody else ever waits for it:
//!   the lock service doesn't wait for a viewer, nor a viewer's task for a copy of the state.
//! - Each viewer reads at its own pace from a ring. Who falls out of it is lost, and begins again
//!   with a snapshot.
//! - An event becomes text at most once for all who read along, and only when somebody watches.

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

use recent_events::{NextEvents, RecentEvents};

pub use batch::Batch;
pub use metrics::{Counters, Gauges};

/// A snapshot that somebody is being told serves another viewer too, as long as it is at most
/// this many events old: what comes after it is in the ring.
const SNAPSHOT_AGE_MAX: u64 = 4_096;

/// The state and the events that may be seen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Published {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
}

/// The thread that folds is gone, so there is nothing more to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("nothing is published any more")]
pub struct PublisherStopped;

enum Input {
    Events(Vec<Event>),
    Inspect(Box<dyn FnOnce(&State) + Send>),
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
}

#[derive(Debug)]
struct Shared {
    recent: Mutex<RecentEvents>,
    newest: watch::Sender<LogIndex>,
    /// The last event of the life before this one.
    recovered_index: LogIndex,
}

/// The state at one moment, and its JSON once somebody has wanted it.
#[derive(Debug)]
pub struct Snapshot {
    state: State,
    json: OnceLock<String>,
}

/// One who follows what happens.
#[derive(Debug)]
pub struct Viewer {
    published: Published,
    newest: watch::Receiver<LogIndex>,
    last_seen: Option<LogIndex>,
    /// Set until one that came back has read all that it had missed.
    catching_up: bool,
}

/// What a viewer is to be told next.
#[derive(Debug)]
pub enum ViewerUpdate {
    /// It has seen nothing, or can't go on from what it has seen: see [`Viewer::start_from_snapshot`].
    SnapshotRequired,
    /// These events happened.
    Events {
        /// In order, without a gap.
        batch: Arc<Batch>,
        /// The place of the first in it that the viewer hasn't seen: 0 for one that reads along.
        first_unseen: usize,
        /// Whether these are all that have happened.
        is_last: bool,
    },
    /// Nothing happened.
    UpToDate,
}

impl Published {
    /// Begins with what was recovered. Right after it was made, so that the viewers' clock is the
    /// server's.
    ///
    /// # Panics
    /// Where no thread can be started.
    pub fn start(state: State) -> Self {
        let (inputs, input_receiver) = channel();
        let (newest, _) = watch::channel(state.applied_index());
        let recovered_index = state.applied_index();
        let shared = Arc::new(Shared {
            recent: Mutex::new(RecentEvents::new(&state)),
            newest,
            recovered_index,
        });
        let shared_for_thread = Arc::clone(&shared);
        thread::Builder::new()
            .name("published".to_owned())
            .spawn(move || run(&input_receiver, state, &shared_for_thread))
            .expect("a thread can be started");
        Self { inputs, shared }
    }

    /// Shows these events, the durable ones of which are stored. Waits for nobody.
    ///
    /// Their indices may leave places out: those of events that could not be stored, and so never
    /// happened. Viewers get a snapshot then.
    pub fn publish(&self, events: Vec<Event>) {
        // Where the thread is gone, whoever asks it for something is told so.
        let _ = self.inputs.send(Input::Events(events));
    }

    /// The state after all that was published.
    ///
    /// # Panics
    /// Where the thread has met with an event that can't have happened.
    pub fn state(&self) -> State {
        let (responder, response) = channel();
        let inspect = move |state: &State| drop(responder.send(state.clone()));
        let _ = self.inputs.send(Input::Inspect(Box::new(inspect)));
        response.recv().expect("the published state is there")
    }

    /// Looks at the state after all that was published, on the thread that folds: be short.
    ///
    /// # Errors
    /// Where that thread is gone.
    pub async fn inspect<T: Send + 'static>(
        &self,
        inspect: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, PublisherStopped> {
        let (responder, response) = oneshot::channel();
        let run = move |state: &State| drop(responder.send(inspect(state)));
        self.inputs.send(Input::Inspect(Box::new(run))).map_err(|_| PublisherStopped)?;
        response.await.map_err(|_| PublisherStopped)
    }

    /// Follows what happens: after this event where that is remembered, else from a snapshot on.
    pub fn subscribe(&self, after: Option<LogIndex>) -> Viewer {
        Viewer {
            published: self.clone(),
            newest: self.shared.newest.subscribe(),
            last_seen: after,
            catching_up: true,
        }
    }

    /// How often things have happened, and how much there is.
    pub fn metrics(&self) -> (Counters, Gauges) {
        let recent = self.shared.lock();
        (recent.counters().clone(), recent.gauges())
    }

    /// The last event that may be seen, and what the server's clock shows by now.
    ///
    /// The clock is taken from the events, so it is behind by what their storing took at best. It
    /// never goes back, but an event that comes next may have happened a moment before it.
    pub fn latest(&self) -> (LogIndex, Time) {
        self.shared.lock().latest()
    }

    /// The last event that was recovered: whoever has seen no more comes from before the start.
    pub fn recovered_index(&self) -> LogIndex {
        self.shared.recovered_index
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, PublisherStopped> {
        let (responder, response) = oneshot::channel();
        self.inputs.send(Input::Snapshot(responder)).map_err(|_| PublisherStopped)?;
        response.await.map_err(|_| PublisherStopped)
    }
}

impl Viewer {
    /// What is next. Doesn't wait for it to happen.
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

    /// Begins, or begins again, with the state as it is. Says too how many places in history the
    /// viewer has missed; 0 for one that begins.
    ///
    /// # Errors
    /// Where nothing is published any more.
    pub async fn start_from_snapshot(&mut self) -> Result<(Arc<Snapshot>, u64), PublisherStopped> {
        let snapshot = self.published.snapshot().await?;
        let index = snapshot.index();
        let missed =
            self.last_seen.map_or(0, |last_seen| index.number().saturating_sub(last_seen.number()));
        self.last_seen = Some(index);
        self.catching_up = false;
        Ok((snapshot, missed))
    }

    /// Waits until something has happened since the last call of this.
    ///
    /// # Errors
    /// Where nothing is published any more.
    pub async fn changed(&mut self) -> Result<(), PublisherStopped> {
        self.newest.changed().await.map_err(|_| PublisherStopped)
    }
}

impl Snapshot {
    fn new(state: &State) -> Self {
        Self { state: state.clone(), json: OnceLock::new() }
    }

    /// The last event in it.
    pub const fn index(&self) -> LogIndex {
        self.state.applied_index()
    }

    /// The state, without its secrets. Takes its time: not for a thread that others wait for.
    ///
    /// # Panics
    /// Never: a state can be written as JSON.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| serde_json::to_string(&self.state).expect("a state is JSON"))
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, RecentEvents> {
        self.recent.lock().expect("whoever has it open does nothing that panics")
    }
}

/// The thread: lives as long as there is a handle.
fn run(inputs: &Receiver<Input>, mut state: State, shared: &Shared) {
    // Held by those who are being told it, and by nobody else.
    let mut shared_snapshot: Weak<Snapshot> = Weak::new();
    for input in inputs {
        match input {
            Input::Events(events) => {
                events.iter().for_each(|event| state.apply(event));
                shared.lock().record(events, &state);
                shared.newest.send_replace(state.applied_index());
            }
            Input::Inspect(inspect) => inspect(&state),
            Input::Snapshot(responder) => {
                let oldest_usable = state.applied_index().number().saturating_sub(SNAPSHOT_AGE_MAX);
                let reusable = shared_snapshot.upgrade().filter(|snapshot| {
                    // Nobody could read on from one before events that could not be stored.
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
