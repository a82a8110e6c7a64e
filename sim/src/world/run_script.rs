//! Executes the scripts of the clients.

use leasehold_core::client::CallId;
use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};
use leasehold_core::rng::Rng;
use leasehold_core::time::{Millis, Time};

use super::{SimEvent, TraceWriter, World};
use crate::message::Message;
use crate::script::ScriptStep;
use crate::trace::{CallResult, LockId, NodeId, RecordKind};
use crate::virtual_time::VirtualTime;

/// How long a client waits for a reply, in addition to its wait in the queue.
const CALL_TIMEOUT: Millis = Millis::from_secs(20);

/// The base delay before a client retries an acquire that failed, in microseconds.
const RETRY_DELAY_US: u64 = 400_000;

/// A client that loses a lock retries, except that after each of this many losses it skips the
/// work.
const LOSSES_MAX: u32 = 2;

/// The token in records of calls that have none.
const NO_TOKEN: Token = Token::new(0);

/// The key of random numbers for retry delays. No link has this key.
const RETRY_RNG_KEY: u64 = 0xa9 << 56;

/// The state of a client's script.
#[derive(Clone, Debug, Default)]
pub(super) struct ScriptState {
    /// The index of the current step.
    pub(super) step: usize,
    /// Incremented to invalidate events that are scheduled for the script.
    pub(super) generation: u32,
    pub(super) sleeping: bool,
    pub(super) finished: bool,
    /// Whether the check of an append is done, so that only the request remains.
    checked: bool,
    pending_call: Option<PendingCall>,
    call_result: Option<CallResult>,
    /// The granted tokens. The script uses them even if the lock is lost.
    tokens: Vec<(LockId, Token)>,
    lines_written: u32,
    losses: u32,
    repeats: u32,
    retries: u64,
}

#[derive(Clone, Copy, Debug)]
struct PendingCall {
    id: CallId,
    message: Message,
    lock: LockId,
    token: Token,
    gives_up_at: VirtualTime,
}

impl ScriptState {
    /// Returns the details of the pending call, if it has this id.
    pub(super) fn call_details(&self, id: CallId) -> Option<(Message, LockId, Token)> {
        let call = self.pending_call.filter(|call| call.id == id)?;
        Some((call.message, call.lock, call.token))
    }

    /// Handles the end of a call.
    pub(super) fn call_ended(
        &mut self,
        id: CallId,
        message: Message,
        token: Token,
        outcome: CallResult,
    ) {
        let Some(call) = self.pending_call.filter(|call| call.id == id) else { return };
        self.pending_call = None;
        self.sleeping = false;
        // Invalidates the timeout of the call.
        self.generation += 1;
        self.call_result = Some(outcome);
        if message == Message::AcquireLock && outcome == CallResult::Succeeded {
            self.tokens.retain(|(lock, _)| *lock != call.lock);
            self.tokens.push((call.lock, token));
        }
    }

    /// Returns the state after a restart of the client: the script starts again at its first step.
    pub(super) fn restarted(&self) -> Self {
        Self {
            generation: self.generation + 1,
            lines_written: self.lines_written,
            ..Self::default()
        }
    }

    fn token(&self, lock: LockId) -> Option<Token> {
        self.tokens.iter().find(|(held_lock, _)| *held_lock == lock).map(|(_, token)| *token)
    }

    fn advance(&mut self) {
        self.step += 1;
        self.checked = false;
    }
}

impl World {
    /// Executes the next step of a client's script if possible. Returns whether to call it again.
    pub(super) fn run_script(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) -> bool {
        let Some(client) = self.client(node) else { return false };
        let state = &client.script_state;
        let is_waiting = state.pending_call.is_some_and(|call| call.gives_up_at > self.now);
        if client.process.is_none() || state.finished || state.sleeping || is_waiting {
            return false;
        }
        let context = std::sync::Arc::clone(&self.context);
        let Some(client_config) = context.run.config.clients.get(usize::from(node.0) - 1) else {
            return false;
        };
        if let Some(call) = state.pending_call {
            return self.abandon_wait(node, &client_config.script, call);
        }
        match client_config.script.get(state.step) {
            None => {
                self.update_script_state(node, |state| state.finished = true);
                self.record_as_cause(writer, node, RecordKind::Finished);
                false
            }
            Some(ScriptStep::Acquire { lock, wait_ms, hold_ms, give_up_ms }) => {
                let hold = hold_ms.map(Millis::from_millis);
                let wait = Millis::from_millis(*wait_ms);
                self.script_acquire(node, lock, (wait, hold, *give_up_ms), writer)
            }
            Some(ScriptStep::Work { ms }) => {
                let kind = RecordKind::Working { ms: (*ms).into() };
                self.record_as_cause(writer, node, kind);
                self.update_script_state(node, ScriptState::advance);
                self.sleep(node, ms.saturating_mul(1_000));
                false
            }
            Some(ScriptStep::Append { file, check, gap_ms }) => {
                self.script_append(node, &client_config.script, file, (*check, *gap_ms), writer)
            }
            Some(ScriptStep::Release { lock }) => self.script_release(node, lock, writer),
            Some(ScriptStep::Close) => self.script_close(node, writer),
            Some(ScriptStep::Repeat { times }) => {
                let times = *times;
                self.update_script_state(node, |state| {
                    if state.repeats < times {
                        state.repeats += 1;
                        state.step = 0;
                    } else {
                        state.advance();
                    }
                });
                true
            }
        }
    }

