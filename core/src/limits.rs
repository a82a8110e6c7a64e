//! Every bound of the service, with its unit and the reason for the number.

use crate::time::Millis;

/// The longest datagram, in bytes, without the trailer of a key: fits one packet on every path
/// that IPv6 allows (1,280 less headers), so nothing is ever fragmented.
pub const DATAGRAM_LEN_MAX: usize = 1_200;

/// The trailer of a keyed datagram, in bytes: a newline and 32 hex digits.
pub const TRAILER_LEN: usize = 33;

/// The longest name, in bytes: a file name that every file system takes, and short enough that a
/// refusal which names a lock still fits the smallest buffers.
pub const NAME_LEN_MAX: usize = 64;

/// How much longer than its request a reply may be before a session is established: QUIC's bound
/// (RFC 9000, 8.1), which keeps the server useless as an amplifier.
pub const AMPLIFICATION_MAX: usize = 3;

/// How often a waiting client asks again.
pub const POLL_INTERVAL: Millis = Millis::from_millis(500);

/// After this long without a word a waiter is passed over, and a grant that came out of the queue
/// is taken back: three polls, so that two in a row may be lost.
pub const SILENCE_MAX: Millis = POLL_INTERVAL.saturating_mul(3);

/// How many requests of one session may be outstanding.
pub const WINDOW: usize = 32;

/// How many replies are kept for each session.
pub const CACHED_REPLIES_MAX: usize = 64;
const _: () = assert!(CACHED_REPLIES_MAX >= 2 * WINDOW, "the reply to anything unanswered is kept");

/// How many heartbeats of a session are told apart from their duplicates: the bits of a word.
pub const REPLAY_WINDOW_LEN: u64 = 64;

/// How many appends of each file are remembered for `append_outcome`.
pub const RECENT_APPENDS_MAX: usize = 1_024;

/// How many sessions that are gone are remembered for `append_outcome`: about 1 MB.
pub const ENDED_SESSIONS_MAX: usize = 16_384;

/// A heartbeat is due after this part of a lease: two may be lost before the lease is.
pub const HEARTBEATS_PER_LEASE: u64 = 3;

/// The bound on clock rates that a client assumes unless told otherwise, in parts per million:
/// 1%, a hundred times what a quartz is off by.
pub const DRIFT_PPM: u64 = 10_000;

/// What whole milliseconds may cost: the client's reading and the server's are each cut down by
/// less than one, in the unsafe direction. Taken off every belief.
pub const ROUNDING_ERROR_MAX: Millis = Millis::from_millis(2);

/// The lease that a session gets where it asks for none.
pub const LEASE_DEFAULT: Millis = Millis::from_secs(5);
/// The shortest lease: several round trips of a local network, and less than a person notices.
pub const LEASE_MIN: Millis = Millis::from_millis(250);
/// The longest lease: how long a lecture, or a repair, can be made to wait by one dead client.
pub const LEASE_MAX: Millis = Millis::from_secs(60);
const _: () = assert!(LEASE_MIN.as_millis() <= LEASE_DEFAULT.as_millis());
const _: () = assert!(LEASE_DEFAULT.as_millis() <= LEASE_MAX.as_millis());

/// A wait is never longer than this, whatever was asked for: a day.
pub const WAIT_MAX: Millis = Millis::from_secs(24 * 3_600);

/// Live sessions; at most 1 KB each, so 150 MB.
pub const SESSIONS_MAX: usize = 150_000;
/// Locks that are held or waited for.
pub const LOCKS_MAX: usize = 150_000;
/// Waits over all locks.
pub const WAITERS_MAX: usize = 150_000;
/// Guarded files. Each remembers its last appends, about 100 KB where it has 1,024 of them.
pub const FILES_MAX: usize = 10_000;
/// The length of one guarded file, in bytes: 1 GiB.
pub const FILE_LEN_MAX: u64 = 1 << 30;

/// The first retransmission of a client, and the longest pause between two.
pub const RETRANSMIT_DELAY_FIRST: Millis = Millis::from_millis(200);
/// See [`RETRANSMIT_DELAY_FIRST`].
pub const RETRANSMIT_DELAY_MAX: Millis = Millis::from_secs(2);
/// How far a pause between two transmissions is drawn from its middle, in parts per million.
pub const JITTER_PPM: u64 = 200_000;

/// For how long one cookie is good, at least; it may be good for twice that.
pub const COOKIE_PERIOD: Millis = Millis::from_secs(10);

/// How far tokens are moved ahead where the journal is lost: more than were ever granted since
/// the state file was last written, and far from 2^53, up to which JSON's readers count exactly.
pub const TOKENS_SKIPPED_AFTER_DATA_LOSS: u64 = 1_000_000_000_000;
