//! Reads a tail after a crash: what is in it, where it goes on, and whether it can be believed.
//!
//! - A record that is not whole at the end was being written when the power failed. Nobody was
//!   told of it, so it is cut off. Where a record was begun behind it, it had been acknowledged,
//!   and is damaged.
//! - All that is found is flushed again before it is believed: a flush that failed may have left
//!   it in memory only, where it looks like any other.
//! - A half is in use from its first whole record on. A header without one, and a record whose
//!   header was lost, are overwritten before anything goes on: with the next header, or the next
//!   record, they would turn up otherwise. Any other is written over by the next one.

use std::io;

use redb::StorageBackend;

use super::super::{OpenError, damaged};
use super::layout::{HEADER, Half, MARK};

/// How far the archive says that the tail has been moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct InUse {
    /// Which tail it is.
    pub(in super::super) run: u64,
    /// The half from which the next record is to be moved. The one in use is this or the next.
    pub(in super::super) epoch: u64,
    /// The place of the last event that was moved.
    pub(in super::super) moved: u64,
}

/// What is in a tail.
#[derive(Debug)]
pub(in super::super) struct Scan {
    /// The half in use, and where in it the next record goes.
    pub(in super::super) half: Half,
    pub(in super::super) end: u64,
    /// Where the records end in the half before.
    pub(in super::super) end_before: u64,
    /// The place of the last event in it.
    pub(in super::super) through: u64,
    pub(in super::super) reserved: u64,
    /// The half, and the place in it, from which to move on.
    pub(in super::super) from: (u64, u64),
    /// What has not been moved: the batches, each with the place of its last event.
    pub(in super::super) batches: Vec<(u64, Vec<u8>)>,
}

/// The whole records in one use of a half.
struct Walk {
    bytes: Vec<u8>,
    /// Where each ends, and what it says.
    records: Vec<Walked>,
    /// The place of the last event in front of them.
    after: u64,
    half: Half,
}

struct Walked {
    at: u64,
    end: u64,
    through: u64,
    reserved: u64,
    body: Vec<u8>,
}

/// Reads the tail that the archive says is in use.
///
/// # Errors
/// Where it isn't that tail, or is damaged, or can't be read or flushed.
pub(in super::super) fn scan(
    backend: &dyn StorageBackend,
    in_use: InUse,
) -> Result<Scan, OpenError> {
    let len = backend.len()?;
    if len == 0 {
        return Err(damaged("journal.tail, which holds its last events, is missing"));
    }
    let half = Half { run: in_use.run, epoch: in_use.epoch, len: len / 2 };
    let Some(older) = Walk::read(backend, half)? else {
        return Err(damaged("journal.tail is not the one that belongs to it, or is damaged"));
    };
    // One without a record was being taken into use, and is not.
    let newer = Walk::read(backend, half.next())?.filter(|newer| !newer.records.is_empty());
    let from = older.moved_to(in_use.moved)?;
    let mut scan = Scan {
        half,
        end: older.end(),
        end_before: 0,
        through: older.through(),
        reserved: 0,
        from: (half.epoch, from),
        batches: Vec::new(),
    };
    if let Some(newer) = &newer {
        if newer.after != older.through() {
            return Err(damaged("events are missing between the halves of journal.tail"));
        }
        scan.half = newer.half;
        (scan.end_before, scan.end, scan.through) = (older.end(), newer.end(), newer.through());
    }
    settle(backend, newer.as_ref().unwrap_or(&older), newer.is_none())?;
    let walks = [Some(older), newer];
    for record in walks.into_iter().flatten().flat_map(|walk| walk.records) {
        scan.reserved = scan.reserved.max(record.reserved);
        if in_use.moved < record.through && !record.body.is_empty() {
            scan.batches.push((record.through, record.body));
        }
    }
    Ok(scan)
}

impl Walk {
    /// Reads a use of a half; nothing where the half has not been taken into this use.
    fn read(backend: &dyn StorageBackend, half: Half) -> Result<Option<Self>, OpenError> {
        let mut bytes = vec![0; usize::try_from(half.len).map_err(damaged)?];
        backend.read(half.base(), &mut bytes)?;
        let after = half.read_header(&bytes);
        let mut this = Self { bytes, records: Vec::new(), after: after.unwrap_or(0), half };
        if after.is_some() {
            this.walk()?;
        }
        if half.is_begun_behind(this.end(), &this.bytes) {
            return Err(damaged("a record in journal.tail was changed"));
        }
        Ok(after.is_some().then_some(this))
    }

    fn walk(&mut self) -> Result<(), OpenError> {
        loop {
            let at = self.end();
            let rest = usize::try_from(at).ok().and_then(|at| self.bytes.get(at..));
            let Some(record) = rest.and_then(|rest| self.half.record(at, rest)) else {
                return Ok(());
            };
            let places = record.places;
            if places.after != self.through() || places.through <= places.after {
                return Err(damaged("a record in journal.tail is out of order"));
            }
            self.records.push(Walked {
                at,
                end: at + record.len as u64,
                through: places.through,
                reserved: places.reserved,
                body: record.body.to_vec(),
            });
        }
    }

    fn end(&self) -> u64 {
        self.records.last().map_or(HEADER as u64, |record| record.end)
    }

    fn through(&self) -> u64 {
        self.records.last().map_or(self.after, |record| record.through)
    }

    /// Behind which record the archive goes on.
    fn moved_to(&self, moved: u64) -> Result<u64, OpenError> {
        if moved == self.after {
            return Ok(HEADER as u64);
        }
        let record = self.records.iter().find(|record| record.through == moved);
        let record = record.ok_or_else(|| damaged("journal.tail lacks events that it had"))?;
        Ok(record.end)
    }
}

/// Makes sure that what was found is on the disk, and that nothing else will ever be found.
fn settle(backend: &dyn StorageBackend, newest: &Walk, is_first: bool) -> io::Result<()> {
    let half = newest.half;
    // The header is written together with the first record.
    let begin = match newest.records.last() {
        Some(last) if newest.records.len() > 1 => last.at,
        Some(_) | None => 0,
    };
    let slice = |begin, end| {
        let place = |at: u64| usize::try_from(at).expect("a place in bytes that were read");
        &newest.bytes[place(begin)..place(end)]
    };
    backend.write(half.base() + begin, slice(begin, newest.end()))?;
    if is_first {
        backend.write(half.next().base(), &[0; HEADER + MARK])?;
    }
    backend.sync_data()
}
