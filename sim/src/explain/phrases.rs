//! Phrases for packets, calls and refusals, and the formatting of numbers.

use super::Explainer;
use super::action::Clause;
use crate::message::{Message, RefusalCode};
use crate::trace::{CallResult, LockId, NodeId, Number, PacketSummary};

impl Explainer<'_> {
    /// Returns the short form of a packet for an arrow, such as `append_file file_0 #33`.
    pub fn packet_label(&self, packet: PacketSummary) -> String {
        let mut label = packet.message.code().to_owned();
        if packet.lock != LockId::NONE {
            label.push(' ');
            label.push_str(&self.lock_name(packet.lock));
        }
        if !packet.value.is_zero() {
            label.push_str(" #");
            label.push_str(&packet.value.to_string());
        }
        label
    }

    /// Describes the sending of a packet, with the sender as the actor.
    pub(super) fn sent_packet_text(&self, from: NodeId, packet: PacketSummary) -> String {
        if from.is_server() {
            format!("replies to {}: {}", self.node_name(packet.peer), self.reply_text(packet))
        } else {
            format!("sends its {}", self.request_text(packet.message, packet.lock, packet.value))
        }
    }

    /// Describes the arrival of a packet, with the recipient as the actor.
    pub(super) fn received_packet_text(&self, packet: PacketSummary) -> String {
        if packet.peer.is_server() {
            format!("receives the reply: {}", self.reply_text(packet))
        } else {
            let request = self.request_text(packet.message, packet.lock, packet.value);
            format!("receives {}'s {request}", self.node_name(packet.peer))
        }
    }

    /// Returns a sentence about a packet in transit. The record may belong to either end.
    pub(super) fn packet_clause(
        &self,
        node: NodeId,
        packet: PacketSummary,
        action: &str,
    ) -> Clause {
        let client = self.node_name(if node.is_server() { packet.peer } else { node });
        if packet.message.is_request() {
            let (noun, rest) = self.request_phrase(packet.message, packet.lock, packet.value);
            let separator = if rest.is_empty() { "" } else { " " };
            (format!("{client}'s {noun}"), format!("{rest}{separator}{action}"))
        } else {
            let reply = self.reply_text(packet);
            ("server's reply".to_owned(), format!("to {client} ({reply}) {action}"))
        }
    }

    /// Returns a request as a noun phrase, such as `append to file_0 (token 1)`.
    pub(super) fn request_text(&self, message: Message, lock: LockId, token: Number) -> String {
        let (noun, rest) = self.request_phrase(message, lock, token);
        if rest.is_empty() { noun.to_owned() } else { format!("{noun} {rest}") }
    }

    /// Returns a request as a noun and its object.
    pub(super) fn request_phrase(
        &self,
        message: Message,
        lock: LockId,
        token: Number,
    ) -> (&'static str, String) {
        let name = if lock == LockId::NONE { "a lock".to_owned() } else { self.lock_name(lock) };
        let under = if token.is_zero() { String::new() } else { format!(" (token {token})") };
        match message {
            Message::Hello => ("request", "for a session".to_owned()),
            Message::AcquireLock => ("request", format!("for {name}")),
            Message::CancelAcquire => ("cancellation", format!("of its request for {name}")),
            Message::ReleaseLock => ("release", format!("of {name}{under}")),
            Message::AppendFile => ("append", format!("to {name}{under}")),
            Message::AppendOutcome => ("query", "for the outcome of its append".to_owned()),
            Message::Heartbeat => ("heartbeat", String::new()),
            Message::Close => ("request", "to close its session".to_owned()),
            Message::Welcome
            | Message::Retry
            | Message::Granted
            | Message::Queued
            | Message::Cancelled
            | Message::Released
            | Message::Appended
            | Message::Outcome
            | Message::Alive
            | Message::Closed
            | Message::Refused => ("reply", String::new()),
        }
    }

    /// Returns the content of a reply, such as `line 1 of file_0 written`.
    pub(super) fn reply_text(&self, packet: PacketSummary) -> String {
        let (lock, number) = (self.lock_name(packet.lock), packet.value);
        match packet.message {
            Message::Welcome => format!("session {number} opened"),
            Message::Retry => "address not verified".to_owned(),
            Message::Granted => format!("{lock} granted, token {number}"),
            Message::Queued => format!("queued for {lock}"),
            Message::Cancelled => format!("wait for {lock} cancelled"),
            Message::Released => format!("{lock} released"),
            Message::Appended => format!("line {number} of {lock} written"),
            Message::Outcome => "outcome of the append".to_owned(),
            Message::Alive => "lease renewed".to_owned(),
            Message::Closed => "session closed".to_owned(),
            Message::Refused => packet.refusal.map_or_else(
                || "rejected".to_owned(),
                |code| format!("rejected, {}", refusal_text(code)),
            ),
            Message::Hello
            | Message::AcquireLock
            | Message::CancelAcquire
            | Message::ReleaseLock
            | Message::AppendFile
            | Message::AppendOutcome
            | Message::Heartbeat
            | Message::Close => "no reply".to_owned(),
        }
    }

    /// Describes the start of a call to the client library.
    pub(super) fn call_text(&self, message: Message, lock: LockId, token: Number) -> String {
        self.call_phrases(message, lock, token).start
    }

    /// Describes the outcome of a call to the client library.
    pub(super) fn call_outcome_text(
        &self,
        message: Message,
        lock: LockId,
        token: Number,
        outcome: CallResult,
    ) -> String {
        let request = self.request_text(message, lock, Number::ZERO);
        let CallPhrases { infinitive, success, .. } = self.call_phrases(message, lock, token);
        match outcome {
            CallResult::Succeeded => success,
            CallResult::Refused => format!("cannot {infinitive}: the server rejected the request"),
            CallResult::LockLost => format!("cannot {infinitive}: it no longer holds the lock"),
            CallResult::NoAnswer => format!("receives no reply to its {request}"),
            CallResult::Unknown => format!("cannot determine the outcome of its {request}"),
            CallResult::Cancelled => format!("cancels its {request}"),
        }
    }

    fn call_phrases(&self, message: Message, lock: LockId, token: Number) -> CallPhrases {
        let name = self.lock_name(lock);
        let request = self.request_text(message, lock, token);
        match message {
            Message::AcquireLock => CallPhrases {
                start: format!("requests {name}"),
                infinitive: format!("acquire {name}"),
                success: format!("acquires {name} under token {token}"),
            },
            Message::ReleaseLock => CallPhrases {
                start: format!("starts its {request}"),
                infinitive: format!("release {name}"),
                success: format!("has released {name}"),
            },
            Message::AppendFile => CallPhrases {
                start: format!("starts its {request}"),
                infinitive: format!("append to {name}"),
                success: format!("learns that its line is in {name}"),
            },
            Message::Close => CallPhrases {
                start: "starts to close its session".to_owned(),
                infinitive: "close its session".to_owned(),
                success: "has closed its session".to_owned(),
            },
            Message::Hello
            | Message::CancelAcquire
            | Message::AppendOutcome
            | Message::Heartbeat
            | Message::Welcome
            | Message::Retry
            | Message::Granted
            | Message::Queued
            | Message::Cancelled
            | Message::Released
            | Message::Appended
            | Message::Outcome
            | Message::Alive
            | Message::Closed
            | Message::Refused => CallPhrases {
                start: format!("starts its {request}"),
                infinitive: format!("complete its {request}"),
                success: format!("completes its {request}"),
            },
        }
    }
}

