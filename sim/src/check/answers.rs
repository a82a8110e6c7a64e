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

use leasehold_core::limits::CACHED_REPLIES_MAX;

use super::recent::Recent;
use crate::message::{Message, RefusalCode};
use crate::trace::{NodeId, PacketSummary};

/// How many answers of a client are known.
const CAPACITY: usize = CACHED_REPLIES_MAX / 2;

#[derive(Clone, Debug)]
pub(super) struct AnswerHistory {
    clients: Vec<ClientAnswers>,
    /// What the server is asked just then: by whom, under which number.
    current_request: Option<(NodeId, Message, u32)>,
    /// How often the server has taken up the service.
    start_count: u32,
    /// Whether anybody was told of a failed disk since something was stored.
    has_volatile_answers: bool,
}

/// What one client was answered.
#[derive(Clone, Debug, Default)]
struct ClientAnswers {
    answers: Recent<Answer, CAPACITY>,
    /// The largest number that was answered.
    highest: u32,
    /// What answers rest on that are known by the number of their request alone: number, and place
    /// in history. First of what was done, then of what was refused for an end.
    executed: Recent<(u32, u32), CAPACITY>,
    refused_after_end: Recent<(u32, u32), CAPACITY>,
    /// How many sessions it has been given, how many have ended, and where in history the last did.
    sessions_opened: u32,
    sessions_ended: u32,
    last_end: u32,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    seq: u32,
    message: Message,
    refusal: Option<RefusalCode>,
    number: u32,
    /// Of [`AnswerHistory::start_count`], as it was then.
    start_count: u32,
    /// Whether it would survive a crash.
    is_durable: bool,
}

