//! How the tail is laid out: two halves, each a header and records one behind the other.
//!
//! - A half is used again and again, and its *use* is named by the run (drawn at random, and noted
//!   in the archive) and by an epoch, which rises by one from half to half.
//! - A record begins and ends with a *mark* that only this use has, mixed with the record's place.
//!   Whoever sends bytes to be appended can't know it, and what is left of earlier uses has
//!   another: so a mark says that a record was begun there in this use, also where nothing else of
//!   the record is left.
//! - All of a record is under one checksum, the mark with it.
//!
//! Numbers are 64 bits and little-endian, but for the checksum and the length.

/// The length of a half's header.
pub(in super::super) const HEADER: usize = 64;
/// What comes before a record's body: mark, checksum, length, `after`, `through`, `reserved`.
pub(super) const HEAD: usize = 40;
/// What comes after it: the mark again. A tear, or a stroke of damage, that takes the mark at the
/// one end leaves that at the other.
const FOOT: usize = MARK;
/// The length of a mark, and what every record begins at a multiple of.
pub(super) const MARK: usize = 8;

/// Says that this is a half's header, and of which version.
const MAGIC: u64 = u64::from_le_bytes(*b"ltail\0\0\x01");

/// One use of one half.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Half {
    /// Drawn anew each time that a tail is begun.
    pub(in super::super) run: u64,
    /// Rises by one with each half that is taken into use. Odd ones are in the second half.
    pub(in super::super) epoch: u64,
    /// How long each of the two halves is.
    pub(in super::super) len: u64,
}

/// What a record says beside its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Places {
    /// The `through` of the record before it.
    pub(in super::super) after: u64,
    /// The place of the batch's last event.
    pub(in super::super) through: u64,
    /// The last place in history that anybody may see before there is another record.
    pub(in super::super) reserved: u64,
}

/// A record that is whole.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Record<'a> {
    pub(in super::super) places: Places,
    /// A batch, or nothing where only places are reserved.
    pub(in super::super) body: &'a [u8],
    /// How long it is from its mark to its mark.
    pub(in super::super) len: usize,
}

/// Whether these are the first bytes of a half's header.
pub(super) const fn is_magic(bytes: [u8; 8]) -> bool {
    u64::from_le_bytes(bytes) == MAGIC
}

/// How long the record of a body is.
pub(super) const fn record_len(body: usize) -> usize {
    HEAD + body.next_multiple_of(MARK) + FOOT
}

/// How long the body of the longest record is that fits into half of this length.
pub(in super::super) const fn body_max(half_len: u64) -> u64 {
    half_len - (HEADER + HEAD + FOOT) as u64
}

impl Half {
    /// Where it begins in the file.
    pub(in super::super) const fn base(&self) -> u64 {
        self.epoch % 2 * self.len
    }

    /// The use of the other half that follows.
    pub(in super::super) const fn next(&self) -> Self {
        Self { epoch: self.epoch + 1, ..*self }
    }

    /// Its header. `after` is the place of the last event in front of it.
    pub(super) fn header(&self, after: u64) -> [u8; HEADER] {
        let mut header = [0; HEADER];
        let numbers = [MAGIC, self.run, self.epoch, self.len, after];
        for (field, number) in header.chunks_exact_mut(8).zip(numbers) {
            field.copy_from_slice(&number.to_le_bytes());
        }
        let checksum = crc32fast::hash(&header[..HEADER - 4]);
        header[HEADER - 4..].copy_from_slice(&checksum.to_le_bytes());
        header
    }

    /// The `after` in the header that a half's bytes begin with; nothing where it is not the
    /// header of this use.
    pub(super) fn read_header(&self, bytes: &[u8]) -> Option<u64> {
        let after = number(bytes, 32)?;
        (bytes.get(..HEADER)? == self.header(after)).then_some(after)
    }

    /// Makes a record of `HEAD` bytes and a body, to be written at `at` in this half.
    pub(super) fn seal(&self, at: u64, places: Places, record: &mut Vec<u8>, from: usize) {
        let mark = self.mark(at).to_le_bytes();
        let len = u32::try_from(record.len() - from - HEAD).expect("no longer than a half");
        record.resize(from + HEAD + (len as usize).next_multiple_of(MARK), 0);
        let head = &mut record[from..from + HEAD];
        head[..8].copy_from_slice(&mark);
        head[12..16].copy_from_slice(&len.to_le_bytes());
        head[16..24].copy_from_slice(&places.after.to_le_bytes());
        head[24..32].copy_from_slice(&places.through.to_le_bytes());
        head[32..40].copy_from_slice(&places.reserved.to_le_bytes());
        let checksum = checksum(&record[from..]);
        record[from + 8..from + 12].copy_from_slice(&checksum.to_le_bytes());
        record.extend_from_slice(&mark);
    }

    /// The record that is at `at` in this half, where `bytes` begin; nothing where it is not whole.
    pub(in super::super) fn record<'a>(&self, at: u64, bytes: &'a [u8]) -> Option<Record<'a>> {
        let body_len = self.body_len(at, bytes)?;
        let len = record_len(body_len);
        let record = bytes.get(..len)?;
        let (record, foot) = record.split_at(len - FOOT);
        if record[8..12] != checksum(record).to_le_bytes() || foot != &record[..MARK] {
            return None;
        }
        let after = number(record, 16)?;
        let (through, reserved) = (number(record, 24)?, number(record, 32)?);
        let places = Places { after, through, reserved };
        Some(Record { places, body: &record[HEAD..HEAD + body_len], len })
    }

    /// How long the record at `at` says that it is, whole or not; nothing where none was begun.
    pub(in super::super) fn claimed_len(&self, at: u64, bytes: &[u8]) -> Option<usize> {
        self.body_len(at, bytes).map(record_len)
    }

    fn body_len(&self, at: u64, bytes: &[u8]) -> Option<usize> {
        let len: [u8; 4] = bytes.get(12..16)?.try_into().expect("four bytes were taken");
        let is_begun = number(bytes, 0)? == self.mark(at);
        is_begun.then(|| u32::from_le_bytes(len) as usize)
    }

    /// Whether a record was ever begun behind the place `at` in this use, whose bytes these are.
    pub(super) fn is_begun_behind(&self, at: u64, bytes: &[u8]) -> bool {
        let unmixed = self.mark(0);
        bytes.chunks_exact(MARK).any(|chunk| {
            let begun = number(chunk, 0).expect("a mark's length") ^ unmixed;
            at < begun && begun < self.len && begun.is_multiple_of(MARK as u64)
        })
    }

    fn mark(&self, at: u64) -> u64 {
        // The finalizer of SplitMix64: marks of neighbouring epochs have nothing in common.
        let mut mark = self.run.wrapping_add(self.epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mark = (mark ^ (mark >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mark = (mark ^ (mark >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mark ^ (mark >> 31)) ^ at
    }
}

/// Of all of a record but the checksum itself, and its end.
fn checksum(record: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&record[..8]);
    hasher.update(&record[12..]);
    hasher.finalize()
}

fn number(bytes: &[u8], at: usize) -> Option<u64> {
    let bytes = bytes.get(at..at + 8)?.try_into().expect("eight bytes were taken");
    Some(u64::from_le_bytes(bytes))
}
