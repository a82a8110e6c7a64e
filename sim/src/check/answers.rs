//! What each client was answered, by the numbers of its requests: an answer is final (S3).
//!
//! - A client's numbers go on from one of its sessions to the next, and begin anywhere in each of
//!   its lives: one stands for one request.
//! - An answer that says nothing of the request itself, but that its number is used otherwise or
//!   that the client is too fast, is none.
//! - What was refused for good is never done. Beyond that two answers have to be alike only as long
//!   as the server can know of the first: while the session lives, and the answer is kept.
//! - That the disk failed is said at once, and by a disk that fails it can't be remembered. So it
//!   is final from when it was stored.

use leasehold_core::limits::REPLIES_KEPT;

use super::last::Last;
use crate::message::{Code, Message};
use crate::trace::{About, NodeNo};

/// How many answers of a client are known.
const KEPT: usize = REPLIES_KEPT / 2;

#[derive(Clone, Debug)]
pub(super) struct Answers {
    clients: Vec<Given>,
    /// What the server is asked just then: by whom, under which number.
    asked: Option<(NodeNo, Message, u32)>,
    /// How often the server has taken up the service.
    starts: u32,
    /// Whether anybody was told of a failed disk since something was stored.
    loose: bool,
}

/// What one client was answered.
#[derive(Clone, Debug, Default)]
struct Given {
    answers: Last<Answer, KEPT>,
    /// The largest number that was answered.
    highest: u32,
    /// What answers rest on that are known by the number of their request alone: number, and place
    /// in history. First of what was done, then of what was refused for an end.
    done: Last<(u32, u32), KEPT>,
    missed: Last<(u32, u32), KEPT>,
    /// How many sessions it has been given, how many have ended, and where in history the last did.
    opened: u32,
    ended: u32,
    end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    seq: u32,
    message: Message,
    refusal: Option<Code>,
    number: u32,
    /// Of [`Answers::starts`], as it was then.
    starts: u32,
    /// Whether it would survive a crash.
    firm: bool,
}

impl Answers {
    pub(super) fn new(clients: usize) -> Self {
        Self { clients: vec![Given::default(); clients + 1], asked: None, starts: 0, loose: false }
    }

    /// A request has reached the server.
    pub(super) fn ask(&mut self, about: About) {
        self.asked = Some((about.peer, about.message, about.seq));
    }

    pub(super) fn open(&mut self, client: NodeNo) {
        if let Some(given) = self.given(client) {
            given.opened += 1;
        }
    }

    pub(super) fn end(&mut self, client: NodeNo, index: u32) {
        if let Some(given) = self.given(client) {
            (given.ended, given.end) = (given.ended + 1, index);
        }
        self.rest(client, Message::Close, index);
    }

    /// The answer to what is asked just then rests on this place in history, if it is a `message`.
    pub(super) fn rest(&mut self, client: NodeNo, message: Message, index: u32) {
        let Some((_, _, seq)) = self.asked.filter(|it| (it.0, it.1) == (client, message)) else {
            return;
        };
        if let Some(given) = self.given(client) {
            given.done.keep((seq, index));
        }
    }

    /// A client is refused for the end of its session, or of the tenure that ended at `released`.
    pub(super) fn refuse(&mut self, client: NodeNo, seq: u32, code: Code, released: Option<u32>) {
        let Some(given) = self.given(client) else { return };
        // Of several sessions the records don't tell which was meant.
        let only = (given.opened, given.ended) == (1, 1);
        let end = if code == Code::StaleToken { released } else { only.then_some(given.end) };
        if let Some(index) = end.filter(|_| is_end(code)) {
            given.missed.keep((seq, index));
        }
    }

    /// Where in history that was done which this reply tells of.
    pub(super) fn rests_on(&self, about: About) -> Option<u32> {
        let given = self.clients.get(usize::from(about.peer.0))?;
        match about.refusal {
            None => given.done.index_of(about.seq),
            Some(code) => given.missed.index_of(about.seq).filter(|_| is_end(code)),
        }
    }

