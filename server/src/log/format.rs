//! The layout of segments: a header, records one after another, then zeros.
//!
//! - A record begins with a *mark*, which depends on the segment and on the offset. A client that
//!   sends bytes to be appended cannot know it, so a mark proves that a record was begun there.
//! - The checksum of a record covers everything in it, including the checksum of the record before
//!   it: it is the *chain value* at this record.
//! - A record also contains the number of the last record that had been acknowledged when it was
//!   written, so that a lost batch can be distinguished from a damaged one.
//!
//! Numbers have 64 bits and are little-endian. Checksums are XXH3.

use std::ops::Range;

use leasehold_core::id::LogIndex;
use twox_hash::XxHash3_64;

use super::{Chain, LogId, LogPosition};

/// The length of a segment's header.
pub(super) const HEADER_LEN: usize = 80;
/// The length of a record's header.
pub(super) const RECORD_HEADER_LEN: usize = 64;
/// The length of the file with the acknowledged position.
pub(super) const ACKNOWLEDGED_LEN: usize = 56;
/// Records begin at multiples of this.
pub(super) const ALIGNMENT: usize = 8;

const SEGMENT_MAGIC: u64 = u64::from_le_bytes(*b"lhseg\0\0\x01");
const ACKNOWLEDGED_MAGIC: u64 = u64::from_le_bytes(*b"lhack\0\0\x01");

/// The name of the file with the acknowledged position.
pub(super) const ACKNOWLEDGED: &str = "acknowledged";
/// The name of the segment that is allocated in advance.
pub(super) const SPARE: &str = "spare";

/// The header of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SegmentHeader {
    /// The position before its first record.
    pub(super) start: LogPosition,
    /// The last log index that may have been assigned by then.
    pub(super) reserved: u64,
    /// The length of the file.
    pub(super) len: u64,
}

/// The marks of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks(u64);

/// The fields of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RecordHeader {
    /// The chain value at the previous record.
    pub(super) previous: Chain,
    pub(super) number: u64,
    /// The number of the last record that had been acknowledged.
    pub(super) acknowledged: u64,
    /// The index of the last event of the batch.
    pub(super) through: u64,
    /// The last log index that may be assigned before there is another record.
    pub(super) reserved: u64,
}

/// An intact record.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) header: RecordHeader,
    pub(super) chain: Chain,
    /// The batch, or nothing if the record only reserves indices.
    pub(super) body: Range<usize>,
    /// The offset of the end.
    pub(super) end: usize,
}

impl SegmentHeader {
    pub(super) fn encode(&self) -> [u8; HEADER_LEN] {
        let id = self.start.log_id.0.to_le_bytes();
        let (id_low, id_high) = (number_at(&id, 0), number_at(&id, 8));
        let fields = [
            SEGMENT_MAGIC,
            id_low,
            id_high,
            self.len,
            self.start.through.number(),
            self.start.record,
            self.start.chain.0,
            self.reserved,
            0,
        ];
        sealed(&fields)
    }

    /// Returns `None` if the bytes do not begin with an intact header.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let fields: [u64; HEADER_LEN / 8 - 1] = unsealed(bytes.get(..HEADER_LEN)?)?;
        let [magic, id_low, id_high, len, through, record, chain, reserved, _] = fields;
        let log_id = LogId(u128::from(id_high) << 64 | u128::from(id_low));
        let through = LogIndex::new(through);
        let start = LogPosition { log_id, record, chain: Chain(chain), through };
        (magic == SEGMENT_MAGIC).then_some(Self { start, reserved, len })
    }

    pub(super) fn marks(&self) -> Marks {
        Marks(XxHash3_64::oneshot_with_seed(SEGMENT_MAGIC, &self.encode()))
    }
}

impl Marks {
    fn at(self, offset: usize) -> u64 {
        self.0 ^ offset as u64
    }

    /// Turns a buffer of [`RECORD_HEADER_LEN`] bytes and a body into the record at `offset`, and
    /// returns the chain value at it.
    pub(super) fn seal(self, offset: usize, header: &RecordHeader, record: &mut Vec<u8>) -> Chain {
        let body_len = record.len() - RECORD_HEADER_LEN;
        record.resize(record_len(body_len), 0);
        let fields = [
            header.previous.0,
            header.number,
            header.acknowledged,
            header.through,
            header.reserved,
            body_len as u64,
        ];
        for (slot, field) in record[16..RECORD_HEADER_LEN].chunks_exact_mut(8).zip(fields) {
            slot.copy_from_slice(&field.to_le_bytes());
        }
        let mark = self.at(offset);
        let chain = XxHash3_64::oneshot_with_seed(mark, &record[16..]);
        record[..8].copy_from_slice(&mark.to_le_bytes());
        record[8..16].copy_from_slice(&chain.to_le_bytes());
        Chain(chain)
    }

