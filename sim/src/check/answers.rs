//! The replies to each client, by sequence number: a final reply must not be contradicted (S3).
//!
//! - A client's sequence numbers continue from one session to the next, and begin at a random
//!   number after a restart of the client, so a number identifies one request.
//! - `seq_reused` and `rate_limited` are not final: they do not answer the request itself.
//! - `storage_failed` answers one transmission: the request may be executed later. It must not
//!   follow an answer that the server still knows, because it says that nothing was done.
//! - A refused request is never executed. Otherwise two replies must agree only while the server
//!   can know the first one: as long as the session is live and the reply is cached.

use leasehold_core::limits::CACHED_REPLIES_MAX;

use super::recent::Recent;
use crate::message::{Message, RefusalCode};
use crate::trace::{NodeId, Number, PacketSummary};

/// The number of replies that are retained for each client.
const CAPACITY: usize = CACHED_REPLIES_MAX / 2;

#[derive(Clone, Debug)]
pub(super) struct AnswerHistory {
    clients: Vec<ClientAnswers>,
    /// The request that the server handles: client, message and sequence number.
    current_request: Option<(NodeId, Message, Number)>,
    /// How often the server has started.
    start_count: u32,
}

/// The replies to one client.
#[derive(Clone, Debug, Default)]
struct ClientAnswers {
    answers: Recent<Answer, CAPACITY>,
    /// The largest sequence number of a reply.
    highest: Number,
    /// Sequence number and log index of the event that a reply reports, for replies that do not
    /// identify the event otherwise: executed requests.
    executed: Recent<(Number, Number), CAPACITY>,
    /// The same, for requests that were refused because a session or tenure had ended.
    refused_after_end: Recent<(Number, Number), CAPACITY>,
    /// The number of sessions opened and ended, and the log index of the last end.
    sessions_opened: u32,
    sessions_ended: u32,
    last_end: Number,
}

#[derive(Clone, Copy, Debug)]
struct Answer {
    seq: Number,
    message: Message,
    refusal: Option<RefusalCode>,
    number: Number,
    /// The value of [`AnswerHistory::start_count`] when the reply was sent.
    start_count: u32,
}

impl AnswerHistory {
    pub(super) fn new(clients: usize) -> Self {
        Self {
            clients: vec![ClientAnswers::default(); clients + 1],
            current_request: None,
            start_count: 0,
        }
    }

    /// Records that a request has reached the server.
    pub(super) fn observe_request(&mut self, client: NodeId, message: Message, seq: Number) {
        self.current_request = Some((client, message, seq));
    }

    pub(super) fn open_session(&mut self, client: NodeId) {
        if let Some(client_answers) = self.client_answers(client) {
            client_answers.sessions_opened += 1;
        }
    }

    pub(super) fn end_session(&mut self, client: NodeId, index: Number) {
        if let Some(client_answers) = self.client_answers(client) {
            (client_answers.sessions_ended, client_answers.last_end) =
                (client_answers.sessions_ended + 1, index);
        }
        self.record_effect(client, Message::Close, index);
    }

    /// Records that the current request has led to the event at this log index, if it is a
    /// `message` of this client.
    pub(super) fn record_effect(&mut self, client: NodeId, message: Message, index: Number) {
        let Some((_, _, seq)) = self.current_request.filter(|it| (it.0, it.1) == (client, message))
        else {
            return;
        };
        if let Some(client_answers) = self.client_answers(client) {
            client_answers.executed.push((seq, index));
        }
    }

    /// Records a refusal because the client's session or its tenure is over. `tenure_end_index` is
    /// the log index at which the tenure of the refused token ended, if that is known.
    pub(super) fn record_refusal(
        &mut self,
        client: NodeId,
        seq: Number,
        code: RefusalCode,
        tenure_end_index: Option<Number>,
    ) {
        let Some(client_answers) = self.client_answers(client) else { return };
        // With several sessions, the records do not identify the one that the request named.
        let is_only_session =
            (client_answers.sessions_opened, client_answers.sessions_ended) == (1, 1);
        let end = if code == RefusalCode::StaleToken {
            tenure_end_index
        } else {
            is_only_session.then_some(client_answers.last_end)
        };
        if let Some(index) = end.filter(|_| names_an_end(code)) {
            client_answers.refused_after_end.push((seq, index));
        }
    }

