//! Every limit of the protocol and its defaults, each with its unit and the reason for the number.

use crate::time::Millis;

/// The longest datagram, in bytes, without an authentication trailer: it fits into one packet on
/// every path that IPv6 allows (1,280 less headers), so it is never fragmented.
pub const DATAGRAM_LEN_MAX: usize = 1_200;

/// The length of an authentication trailer, in bytes: a newline and 32 hex digits.
pub const TRAILER_LEN: usize = 33;

/// The longest name, in bytes: every file system accepts a file name of this length, and a refusal
/// that contains a name still fits into the smallest buffers.
pub const NAME_LEN_MAX: usize = 64;

/// How many times as long as its request a reply may be before a session is established: the limit
/// of QUIC (RFC 9000, section 8.1), which makes the server useless as an amplifier.
pub const AMPLIFICATION_MAX: usize = 3;

/// The interval at which a waiting client retransmits its request.
pub const POLL_INTERVAL: Millis = Millis::from_millis(500);

/// How long a waiter may be silent. After that the server grants the lock to the next waiter; and
/// if an active client waits, the server revokes a grant from the wait queue that its holder has
/// not confirmed by another request. Three polls, so two in a row may be lost.
pub const SILENCE_MAX: Millis = POLL_INTERVAL.saturating_mul(3);

/// The number of requests of one session that may be outstanding.
pub const WINDOW: usize = 32;

/// The number of cached replies of one session.
pub const CACHED_REPLIES_MAX: usize = 64;
const _: () = assert!(
    CACHED_REPLIES_MAX >= 2 * WINDOW,
    "the reply to every outstanding request must be in the cache"
);

/// The number of latest heartbeats of a session whose duplicates the server recognizes: the bits
/// of one `u64`.
pub const REPLAY_WINDOW_LEN: u64 = 64;

/// The number of appends of each file that are retained for `append_outcome`.
pub const RECENT_APPENDS_MAX: usize = 1_024;

/// The number of ended sessions that are retained for `append_outcome`: about 1 MB.
pub const ENDED_SESSIONS_MAX: usize = 16_384;

/// The number of heartbeat intervals in a lease: two heartbeats in a row may be lost.
pub const HEARTBEATS_PER_LEASE: u64 = 3;

/// The default bound on the error of clock rates that a client assumes, in parts per million: 1%,
/// a hundred times the error of a quartz.
pub const DRIFT_PPM: u64 = 10_000;

/// The largest error from rounding to whole milliseconds: the readings of the client and of the
/// server are each rounded by less than one, in the unsafe direction. Every belief is shortened by
/// this duration.
pub const ROUNDING_ERROR_MAX: Millis = Millis::from_millis(2);

/// The lease of a session that requests none.
pub const LEASE_DEFAULT: Millis = Millis::from_secs(5);
/// The shortest lease: several round trips of a local network, and less than a person notices.
pub const LEASE_MIN: Millis = Millis::from_millis(250);
/// The longest lease: for this long one dead client can delay all others.
pub const LEASE_MAX: Millis = Millis::from_secs(60);
const _: () = assert!(LEASE_MIN.as_millis() <= LEASE_DEFAULT.as_millis());
const _: () = assert!(LEASE_DEFAULT.as_millis() <= LEASE_MAX.as_millis());

/// The longest wait, which a longer `wait_ms` is reduced to: one day.
pub const WAIT_MAX: Millis = Millis::from_secs(24 * 3_600);

/// The number of live sessions: at most 1 KB each, so 150 MB.
pub const SESSIONS_MAX: usize = 150_000;
/// The number of locks that are held or waited for.
pub const LOCKS_MAX: usize = 150_000;
/// The number of waiters in all wait queues.
pub const WAITERS_MAX: usize = 150_000;
/// The number of guarded files: about 100 KB each for the latest 1,024 appends.
pub const FILES_MAX: usize = 10_000;
/// The length of one guarded file, in bytes: 1 GiB.
pub const FILE_LEN_MAX: u64 = 1 << 30;

/// The delay of a client before its first retransmission.
pub const RETRANSMIT_DELAY_FIRST: Millis = Millis::from_millis(200);
/// The longest delay between two transmissions, at which the exponential backoff ends.
pub const RETRANSMIT_DELAY_MAX: Millis = Millis::from_secs(2);
/// The jitter of a retransmission delay: its largest deviation in either direction, in parts per
/// million.
pub const JITTER_PPM: u64 = 200_000;

/// The shortest time for which a cookie is valid; the longest is twice this.
pub const COOKIE_PERIOD: Millis = Millis::from_secs(10);

/// By how much the token counter and the log index are advanced if the log is lost: more than were
/// assigned since the state file was last written, and far below 2^53, up to which numbers are
/// exact in JSON readers that use doubles.
pub const NUMBERS_SKIPPED_AFTER_DATA_LOSS: u64 = 1_000_000_000_000;
