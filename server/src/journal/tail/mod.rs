//! The tail: where batches are durable first, each by one write and one flush.
//!
//! - It is a file that is as long as it will ever be, so that a flush has no more to do than to
//!   write the batch. It has two halves: while one is written, the other is moved to the archive.
//! - What it holds counts only where the archive says that this tail is in use.
//! - A half is taken into use by the write of its first record, so that costs nothing.
//! - A batch that was not written leaves nothing that could be taken for it.
//!
//! It relies on the disk to write a sector wholly or not at all, and on nothing else: records are
//! not aligned to sectors, so the sector in which one ends is written again with the next.

pub(super) mod layout;
pub(super) mod scan;

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use leasehold_core::event::Event;
use redb::StorageBackend;

use self::layout::{HEAD, HEADER, Half, MARK, Places, body_max, is_magic, record_len};
use self::scan::Scan;
use super::AppendError;
use super::record::encode_batch_into;

/// Writes the tail.
#[derive(Debug)]
pub(super) struct Tail {
    backend: Arc<dyn StorageBackend>,
    half_len: u64,
    /// Unset where it is not in use.
    end: Option<End>,
    /// Room for a half's header, then the record that is written next.
    buffer: Vec<u8>,
}

/// Where a tail ends.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) half: Half,
    /// Where the next record goes in the half.
    pub(super) at: u64,
    /// Where the records end in the half before.
    pub(super) at_before: u64,
    /// The place of the last event.
    through: u64,
    /// Set once the other half may have been touched: nothing more goes into this one.
    is_closed: bool,
}

impl Tail {
    /// A tail that is not in use.
    pub(super) const fn unused(backend: Arc<dyn StorageBackend>, half_len: u64) -> Self {
        Self { backend, half_len, end: None, buffer: Vec::new() }
    }

    /// A tail that goes on.
    pub(super) fn going_on(backend: Arc<dyn StorageBackend>, scan: &Scan) -> Self {
        let mut this = Self::unused(backend, scan.half.len);
        let (half, through) = (scan.half, scan.through);
        let (at, at_before) = (scan.end, scan.end_before);
        this.end = Some(End { half, at, at_before, through, is_closed: false });
        this
    }

    /// Makes it as long as it is to be, and empty.
    ///
    /// # Errors
    /// Where there is no room for it.
    pub(super) fn make(&mut self, half_len: u64) -> io::Result<()> {
        assert!(self.end.is_none(), "a tail in use is never made anew");
        if self.backend.len()? != half_len * 2 {
            self.backend.set_len(half_len * 2)?;
            self.backend.sync_data()?;
        }
        self.half_len = half_len;
        Ok(())
    }

    /// Begins a run of its own behind the event at `after`. It is in use only once the archive
    /// says so.
    ///
    /// # Errors
    /// Where it could not be written, or flushed.
    pub(super) fn begin(&mut self, run: u64, after: u64) -> Result<Half, AppendError> {
        let half = Half { run, epoch: 1, len: self.half_len };
        let header = half.header(after);
        self.backend.write(half.base(), &header).map_err(AppendError::Write)?;
        self.backend.sync_data().map_err(AppendError::Flush)?;
        Ok(half)
    }

    /// Takes the half that [`Tail::begin`] gave into use.
    pub(super) const fn take_into_use(&mut self, half: Half, after: u64) {
        let at = HEADER as u64;
        self.end = Some(End { half, at, at_before: 0, through: after, is_closed: false });
    }

    /// Leaves nothing in it, once the archive has it all and says so.
    ///
    /// # Errors
    /// Where it could not be written. That does no harm.
    pub(super) fn empty(&mut self) -> io::Result<()> {
        self.end = None;
        self.backend.write(0, &[0; HEADER])?;
        self.backend.write(self.half_len, &[0; HEADER])?;
        self.backend.sync_data()
    }

    /// Takes it out of use, since the archive has it all and says so.
    pub(super) const fn leave(&mut self) {
        self.end = None;
    }

    /// Where it ends, if it is in use.
    pub(super) const fn end(&self) -> Option<End> {
        self.end
    }

    /// Gets a batch ready to be written: its durable events, or none.
    pub(super) fn encode(&mut self, events: Option<&[Event]>) {
        // What a batch that was far too long has left is not kept.
        self.buffer.truncate(HEADER + HEAD);
        self.buffer.shrink_to(usize::try_from(self.half_len).unwrap_or(usize::MAX));
        self.buffer.clear();
        self.buffer.resize(HEADER + HEAD, 0);
        if let Some(events) = events {
            encode_batch_into(&mut self.buffer, events);
        }
    }

    /// The batch that is ready.
    pub(super) fn batch(&self) -> &[u8] {
        &self.buffer[HEADER + HEAD..]
    }

