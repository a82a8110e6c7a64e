//! The encoding of a batch of events: compact, and readable by every later version.
//!
//! - Each durable kind of event has a number, which is never used for another.
//! - A batch carries the CRC-32 of its bytes, so it is protected wherever it is stored.

mod decode;
mod encode;

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::time::Time;

use decode::Decoder;
use encode::Encoder;

/// The version of the encoding.
const VERSION: u8 = 1;

/// The length of the header of a batch: version and checksum.
const HEADER_LEN: usize = 5;

/// Why some bytes are not a batch of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// They end too early.
    #[error("a batch is truncated")]
    CutOff,
    /// They were changed.
    #[error("the checksum of a batch is wrong")]
    Checksum,
    /// They are of another version.
    #[error("a batch is of version {0}, which this program does not know")]
    Version(u8),
    /// They are not an encoding.
    #[error("a batch cannot be decoded: {0}")]
    Malformed(&'static str),
}

/// Encodes the durable ones among `events`.
pub fn encode_batch(events: &[Event]) -> Vec<u8> {
    let mut batch = Vec::new();
    encode_batch_into(&mut batch, events);
    batch
}

/// Encodes the durable ones among `events` and appends them to `bytes`.
pub(super) fn encode_batch_into(bytes: &mut Vec<u8>, events: &[Event]) {
    let begin = bytes.len();
    bytes.extend_from_slice(&[VERSION, 0, 0, 0, 0]);
    let mut encoder = Encoder(bytes);
    for event in events.iter().filter(|event| event.kind.is_durable()) {
        encoder.number(event.index.number());
        encoder.number(event.at.as_millis());
        encoder.event_kind(&event.kind);
    }
    let checksum = crc32fast::hash(&bytes[begin + HEADER_LEN..]);
    bytes[begin + 1..begin + HEADER_LEN].copy_from_slice(&checksum.to_le_bytes());
}

/// Decodes a batch of events.
///
/// # Errors
/// If the bytes are not a batch, or were changed.
pub fn decode_batch(bytes: &[u8]) -> Result<Vec<Event>, RecordError> {
    let (header, body) = bytes.split_at_checked(HEADER_LEN).ok_or(RecordError::CutOff)?;
    if header[0] != VERSION {
        return Err(RecordError::Version(header[0]));
    }
    if header[1..] != crc32fast::hash(body).to_le_bytes() {
        return Err(RecordError::Checksum);
    }
    let mut decoder = Decoder(body);
    let mut events = Vec::new();
    while !decoder.0.is_empty() {
        let index = LogIndex::new(decoder.number()?);
        let at = Time::from_millis(decoder.number()?);
        events.push(Event { index, at, kind: decoder.event_kind()? });
    }
    Ok(events)
}
