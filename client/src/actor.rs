//! The task of a client: it owns the socket and the state machine, and does what both say.
//!
//! - The state machine alone decides what may be believed. Here its word is passed on: to the
//!   guards by [`Tenure`], to the callers by their answers.
//! - The clock is read anew for every step: a timer may be late, and the machine may have slept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use leasehold_core::client::{CallId, LockClient, Notice, Verdict};
use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};
use leasehold_core::limits::WAIT_MAX;
use leasehold_core::refusal::Refusal;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::Reply;
use tokio::sync::{mpsc, oneshot};

use crate::clock::{self, now};
use crate::error::Error;
use crate::guard::{Appended, Guard, Tenure};
use crate::link::Link;
use crate::turns::{Ask, Stage, Turns};

/// The longest sleep while a lock is held. Timers stand still while the machine is suspended, so
/// one that is set for the end of a belief may come as much too late as that took.
const NAP_MAX: Span = Span::from_millis(100);

/// How long to wait before a lock is asked for again that the server thinks this client has: it
/// has been given back, but the server has not heard of it.
const GIVEN_BACK: Span = Span::from_millis(100);

type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// What the task is told to do.
#[derive(Debug)]
pub(crate) enum Command {
    Lock(Ask),
    /// Whoever has this ticket waits no more.
    Cancel(u64),
    Append {
        tenure: Arc<Tenure>,
        data: Data,
        answer: Answer<Appended>,
    },
    Release {
        tenure: Arc<Tenure>,
        answer: Option<Answer<()>>,
    },
    Close {
        answer: Answer<()>,
    },
}

/// Who waits for the end of a call.
enum Pending {
    Acquire(Name),
    Append(Answer<Appended>),
    Release(Name, Option<Answer<()>>),
    Close(Option<Answer<()>>),
}

pub(crate) struct Actor {
    core: LockClient,
    link: Link,
    inbox: mpsc::UnboundedReceiver<Command>,
    /// For the guards. Weak, so that the task ends when nobody can tell it anything any more.
    commands: mpsc::WeakUnboundedSender<Command>,
    opening: Option<Opening>,
    lease: Arc<AtomicU64>,
    patience: Span,
    turns: Turns,
    pending: BTreeMap<CallId, Pending>,
    closing: bool,
    over: bool,
}

struct Opening {
    answer: Answer<()>,
    deadline: Time,
}

type Channel = (mpsc::WeakUnboundedSender<Command>, mpsc::UnboundedReceiver<Command>);

impl Actor {
    pub(crate) fn new(
        core: LockClient,
        link: Link,
        (commands, inbox): Channel,
        (opened, lease): (Answer<()>, Arc<AtomicU64>),
        patience: Span,
    ) -> Self {
        Self {
            core,
            link,
            inbox,
            commands,
            opening: Some(Opening { answer: opened, deadline: now() + patience }),
            lease,
            patience,
            turns: Turns::default(),
            pending: BTreeMap::new(),
            closing: false,
            over: false,
        }
    }

    pub(crate) async fn run(mut self) {
        self.core.open(now());
        self.settle().await;
        while !self.over {
            let nap = self.nap();
            tokio::select! {
                command = self.inbox.recv(), if !self.closing => match command {
                    Some(command) => self.obey(command),
                    None => self.close(None),
                },
                reply = self.link.receive() => self.receive(reply),
                () = tokio::time::sleep(nap) => {}
            }
            self.core.wake(now());
            self.settle().await;
        }
    }

    /// How long nothing is due.
    fn nap(&self) -> Duration {
        let now = now();
        let opening = self.opening.as_ref().map(|opening| opening.deadline);
        let due = self.core.next_wake().into_iter().chain(opening);
        let due = due.min().unwrap_or(Time::NEVER).min(self.turns.next_wake(now));
        let held = self.turns.held().next().is_some();
        // A runtime's timer takes no sleep of any length.
        let longest = if held { NAP_MAX } else { Span::from_secs(3_600) };
        clock::duration(now.until(due).min(longest))
    }

