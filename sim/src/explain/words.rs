//! What packets and calls are called in sentences.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use super::Teller;
use crate::message::Message;
use crate::trace::{About, CallEnd, LockNo, NodeNo, Record};

impl Teller<'_> {
    /// A packet in short, as it is written on an arrow: `append_file file_0 #33`.
    pub fn label(&self, about: About) -> String {
        let mut label = about.message.word().to_owned();
        if about.lock != LockNo::NONE {
            label.push(' ');
            label.push_str(&self.lock(about.lock));
        }
        if about.number != 0 {
            label.push_str(" #");
            label.push_str(&about.number.to_string());
        }
        label
    }

    /// A packet, by the one who sends it.
    pub(super) fn letter(&self, from: NodeNo, about: About) -> String {
        if from.is_server() {
            format!("{} {}", self.node(about.peer), self.reply(about))
        } else {
            format!("its {}", self.request(about.message, about.lock, about.number))
        }
    }

    /// A packet, by the one who gets it.
    pub(super) fn letter_from(&self, about: About) -> String {
        if about.peer.is_server() {
            self.reply(about)
        } else {
            let request = self.request(about.message, about.lock, about.number);
            format!("{}'s {request}", self.node(about.peer))
        }
    }

    /// The beginning of a sentence about a packet on its way.
    pub(super) fn travels(&self, record: &Record, about: About) -> String {
        if record.node.is_server() && !about.message.is_request() {
            format!("has sent {} {}", self.node(about.peer), self.reply(about))
        } else if record.node.is_server() {
            format!("is not there for {}", self.letter_from(about))
        } else {
            format!("has sent its {}", self.request(about.message, about.lock, about.number))
        }
    }

    pub(super) fn request(&self, message: Message, lock: LockNo, token: u32) -> String {
        let of = |text: &str| {
            if lock == LockNo::NONE {
                text.to_owned()
            } else {
                let under = if token == 0 { String::new() } else { format!(" (token {token})") };
                format!("{text} of {}{under}", self.lock(lock))
            }
        };
        match message {
            Message::Hello => "request for a session".to_owned(),
            Message::AcquireLock if lock == LockNo::NONE => "request for the lock".to_owned(),
            Message::AcquireLock => format!("request for {}", self.lock(lock)),
            Message::CancelAcquire => of("wish to leave the line"),
            Message::ReleaseLock => of("release"),
            Message::AppendFile if lock == LockNo::NONE => "append".to_owned(),
            Message::AppendFile => format!("append to {} (token {token})", self.lock(lock)),
            Message::AppendOutcome => "question what became of its append".to_owned(),
            Message::Heartbeat => "heartbeat".to_owned(),
            Message::Close => "close".to_owned(),
            other => other.word().to_owned(),
        }
    }

    fn reply(&self, about: About) -> String {
        let (lock, number) = (self.lock(about.lock), about.number);
        match about.message {
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
            other => other.word().to_owned(),
        }
    }

    /// What a client asks its library for.
    pub(super) fn wish(&self, message: Message, lock: LockNo, token: u32) -> String {
        let name = self.lock(lock);
        match message {
            Message::AcquireLock => format!("wants {name}"),
            Message::ReleaseLock => format!("wants to give {name} back, token {token}"),
            Message::AppendFile => format!("wants to append to {name} under token {token}"),
            Message::Close => "wants to end its session".to_owned(),
            other => format!("wants {}", other.word()),
        }
    }

    /// What came of that.
    pub(super) fn end(&self, message: Message, lock: LockNo, token: u32, end: CallEnd) -> String {
        let name = self.lock(lock);
        let wish = match message {
            Message::AcquireLock => format!("getting {name}"),
            Message::ReleaseLock => format!("giving {name} back"),
            Message::AppendFile => format!("its append to {name}"),
            Message::Close => "ending its session".to_owned(),
            other => other.word().to_owned(),
        };
        match (end, message) {
            (CallEnd::Done, Message::AcquireLock) => format!("has {name}, under token {token}"),
            (CallEnd::Done, Message::ReleaseLock) => format!("has given {name} back"),
            (CallEnd::Done, Message::AppendFile) => format!("knows that its line is in {name}"),
            (CallEnd::Done, _) => format!("is done with {wish}"),
            (CallEnd::Refused, _) => format!("is refused {wish}"),
            (CallEnd::Lost, _) => format!("fails in {wish}: the lock is not its own any more"),
            (CallEnd::NoAnswer, _) => format!("has no answer about {wish}"),
            (CallEnd::Unknown, _) => format!("can't tell what became of {wish}"),
            (CallEnd::Cancelled, _) => format!("gives up {wish}"),
        }
    }
}

/// So many of something.
pub(super) fn count(count: u16, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Parts per million as percent, with as many decimals as it takes.
pub(super) fn percent(ppm: i32) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}