    /// Returns the log index of the event that a reply reports.
    pub(super) fn effect_index(&self, packet: PacketSummary, seq: Number) -> Option<Number> {
        let client_answers = self.clients.get(usize::from(packet.peer.0))?;
        match packet.refusal {
            None => client_answers.executed.find_last(seq),
            Some(code) => {
                client_answers.refused_after_end.find_last(seq).filter(|_| names_an_end(code))
            }
        }
    }

    /// Records a reply, and returns whether it is consistent with the earlier one.
    /// `is_session_alive` returns whether the session that executed the request is live.
    pub(super) fn check_reply(
        &mut self,
        packet: PacketSummary,
        seq: Number,
        is_session_alive: impl FnOnce() -> bool,
    ) -> bool {
        let answers_transmission = packet.refusal == Some(RefusalCode::StorageFailed);
        if !is_final(packet) && !answers_transmission {
            return true;
        }
        let start_count = self.start_count;
        let Some(client_answers) = self.client_answers(packet.peer) else { return true };
        let previous = client_answers.find(seq).copied();
        let Some(first) = previous else {
            if answers_transmission {
                return true;
            }
            let PacketSummary { message, value: number, refusal, .. } = packet;
            let answer = Answer { seq, message, refusal, number, start_count };
            client_answers.answers.push(answer);
            client_answers.highest = client_answers.highest.max(seq);
            // A confirmed cancellation requires that the client has left the queue.
            let is_consistent =
                message != Message::Cancelled || client_answers.executed.find_last(seq).is_some();
            return is_consistent;
        };
        let are_refusals = (first.message == Message::Refused, packet.message == Message::Refused);
        match are_refusals {
            (false, false) => (packet.message, packet.value) == (first.message, first.number),
            (true, false) => false,
            (false, true) => packet.refusal == Some(RefusalCode::StaleSeq) || !is_session_alive(),
            // A refusal without effect need not be durable: after a restart the server may decide
            // again, with another code.
            (true, true) => {
                packet.refusal == first.refusal
                    || may_replace_answer(packet.refusal)
                    || answers_transmission
                    || first.start_count != start_count
            }
        }
    }

    /// Whether the request was refused, so that it must not be executed.
    pub(super) fn is_refused(&self, client: NodeId, seq: Number) -> bool {
        let client_answers = self.clients.get(usize::from(client.0));
        let answer = client_answers.and_then(|client_answers| client_answers.find(seq));
        answer.is_some_and(|answer| answer.message == Message::Refused)
    }

    /// Records a recovery of the server from the events through `through`. If it has broken a
    /// promise (S5), its earlier replies are discarded, so that S3 is not reported as well.
    pub(super) fn recover(&mut self, through: Number, is_promise_broken: bool) {
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
    fn find(&self, seq: Number) -> Option<&Answer> {
        // Nearly every request is newer than all that were answered.
        if seq > self.highest {
            return None;
        }
        self.answers.as_slice().iter().rev().find(|answer| answer.seq == seq)
    }
}

/// Whether a refusal reports the end of a session or a tenure.
const fn names_an_end(code: RefusalCode) -> bool {
    matches!(code, RefusalCode::UnknownSession | RefusalCode::StaleToken)
}

/// Whether a refusal may follow any reply: the server has evicted that reply, or the session or
/// tenure has ended.
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
            None | Some(
                RefusalCode::SeqReused | RefusalCode::RateLimited | RefusalCode::StorageFailed
            )
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
    ends_request && !packet.seq.is_zero()
}
