//! Executes the scripts of the clients.

use leasehold_core::client::CallId;
use leasehold_core::data::Data;
use leasehold_core::id::{Name, Token};
use leasehold_core::rng::Rng;
use leasehold_core::time::{Millis, Time};

use super::script_state::{PendingCall, ScriptState, Sleep, SleepReason};
use super::{SimEvent, TraceWriter, World};
use crate::file_lines::Lines;
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

impl World {
    /// Executes the next step of a client's script if possible. Returns whether to call it again.
    pub(super) fn run_script(&mut self, node: NodeId, writer: &mut TraceWriter<'_>) -> bool {
        let Some(client) = self.client(node) else { return false };
        let state = &client.script_state;
        let is_waiting = state.pending_call.is_some_and(|call| call.gives_up_at > self.now);
        if client.process.is_none() || state.finished || state.sleep.is_some() || is_waiting {
            return false;
        }
        let context = std::sync::Arc::clone(&self.context);
        let Some(script) = context.scripts.get(usize::from(node.0) - 1) else { return false };
        if let Some(call) = state.pending_call {
            return self.abandon_wait(node, script, call);
        }
        match script.get(state.step) {
            None => {
                self.update_script_state(node, |state| state.finished = true);
                self.record_as_cause(writer, node, RecordKind::Finished);
                false
            }
            Some(ScriptStep::Acquire { lock, wait_ms, hold_ms, give_up_ms, or_release }) => {
                let options = AcquireOptions {
                    wait: Millis::from_millis(*wait_ms),
                    hold: hold_ms.map(Millis::from_millis),
                    give_up_ms: *give_up_ms,
                    or_release: or_release.as_ref(),
                };
                self.script_acquire(node, lock, options, (script, writer))
            }
            Some(ScriptStep::Work { ms }) => {
                let kind = RecordKind::Working { ms: (*ms).into() };
                self.record_as_cause(writer, node, kind);
                self.update_script_state(node, ScriptState::advance);
                self.sleep(node, SleepReason::Work, ms.saturating_mul(1_000));
                false
            }
            Some(ScriptStep::Append { file, check, gap_ms }) => {
                self.script_append(node, script, file, (*check, *gap_ms), writer)
            }
            Some(ScriptStep::Release { lock }) => self.script_release(node, lock, writer),
            Some(ScriptStep::Read { file, update_lines }) => {
                self.script_read(node, file, *update_lines, writer);
                self.update_script_state(node, ScriptState::advance);
                true
            }
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

    fn sleep(&mut self, node: NodeId, reason: SleepReason, micros: u64) {
        let at = self.now + micros;
        let Some(client) = self.client_mut(node) else { return };
        client.script_state.sleep = Some(Sleep { reason, until: at });
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
        self.sleep(node, SleepReason::Retry, micros);
    }

    fn script_acquire(
        &mut self,
        node: NodeId,
        name: &Name,
        options: AcquireOptions<'_>,
        (script, writer): (&[ScriptStep], &mut TraceWriter<'_>),
    ) -> bool {
        let AcquireOptions { wait, hold, give_up_ms, or_release } = options;
        let rolls_back = self.client(node).is_some_and(|it| it.script_state.rolls_back);
        match (self.take_result(node), or_release) {
            (Some(_), Some(other)) if rolls_back => {
                self.retry_from_acquire(node, script, other);
                false
            }
            (Some(CallResult::Succeeded), _) => {
                self.update_script_state(node, ScriptState::advance);
                true
            }
            (Some(_), Some(other)) => self.roll_back(node, script, other, writer),
            (Some(_), None) => {
                self.sleep_before_retry(node);
                false
            }
            (None, _) if self.holds(node, name) => {
                self.update_script_state(node, ScriptState::advance);
                true
            }
            (None, _) => {
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

    /// Releases the lock `other`, because an acquire was refused.
    fn roll_back(
        &mut self,
        node: NodeId,
        script: &[ScriptStep],
        other: &Name,
        writer: &mut TraceWriter<'_>,
    ) -> bool {
        let lock = self.lock_id(other);
        let Some(client) = self.client_mut(node) else { return false };
        let Some(token) = client.script_state.token(lock) else {
            self.retry_from_acquire(node, script, other);
            return false;
        };
        client.script_state.rolls_back = true;
        self.call_release(node, other, token, writer)
    }

    /// Retries later, from the step that acquires the lock `other`.
    fn retry_from_acquire(&mut self, node: NodeId, script: &[ScriptStep], other: &Name) {
        let lock = self.lock_id(other);
        self.update_script_state(node, |state| {
            state.rolls_back = false;
            state.tokens.retain(|(held_lock, _)| *held_lock != lock);
            state.step = last_acquire(&script[..state.step], other).unwrap_or(state.step);
        });
        self.sleep_before_retry(node);
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
                self.sleep(node, SleepReason::Gap, gap_ms.saturating_mul(1_000));
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
            let index = last_acquire(&script[..state.step], name);
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
        self.call_release(node, name, token, writer)
    }

    fn call_release(
        &mut self,
        node: NodeId,
        name: &Name,
        token: Token,
        writer: &mut TraceWriter<'_>,
    ) -> bool {
        let lock = self.lock_id(name);
        self.record_call(node, Message::ReleaseLock, lock, token, writer);
        let now = self.local_time(node);
        let process = self.client_mut(node).and_then(|client| client.process.as_mut());
        let Some(process) = process else { return false };
        let id = process.release(now, name.clone(), token, now + CALL_TIMEOUT);
        self.wait_for_call(node, id, (Message::ReleaseLock, lock, token), VirtualTime::NEVER)
    }

    /// Reads a file at once: it is published outside of the lock protocol. A server that is down
    /// publishes nothing.
    fn script_read(
        &mut self,
        node: NodeId,
        file: &Name,
        update_lines: u32,
        writer: &mut TraceWriter<'_>,
    ) {
        if !self.is_up(NodeId::SERVER) {
            return;
        }
        let lock = self.lock_id(file);
        let lines = self.file(lock);
        let count = lines.map_or(0, Lines::len);
        let last_token = lines.and_then(|lines| lines.iter().next_back()).map(|line| line.token);
        let of_last_update = lines.map_or(0, |lines| {
            lines.iter().rev().take_while(|line| Some(line.token) == last_token).count()
        });
        let is_torn =
            last_token.is_some() && of_last_update < usize::try_from(update_lines).unwrap_or(0);
        let lines = u32::try_from(count).unwrap_or(u32::MAX);
        let tenure_record = self.server.recorder.tenure_record(lock);
        let kind = RecordKind::FileRead { lock, lines, is_torn };
        let id = self.record_with_related(writer, node, kind, tenure_record);
        writer.cause = id;
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

/// The options of an acquire step.
#[derive(Clone, Copy)]
struct AcquireOptions<'a> {
    wait: Millis,
    hold: Option<Millis>,
    give_up_ms: Option<u64>,
    or_release: Option<&'a Name>,
}

/// Returns the index of the last step that acquires this lock.
fn last_acquire(steps: &[ScriptStep], name: &Name) -> Option<usize> {
    steps.iter().rposition(|step| matches!(step, ScriptStep::Acquire { lock, .. } if lock == name))
}

/// Returns the step after the one that releases this lock, or the next step if none does.
fn step_after_release(script: &[ScriptStep], start: usize, name: &Name) -> usize {
    let mut steps = script.iter().skip(start);
    let index = steps.position(|step| matches!(step, ScriptStep::Release { lock } if lock == name));
    start + index.unwrap_or(0) + 1
}
