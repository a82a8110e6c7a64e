//! What is durable, and so may be seen: the state as viewers see it, and the last events.
//!
//! - A thread of its own folds the events and owns the state, so nobody else ever waits for it:
//!   the lock service doesn't wait for a viewer, nor a viewer's task for a copy of the state.
//! - Each viewer reads at its own pace from a ring. Who falls out of it is lost, and begins again
//!   with a snapshot.
//! - An event becomes text at most once for all who read along, and only when somebody watches.

mod batch;
mod counts;
mod recent;

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, Weak};
use std::thread;

use leasehold_core::event::Event;
use leasehold_core::id::Index;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use tokio::sync::{oneshot, watch};

use recent::{Next, Recent};

pub use batch::Batch;
pub use counts::{Counts, Gauges};

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
pub struct Gone;

enum Input {
    Events(Vec<Event>),
    Look(Box<dyn FnOnce(&State) + Send>),
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
}

#[derive(Debug)]
struct Shared {
    recent: Mutex<Recent>,
    newest: watch::Sender<Index>,
    /// The last event of the life before this one.
    recovered: Index,
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
    newest: watch::Receiver<Index>,
    seen: Option<Index>,
    /// Set until one that came back has read all that it had missed.
    catches_up: bool,
}

/// What a viewer is to be told next.
#[derive(Debug)]
pub enum News {
    /// It has seen nothing, or can't go on from what it has seen: see [`Viewer::begin`].
    Lost,
    /// These events happened.
    Events {
        /// In order, without a gap.
        batch: Arc<Batch>,
        /// The place of the first in it that the viewer hasn't seen: 0 for one that reads along.
        from: usize,
        /// Whether these are all that have happened.
        is_all: bool,
    },
    /// Nothing happened.
    Nothing,
}

impl Published {
    /// Begins with what was recovered. Right after it was made, so that the viewers' clock is the
    /// server's.
    ///
    /// # Panics
    /// Where no thread can be started.
    pub fn start(state: State) -> Self {
        let (inputs, received) = channel();
        let (newest, _) = watch::channel(state.index());
        let recovered = state.index();
        let shared =
            Arc::new(Shared { recent: Mutex::new(Recent::new(&state)), newest, recovered });
        let folded = Arc::clone(&shared);
        thread::Builder::new()
            .name("published".to_owned())
            .spawn(move || fold(&received, state, &folded))
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
        let (answer, answered) = channel();
        let look = move |state: &State| drop(answer.send(state.clone()));
        let _ = self.inputs.send(Input::Look(Box::new(look)));
        answered.recv().expect("the published state is there")
    }

    /// Looks at the state after all that was published, on the thread that folds: be short.
    ///
    /// # Errors
    /// Where that thread is gone.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, Gone> {
        let (answer, answered) = oneshot::channel();
        let look = move |state: &State| drop(answer.send(look(state)));
        self.inputs.send(Input::Look(Box::new(look))).map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }

    /// Follows what happens: after this event where that is remembered, else from a snapshot on.
    pub fn follow(&self, after: Option<Index>) -> Viewer {
        Viewer {
            published: self.clone(),
            newest: self.shared.newest.subscribe(),
            seen: after,
            catches_up: true,
        }
    }

    /// How often things have happened, and how much there is.
    pub fn counts(&self) -> (Counts, Gauges) {
        let recent = self.shared.lock();
        (recent.counts().clone(), recent.gauges())
    }

    /// The last event that may be seen, and what the server's clock shows by now.
    ///
    /// The clock is taken from the events, so it is behind by what their storing took at best. It
    /// never goes back, but an event that comes next may have happened a moment before it.
    pub fn now(&self) -> (Index, Time) {
        self.shared.lock().now()
    }

    /// The last event that was recovered: whoever has seen no more comes from before the start.
    pub fn recovered(&self) -> Index {
        self.shared.recovered
    }

    async fn snapshot(&self) -> Result<Arc<Snapshot>, Gone> {
        let (answer, answered) = oneshot::channel();
        self.inputs.send(Input::Snapshot(answer)).map_err(|_| Gone)?;
        answered.await.map_err(|_| Gone)
    }
}

impl Viewer {
    /// What is next. Doesn't wait for it to happen.
    pub fn news(&mut self) -> News {
        let Some(seen) = self.seen else { return News::Lost };
        match self.published.shared.lock().after(seen, self.catches_up) {
            Next::Nothing => News::Nothing,
            Next::Events { batch, from, is_all } => {
                self.catches_up &= !is_all;
                self.seen = Some(batch.last());
                News::Events { batch, from, is_all }
            }
            Next::Lost => News::Lost,
        }
    }

    /// Begins, or begins again, with the state as it is. Says too how many places in history the
    /// viewer has missed; 0 for one that begins.
    ///
    /// # Errors
    /// Where nothing is published any more.
    pub async fn begin(&mut self) -> Result<(Arc<Snapshot>, u64), Gone> {
        let snapshot = self.published.snapshot().await?;
        let index = snapshot.index();
        let missed = self.seen.map_or(0, |seen| index.number().saturating_sub(seen.number()));
        self.seen = Some(index);
        self.catches_up = false;
        Ok((snapshot, missed))
    }

    /// Waits until something has happened since the last call of this.
    ///
    /// # Errors
    /// Where nothing is published any more.
    pub async fn changed(&mut self) -> Result<(), Gone> {
        self.newest.changed().await.map_err(|_| Gone)
    }
}

impl Snapshot {
    fn of(state: &State) -> Self {
        Self { state: state.clone(), json: OnceLock::new() }
    }

    /// The last event in it.
    pub const fn index(&self) -> Index {
        self.state.index()
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
    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().expect("whoever has it open does nothing that panics")
    }
}

/// The thread: lives as long as there is a handle.
fn fold(inputs: &Receiver<Input>, mut state: State, shared: &Shared) {
    // Held by those who are being told it, and by nobody else.
    let mut latest: Weak<Snapshot> = Weak::new();
    for input in inputs {
        match input {
            Input::Events(events) => {
                events.iter().for_each(|event| state.apply(event));
                shared.lock().take(events, &state);
                shared.newest.send_replace(state.index());
            }
            Input::Look(look) => look(&state),
            Input::Snapshot(answer) => {
                let oldest = state.index().number().saturating_sub(SNAPSHOT_AGE_MAX);
                let told = latest.upgrade().filter(|told| {
                    // Nobody could read on from one before events that could not be stored.
                    let next = shared.lock().after(told.index(), true);
                    told.index().number() >= oldest && !matches!(next, Next::Lost)
                });
                let snapshot = told.unwrap_or_else(|| Arc::new(Snapshot::of(&state)));
                latest = Arc::downgrade(&snapshot);
                let _ = answer.send(snapshot);
            }
        }
    }
}

#[cfg(test)]
mod tests;