    fn update_script_state(&mut self, node: NodeId, update: impl FnOnce(&mut ScriptState)) {
        if let Some(client) = self.client_mut(node) {
            update(&mut client.script_state);
        }
    }

    fn sleep(&mut self, node: NodeId, micros: u64) {
        let at = self.now + micros;
        let Some(client) = self.client_mut(node) else { return };
        client.script_state.sleeping = true;
        client.script_state.generation += 1;
        let generation = client.script_state.generation;
        self.schedule(at, SimEvent::ResumeScript(node, generation));
    }

    /// Sleeps before a retry.
    fn sleep_before_retry(&mut self, node: NodeId) {
        let Some(client) = self.client_mut(node) else { return };
        client.script_state.retries += 1;
        let key = RETRY_RNG_KEY | u64::from(node.0) << 40 | client.script_state.retries;
        let mut rng = Rng::with_stream(self.context.run.seed, key);
        let backoff = self.context.protections.core.backoff;
        let micros = if backoff {
            rng.between(RETRY_DELAY_US / 2, RETRY_DELAY_US * 2)
        } else {
            RETRY_DELAY_US / 2
        };
        self.sleep(node, micros);
    }

    fn script_acquire(
        &mut self,
        node: NodeId,
        name: &Name,
        (wait, hold, give_up_ms): (Millis, Option<Millis>, Option<u64>),
        writer: &mut TraceWriter<'_>,
    ) -> bool {
        match self.take_result(node) {
            Some(CallResult::Succeeded) => {
                self.update_script_state(node, ScriptState::advance);
                true
            }
            Some(_) => {
                self.sleep_before_retry(node);
                false
            }
            None if self.holds(node, name) => {
                self.update_script_state(node, ScriptState::advance);
                true
            }
            None => {
                let lock = self.lock_id(name);
                self.record_call(node, Message::AcquireLock, lock, NO_TOKEN, writer);
                let now = self.local_time(node);
                let deadline = now + wait + CALL_TIMEOUT;
                let process = self.client_mut(node).and_then(|client| client.process.as_mut());
                let Some(process) = process else { return false };
                let id = process.acquire(now, name.clone(), wait, hold, deadline);
                let gives_up_at =
                    give_up_ms.map_or(VirtualTime::NEVER, |ms| self.now + ms.saturating_mul(1_000));
                self.wait_for_call(node, id, (Message::AcquireLock, lock, NO_TOKEN), gives_up_at)
            }
        }
    }

    /// Returns whether the client believes that it still holds the lock.
    fn holds(&self, node: NodeId, name: &Name) -> bool {
        let (lock, now) = (self.lock_id(name), self.local_time(node));
        self.client(node).is_some_and(|client| {
            let token = client.script_state.token(lock);
            let process = client.process.as_ref();
            token.is_some_and(|token| {
                process.is_some_and(|process| process.believes(now, name, token))
            })
        })
    }

    fn wait_for_call(
        &mut self,
        node: NodeId,
        id: CallId,
        (message, lock, token): (Message, LockId, Token),
        gives_up_at: VirtualTime,
    ) -> bool {
        let Some(client) = self.client_mut(node) else { return false };
        client.script_state.pending_call =
            Some(PendingCall { id, message, lock, token, gives_up_at });
        client.script_state.generation += 1;
        let generation = client.script_state.generation;
        self.schedule(gives_up_at, SimEvent::ResumeScript(node, generation));
        true
    }

    /// Cancels a wait that has timed out.
    fn abandon_wait(&mut self, node: NodeId, script: &[ScriptStep], call: PendingCall) -> bool {
        let now = self.local_time(node);
        let locks = self.context.run.config.locks.clone();
        let Some(client) = self.client_mut(node) else { return false };
        if let Some(process) = &mut client.process {
            process.cancel(now, call.id);
        }
        if let Some(name) = locks.get(usize::from(call.lock.0)) {
            client.script_state.step = step_after_release(script, client.script_state.step, name);
        }
        client.script_state.pending_call = None;
        true
    }