/// The phrases for a call to the client library.
struct CallPhrases {
    start: String,
    /// Follows "cannot".
    infinitive: String,
    success: String,
}

/// Returns why a request was refused, as a phrase about the request or its client.
pub(super) const fn refusal_text(code: RefusalCode) -> &'static str {
    match code {
        RefusalCode::BadRequest => "malformed request",
        RefusalCode::TooLarge => "size limit exceeded",
        RefusalCode::BadName => "invalid name",
        RefusalCode::UnknownSession => "unknown session",
        RefusalCode::StaleSeq => "sequence number too old",
        RefusalCode::SeqReused => "sequence number already used",
        RefusalCode::WindowFull => "too many pending requests",
        RefusalCode::Overloaded => "server limit reached",
        RefusalCode::RateLimited => "too many requests",
        RefusalCode::StorageFailed => "disk write failed",
        RefusalCode::LockHeld => "the lock is held",
        RefusalCode::WaitTimeout => "the wait timed out",
        RefusalCode::AlreadyHeld => "it already holds the lock",
        RefusalCode::NotWaiting => "it is not in the wait queue",
        RefusalCode::NotHolder => "it does not hold the lock",
        RefusalCode::StaleToken => "stale token",
    }
}

/// Formats a duration: below one second in milliseconds, otherwise in seconds with one decimal
/// digit, rounded down, which is omitted if it is zero.
pub(super) fn format_duration(ms: i64) -> String {
    let (seconds, tenths) = (ms / 1_000, ms % 1_000 / 100);
    match (seconds, tenths) {
        (0, _) => format!("{ms} ms"),
        (_, 0) => format!("{seconds} s"),
        _ => format!("{seconds}.{tenths} s"),
    }
}

/// Like [`format_duration`], for a number of milliseconds of a record.
pub(super) fn format_millis(ms: Number) -> String {
    ms.get().map_or_else(|| "? ms".to_owned(), |ms| format_duration(ms.cast_signed()))
}

/// Formats a count with its noun.
pub(super) fn pluralize(count: u32, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Formats parts per million as a percentage, without trailing zeros.
pub(super) fn percent(ppm: i32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
