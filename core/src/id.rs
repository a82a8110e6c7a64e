//! Names and identifiers of clients, locks, sessions, tenures and requests.
//!
//! - Outside this file an identifier is never a bare number.
//! - Every [`Name`] is well formed: it is validated on construction, and nowhere else.

use std::cmp::Ordering;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::limits::NAME_LEN_MAX;

/// The name of a client, a lock or a file: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with `.`.
///
/// A file and the lock that guards it have the same name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(NameText);

/// The longest name that is stored inline, in bytes. With 22 bytes the inline variant is as large
/// as the pointer variant.
const INLINE_LEN_MAX: usize = 22;

/// The text of a name. Names are cloned and compared all the time, and almost all are short: a
/// short one is stored inline, without a reference count and without an indirection.
#[derive(Clone, PartialEq, Eq, Hash)]
enum NameText {
    /// Padded with zeros, which never occur in a name.
    Inline {
        bytes: [u8; INLINE_LEN_MAX],
        len: u8,
    },
    Shared(Arc<str>),
}

/// The error for text that is not a [`Name`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid name: it must be 1 to 64 characters of A-Z a-z 0-9 . _ -, not beginning with a dot"
)]
pub struct BadName;

impl Name {
    /// Validates `text` as a name.
    ///
    /// # Errors
    /// Returns [`BadName`] if `text` is not well formed.
    pub fn new(text: &str) -> Result<Self, BadName> {
        let well_formed = !text.is_empty()
            && text.len() <= NAME_LEN_MAX
            && !text.starts_with('.')
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'));
        if well_formed { Ok(Self(NameText::new(text))) } else { Err(BadName) }
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl NameText {
    fn new(text: &str) -> Self {
        let mut bytes = [0; INLINE_LEN_MAX];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(prefix), Ok(len)) => {
                prefix.copy_from_slice(text.as_bytes());
                Self::Inline { bytes, len }
            }
            _ => Self::Shared(text.into()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Inline { bytes, len } => std::str::from_utf8(&bytes[..usize::from(*len)])
                .expect("the bytes are a copy of a str"),
            Self::Shared(text) => text,
        }
    }
}

/// The order is that of the text.
impl Ord for NameText {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Inline { bytes, .. }, Self::Inline { bytes: other_bytes, .. }) => {
                let compare = |chunk: Option<&[u8; 8]>, other| {
                    u64_from_be_bytes(chunk).cmp(&u64_from_be_bytes(other))
                };
                compare(bytes.first_chunk(), other_bytes.first_chunk())
                    .then_with(|| compare(bytes[8..].first_chunk(), other_bytes[8..].first_chunk()))
                    .then_with(|| compare(bytes.last_chunk(), other_bytes.last_chunk()))
            }
            (Self::Shared(_), _) | (_, Self::Shared(_)) => self.as_str().cmp(other.as_str()),
        }
    }
}

/// Converts eight bytes to a number of the same order, so that one comparison usually decides.
fn u64_from_be_bytes(chunk: Option<&[u8; 8]>) -> u64 {
    u64::from_be_bytes(*chunk.expect("a name has 22 inline bytes"))
}

impl PartialOrd for NameText {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl TryFrom<String> for Name {
    type Error = BadName;