    fn script_append(
        &mut self,
        node: NodeId,
        script: &[ScriptStep],
        file: &Name,
        (check, gap_ms): (bool, u64),
        writer: &mut TraceWriter<'_>,
    ) -> bool {
        match self.take_result(node) {
            Some(CallResult::LockLost) => {
                self.restart_from_acquire(node, script, file);
                return true;
            }
            Some(_) => {
                self.update_script_state(node, ScriptState::advance);
                return true;
            }
            None => {}
        }
        let lock = self.lock_id(file);
        let now = self.local_time(node);
        let Some(client) = self.client_mut(node) else { return false };
        let token = client.script_state.token(lock).unwrap_or(NO_TOKEN);
        if !client.script_state.checked {
            client.script_state.checked = true;
            if check {
                let holds = client
                    .process
                    .as_ref()
                    .is_some_and(|process| process.believes(now, file, token));
                self.record_as_cause(writer, node, RecordKind::Checked { lock, holds });
                if !holds {
                    self.restart_from_acquire(node, script, file);
                    return true;
                }
            }
            if gap_ms > 0 {
                self.sleep(node, gap_ms.saturating_mul(1_000));
                return false;
            }
        }
        self.record_call(node, Message::AppendFile, lock, token, writer);
        let context = std::sync::Arc::clone(&self.context);
        let Some(client) = self.client_mut(node) else { return false };
        client.script_state.lines_written += 1;
        let client_name = &context.run.config.clients[usize::from(node.0) - 1].name;
        let text =
            format!("{client_name} wrote this, entry {}\n", client.script_state.lines_written);
        let Some(process) = &mut client.process else { return false };
        let data = Data::new(text.as_bytes());
        let id = process.append(now, file.clone(), token, data, now + CALL_TIMEOUT);
        self.wait_for_call(node, id, (Message::AppendFile, lock, token), VirtualTime::NEVER)
    }

    /// Returns to the step that acquires this lock, or skips to the step after its release.
    fn restart_from_acquire(&mut self, node: NodeId, script: &[ScriptStep], name: &Name) {
        self.update_script_state(node, |state| {
            state.losses += 1;
            let index = script[..state.step]
                .iter()
                .rposition(|step| matches!(step, ScriptStep::Acquire { lock, .. } if lock == name));
            // The work may take longer than the lease ever allows: do not retry forever.
            let may_retry = state.losses < LOSSES_MAX * 5 && state.losses % LOSSES_MAX != 0;
            let restart_at = index.filter(|_| may_retry);
            state.step = restart_at.unwrap_or_else(|| step_after_release(script, state.step, name));
            state.checked = false;
        });
    }

    fn script_release(&mut self, node: NodeId, name: &Name, writer: &mut TraceWriter<'_>) -> bool {
        let lock = self.lock_id(name);
        let Some(client) = self.client(node) else { return false };
        let token = client.script_state.token(lock);
        if self.take_result(node).is_some() {
            self.update_script_state(node, |state| {
                state.tokens.retain(|(held_lock, _)| *held_lock != lock);
                state.advance();
            });
            return true;
        }
        let Some(token) = token else {
            self.update_script_state(node, ScriptState::advance);
            return true;
        };
        self.record_call(node, Message::ReleaseLock, lock, token, writer);
        let now = self.local_time(node);
        let process = self.client_mut(node).and_then(|client| client.process.as_mut());
        let Some(process) = process else { return false };
        let id = process.release(now, name.clone(), token, now + CALL_TIMEOUT);
        self.wait_for_call(node, id, (Message::ReleaseLock, lock, token), VirtualTime::NEVER)
    }

    fn script_close(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) -> bool {
        if self.take_result(node).is_some() {
            self.update_script_state(node, ScriptState::advance);
            return true;
        }
        self.record_call(node, Message::Close, LockId::NONE, NO_TOKEN, writer);
        let now: Time = self.local_time(node);
        let process = self.client_mut(node).and_then(|client| client.process.as_mut());
        let Some(process) = process else { return false };
        let id = process.close(now, now + CALL_TIMEOUT);
        self.wait_for_call(node, id, (Message::Close, LockId::NONE, NO_TOKEN), VirtualTime::NEVER)
    }

    fn take_result(&mut self, node: NodeId) -> Option<CallResult> {
        self.client_mut(node)?.script_state.call_result.take()
    }
}

/// Returns the step after the one that releases this lock, or the next step if none does.
fn step_after_release(script: &[ScriptStep], start: usize, name: &Name) -> usize {
    let mut steps = script.iter().skip(start);
    let index = steps.position(|step| matches!(step, ScriptStep::Release { lock } if lock == name));
    start + index.unwrap_or(0) + 1
}
