//! What is durable, and so may be seen: the state as viewers see it, and the last events.
//!
//! - A thread of its own folds the events, so the lock service never waits for a viewer, and a
//!   viewer that asks for the whole state is a burden to other viewers at most.
//! - Each viewer reads at its own pace from a ring. Who falls out of it begins again with a
//!   snapshot.

use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};
use std::thread;

use leasehold_core::event::{Event, Fact};
use leasehold_core::id::Index;
use leasehold_core::state::State;
use tokio::sync::watch;

/// How many events are kept for those who resume.
const RING: usize = 65_536;

/// A viewer that is further behind than this gets a snapshot: it would never catch up by reading.
const LAG_MAX: usize = 16_384;

/// The state and the events that may be seen. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Published {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
}

#[derive(Debug)]
enum Input {
    Events(Vec<Event>),
    State(Sender<State>),
}

#[derive(Debug)]
struct Shared {
    history: Mutex<History>,
    newest: watch::Sender<Index>,
}

#[derive(Debug)]
struct History {
    state: State,
    ring: VecDeque<Arc<Shown>>,
    counts: Counts,
}

/// How often things have happened since this server was started.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Events, by type.
    pub events: BTreeMap<&'static str, u64>,
    /// Refused requests, by code.
    pub refusals: BTreeMap<&'static str, u64>,
    /// Dropped datagrams, by reason.
    pub drops: BTreeMap<&'static str, u64>,
    /// Bytes appended.
    pub appended_bytes: u64,
}

/// An event, and its JSON once somebody has wanted it.
#[derive(Debug)]
pub struct Shown {
    /// The event.
    pub event: Event,
    json: OnceLock<String>,
}

/// What a viewer is to be told next.
#[derive(Debug)]
pub enum News {
    /// Begin again with this state.
    Snapshot {
        /// What is so.
        state: Box<State>,
        /// How many events the viewer has missed; 0 for one that begins.
        missed: u64,
    },
    /// These events happened.
    Events(Vec<Arc<Shown>>),
    /// Nothing happened.
    Nothing,
}

impl Shown {
    /// The event as the stream shows it.
    pub fn json(&self) -> &str {
        self.json.get_or_init(|| {
            serde_json::to_string(&self.event).expect("an event can be written as JSON")
        })
    }
}

impl Published {
    /// Begins with what was recovered.
    ///
    /// # Panics
    /// Where no thread can be started.
    pub fn start(state: State) -> Self {
        let (inputs, received) = channel();
        let (newest, _) = watch::channel(state.index());
        let history = History { state, ring: VecDeque::new(), counts: Counts::default() };
        let shared = Arc::new(Shared { history: Mutex::new(history), newest });
        let folded = Arc::clone(&shared);
        thread::Builder::new()
            .name("published".to_owned())
            .spawn(move || fold(&received, &folded))
            .expect("a thread can be started");
        Self { inputs, shared }
    }

    /// Shows these events, the durable ones of which are stored. Waits for nobody.
    pub fn publish(&self, events: Vec<Event>) {
        // The thread lives as long as there is a handle.
        let _ = self.inputs.send(Input::Events(events));
    }

    /// The state after all that was published.
    ///
    /// # Panics
    /// Where the thread has met with an event that can't have happened.
    pub fn state(&self) -> State {
        let (answer, answered) = channel();
        let _ = self.inputs.send(Input::State(answer));
        answered.recv().expect("the published state is there")
    }

    /// How often things have happened.
    pub fn counts(&self) -> Counts {
        self.shared.lock().counts.clone()
    }

    /// Looks at the state without copying it. Keep it short: the fold waits meanwhile.
    pub fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.lock().state)
    }

    /// Tells when something has happened.
    pub fn newest(&self) -> watch::Receiver<Index> {
        self.shared.newest.subscribe()
    }

    /// What to tell a viewer who has seen everything up to `seen`, or nothing yet; at most
    /// `limit` events.
    pub fn news(&self, seen: Option<Index>, limit: usize) -> News {
        let history = self.shared.lock();
        let now = history.state.index();
        let Some(seen) = seen else {
            return News::Snapshot { state: Box::new(history.state.clone()), missed: 0 };
        };
        if seen == now {
            return News::Nothing;
        }
        let from = history.ring.partition_point(|shown| shown.event.index <= seen);
        let next = history.ring.get(from);
        // A place that is not followed by the next one is a gap: events were dropped, or the
        // viewer comes from another time.
        let follows = next.is_some_and(|next| next.event.index == seen.next());
        if !follows || history.ring.len() - from > LAG_MAX {
            let missed = now.number().saturating_sub(seen.number());
            return News::Snapshot { state: Box::new(history.state.clone()), missed };
        }
        let run = history.ring.range(from..).take(limit);
        let mut last = seen;
        let gapless = run.take_while(|shown| {
            let follows = shown.event.index == last.next();
            last = shown.event.index;
            follows
        });
        News::Events(gapless.cloned().collect())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, History> {
        self.history.lock().expect("the fold has not met with an impossible event")
    }
}

fn fold(inputs: &Receiver<Input>, shared: &Shared) {
    for input in inputs {
        match input {
            Input::Events(events) => {
                let mut history = shared.lock();
                for event in events {
                    history.take(event);
                }
                let index = history.state.index();
                drop(history);
                shared.newest.send_replace(index);
            }
            Input::State(answer) => {
                let _ = answer.send(shared.lock().state.clone());
            }
        }
    }
}

impl History {
    fn take(&mut self, event: Event) {
        self.state.apply(&event);
        self.counts.take(&event.fact);
        if self.ring.len() == RING {
            self.ring.pop_front();
        }
        self.ring.push_back(Arc::new(Shown { event, json: OnceLock::new() }));
    }
}

impl Counts {
    fn take(&mut self, fact: &Fact) {
        *self.events.entry(fact.word()).or_default() += 1;
        if let Fact::RequestRefused { refusal, .. } = fact {
            *self.refusals.entry(refusal.code()).or_default() += 1;
        }
        if let Fact::DatagramDropped { reason } = fact {
            *self.drops.entry(reason.word()).or_default() += 1;
        }
        if let Fact::FileAppended { data, .. } = fact {
            self.appended_bytes += data.len();
        }
    }
}