    fn obey(&mut self, command: Command) {
        let now = now();
        let deadline = now + self.patience;
        match command {
            Command::Lock(ask) => self.turns.enqueue(ask),
            Command::Cancel(ticket) => {
                if let Some(call) = self.turns.leave(ticket) {
                    self.pending.remove(&call);
                    self.core.cancel(now, call);
                }
            }
            Command::Append { tenure, data, answer } => {
                let Tenure { lock, token, .. } = &*tenure;
                if self.core.believes(now, lock, *token) {
                    let call = self.core.append(now, lock.clone(), *token, data, deadline);
                    self.pending.insert(call, Pending::Append(answer));
                } else {
                    let _ = answer.send(Err(Error::Lost));
                }
            }
            Command::Release { tenure, answer } => {
                let (lock, token) = (tenure.lock.clone(), tenure.token);
                if self.turns.end(&lock, token, Stage::Releasing) {
                    let call = self.core.release(now, lock.clone(), token, deadline);
                    self.pending.insert(call, Pending::Release(lock, answer));
                } else if let Some(answer) = answer {
                    let _ = answer.send(Err(Error::Lost));
                }
            }
            Command::Close { answer } => self.close(Some(answer)),
        }
    }

    fn close(&mut self, answer: Option<Answer<()>>) {
        let now = now();
        self.closing = true;
        self.turns.close();
        if !self.core.is_open() && self.opening.is_none() {
            // The session is gone already. What it may be about to open would hold nothing.
            self.over = true;
            if let Some(answer) = answer {
                let _ = answer.send(Ok(()));
            }
            return;
        }
        let call = self.core.close(now, now + self.patience);
        self.pending.insert(call, Pending::Close(answer));
    }

    fn receive(&mut self, reply: Reply) {
        self.core.receive(now(), reply);
    }

    fn not_opened(&mut self, refusal: Refusal) {
        if let Some(opening) = self.opening.take() {
            let _ = opening.answer.send(Err(Error::Refused(refusal)));
            self.over = true;
        }
    }

    /// Passes on all that the last step led to.
    async fn settle(&mut self) {
        loop {
            while let Some(notice) = self.core.notice() {
                self.take(notice);
            }
            let now = now();
            self.turns.expire(now);
            let Some(ask) = self.turns.next(now) else { break };
            self.ask(now, ask);
            self.send().await;
        }
        self.send().await;
        for tenure in self.turns.held() {
            // What the state machine no longer believes in has been told as lost above.
            if let Some(until) = self.core.until(&tenure.lock, tenure.token) {
                tenure.set_until(until);
            }
        }
        if self.opening.as_ref().is_some_and(|opening| opening.deadline <= now())
            && let Some(opening) = self.opening.take()
        {
            let _ = opening.answer.send(Err(Error::NoAnswer));
            self.over = true;
        }
    }

    async fn send(&mut self) {
        while let Some(request) = self.core.request() {
            self.link.send(&request).await;
        }
    }

    fn ask(&mut self, now: Time, ask: Ask) {
        let lock = ask.lock.clone();
        let wait = if ask.at_once { Span::ZERO } else { now.until(ask.wait_until).min(WAIT_MAX) };
        let call = self.core.acquire(now, lock.clone(), wait, ask.hold, ask.answer_by);
        self.pending.insert(call, Pending::Acquire(lock.clone()));
        self.turns.line(&lock).stage = Stage::Asking(call, ask);
    }

    fn take(&mut self, notice: Notice) {
        match notice {
            Notice::Opened { lease } => {
                self.lease.store(lease.as_millis(), Ordering::Relaxed);
                if let Some(opening) = self.opening.take() {
                    let _ = opening.answer.send(Ok(()));
                }
            }
            Notice::Queued { call, position } => self.queued(call, position),
            Notice::Answered { call, verdict } => self.answered(call, verdict),
            Notice::Lost { lock, token } => {
                self.turns.end(&lock, token, Stage::Free);
            }
            Notice::NotOpened { refusal } => self.not_opened(refusal),
            Notice::SessionLost => {}
        }
    }

