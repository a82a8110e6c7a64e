//! What callers were told of their appends, and what stands in the files (S3).
//!
//! - A line is one call of a client's program. The client's library may ask for it more than once,
//!   and is to see to it that it stands there once.
//! - Whoever is told that the line was refused, or the lock lost, never finds it in the file.
//! - A call that nobody could answer may have come to anything. So may one that was refused for a
//!   failed disk by a server that died before it could remember that.

use super::recent::Recent;
use crate::trace::{CallResult, NodeId};

/// How many calls of a client are known: it makes one after the other.
const CAPACITY: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct AppendCalls {
    clients: Vec<ClientCalls>,
    /// Whether anybody was told of a failed disk since something was stored.
    has_volatile_refusals: bool,
}

#[derive(Clone, Debug, Default)]
struct ClientCalls {
    /// The last appends that were asked for, each with its number from 1 on.
    appends: Recent<Append, CAPACITY>,
    count: u32,
    /// Under which numbers of requests they were sent: that number, and which append.
    sent: Recent<(u32, u32), CAPACITY>,
    /// The largest of those numbers.
    highest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Append {
    number: u32,
    line: LineState,
    /// Whether its caller was told that there is no such line.
    is_reported_failed: bool,
    refusal: RefusalState,
}

/// Whether the server knows that it has refused an append for a failed disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RefusalState {
    /// It has not, or that is stored.
    Durable,
    /// It is not stored.
    Volatile,
    /// The server has died, and can't know any more.
    Forgotten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineState {
    Absent,
    /// In the file, by an event at this place in history.
    Written(u32),
    /// Gone with a crash: whether that may be is not judged here.
    Lost,
}

impl AppendCalls {
    pub(super) fn new(clients: usize) -> Self {
        Self { clients: vec![ClientCalls::default(); clients + 1], has_volatile_refusals: false }
    }

    pub(super) fn start_call(&mut self, client: NodeId) {
        let Some(calls) = self.client_calls(client) else { return };
        calls.count += 1;
        let (number, line, refusal) = (calls.count, LineState::Absent, RefusalState::Durable);
        calls.appends.push(Append { number, line, is_reported_failed: false, refusal });
    }

    pub(super) fn observe_request(&mut self, client: NodeId, seq: u32) {
        let Some(calls) = self.client_calls(client) else { return };
        // Nearly every one is newer than all before.
        if seq > calls.highest || calls.sent.index_of(seq).is_none() {
            calls.sent.push((seq, calls.count));
            calls.highest = calls.highest.max(seq);
        }
    }

    /// The server says that its disk failed.
    pub(super) fn observe_storage_failure(&mut self, client: NodeId, seq: u32) {
        if let Some(append) = self.append_for_request(client, seq) {
            append.refusal = RefusalState::Volatile;
            self.has_volatile_refusals = true;
        }
    }

    /// What was owed to the disk is on it.
    pub(super) fn mark_durable(&mut self) {
        self.settle_refusals(RefusalState::Durable);
    }

    /// The server has died.
    pub(super) fn crash(&mut self) {
        self.settle_refusals(RefusalState::Forgotten);
    }

    fn settle_refusals(&mut self, refusal: RefusalState) {
        if std::mem::take(&mut self.has_volatile_refusals) {
            let appends = self.clients.iter_mut().flat_map(|calls| calls.appends.as_mut_slice());
            for append in appends.filter(|append| append.refusal == RefusalState::Volatile) {
                append.refusal = refusal;
            }
        }
    }

    /// A line is written. Says whether it is the only one of its call, and may be there.
    pub(super) fn observe_write(&mut self, client: NodeId, seq: u32, index: u32) -> bool {
        let Some(append) = self.append_for_request(client, seq) else { return true };
        let is_first = !matches!(append.line, LineState::Written(_));
        append.line = LineState::Written(index);
        is_first && (!append.is_reported_failed || append.refusal == RefusalState::Forgotten)
    }

    /// The last call has come to its end. Says whether it is so.
    pub(super) fn check_outcome(&mut self, client: NodeId, outcome: CallResult) -> bool {
        let append = self.client_calls(client).and_then(|calls| calls.append(calls.count));
        let Some(append) = append else { return true };
        match outcome {
            CallResult::Succeeded => append.line != LineState::Absent,
            CallResult::Refused | CallResult::LockLost => {
                append.is_reported_failed = true;
                let is_written = matches!(append.line, LineState::Written(_));
                !is_written || append.refusal == RefusalState::Forgotten
            }
            CallResult::NoAnswer | CallResult::Unknown | CallResult::Cancelled => true,
        }
    }

    pub(super) fn recover(&mut self, through: u32) {
        for append in self.clients.iter_mut().flat_map(|calls| calls.appends.as_mut_slice()) {
            if matches!(append.line, LineState::Written(index) if index > through) {
                append.line = LineState::Lost;
            }
        }
    }

    fn client_calls(&mut self, client: NodeId) -> Option<&mut ClientCalls> {
        self.clients.get_mut(usize::from(client.0))
    }

    /// The append that was sent under this number.
    fn append_for_request(&mut self, client: NodeId, seq: u32) -> Option<&mut Append> {
        let calls = self.client_calls(client)?;
        calls.append(calls.sent.index_of(seq)?)
    }
}

impl ClientCalls {
    fn append(&mut self, number: u32) -> Option<&mut Append> {
        self.appends.as_mut_slice().iter_mut().rev().find(|append| append.number == number)
    }
}
