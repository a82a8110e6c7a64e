//! What callers were told of their appends, and what stands in the files (S3).
//!
//! - A line is one call of a client's program. The client's library may ask for it more than once,
//!   and is to see to it that it stands there once.
//! - Whoever is told that the line was refused, or the lock lost, never finds it in the file.
//! - A call that nobody could answer may have come to anything. So may one that was refused for a
//!   failed disk by a server that died before it could remember that.

use super::last::Last;
use crate::trace::{CallEnd, NodeNo};

/// How many calls of a client are known: it makes one after the other.
const KEPT: usize = 32;

#[derive(Clone, Debug)]
pub(super) struct Calls {
    clients: Vec<Caller>,
    /// Whether anybody was told of a failed disk since something was stored.
    loose: bool,
}

#[derive(Clone, Debug, Default)]
struct Caller {
    /// The last appends that were asked for, each with its number from 1 on.
    appends: Last<Append, KEPT>,
    made: u32,
    /// Under which numbers of requests they were sent: that number, and which append.
    sent: Last<(u32, u32), KEPT>,
    /// The largest of those numbers.
    highest: u32,
}

#[derive(Clone, Copy, Debug)]
struct Append {
    number: u32,
    line: Line,
    /// Whether its caller was told that there is no such line.
    denied: bool,
    refusal: Refusal,
}

/// Whether the server knows that it has refused an append for a failed disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Refusal {
    /// It has not, or that is stored.
    Firm,
    /// It is not stored.
    Loose,
    /// The server has died, and can't know any more.
    Forgotten,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    Nowhere,
    /// In the file, by an event at this place in history.
    Written(u32),
    /// Gone with a crash: whether that may be is not judged here.
    Gone,
}

impl Calls {
    pub(super) fn new(clients: usize) -> Self {
        Self { clients: vec![Caller::default(); clients + 1], loose: false }
    }

    pub(super) fn call(&mut self, client: NodeNo) {
        let Some(caller) = self.caller(client) else { return };
        caller.made += 1;
        let (number, line, refusal) = (caller.made, Line::Nowhere, Refusal::Firm);
        caller.appends.keep(Append { number, line, denied: false, refusal });
    }

    pub(super) fn send(&mut self, client: NodeNo, seq: u32) {
        let Some(caller) = self.caller(client) else { return };
        // Nearly every one is newer than all before.
        if seq > caller.highest || caller.sent.index_of(seq).is_none() {
            caller.sent.keep((seq, caller.made));
            caller.highest = caller.highest.max(seq);
        }
    }

    /// The server says that its disk failed.
    pub(super) fn fail(&mut self, client: NodeNo, seq: u32) {
        if let Some(append) = self.sent_as(client, seq) {
            append.refusal = Refusal::Loose;
            self.loose = true;
        }
    }

    /// What was owed to the disk is on it.
    pub(super) fn store(&mut self) {
        self.tighten(Refusal::Firm);
    }

    /// The server has died.
    pub(super) fn crash(&mut self) {
        self.tighten(Refusal::Forgotten);
    }

    fn tighten(&mut self, refusal: Refusal) {
        if std::mem::take(&mut self.loose) {
            let appends = self.clients.iter_mut().flat_map(|caller| caller.appends.all_mut());
            for append in appends.filter(|append| append.refusal == Refusal::Loose) {
                append.refusal = refusal;
            }
        }
    }

    /// A line is written. Says whether it is the only one of its call, and may be there.
    pub(super) fn write(&mut self, client: NodeNo, seq: u32, index: u32) -> bool {
        let Some(append) = self.sent_as(client, seq) else { return true };
        let first = !matches!(append.line, Line::Written(_));
        append.line = Line::Written(index);
        first && (!append.denied || append.refusal == Refusal::Forgotten)
    }

    /// The last call has come to its end. Says whether it is so.
    pub(super) fn answer(&mut self, client: NodeNo, end: CallEnd) -> bool {
        let append = self.caller(client).and_then(|caller| caller.append(caller.made));
        let Some(append) = append else { return true };
        match end {
            CallEnd::Done => append.line != Line::Nowhere,
            CallEnd::Refused | CallEnd::Lost => {
                append.denied = true;
                let written = matches!(append.line, Line::Written(_));
                !written || append.refusal == Refusal::Forgotten
            }
            CallEnd::NoAnswer | CallEnd::Unknown | CallEnd::Cancelled => true,
        }
    }

    pub(super) fn recover(&mut self, through: u32) {
        for append in self.clients.iter_mut().flat_map(|caller| caller.appends.all_mut()) {
            if matches!(append.line, Line::Written(index) if index > through) {
                append.line = Line::Gone;
            }
        }
    }

    fn caller(&mut self, client: NodeNo) -> Option<&mut Caller> {
        self.clients.get_mut(usize::from(client.0))
    }

    /// The append that was sent under this number.
    fn sent_as(&mut self, client: NodeNo, seq: u32) -> Option<&mut Append> {
        let caller = self.caller(client)?;
        caller.append(caller.sent.index_of(seq)?)
    }
}

impl Caller {
    fn append(&mut self, number: u32) -> Option<&mut Append> {
        self.appends.all_mut().iter_mut().rev().find(|append| append.number == number)
    }
}