    /// A reply leaves. Says whether it is one that may follow on what was said before; `lives` is
    /// whether the session is alive in which the request was executed.
    pub(super) fn answer(&mut self, about: About, lives: impl FnOnce() -> bool) -> bool {
        if !is_final(about) {
            return true;
        }
        let starts = self.starts;
        let Some(given) = self.given(about.peer) else { return true };
        let known = given.find(about.seq).copied();
        let Some(first) = known else {
            let About { message, number, seq, refusal, .. } = about;
            let firm = refusal != Some(Code::StorageFailed);
            let answer = Answer { seq, message, refusal, number, starts, firm };
            given.answers.keep(answer);
            given.highest = given.highest.max(seq);
            // Who is told that it left the line has left it.
            let left = message != Message::Cancelled || given.done.index_of(seq).is_some();
            self.loose |= !firm;
            return left;
        };
        let is_no = (first.message == Message::Refused, about.message == Message::Refused);
        match is_no {
            (false, false) => (about.message, about.number) == (first.message, first.number),
            (true, false) => false,
            (false, true) => about.refusal == Some(Code::StaleSeq) || !lives(),
            // That nothing was done need not be on disk: it may be found out anew, and otherwise.
            (true, true) => {
                about.refusal == first.refusal || is_loss(about.refusal) || first.starts != starts
            }
        }
    }

    /// Whether nothing may be done for this request any more.
    pub(super) fn is_refused(&self, client: NodeNo, seq: u32) -> bool {
        let given = self.clients.get(usize::from(client.0));
        let answer = given.and_then(|given| given.find(seq));
        answer.is_some_and(|answer| answer.message == Message::Refused)
    }

    /// What was owed to the disk is on it.
    pub(super) fn store(&mut self) {
        if std::mem::take(&mut self.loose) {
            let answers = self.clients.iter_mut().flat_map(|given| given.answers.all_mut());
            answers.for_each(|answer| answer.firm = true);
        }
    }

    /// The server has died.
    pub(super) fn crash(&mut self) {
        if std::mem::take(&mut self.loose) {
            self.clients.iter_mut().for_each(|given| given.answers.retain(|answer| answer.firm));
        }
    }

    /// The server takes up the service with what the journal holds. Where it has `broken` its word,
    /// whatever it says now is of no account.
    pub(super) fn recover(&mut self, through: u32, broken: bool) {
        self.starts += 1;
        self.asked = None;
        for given in &mut self.clients {
            given.done.retain(|(_, index)| *index <= through);
            given.missed.retain(|(_, index)| *index <= through);
            if broken {
                given.answers = Last::default();
            }
        }
    }

    fn given(&mut self, client: NodeNo) -> Option<&mut Given> {
        self.clients.get_mut(usize::from(client.0))
    }
}

impl Given {
    fn find(&self, seq: u32) -> Option<&Answer> {
        // Nearly every request is newer than all that were answered.
        if seq > self.highest {
            return None;
        }
        self.answers.all().iter().rev().find(|answer| answer.seq == seq)
    }
}

/// Whether it is a refusal for the end of a session or a tenure.
const fn is_end(code: Code) -> bool {
    matches!(code, Code::UnknownSession | Code::StaleToken)
}

/// Whether a refusal may follow on any answer, since that was forgotten, or its session is gone.
const fn is_loss(refusal: Option<Code>) -> bool {
    matches!(
        refusal,
        Some(Code::StaleSeq | Code::UnknownSession | Code::StaleToken | Code::NotHolder)
    )
}

/// Whether a reply ends its request.
pub(crate) fn is_final(about: About) -> bool {
    let last = match about.message {
        Message::Granted | Message::Cancelled | Message::Released | Message::Appended => true,
        Message::Refused => {
            !matches!(about.refusal, None | Some(Code::SeqReused | Code::RateLimited))
        }
        Message::Hello
        | Message::AcquireLock
        | Message::CancelAcquire
        | Message::ReleaseLock
        | Message::AppendFile
        | Message::AppendOutcome
        | Message::Heartbeat
        | Message::Close
        | Message::Welcome
        | Message::Retry
        | Message::Queued
        | Message::Outcome
        | Message::Alive
        | Message::Closed => false,
    };
    last && about.seq > 0
}
