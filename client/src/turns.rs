//! Who of this client's tasks is next for each lock.
//!
//! - At the server the whole client is one holder, so its tasks take turns here: one of them at a
//!   time asks for a lock, holds it, or gives it back.
//! - Turns are taken in the order of asking.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::sync::Arc;

use leasehold_core::client::CallId;
use leasehold_core::id::{Name, Token};
use leasehold_core::time::{Span, Time};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::guard::{Guard, Tenure};

/// A task that wants a lock.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) ticket: u64,
    pub(crate) lock: Name,
    /// Whether it would rather hear that the lock is held than wait.
    pub(crate) at_once: bool,
    /// How long it would stand in line.
    pub(crate) wait_until: Time,
    /// When it needs an answer, whatever it is.
    pub(crate) answer_by: Time,
    /// When it is worth asking the server.
    pub(crate) not_before: Time,
    pub(crate) hold: Option<Span>,
    pub(crate) on_queued: Option<OnQueued>,
    pub(crate) answer: oneshot::Sender<Result<Guard, Error>>,
}

/// Who wants to hear of a place in line.
pub(crate) struct OnQueued(pub(crate) Box<dyn FnMut(u64) + Send>);

/// What this client has to do with one lock.
#[derive(Debug, Default)]
pub(crate) struct Line {
    pub(crate) stage: Stage,
    pub(crate) waiting: VecDeque<Ask>,
}

#[derive(Debug, Default)]
pub(crate) enum Stage {
    #[default]
    Free,
    Asking(CallId, Ask),
    Held(Arc<Tenure>),
    Releasing,
}

#[derive(Debug, Default)]
pub(crate) struct Turns {
    lines: BTreeMap<Name, Line>,
}

impl Turns {
    pub(crate) fn line(&mut self, lock: &Name) -> &mut Line {
        self.lines.entry(lock.clone()).or_default()
    }

    /// A task asks. Gets its answer at once, or stands in line.
    pub(crate) fn enqueue(&mut self, ask: Ask) {
        let line = self.line(&ask.lock);
        let taken = matches!(line.stage, Stage::Asking(..) | Stage::Held(_));
        if ask.at_once && (taken || !line.waiting.is_empty()) {
            let _ = ask.answer.send(Err(Error::Held));
        } else {
            line.waiting.push_back(ask);
        }
    }

    /// A task asks no more. Gives back the call that has to be taken back, if there is one.
    pub(crate) fn leave(&mut self, ticket: u64) -> Option<CallId> {
        for line in self.lines.values_mut() {
            line.waiting.retain(|ask| ask.ticket != ticket);
            if let Stage::Asking(call, ask) = &line.stage
                && ask.ticket == ticket
            {
                let call = *call;
                line.stage = Stage::Free;
                return Some(call);
            }
        }
        None
    }

    /// Ends the waits in line whose time is over.
    pub(crate) fn expire(&mut self, now: Time) {
        for line in self.lines.values_mut() {
            while let Some(place) = line.waiting.iter().position(|ask| ask.ends_at() <= now) {
                let Some(ask) = line.waiting.remove(place) else { break };
                let timed_out = ask.wait_until <= now && !ask.at_once;
                let error = if timed_out { Error::TimedOut } else { Error::NoAnswer };
                let _ = ask.answer.send(Err(error));
            }
        }
    }

    /// The next task that may ask the server. The caller puts the line into another stage.
    pub(crate) fn next(&mut self, now: Time) -> Option<Ask> {
        self.lines.retain(|_, line| !line.is_idle());
        self.lines.values_mut().find_map(|line| {
            let free = matches!(line.stage, Stage::Free);
            let ready = line.waiting.front().is_some_and(|ask| ask.not_before <= now);
            if free && ready { line.waiting.pop_front() } else { None }
        })
    }

    /// When a wait in line ends or a task may ask.
    pub(crate) fn next_wake(&self, now: Time) -> Time {
        let asks = self.lines.values().flat_map(|line| &line.waiting);
        let moments = asks.flat_map(|ask| [ask.ends_at(), ask.not_before]);
        moments.filter(|at| *at > now).min().unwrap_or(Time::NEVER)
    }

    /// Notes that the lock is held no more, where this is the tenure in which it is.
    pub(crate) fn end(&mut self, lock: &Name, token: Token, stage: Stage) -> bool {
        let line = self.line(lock);
        match &line.stage {
            Stage::Held(tenure) if tenure.token == token => {
                tenure.end();
                line.stage = stage;
                true
            }
            Stage::Held(_) | Stage::Free | Stage::Asking(..) | Stage::Releasing => false,
        }
    }

    /// The tenures that have not ended.
    pub(crate) fn held(&self) -> impl Iterator<Item = &Arc<Tenure>> {
        self.lines.values().filter_map(|line| match &line.stage {
            Stage::Held(tenure) => Some(tenure),
            Stage::Free | Stage::Asking(..) | Stage::Releasing => None,
        })
    }

    /// The client ends: nothing is held any more, and whoever asked hears of it.
    pub(crate) fn close(&mut self) {
        self.held().for_each(|tenure| tenure.end());
        for (_, line) in std::mem::take(&mut self.lines) {
            let asking = match line.stage {
                Stage::Asking(_, ask) => Some(ask),
                Stage::Free | Stage::Held(_) | Stage::Releasing => None,
            };
            for ask in asking.into_iter().chain(line.waiting) {
                let _ = ask.answer.send(Err(Error::Closed));
            }
        }
    }
}

impl Line {
    fn is_idle(&self) -> bool {
        matches!(self.stage, Stage::Free) && self.waiting.is_empty()
    }
}

impl Ask {
    /// When it has waited long enough in this line.
    fn ends_at(&self) -> Time {
        if self.at_once { self.answer_by } else { self.wait_until }
    }
}

impl fmt::Debug for OnQueued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnQueued")
    }
}

impl fmt::Debug for Tenure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} under {}", self.lock, self.token)
    }
}
