//! A client goes through its script.

use leasehold_core::client::CallId;
use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};
use leasehold_core::rng::Rng;
use leasehold_core::time::{Span, Time};

use super::{Due, Pen, World};
use crate::message::Message;
use crate::moment::Moment;
use crate::script::Step;
use crate::trace::{CallEnd, Kind, LockNo, NodeNo};

/// How long a client waits for an answer, beyond what it is willing to stand in line.
const PATIENCE: Span = Span::from_secs(20);

/// About how long it waits before it asks again for what it did not get, in microseconds.
const AGAIN_US: u64 = 400_000;

/// How often it begins anew for having lost a lock, before it goes on without.
const LOSSES_MAX: u32 = 2;

/// What the draws for that are keyed by.
const AGAIN_KEY: u64 = 0xa9 << 56;

/// How far a client is with its script.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress {
    /// The step that it is at.
    pub(super) at: usize,
    /// Tells what is due for it from what was due before.
    pub(super) number: u32,
    pub(super) sleeping: bool,
    pub(super) finished: bool,
    /// Whether it has looked, and only has to send yet.
    looked: bool,
    waiting: Option<Call>,
    result: Option<CallEnd>,
    /// What it has been given: it goes on using that, whether it still holds or not.
    given: Vec<(LockNo, u32)>,
    lines: u32,
    lost: u32,
    repeats: u32,
    tries: u64,
}

#[derive(Clone, Copy, Debug)]
struct Call {
    id: CallId,
    message: Message,
    lock: LockNo,
    token: u32,
    gives_up: Moment,
}

impl Progress {
    /// What it waits for under this number.
    pub(super) fn call_of(&self, id: CallId) -> Option<(Message, LockNo, u32)> {
        let call = self.waiting.filter(|call| call.id == id)?;
        Some((call.message, call.lock, call.token))
    }

    /// A call has come to its end.
    pub(super) fn answered(&mut self, id: CallId, message: Message, token: u32, end: CallEnd) {
        let Some(call) = self.waiting.filter(|call| call.id == id) else { return };
        self.waiting = None;
        self.sleeping = false;
        // The time to give up, if there was one, is of no account any more.
        self.number += 1;
        self.result = Some(end);
        if message == Message::AcquireLock && end == CallEnd::Done {
            self.given.retain(|(lock, _)| *lock != call.lock);
            self.given.push((call.lock, token));
        }
    }

    /// The same script from the top, in another life.
    pub(super) fn begin_anew(&self) -> Self {
        Self { number: self.number + 1, lines: self.lines, ..Self::default() }
    }

    fn token(&self, lock: LockNo) -> Option<u32> {
        self.given.iter().find(|(given, _)| *given == lock).map(|(_, token)| *token)
    }

    fn next(&mut self) {
        self.at += 1;
        self.looked = false;
    }
}

impl World {
    /// Does the next step of a client's script, if it can. Says whether there may be another.
    pub(super) fn run_script(&mut self, node: NodeNo, pen: &mut Pen<'_>) -> bool {
        let Some(client) = self.client(node) else { return false };
        let progress = &client.progress;
        let waits = progress.waiting.is_some_and(|call| call.gives_up > self.now);
        if client.core.is_none() || progress.finished || progress.sleeping || waits {
            return false;
        }
        let fixed = std::sync::Arc::clone(&self.fixed);
        let Some(spec) = fixed.run.config.clients.get(usize::from(node.0) - 1) else {
            return false;
        };
        if let Some(call) = progress.waiting {
            return self.give_up(node, &spec.script, call);
        }
        match spec.script.get(progress.at) {
            None => {
                self.progress(node, |progress| progress.finished = true);
                self.chain(pen, node, Kind::Finished);
                false
            }
            Some(Step::Acquire { lock, wait_ms, hold_ms, give_up_ms }) => {
                let hold = hold_ms.map(Span::from_millis);
                let wait = Span::from_millis(*wait_ms);
                self.script_acquire(node, lock, (wait, hold, *give_up_ms), pen)
            }
            Some(Step::Work { ms }) => {
                let ms32 = u32::try_from(*ms).unwrap_or(u32::MAX);
                self.chain(pen, node, Kind::Working { ms: ms32 });
                self.progress(node, Progress::next);
                self.sleep(node, ms * 1_000);
                false
            }
            Some(Step::Append { file, check, gap_ms }) => {
                self.script_append(node, &spec.script, file, (*check, *gap_ms), pen)
            }
            Some(Step::Release { lock }) => self.script_release(node, lock, pen),
            Some(Step::Close) => self.script_close(node, pen),
            Some(Step::Repeat { times }) => {
                let times = *times;
                self.progress(node, |progress| {
                    if progress.repeats < times {
                        progress.repeats += 1;
                        progress.at = 0;
                    } else {
                        progress.next();
                    }
                });
                true
            }
        }
    }

