//! Why a command failed: a message for people and an exit code for scripts.

use std::fmt;
use std::io;

use leasehold_client::{Error, Refusal};

/// A message of one line, and the exit code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CommandError {
    kind: Kind,
    message: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Refused,
    Usage,
    NoReply,
    LockLost,
    /// The reader of standard output has closed it, so there is nothing left to do or to report.
    OutputClosed,
    /// A program could not be run. The exit code is that of shells.
    CannotRun(u8),
}

impl CommandError {
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, message: message.into() }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, message: message.into() }
    }

    pub(crate) fn no_reply(message: impl Into<String>) -> Self {
        Self { kind: Kind::NoReply, message: message.into() }
    }

    pub(crate) fn lock_lost(message: impl Into<String>) -> Self {
        Self { kind: Kind::LockLost, message: message.into() }
    }

    pub(crate) fn cannot_run(code: u8, message: impl Into<String>) -> Self {
        Self { kind: Kind::CannotRun(code), message: message.into() }
    }

    /// Converts an error of the client library. `resource` is the lock, the file or the session
    /// that the request was about.
    pub(crate) fn from_client(error: Error, resource: &str, server: impl fmt::Display) -> Self {
        match error {
            Error::BadName(reason) => Self::refused(format!("invalid name {resource:?}: {reason}")),
            Error::LockHeld => Self::refused(format!(
                "{resource} is held by another client; see `leasehold status`, or wait with \
                 --wait-ms"
            )),
            Error::WaitTimeout => Self::refused(format!(
                "timed out waiting for {resource}; see its holder with `leasehold status`"
            )),
            Error::LockLost => {
                Self::lock_lost(format!("the lock on {resource} was lost; run the command again"))
            }
            Error::Refused(refusal) => Self::from_refusal(&refusal, resource),
            Error::TooLarge { len, len_max } => Self::refused(format!(
                "the append is too large: its datagram would have {len} bytes, the limit is \
                 {len_max}; split it"
            )),
            Error::OutcomeUnknown => Self::no_reply(format!(
                "no reply from {server}: the append to {resource} may or may not have been \
                 executed; check with `leasehold cat {}`",
                argument(resource)
            )),
            Error::NoReply => Self::no_reply(format!(
                "no reply from {server}; start a server with `leasehold serve`, select another \
                 with --server, or set its key with --key-file"
            )),
            Error::Closed => Self::refused("the client is closed"),
            Error::Io(reason) => Self::no_reply(format!(
                "cannot reach {server}: {reason}; select another server with --server"
            )),
            other => Self::refused(other.to_string()),
        }
    }

    fn from_refusal(refusal: &Refusal, resource: &str) -> Self {
        let code = refusal.code();
        let message = format!("the server refused {resource}: {refusal} ({code})");
        let is_lost = matches!(
            refusal,
            Refusal::StaleToken { .. } | Refusal::NotHolder | Refusal::UnknownSession
        );
        if is_lost { Self::lock_lost(message) } else { Self::refused(message) }
    }

    /// Adds the context of the error in front of the message.
    pub(crate) fn with_context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    /// Whether no message is to be printed.
    pub(crate) fn is_silent(&self) -> bool {
        self.kind == Kind::OutputClosed
    }

    /// Whether the server did not reply, so that a later attempt may succeed.
    pub(crate) fn is_no_reply(&self) -> bool {
        self.kind == Kind::NoReply
    }

    pub(crate) fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Refused => 1,
            Kind::Usage => 2,
            Kind::NoReply => 69,
            Kind::LockLost => 75,
            Kind::OutputClosed => 0,
            Kind::CannotRun(code) => code,
        }
    }
}

/// Returns a name as it is written on a command line: after `--` if it begins with a hyphen.
fn argument(name: &str) -> String {
    if name.starts_with('-') { format!("-- {name}") } else { name.to_owned() }
}

impl From<io::Error> for CommandError {
    /// Converts an error of writing to standard output.
    fn from(error: io::Error) -> Self {
        let is_closed = error.kind() == io::ErrorKind::BrokenPipe;
        let kind = if is_closed { Kind::OutputClosed } else { Kind::Refused };
        Self { kind, message: format!("cannot write to standard output: {error}") }
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A message of another library may have several lines.
        f.write_str(&self.message.replace('\n', " "))
    }
}

#[cfg(test)]
mod tests {
    use leasehold_client::Token;

    use super::*;

    #[test]
    fn each_error_has_its_exit_code() {
        let code = |error| CommandError::from_client(error, "file_0", "127.0.0.1:7700").exit_code();
        assert_eq!(code(Error::LockHeld), 1);
        assert_eq!(code(Error::WaitTimeout), 1);
        assert_eq!(code(Error::NoReply), 69);
        assert_eq!(code(Error::OutcomeUnknown), 69);
        assert_eq!(code(Error::LockLost), 75);
        let stale = Refusal::StaleToken { current: Token::new(3) };
        assert_eq!(code(Error::Refused(stale)), 75, "a stale token means that the lock was lost");
        assert_eq!(code(Error::Refused(Refusal::StorageFailed)), 1);
    }

    #[test]
    fn a_message_is_one_line() {
        let error = CommandError::refused("a\nb").with_context("line 3");
        assert_eq!(error.to_string(), "line 3: a b");
    }
}
