//! Reads the write-ahead log of old versions: two segments that were used in turn.
//!
//! Each use of a segment is identified by the run, which is random, and an epoch, which increases
//! by one from use to use. A record begins and ends with a mark that depends on both and on the
//! record's offset.

/// The length of a segment's header.
const HEADER_LEN: usize = 64;
/// The length of a record's header: mark, checksum, length, `after`, `through`, `reserved`.
const RECORD_HEADER_LEN: usize = 40;
/// The length of a mark, to a multiple of which records are padded.
const MARK_LEN: usize = 8;

const MAGIC: u64 = u64::from_le_bytes(*b"ltail\0\0\x01");

/// Which records of the write-ahead log continue the database.
#[derive(Clone, Copy, Debug)]
pub(super) struct InUse {
    pub(super) run: u64,
    /// The segment with the next record to be moved to the database.
    pub(super) epoch: u64,
    /// The index of the last event that was moved.
    pub(super) moved: u64,
}

/// An intact record.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record<'a> {
    after: u64,
    pub(super) through: u64,
    pub(super) reserved: u64,
    pub(super) body: &'a [u8],
    len: usize,
}

/// One use of a segment.
struct Use<'a> {
    bytes: &'a [u8],
    run: u64,
    epoch: u64,
    /// The index of the last event before the segment.
    after: u64,
}

/// Returns all records of the segments in use.
///
/// # Errors
/// If something is damaged or missing.
pub(super) fn records<'a>(bytes: &'a [u8], in_use: &InUse) -> Result<Vec<Record<'a>>, String> {
    let first = Use::read(bytes, in_use.run, in_use.epoch)?
        .ok_or("journal.tail is not the one that belongs to journal.redb")?;
    let mut records = first.records()?;
    let is_known = |record: &Record<'_>| record.through == in_use.moved;
    if in_use.moved != first.after && !records.iter().any(is_known) {
        return Err("events are missing at the end of journal.tail".to_owned());
    }
    let end = records.last().map_or(first.after, |last| last.through);
    if let Some(second) = Use::read(bytes, in_use.run, in_use.epoch + 1)? {
        let later = second.records()?;
        if !later.is_empty() && second.after != end {
            return Err("events are missing in the middle of journal.tail".to_owned());
        }
        records.extend(later);
    }
    Ok(records)
}

impl<'a> Use<'a> {
    /// Returns `None` if the segment was not in this use.
    fn read(file: &'a [u8], run: u64, epoch: u64) -> Result<Option<Self>, String> {
        let len = file.len() / 2;
        let begin = if epoch.is_multiple_of(2) { 0 } else { len };
        let bytes = &file[begin..begin + len];
        if bytes.len() < HEADER_LEN {
            return Err("journal.tail is truncated".to_owned());
        }
        let (header, checksum) = bytes[..HEADER_LEN].split_at(HEADER_LEN - 4);
        let fields: [u64; 5] = std::array::from_fn(|field| number_at(header, field * 8));
        let [magic, header_run, header_epoch, _, after] = fields;
        let is_header = checksum == crc32fast::hash(header).to_le_bytes()
            && (magic, header_run, header_epoch) == (MAGIC, run, epoch);
        let this = Self { bytes, run, epoch, after };
        if !is_header && this.is_begun_after(0) {
            return Err("a header in journal.tail is damaged".to_owned());
        }
        Ok(is_header.then_some(this))
    }

    fn records(&self) -> Result<Vec<Record<'a>>, String> {
        let mut records: Vec<Record<'a>> = Vec::new();
        let (mut offset, mut through) = (HEADER_LEN, self.after);
        while let Some(record) = self.record_at(offset) {
            if record.after != through || record.through <= record.after {
                return Err("a record in journal.tail is out of order".to_owned());
            }
            (offset, through) = (offset + record.len, record.through);
            records.push(record);
        }
        if self.is_begun_after(offset) {
            return Err("a record in journal.tail is damaged".to_owned());
        }
        Ok(records)
    }

    fn record_at(&self, offset: usize) -> Option<Record<'a>> {
        let bytes = self.bytes.get(offset..)?;
        let header = bytes.get(..RECORD_HEADER_LEN)?;
        if number_at(header, 0) != self.mark(offset) {
            return None;
        }
        let body_len = u32::from_le_bytes(header[12..16].try_into().ok()?) as usize;
        let len = RECORD_HEADER_LEN + body_len.next_multiple_of(MARK_LEN);
        let (record, foot) = bytes.get(..len + MARK_LEN)?.split_at(len);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&record[..8]);
        hasher.update(&record[12..]);
        let is_intact =
            record[8..12] == hasher.finalize().to_le_bytes() && foot == &record[..MARK_LEN];
        is_intact.then(|| Record {
            after: number_at(header, 16),
            through: number_at(header, 24),
            reserved: number_at(header, 32),
            body: &record[RECORD_HEADER_LEN..RECORD_HEADER_LEN + body_len],
            len: len + MARK_LEN,
        })
    }

    /// Returns whether a record was begun after this offset.
    fn is_begun_after(&self, offset: usize) -> bool {
        let base = self.mark(0);
        self.bytes.chunks_exact(MARK_LEN).any(|chunk| {
            let begun = number_at(chunk, 0) ^ base;
            let is_offset = begun < self.bytes.len() as u64 && begun.is_multiple_of(8);
            is_offset && begun > offset as u64
        })
    }

    fn mark(&self, offset: usize) -> u64 {
        // The finalizer of SplitMix64.
        let mut mark = self.run.wrapping_add(self.epoch.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        mark = (mark ^ (mark >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mark = (mark ^ (mark >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mark ^ (mark >> 31)) ^ offset as u64
    }
}

fn number_at(bytes: &[u8], offset: usize) -> u64 {
    let bytes = bytes[offset..offset + 8].try_into().expect("eight bytes were selected");
    u64::from_le_bytes(bytes)
}
