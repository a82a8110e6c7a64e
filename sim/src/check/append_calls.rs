//! The outcomes of append calls, compared with the lines in the files (S3).
//!
//! - Each call of a client's program appends one line. The client library may send it several
//!   times, but the line must be in the file at most once.
//! - If the outcome is a refusal or a lost lock, the line is never in the file.
//! - A call without a known outcome may have written its line or not. The client library must not
//!   report `storage_failed` as the outcome of a call that it has sent: that refusal answers one
//!   transmission, and the line may be written later.

use super::recent::Recent;
use crate::trace::{CallResult, NodeId, Number};

/// The number of calls that are retained for each client. A client makes one call at a time.
const CAPACITY: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct AppendCalls {
    clients: Vec<ClientCalls>,
}

#[derive(Clone, Debug, Default)]
struct ClientCalls {
    /// The last append calls, numbered from 1.
    appends: Recent<Append, CAPACITY>,
    count: u32,
    /// Sequence number of each request, and number of its call.
    sent: Recent<(Number, u32), CAPACITY>,
    /// The largest of these sequence numbers.
    highest: Number,
}

#[derive(Clone, Copy, Debug)]
struct Append {
    number: u32,
    line: LineState,
    /// Whether the call has returned that the line is not written.
    is_reported_failed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LineState {
    Absent,
    /// In the file, by the event at this log index.
    Written(Number),
    /// Lost in a crash. Whether that violates S5 is checked elsewhere.
    Lost,
}

impl AppendCalls {
    pub(super) fn new(clients: usize) -> Self {
        Self { clients: vec![ClientCalls::default(); clients + 1] }
    }

    pub(super) fn start_call(&mut self, client: NodeId) {
        let Some(calls) = self.client_calls(client) else { return };
        calls.count += 1;
        let (number, line) = (calls.count, LineState::Absent);
        calls.appends.push(Append { number, line, is_reported_failed: false });
    }

    pub(super) fn observe_request(&mut self, client: NodeId, seq: Number) {
        let Some(calls) = self.client_calls(client) else { return };
        // The search is skipped for new requests, which is nearly every one.
        if seq > calls.highest || calls.sent.find_last(seq).is_none() {
            calls.sent.push((seq, calls.count));
            calls.highest = calls.highest.max(seq);
        }
    }

    /// Records that a line is written, and returns whether it is the first one of its call and the
    /// call has not returned a failure.
    pub(super) fn observe_write(&mut self, client: NodeId, seq: Number, index: Number) -> bool {
        let Some(append) = self.append_for_request(client, seq) else { return true };
        let is_first = !matches!(append.line, LineState::Written(_));
        append.line = LineState::Written(index);
        is_first && !append.is_reported_failed
    }

    /// Records the outcome of the last call, and returns whether it is true.
    pub(super) fn check_outcome(&mut self, client: NodeId, outcome: CallResult) -> bool {
        let append = self.client_calls(client).and_then(|calls| calls.append(calls.count));
        let Some(append) = append else { return true };
        match outcome {
            CallResult::Succeeded => append.line != LineState::Absent,
            CallResult::Refused | CallResult::LockLost => {
                append.is_reported_failed = true;
                !matches!(append.line, LineState::Written(_))
            }
            CallResult::NoAnswer | CallResult::Unknown | CallResult::Cancelled => true,
        }
    }

    pub(super) fn recover(&mut self, through: Number) {
        for append in self.clients.iter_mut().flat_map(|calls| calls.appends.as_mut_slice()) {
            if matches!(append.line, LineState::Written(index) if index > through) {
                append.line = LineState::Lost;
            }
        }
    }

    fn client_calls(&mut self, client: NodeId) -> Option<&mut ClientCalls> {
        self.clients.get_mut(usize::from(client.0))
    }

    /// Returns the append that was sent with this sequence number.
    fn append_for_request(&mut self, client: NodeId, seq: Number) -> Option<&mut Append> {
        let calls = self.client_calls(client)?;
        calls.append(calls.sent.find_last(seq)?)
    }
}

impl ClientCalls {
    fn append(&mut self, number: u32) -> Option<&mut Append> {
        self.appends.as_mut_slice().iter_mut().rev().find(|append| append.number == number)
    }
}