impl AnswerHistory {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            clients: vec![ClientAnswers::default(); clients + 1],
            current_request: None,
            start_count: 0,
            has_volatile_answers: false,
        }
    }

    /// A request has reached the server.
    pub(super) fn observe_request(&mut self, packet: PacketSummary) {
        self.current_request = Some((packet.peer, packet.message, packet.seq));
    }

    pub(super) fn open_session(&mut self, client: NodeId) {
        if let Some(client_answers) = self.client_answers(client) {
            client_answers.sessions_opened += 1;
        }
    }

    pub(super) fn end_session(&mut self, client: NodeId, index: u32) {
        if let Some(client_answers) = self.client_answers(client) {
            (client_answers.sessions_ended, client_answers.last_end) =
                (client_answers.sessions_ended + 1, index);
        }
        self.record_effect(client, Message::Close, index);
    }

    /// The answer to what is asked just then rests on this place in history, if it is a `message`.
    pub(super) fn record_effect(&mut self, client: NodeId, message: Message, index: u32) {
        let Some((_, _, seq)) = self.current_request.filter(|it| (it.0, it.1) == (client, message))
        else {
            return;
        };
        if let Some(client_answers) = self.client_answers(client) {
            client_answers.executed.push((seq, index));
        }
    }

    /// A client is refused for the end of its session, or of the tenure that ended at `released`.
    pub(super) fn record_refusal(
        &mut self,
        client: NodeId,
        seq: u32,
        code: RefusalCode,
        released: Option<u32>,
    ) {
        let Some(client_answers) = self.client_answers(client) else { return };
        // Of several sessions the records don't tell which was meant.
        let is_only_session =
            (client_answers.sessions_opened, client_answers.sessions_ended) == (1, 1);
        let end = if code == RefusalCode::StaleToken {
            released
        } else {
            is_only_session.then_some(client_answers.last_end)
        };
        if let Some(index) = end.filter(|_| names_an_end(code)) {
            client_answers.refused_after_end.push((seq, index));
        }
    }

    /// Where in history that was done which this reply tells of.
    pub(super) fn effect_index(&self, packet: PacketSummary) -> Option<u32> {
        let client_answers = self.clients.get(usize::from(packet.peer.0))?;
        match packet.refusal {
            None => client_answers.executed.index_of(packet.seq),
            Some(code) => {
                client_answers.refused_after_end.index_of(packet.seq).filter(|_| names_an_end(code))
            }
        }
    }

    /// A reply leaves. Says whether it is one that may follow on what was said before; `lives` is
    /// whether the session is alive in which the request was executed.
    pub(super) fn check_reply(
        &mut self,
        packet: PacketSummary,
        is_session_alive: impl FnOnce() -> bool,
    ) -> bool {
        if !is_final(packet) {
            return true;
        }
        let start_count = self.start_count;
        let Some(client_answers) = self.client_answers(packet.peer) else { return true };
        let previous = client_answers.find(packet.seq).copied();
        let Some(first) = previous else {
            let PacketSummary { message, value: number, seq, refusal, .. } = packet;
            let is_durable = refusal != Some(RefusalCode::StorageFailed);
            let answer = Answer { seq, message, refusal, number, start_count, is_durable };
            client_answers.answers.push(answer);
            client_answers.highest = client_answers.highest.max(seq);
            // Who is told that it left the line has left it.
            let is_consistent =
                message != Message::Cancelled || client_answers.executed.index_of(seq).is_some();
            self.has_volatile_answers |= !is_durable;
            return is_consistent;
        };
        let are_refusals = (first.message == Message::Refused, packet.message == Message::Refused);
        match are_refusals {
            (false, false) => (packet.message, packet.value) == (first.message, first.number),
            (true, false) => false,
            (false, true) => packet.refusal == Some(RefusalCode::StaleSeq) || !is_session_alive(),
            // That nothing was done need not be on disk: it may be found out anew, and otherwise.
            (true, true) => {
                packet.refusal == first.refusal
                    || may_replace_answer(packet.refusal)
                    || first.start_count != start_count
            }
        }
    }

    /// Whether nothing may be done for this request any more.
    pub(super) fn is_refused(&self, client: NodeId, seq: u32) -> bool {
        let client_answers = self.clients.get(usize::from(client.0));
        let answer = client_answers.and_then(|client_answers| client_answers.find(seq));
        answer.is_some_and(|answer| answer.message == Message::Refused)
    }

    /// What was owed to the disk is on it.
    pub(super) fn mark_durable(&mut self) {
        if std::mem::take(&mut self.has_volatile_answers) {
            let answers = self
                .clients
                .iter_mut()
                .flat_map(|client_answers| client_answers.answers.as_mut_slice());
            answers.for_each(|answer| answer.is_durable = true);
        }
    }

    /// The server has died.
    pub(super) fn crash(&mut self) {
        if std::mem::take(&mut self.has_volatile_answers) {
            self.clients.iter_mut().for_each(|client_answers| {
                client_answers.answers.retain(|answer| answer.is_durable)
            });
        }
    }

    /// The server takes up the service with what the journal holds. Where it has `broken` its word,
    /// whatever it says now is of no account.
    pub(super) fn recover(&mut self, through: u32, is_promise_broken: bool) {
        self.start_count += 1;
        self.current_request = None;
        for client_answers in &mut self.clients {
            client_answers.executed.retain(|(_, index)| *index <= through);
            client_answers.refused_after_end.retain(|(_, index)| *index <= through);
            if is_promise_broken {
                client_answers.answers = Recent::default();
            }
        }
    }

    fn client_answers(&mut self, client: NodeId) -> Option<&mut ClientAnswers> {
        self.clients.get_mut(usize::from(client.0))
    }
}

impl ClientAnswers {
    fn find(&self, seq: u32) -> Option<&Answer> {
        // Nearly every request is newer than all that were answered.
        if seq > self.highest {
            return None;
        }
        self.answers.as_slice().iter().rev().find(|answer| answer.seq == seq)
    }
}

/// Whether it is a refusal for the end of a session or a tenure.
const fn names_an_end(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::UnknownSession | RefusalCode::StaleToken)
}

/// Whether a refusal may follow on any answer, since that was forgotten, or its session is gone.
const fn may_replace_answer(refusal: Option<RefusalCode>) -> bool {
    matches!(
        refusal,
        Some(
            RefusalCode::StaleSeq
                | RefusalCode::UnknownSession
                | RefusalCode::StaleToken
                | RefusalCode::NotHolder
        )
    )
}

/// Whether a reply ends its request.
pub(crate) fn is_final(packet: PacketSummary) -> bool {
    let ends_request = match packet.message {
        Message::Granted | Message::Cancelled | Message::Released | Message::Appended => true,
        Message::Refused => !matches!(
            packet.refusal,
            None | Some(RefusalCode::SeqReused | RefusalCode::RateLimited)
        ),
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
    ends_request && packet.seq > 0
}
