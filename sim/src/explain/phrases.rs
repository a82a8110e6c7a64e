//! What packets and calls are called in sentences.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use super::Explainer;
use crate::message::Message;
use crate::trace::{CallResult, LockId, NodeId, PacketSummary, Record};

impl Explainer<'_> {
    /// A packet in short, as it is written on an arrow: `append_file file_0 #33`.
    pub fn packet_label(&self, packet: PacketSummary) -> String {
        let mut label = packet.message.code().to_owned();
        if packet.lock != LockId::NONE {
            label.push(' ');
            label.push_str(&self.lock_name(packet.lock));
        }
        if packet.value != 0 {
            label.push_str(" #");
            label.push_str(&packet.value.to_string());
        }
        label
    }

    /// A packet, by the one who sends it.
    pub(super) fn sent_packet_text(&self, from: NodeId, packet: PacketSummary) -> String {
        if from.is_server() {
            format!("{} {}", self.node_name(packet.peer), self.reply_text(packet))
        } else {
            format!("its {}", self.request_text(packet.message, packet.lock, packet.value))
        }
    }

    /// A packet, by the one who gets it.
    pub(super) fn received_packet_text(&self, packet: PacketSummary) -> String {
        if packet.peer.is_server() {
            self.reply_text(packet)
        } else {
            let request = self.request_text(packet.message, packet.lock, packet.value);
            format!("{}'s {request}", self.node_name(packet.peer))
        }
    }

    /// The beginning of a sentence about a packet on its way.
    pub(super) fn transit_text(&self, record: &Record, packet: PacketSummary) -> String {
        if record.node.is_server() && !packet.message.is_request() {
            format!("has sent {} {}", self.node_name(packet.peer), self.reply_text(packet))
        } else if record.node.is_server() {
            format!("is not there for {}", self.received_packet_text(packet))
        } else {
            format!("has sent its {}", self.request_text(packet.message, packet.lock, packet.value))
        }
    }

    pub(super) fn request_text(&self, message: Message, lock: LockId, token: u32) -> String {
        let with_lock = |text: &str| {
            if lock == LockId::NONE {
                text.to_owned()
            } else {
                let under = if token == 0 { String::new() } else { format!(" (token {token})") };
                format!("{text} of {}{under}", self.lock_name(lock))
            }
        };
        match message {
            Message::Hello => "request for a session".to_owned(),
            Message::AcquireLock if lock == LockId::NONE => "request for the lock".to_owned(),
            Message::AcquireLock => format!("request for {}", self.lock_name(lock)),
            Message::CancelAcquire => with_lock("wish to leave the line"),
            Message::ReleaseLock => with_lock("release"),
            Message::AppendFile if lock == LockId::NONE => "append".to_owned(),
            Message::AppendFile => format!("append to {} (token {token})", self.lock_name(lock)),
            Message::AppendOutcome => "question what became of its append".to_owned(),
            Message::Heartbeat => "heartbeat".to_owned(),
            Message::Close => "close".to_owned(),
            other => other.code().to_owned(),
        }
    }

    fn reply_text(&self, packet: PacketSummary) -> String {
        let (lock, number) = (self.lock_name(packet.lock), packet.value);
        match packet.message {
            Message::Welcome => format!("the welcome to session {number}"),
            Message::Retry => "the order to show where it is".to_owned(),
            Message::Granted => format!("the grant of {lock} (token {number})"),
            Message::Queued => format!("a place in line for {lock}"),
            Message::Cancelled => format!("word that it has left the line for {lock}"),
            Message::Released => format!("word that {lock} is given back"),
            Message::Appended => format!("word that line {number} of {lock} is written"),
            Message::Outcome => "word of what became of the append".to_owned(),
            Message::Alive => "the answer to its heartbeat".to_owned(),
            Message::Closed => "word that its session is over".to_owned(),
            Message::Refused => "a refusal".to_owned(),
            other => other.code().to_owned(),
        }
    }

    /// What a client asks its library for.
    pub(super) fn call_text(&self, message: Message, lock: LockId, token: u32) -> String {
        let name = self.lock_name(lock);
        match message {
            Message::AcquireLock => format!("wants {name}"),
            Message::ReleaseLock => format!("wants to give {name} back, token {token}"),
            Message::AppendFile => format!("wants to append to {name} under token {token}"),
            Message::Close => "wants to end its session".to_owned(),
            other => format!("wants {}", other.code()),
        }
    }

    /// What came of that.
    pub(super) fn call_outcome_text(
        &self,
        message: Message,
        lock: LockId,
        token: u32,
        outcome: CallResult,
    ) -> String {
        let name = self.lock_name(lock);
        let call = match message {
            Message::AcquireLock => format!("getting {name}"),
            Message::ReleaseLock => format!("giving {name} back"),
            Message::AppendFile => format!("its append to {name}"),
            Message::Close => "ending its session".to_owned(),
            other => other.code().to_owned(),
        };
        match (outcome, message) {
            (CallResult::Succeeded, Message::AcquireLock) => {
                format!("has {name}, under token {token}")
            }
            (CallResult::Succeeded, Message::ReleaseLock) => format!("has given {name} back"),
            (CallResult::Succeeded, Message::AppendFile) => {
                format!("knows that its line is in {name}")
            }
            (CallResult::Succeeded, _) => format!("is done with {call}"),
            (CallResult::Refused, _) => format!("is refused {call}"),
            (CallResult::LockLost, _) => {
                format!("fails in {call}: the lock is not its own any more")
            }
            (CallResult::NoAnswer, _) => format!("has no answer about {call}"),
            (CallResult::Unknown, _) => format!("can't tell what became of {call}"),
            (CallResult::Cancelled, _) => format!("gives up {call}"),
        }
    }
}

/// So many of something.
pub(super) fn pluralize(count: u16, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Parts per million as percent, with as many decimals as it takes.
pub(super) fn percent(ppm: i32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