    /// Whether the batch that is ready is longer than a half.
    pub(super) fn is_too_long(&self) -> bool {
        self.batch().len() as u64 > body_max(self.half_len) - MARK as u64
    }

    /// Whether the batch that is ready goes into the half in use.
    pub(super) fn has_room(&self) -> bool {
        self.end.is_some_and(|end| {
            let len = record_len(self.batch().len()) as u64;
            !end.is_closed && end.at + len <= self.half_len
        })
    }

    /// Writes the batch that is ready, and flushes it: into the half in use, or into the other,
    /// which must have been moved by then.
    ///
    /// # Errors
    /// Where it is not stored.
    pub(super) fn write(&mut self, through: u64, reserved: u64) -> Result<End, AppendError> {
        let before = self.end.expect("it is in use");
        let places = Places { after: before.through, through, reserved };
        let has_room = self.has_room();
        let (half, at) =
            if has_room { (before.half, before.at) } else { (before.half.next(), HEADER as u64) };
        half.seal(at, places, &mut self.buffer, HEADER);
        if !has_room {
            self.buffer[..HEADER].copy_from_slice(&half.header(before.through));
            self.end = Some(End { is_closed: true, ..before });
        }
        let skipped = if has_room { HEADER } else { 0 };
        let place = half.base() + at - (HEADER - skipped) as u64;
        if let Err(error) = self.backend.write(place, &self.buffer[skipped..]) {
            self.take_back(half, at).map_err(AppendError::Flush)?;
            return Err(AppendError::Write(error));
        }
        self.backend.sync_data().map_err(AppendError::Flush)?;
        let len = (self.buffer.len() - HEADER) as u64;
        let at_before = if has_room { before.at_before } else { before.at };
        let end = End { half, at: at + len, at_before, through, is_closed: false };
        self.end = Some(end);
        Ok(end)
    }

    /// Sees to it that a record whose write has failed is never found. What is not there now
    /// won't be there later: the disk gets nothing but what can be read here.
    fn take_back(&self, half: Half, at: u64) -> io::Result<()> {
        let mut found = vec![0; self.buffer.len() - HEADER];
        self.backend.read(half.base() + at, &mut found)?;
        if half.record(at, &found).is_none() {
            return Ok(());
        }
        self.backend.write(half.base() + at, &[0; MARK])?;
        self.backend.sync_data()
    }
}

/// Whether there is a tail at this path that was not emptied by a stop in good order.
///
/// # Errors
/// Where it can't be read.
pub(super) fn holds_anything(path: &Path) -> io::Result<bool> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        file => file?,
    };
    let second = file.metadata()?.len() / 2;
    let mut magic = [0; 8];
    for header in [0, second] {
        if file.read_exact_at(&mut magic, header).is_ok() && is_magic(magic) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Some records, read again to be moved.
#[derive(Debug, Default)]
pub(super) struct Piece {
    bytes: Vec<u8>,
    len: u64,
    /// Where in the bytes the batches are.
    batches: Vec<Range<usize>>,
    last: Places,
}

impl Piece {
    /// Reads the records between two places of a half: `len_max` bytes of them, or one. Says
    /// whether they are what was written.
    ///
    /// # Errors
    /// Where they can't be read.
    pub(super) fn read(
        &mut self,
        backend: &dyn StorageBackend,
        half: Half,
        places: Range<u64>,
        len_max: u64,
    ) -> io::Result<bool> {
        let there = places.end - places.start;
        self.take(backend, half, places.start, there.min(len_max))?;
        if self.len == 0 {
            let first = half.claimed_len(places.start, &self.bytes).unwrap_or(0) as u64;
            self.take(backend, half, places.start, there.min(first))?;
        }
        Ok(self.len > 0)
    }

    fn take(
        &mut self,
        backend: &dyn StorageBackend,
        half: Half,
        at: u64,
        len: u64,
    ) -> io::Result<()> {
        self.batches.clear();
        self.bytes.resize(usize::try_from(len).map_err(io::Error::other)?, 0);
        backend.read(half.base() + at, &mut self.bytes)?;
        let mut taken = 0;
        while let Some(record) = half.record(at + taken as u64, &self.bytes[taken..]) {
            let body = taken + HEAD;
            if !record.body.is_empty() {
                self.batches.push(body..body + record.body.len());
            }
            self.last = record.places;
            taken += record.len;
        }
        self.len = taken as u64;
        Ok(())
    }

    /// Its batches.
    pub(super) fn batches(&self) -> impl Iterator<Item = &[u8]> {
        self.batches.iter().map(|place| &self.bytes[place.clone()])
    }

    /// What its last record says.
    pub(super) const fn last(&self) -> Places {
        self.last
    }

    /// How long it is in the tail.
    pub(super) const fn len(&self) -> u64 {
        self.len
    }
}