    fn progress(&mut self, node: NodeNo, change: impl FnOnce(&mut Progress)) {
        if let Some(client) = self.client_mut(node) {
            change(&mut client.progress);
        }
    }

    fn sleep(&mut self, node: NodeNo, micros: u64) {
        let at = self.now + micros;
        let Some(client) = self.client_mut(node) else { return };
        client.progress.sleeping = true;
        client.progress.number += 1;
        let number = client.progress.number;
        self.schedule(at, Due::Act(node, number));
    }

    /// Sleeps before it asks again.
    fn sleep_and_retry(&mut self, node: NodeNo) {
        let Some(client) = self.client_mut(node) else { return };
        client.progress.tries += 1;
        let key = AGAIN_KEY | u64::from(node.0) << 40 | client.progress.tries;
        let mut rng = Rng::keyed(self.fixed.run.seed, key);
        let backoff = self.fixed.guards.core.backoff;
        let micros = if backoff { rng.between(AGAIN_US / 2, AGAIN_US * 2) } else { AGAIN_US / 2 };
        self.sleep(node, micros);
    }

    fn script_acquire(
        &mut self,
        node: NodeNo,
        name: &Name,
        (wait, hold, give_up_ms): (Span, Option<Span>, Option<u64>),
        pen: &mut Pen<'_>,
    ) -> bool {
        match self.take_result(node) {
            Some(CallEnd::Done) => {
                self.progress(node, Progress::next);
                true
            }
            Some(_) => {
                self.sleep_and_retry(node);
                false
            }
            None if self.holds(node, name) => {
                self.progress(node, Progress::next);
                true
            }
            None => {
                let lock = self.lock_no(name);
                self.called(node, Message::AcquireLock, lock, 0, pen);
                let now = self.local(node);
                let deadline = now + wait + PATIENCE;
                let core = self.client_mut(node).and_then(|client| client.core.as_mut());
                let Some(core) = core else { return false };
                let id = core.acquire(now, name.clone(), wait, hold, deadline);
                let gives_up = give_up_ms.map_or(Moment::NEVER, |ms| self.now + ms * 1_000);
                self.wait(node, id, (Message::AcquireLock, lock, 0), gives_up)
            }
        }
    }

    /// Whether it still has what it got before.
    fn holds(&self, node: NodeNo, name: &Name) -> bool {
        let (lock, now) = (self.lock_no(name), self.local(node));
        self.client(node).is_some_and(|client| {
            let token = client.progress.token(lock).map(|token| Token::new(u64::from(token)));
            let core = client.core.as_ref();
            token.is_some_and(|token| core.is_some_and(|core| core.believes(now, name, token)))
        })
    }

    fn wait(
        &mut self,
        node: NodeNo,
        id: CallId,
        (message, lock, token): (Message, LockNo, u32),
        gives_up: Moment,
    ) -> bool {
        let Some(client) = self.client_mut(node) else { return false };
        client.progress.waiting = Some(Call { id, message, lock, token, gives_up });
        client.progress.number += 1;
        let number = client.progress.number;
        self.schedule(gives_up, Due::Act(node, number));
        true
    }

    /// Leaves the line where it has stood there for long enough.
    fn give_up(&mut self, node: NodeNo, script: &[Step], call: Call) -> bool {
        let now = self.local(node);
        let locks = self.fixed.run.config.locks.clone();
        let Some(client) = self.client_mut(node) else { return false };
        if let Some(core) = &mut client.core {
            core.cancel(now, call.id);
        }
        if let Some(name) = locks.get(usize::from(call.lock.0)) {
            client.progress.at = behind_release(script, client.progress.at, name);
        }
        client.progress.waiting = None;
        true
    }

