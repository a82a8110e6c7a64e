//! The state of a client's script: the current step, the pending call, and the granted tokens.

use leasehold_core::client::CallId;
use leasehold_core::id::Token;

use crate::message::Message;
use crate::trace::{CallResult, LockId};
use crate::virtual_time::VirtualTime;

/// The state of a client's script.
#[derive(Clone, Debug, Default)]
pub(super) struct ScriptState {
    /// The index of the current step.
    pub(super) step: usize,
    /// Incremented to invalidate events that are scheduled for the script.
    pub(super) generation: u32,
    pub(super) sleep: Option<Sleep>,
    pub(super) finished: bool,
    /// Whether the check of an append is done, so that only the request remains.
    pub(super) checked: bool,
    /// Whether an acquire was refused, so that another lock is released before the next attempt.
    pub(super) rolls_back: bool,
    pub(super) pending_call: Option<PendingCall>,
    pub(super) call_result: Option<CallResult>,
    /// The granted tokens. The script uses them even if the lock is lost.
    pub(super) tokens: Vec<(LockId, Token)>,
    pub(super) lines_written: u32,
    pub(super) losses: u32,
    pub(super) repeats: u32,
    pub(super) retries: u64,
}

/// Why a script sleeps, and until when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sleep {
    pub(super) reason: SleepReason,
    pub(super) until: VirtualTime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SleepReason {
    Work,
    /// The time between the check of an append and its request.
    Gap,
    Retry,
}

/// What a client's script does at one point in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ScriptActivity {
    /// It has not started, or has completed its steps.
    Inactive,
    /// It works until this time, unless its node is paused.
    Working(VirtualTime),
    /// It waits until this time before it retries.
    BackingOff(VirtualTime),
    /// It waits for the end of a call.
    Calling(Message, LockId),
}

/// A call that has not ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct PendingCall {
    pub(super) id: CallId,
    pub(super) message: Message,
    pub(super) lock: LockId,
    pub(super) token: Token,
    pub(super) gives_up_at: VirtualTime,
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
        self.sleep = None;
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

    /// Returns what the script does.
    pub(super) fn activity(&self) -> ScriptActivity {
        match (self.pending_call, self.sleep) {
            (Some(call), _) => ScriptActivity::Calling(call.message, call.lock),
            (None, Some(Sleep { reason: SleepReason::Retry, until })) => {
                ScriptActivity::BackingOff(until)
            }
            (None, Some(Sleep { reason: SleepReason::Work | SleepReason::Gap, until })) => {
                ScriptActivity::Working(until)
            }
            (None, None) => ScriptActivity::Inactive,
        }
    }

    pub(super) fn token(&self, lock: LockId) -> Option<Token> {
        self.tokens.iter().find(|(held_lock, _)| *held_lock == lock).map(|(_, token)| *token)
    }

    pub(super) fn advance(&mut self) {
        self.step += 1;
        self.checked = false;
    }
}