    fn queued(&mut self, call: CallId, position: u64) {
        let Some(Pending::Acquire(lock)) = self.pending.get(&call) else { return };
        if let Stage::Asking(_, ask) = &mut self.turns.line(&lock.clone()).stage
            && let Some(on_queued) = &mut ask.on_queued
        {
            (on_queued.0)(position);
        }
    }

    fn answered(&mut self, call: CallId, verdict: Verdict) {
        match self.pending.remove(&call) {
            None => {}
            Some(Pending::Acquire(lock)) => self.acquire_answered(&lock, verdict),
            Some(Pending::Append(answer)) => {
                let _ = answer.send(appended(verdict));
            }
            Some(Pending::Release(lock, answer)) => {
                let line = self.turns.line(&lock);
                if matches!(line.stage, Stage::Releasing) {
                    line.stage = Stage::Free;
                }
                if let Some(answer) = answer {
                    let _ = answer.send(released(verdict));
                }
            }
            Some(Pending::Close(answer)) => {
                self.over = true;
                if let Some(answer) = answer {
                    let _ = answer.send(closed(verdict));
                }
            }
        }
    }

    fn acquire_answered(&mut self, lock: &Name, verdict: Verdict) {
        let line = self.turns.line(lock);
        let Stage::Asking(_, ask) = std::mem::take(&mut line.stage) else { return };
        if let Verdict::Granted { token, .. } = verdict {
            self.granted(ask, token);
        } else if let Verdict::Refused(Refusal::AlreadyHeld { .. }) = verdict {
            let not_before = now() + GIVEN_BACK;
            line.waiting.push_front(Ask { not_before, ..ask });
        } else {
            let _ = ask.answer.send(Err(error(verdict)));
        }
    }

    fn granted(&mut self, ask: Ask, token: Token) {
        let Ask { lock, answer, .. } = ask;
        let until = self.core.until(&lock, token).unwrap_or_default();
        let tenure = Arc::new(Tenure::new(lock.clone(), token, until));
        self.turns.line(&lock).stage = Stage::Held(Arc::clone(&tenure));
        // Nobody can tell the task anything any more: it is about to close.
        let Some(commands) = self.commands.upgrade() else { return };
        // A guard that nobody takes is dropped, and so gives the lock back.
        let _ = answer.send(Ok(Guard::new(tenure, commands)));
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        self.turns.close();
    }
}

fn appended(verdict: Verdict) -> Result<Appended, Error> {
    let Verdict::Appended { offset, len } = verdict else { return Err(error(verdict)) };
    Ok(Appended { offset, len })
}

fn released(verdict: Verdict) -> Result<(), Error> {
    if verdict == Verdict::Released {
        return Ok(());
    }
    let lost = matches!(
        verdict,
        Verdict::Refused(Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession)
    );
    Err(if lost { Error::Lost } else { error(verdict) })
}

fn closed(verdict: Verdict) -> Result<(), Error> {
    if verdict == Verdict::Closed { Ok(()) } else { Err(error(verdict)) }
}

fn error(verdict: Verdict) -> Error {
    match verdict {
        Verdict::Refused(Refusal::LockHeld { .. }) => Error::Held,
        Verdict::Refused(Refusal::WaitTimeout) => Error::TimedOut,
        Verdict::Refused(refusal) => Error::Refused(refusal),
        Verdict::Unknown => Error::Unknown,
        Verdict::NoAnswer => Error::NoAnswer,
        Verdict::Cancelled | Verdict::Closed => Error::Closed,
        Verdict::Granted { .. } | Verdict::Released | Verdict::Appended { .. } => {
            unreachable!("each call ends in its own way: the state machine sees to that")
        }
    }
}