    fn try_from(text: String) -> Result<Self, BadName> {
        Self::new(&text)
    }
}

impl std::str::FromStr for Name {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, BadName> {
        Self::new(text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

macro_rules! u64_newtype {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[derive(Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(u64);

        impl $name {
            /// Creates the value with this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Returns the number.
            pub const fn number(self) -> u64 {
                self.0
            }

            /// Returns the next value. Saturates, which 2^64 increments never reach.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

u64_newtype! {
    /// A fencing token. Each tenure has its own, larger than all granted before it, whatever the
    /// lock (S2). The first is 1; 0 stands for no token.
    Token
}
u64_newtype! {
    /// The sequence number of a request within its session, from 1 on. `hello` has 0.
    Seq
}
u64_newtype! {
    /// The number of a transmission of one request, from 0 on.
    Attempt
}
u64_newtype! {
    /// The position of an event in the log, from 1 on.
    LogIndex
}
u64_newtype! {
    /// The public number of a session. Safe to display, since it grants no access.
    SessionId
}

/// The capability of a session, which the reply to `hello` contains: any client that knows it can
/// act for the session.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SessionKey {
    // Two halves: a u128 is aligned to 16 bytes, which would make tables of keys a third larger.
    high: u64,
    low: u64,
}

impl SessionKey {
    /// Creates a key from 128 unpredictable bits.
    #[allow(clippy::cast_possible_truncation, reason = "each half has 64 bits")]
    pub const fn from_entropy(entropy: u128) -> Self {
        Self { high: (entropy >> 64) as u64, low: entropy as u64 }
    }

    const fn bits(self) -> u128 {
        (self.high as u128) << 64 | self.low as u128
    }

    /// Returns the key as 16 bytes, most significant first.
    pub const fn to_bytes(self) -> [u8; 16] {
        self.bits().to_be_bytes()
    }

    /// Creates the key from the 16 bytes of [`Self::to_bytes`].
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self::from_entropy(u128::from_be_bytes(bytes))
    }

    /// Parses 32 hex digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        parse_hex(text, 32).map(Self::from_entropy)
    }

    /// Returns the key as 32 lower-case hex digits.
    pub fn to_hex(self) -> String {
        to_hex(self.bits(), 32)
    }
}

/// A random number that a client generates for one `hello`, so that the server recognizes its
/// duplicates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nonce(u64);

impl Nonce {
    /// Creates a nonce from 64 random bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns the bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Parses 16 hex digits of either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        parse_hex(text, 16).and_then(|bits| u64::try_from(bits).ok()).map(Self)
    }

    /// Returns the nonce as 16 lower-case hex digits.
    pub fn to_hex(self) -> String {
        to_hex(self.0.into(), 16)
    }
}

/// The source of a client's datagrams, which is the destination of replies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Peer {
    /// The address of the client.
    pub address: SocketAddr,
    /// The address of the server to which the client sent its datagram. Replies are sent from it,
    /// because a client ignores replies from other addresses. `None` if the server has only one.
    pub local: Option<IpAddr>,
}

impl Peer {
    /// Returns the peer with this address, of a server with only one address.
    pub const fn new(address: SocketAddr) -> Self {
        Self { address, local: None }
    }
}

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Parses exactly `len` hex digits.
fn parse_hex(text: &str, len: usize) -> Option<u128> {
    if text.len() != len {
        return None;
    }
    text.bytes().try_fold(0, |bits, digit| {
        let digit = char::from(digit).to_digit(16)?;
        Some(bits << 4 | u128::from(digit))
    })
}

/// Returns the lowest `len` hex digits of a number.
fn to_hex(bits: u128, len: usize) -> String {
    let mut text = String::with_capacity(len);
    let nibbles = bits.to_be_bytes().into_iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(nibbles.skip(32 - len).map(|nibble| char::from(HEX[usize::from(nibble)])));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_validated() {
        for valid in ["a", "file_0", "A-b.c", "0", &"x".repeat(64)] {
            assert!(Name::new(valid).is_ok(), "{valid}");
        }
        let long = "x".repeat(65);
        for invalid in ["", ".x", "../x", "a/b", "a b", "a\0", "ä", "..", long.as_str()] {
            assert_eq!(Name::new(invalid), Err(BadName), "{invalid}");
        }
    }

    #[test]
    fn names_compare_like_their_text() {
        let long = ["x".repeat(22), "x".repeat(23), "x".repeat(21) + "y", "y".repeat(64)];
        let short = ["a", "aa", "ab", "file_1", "file_10", "file_2", "file_1_b"];
        let texts: Vec<&str> = short.into_iter().chain(long.iter().map(String::as_str)).collect();
        for &left in &texts {
            for &right in &texts {
                let names = (Name::new(left).unwrap(), Name::new(right).unwrap());
                assert_eq!(names.0.as_str(), left);
                assert_eq!(names.0 == names.1, left == right, "{left} and {right}");
                assert_eq!(names.0.cmp(&names.1), left.cmp(right), "{left} and {right}");
            }
        }
    }

    #[test]
    fn keys_and_nonces_round_trip_through_hex() {
        let key = SessionKey::from_entropy(0x0123_4567_89ab_cdef_0000_0000_0000_0001);
        assert!(SessionKey::from_hex(&key.to_hex()) == Some(key));
        assert!(SessionKey::from_bytes(key.to_bytes()) == key);
        assert!(SessionKey::from_hex("+123456789abcdef0000000000000001").is_none());
        assert!(Nonce::from_hex("00000000000000a1") == Some(Nonce::new(0xa1)));
        assert!(Nonce::from_hex("a1").is_none());
    }
}
