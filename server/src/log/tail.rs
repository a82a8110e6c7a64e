//! The end of the last segment: distinguishes a batch that a power cut has lost from a damaged one.
//!
//! At most [`UNACKNOWLEDGED_MAX`] records can be unacknowledged at a time. A record that follows
//! them was written after the first of them had been acknowledged.

use std::ops::Range;

use super::format::{ALIGNMENT, Marks, RECORD_HEADER_LEN};

/// The maximum number of records that are written but not acknowledged.
pub(super) const UNACKNOWLEDGED_MAX: u64 = 2;

/// Returns a sentence if the bytes after `end`, where the last intact record with this number
/// ends, prove that the next record had been acknowledged.
pub(super) fn evidence_of_loss(
    marks: Marks,
    segment: &[u8],
    end: usize,
    last_record: u64,
) -> Option<String> {
    let lost = last_record + 1;
    let mut begun = 0;
    for offset in (end..segment.len().saturating_sub(RECORD_HEADER_LEN - 1)).step_by(ALIGNMENT) {
        if !marks.is_begun_at(segment, offset) {
            continue;
        }
        begun += 1;
        let record = marks.record_at(segment, offset).map(|record| record.header);
        let later = record.filter(|header| {
            header.acknowledged >= lost || header.number > last_record + UNACKNOWLEDGED_MAX
        });
        if let Some(later) = later {
            let number = later.number;
            return Some(format!("record {lost} is damaged, and record {number} follows it"));
        }
    }
    (begun > UNACKNOWLEDGED_MAX)
        .then(|| format!("record {lost} is damaged, and other records follow it"))
}

/// Returns the range of the bytes after `end` that are not zero.
pub(super) fn remains(segment: &[u8], end: usize) -> Range<usize> {
    let len = segment[end..].iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    end..end + len
}