    fn script_append(
        &mut self,
        node: NodeNo,
        script: &[Step],
        file: &Name,
        (check, gap_ms): (bool, u64),
        pen: &mut Pen<'_>,
    ) -> bool {
        match self.take_result(node) {
            Some(CallEnd::Lost) => {
                self.begin_again(node, script, file);
                return true;
            }
            Some(_) => {
                self.progress(node, Progress::next);
                return true;
            }
            None => {}
        }
        let lock = self.lock_no(file);
        let now = self.local(node);
        let Some(client) = self.client_mut(node) else { return false };
        let token = client.progress.token(lock).unwrap_or(0);
        let full = Token::new(u64::from(token));
        if !client.progress.looked {
            client.progress.looked = true;
            if check {
                let holds = client.core.as_ref().is_some_and(|core| core.believes(now, file, full));
                self.chain(pen, node, Kind::Checked { lock, holds });
                if !holds {
                    self.begin_again(node, script, file);
                    return true;
                }
            }
            if gap_ms > 0 {
                self.sleep(node, gap_ms * 1_000);
                return false;
            }
        }
        self.called(node, Message::AppendFile, lock, token, pen);
        let fixed = std::sync::Arc::clone(&self.fixed);
        let Some(client) = self.client_mut(node) else { return false };
        client.progress.lines += 1;
        let author = &fixed.run.config.clients[usize::from(node.0) - 1].name;
        let text = format!("{author} wrote this, entry {}\n", client.progress.lines);
        let Some(core) = &mut client.core else { return false };
        let data = Data::new(text.as_bytes());
        let id = core.append(now, file.clone(), full, data, now + PATIENCE);
        self.wait(node, id, (Message::AppendFile, lock, token), Moment::NEVER)
    }

    /// Goes back to where it got this lock.
    fn begin_again(&mut self, node: NodeNo, script: &[Step], name: &Name) {
        self.progress(node, |progress| {
            progress.lost += 1;
            let place = script[..progress.at]
                .iter()
                .rposition(|step| matches!(step, Step::Acquire { lock, .. } if lock == name));
            // What it can never do in the time that it has, it gives up.
            let fresh = progress.lost < LOSSES_MAX * 5 && progress.lost % LOSSES_MAX != 0;
            let again = place.filter(|_| fresh);
            progress.at = again.unwrap_or_else(|| behind_release(script, progress.at, name));
            progress.looked = false;
        });
    }

    fn script_release(&mut self, node: NodeNo, name: &Name, pen: &mut Pen<'_>) -> bool {
        let lock = self.lock_no(name);
        let Some(client) = self.client(node) else { return false };
        let token = client.progress.token(lock);
        if self.take_result(node).is_some() {
            self.progress(node, |progress| {
                progress.given.retain(|(given, _)| *given != lock);
                progress.next();
            });
            return true;
        }
        let Some(token) = token else {
            self.progress(node, Progress::next);
            return true;
        };
        self.called(node, Message::ReleaseLock, lock, token, pen);
        let now = self.local(node);
        let core = self.client_mut(node).and_then(|client| client.core.as_mut());
        let Some(core) = core else { return false };
        let full = Token::new(u64::from(token));
        let id = core.release(now, name.clone(), full, now + PATIENCE);
        self.wait(node, id, (Message::ReleaseLock, lock, token), Moment::NEVER)
    }

    fn script_close(&mut self, node: NodeNo, pen: &mut Pen<'_>) -> bool {
        if self.take_result(node).is_some() {
            self.progress(node, Progress::next);
            return true;
        }
        self.called(node, Message::Close, LockNo::NONE, 0, pen);
        let now: Time = self.local(node);
        let core = self.client_mut(node).and_then(|client| client.core.as_mut());
        let Some(core) = core else { return false };
        let id = core.close(now, now + PATIENCE);
        self.wait(node, id, (Message::Close, LockNo::NONE, 0), Moment::NEVER)
    }

    fn take_result(&mut self, node: NodeNo) -> Option<CallEnd> {
        self.client_mut(node)?.progress.result.take()
    }
}

/// The step after the one that gives this lock back; the next one where none does.
fn behind_release(script: &[Step], from: usize, name: &Name) -> usize {
    let mut steps = script.iter().skip(from);
    let place = steps.position(|step| matches!(step, Step::Release { lock } if lock == name));
    from + place.unwrap_or(0) + 1
}