    /// Returns the record at `offset` of a segment, or `None` if there is no intact one.
    pub(super) fn record_at(self, segment: &[u8], offset: usize) -> Option<Record> {
        let bytes = segment.get(offset..).filter(|_| self.is_begun_at(segment, offset))?;
        let header = bytes.get(..RECORD_HEADER_LEN)?;
        let body_len = usize::try_from(number_at(header, 56)).ok()?;
        if body_len > bytes.len() {
            return None;
        }
        let record = bytes.get(..record_len(body_len))?;
        let chain = XxHash3_64::oneshot_with_seed(self.at(offset), &record[16..]);
        let begin = offset + RECORD_HEADER_LEN;
        (chain == number_at(header, 8)).then(|| Record {
            header: RecordHeader {
                previous: Chain(number_at(header, 16)),
                number: number_at(header, 24),
                acknowledged: number_at(header, 32),
                through: number_at(header, 40),
                reserved: number_at(header, 48),
            },
            chain: Chain(chain),
            body: begin..begin + body_len,
            end: offset + record.len(),
        })
    }

    /// Returns whether a record was begun at `offset`.
    pub(super) fn is_begun_at(self, segment: &[u8], offset: usize) -> bool {
        segment.get(offset..offset + 8).is_some_and(|it| number_at(it, 0) == self.at(offset))
    }
}

/// Returns the length of a record with a body of this length.
pub(super) const fn record_len(body_len: usize) -> usize {
    RECORD_HEADER_LEN + body_len.next_multiple_of(ALIGNMENT)
}

/// Returns the chain value at the beginning of a log.
pub(super) fn first_chain(log_id: LogId) -> Chain {
    Chain(XxHash3_64::oneshot(&log_id.0.to_le_bytes()))
}

/// Encodes the acknowledged position.
pub(super) fn encode_acknowledged(position: &LogPosition) -> [u8; ACKNOWLEDGED_LEN] {
    let id = position.log_id.0.to_le_bytes();
    sealed(&[
        ACKNOWLEDGED_MAGIC,
        number_at(&id, 0),
        number_at(&id, 8),
        position.record,
        position.chain.0,
        position.through.number(),
    ])
}

/// Decodes the acknowledged position, or returns `None` if the bytes are not intact.
pub(super) fn decode_acknowledged(bytes: &[u8]) -> Option<LogPosition> {
    let fields: [u64; ACKNOWLEDGED_LEN / 8 - 1] = unsealed(bytes)?;
    let [magic, id_low, id_high, record, chain, through] = fields;
    let log_id = LogId(u128::from(id_high) << 64 | u128::from(id_low));
    let (chain, through) = (Chain(chain), LogIndex::new(through));
    (magic == ACKNOWLEDGED_MAGIC).then_some(LogPosition { log_id, record, chain, through })
}

/// Returns the name of the segment that continues after the event at `through`.
pub(super) fn segment_name(through: u64) -> String {
    format!("{:020}.segment", through + 1)
}

/// Returns the name of the snapshot that covers the events up to `through`.
pub(super) fn snapshot_name(through: u64) -> String {
    format!("{through:020}.snapshot")
}

/// Returns the index in the name of a file that ends like this.
pub(super) fn index_in_name(name: &str, ending: &str) -> Option<u64> {
    let digits = name.strip_suffix(ending).filter(|digits| digits.len() == 20)?;
    digits.bytes().all(|it| it.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Encodes fields followed by their checksum. `LEN` is 8 bytes for each and for the checksum.
fn sealed<const LEN: usize>(fields: &[u64]) -> [u8; LEN] {
    assert!(LEN == fields.len() * 8 + 8, "the fields fill the bytes");
    let mut bytes = [0; LEN];
    for (slot, field) in bytes.chunks_exact_mut(8).zip(fields) {
        slot.copy_from_slice(&field.to_le_bytes());
    }
    let checksum = XxHash3_64::oneshot(&bytes[..LEN - 8]);
    bytes[LEN - 8..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes what [`sealed`] encoded, or returns `None` if it is not intact.
fn unsealed<const FIELDS: usize>(bytes: &[u8]) -> Option<[u64; FIELDS]> {
    let (fields, checksum) = bytes.split_last_chunk::<8>()?;
    let is_intact =
        fields.len() == FIELDS * 8 && XxHash3_64::oneshot(fields) == u64::from_le_bytes(*checksum);
    is_intact.then(|| std::array::from_fn(|field| number_at(fields, field * 8)))
}

/// Reads the number at an offset.
pub(super) fn number_at(bytes: &[u8], offset: usize) -> u64 {
    let bytes = bytes[offset..offset + 8].try_into().expect("eight bytes were selected");
    u64::from_le_bytes(bytes)
}
