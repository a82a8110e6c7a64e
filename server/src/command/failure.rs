//! Why a command could not do what it was asked, for a person and for the exit code.

use std::fmt;
use std::io;

use leasehold_client::{Error, Refusal};

/// One line for a person, and the exit code for a script.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Refused,
    Usage,
    NoAnswer,
    Lost,
    /// Whoever read the output has gone: there is nothing left to do, and nothing to say.
    NobodyReads,
    /// How a command that was to be run could not be: the codes of the shell.
    NotRun(u8),
}

impl Failure {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    pub(crate) fn no_answer(message: impl Into<String>) -> Self {
        Self { kind: Kind::NoAnswer, message: message.into() }
    }

    pub(crate) fn lost(message: impl Into<String>) -> Self {
        Self { kind: Kind::Lost, message: message.into() }
    }

    pub(crate) fn not_run(code: u8, message: impl Into<String>) -> Self {
        Self { kind: Kind::NotRun(code), message: message.into() }
    }

    /// What became of something that was asked of the server at `server`, about `subject`.
    pub(crate) fn of(error: Error, subject: &str, server: impl fmt::Display) -> Self {
        match error {
            Error::BadName(why) => Self::refused(format!("{subject:?} is no name: {why}")),
            Error::LockHeld => Self::refused(format!(
                "{subject} is held; see by whom with `leasehold status`, or wait with --wait-ms"
            )),
            Error::WaitTimeout => Self::refused(format!(
                "{subject} did not come free in time; see who holds it with `leasehold status`"
            )),
            Error::LockLost => Self::lost(format!("the lock on {subject} is lost; run it again")),
            Error::Refused(refusal) => Self::of_refusal(&refusal, subject),
            Error::TooLarge { len, len_max } => Self::refused(format!(
                "too long: {len} bytes on the wire, where {len_max} fit; append it in parts"
            )),
            Error::OutcomeUnknown => Self::no_answer(format!(
                "no answer from {server}: nobody can tell whether the append is in {subject}; \
                 look with `leasehold cat {subject}`"
            )),
            Error::NoReply => Self::no_answer(format!(
                "no answer from {server}; start a server with `leasehold serve`, name one with \
                 --server, or give its key with --key-file"
            )),
            Error::Closed => Self::refused("the client was closed"),
            Error::Io(why) => Self::no_answer(format!(
                "{server} can't be reached: {why}; name another server with --server"
            )),
            other => Self::refused(other.to_string()),
        }
    }

    fn of_refusal(refusal: &Refusal, subject: &str) -> Self {
        let code = refusal.code();
        let message = format!("the server refused {subject}: {refusal} ({code})");
        let lost = matches!(
            refusal,
            Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession
        );
        if lost { Self::lost(message) } else { Self::refused(message) }
    }

    /// The same with where it happened in front.
    pub(crate) fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// Whether there is anything to be told.
    pub(crate) fn is_silent(&self) -> bool {
        self.kind == Kind::NobodyReads
    }

    /// Whether the server may answer later.
    pub(crate) fn is_no_answer(&self) -> bool {
        self.kind == Kind::NoAnswer
    }

    /// The exit code.
    pub(crate) fn code(&self) -> u8 {
        match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::NoAnswer => 69,
            Kind::Lost => 75,
            Kind::NobodyReads => 0,
            Kind::NotRun(code) => code,
        }
    }
}

impl From<io::Error> for Failure {
    /// What was asked for could not be written.
    fn from(error: io::Error) -> Self {
        let nobody_reads = error.kind() == io::ErrorKind::BrokenPipe;
        let kind = if nobody_reads { Kind::NobodyReads } else { Kind::Refused };
        Self { kind, message: format!("standard output: {error}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message from elsewhere may have more lines than one.
        f.write_str(&self.message.replace('\n', " "))
    }
}

#[cfg(test)]
mod tests {
    use leasehold_client::Token;

    use super::*;

    #[test]
    fn each_end_has_its_exit_code() {
        let of = |error| Failure::of(error, "file_0", "127.0.0.1:7700").code();
        assert_eq!(of(Error::LockHeld), 1);
        assert_eq!(of(Error::WaitTimeout), 1);
        assert_eq!(of(Error::NoReply), 69);
        assert_eq!(of(Error::OutcomeUnknown), 69);
        assert_eq!(of(Error::LockLost), 75);
        let stale = Refusal::StaleToken { current: Token::new(3) };
        assert_eq!(of(Error::Refused(stale)), 75, "late is lost");
        assert_eq!(of(Error::Refused(Refusal::StorageFailed)), 1);
    }

    #[test]
    fn a_failure_is_one_line() {
        assert_eq!(Failure::refused("a\nb").at("line 3").to_string(), "line 3: a b");
    }
}
