//! A simulated disk in memory that contains the two files of a journal. It records operations and
//! injects faults.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use leasehold_core::rng::Rng;
use leasehold_core::state::State;
use leasehold_server::journal::{Medium, Moving, OpenError, Recovered, RedbJournal, TailOptions};
use redb::StorageBackend;

/// A disk. Clones refer to the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<DiskState>>);

/// The file of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileKind {
    Archive,
    Tail,
}

/// The contents of the two files.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    pub archive: Vec<u8>,
    pub tail: Vec<u8>,
}

/// The contents of a disk, its recorded operations and its faults.
#[derive(Debug, Default)]
pub struct DiskState {
    pub files: Files,
    /// The operations since recording started.
    pub operations: Vec<DiskOperation>,
    pub is_recording: bool,
    /// The capacity of the disk: the limit of the total length of its files.
    pub len_max: Option<u64>,
    /// The number of the write that fails, counted from the start of recording, and how it fails.
    pub failing_write: Option<(u64, WriteFault)>,
    /// The number of the flush that fails, counted likewise.
    pub failing_flush: Option<u64>,
    /// The number of the flush of the tail that fails, counted likewise.
    pub failing_tail_flush: Option<u64>,
    /// Whether the next flush of the archive panics.
    pub panics_on_flush: bool,
    /// The number of times that the archive was opened.
    pub open_count: u64,
    pub write_count: u64,
    pub flush_count: u64,
    pub tail_flush_count: u64,
    /// The number of times that a file could not grow because the disk was full.
    pub failed_growth_count: u64,
}

/// An operation on a disk.
#[derive(Clone, Debug)]
pub enum DiskOperation {
    Write(FileKind, u64, Vec<u8>),
    SetLen(FileKind, u64),
    Flush(FileKind),
    /// A failed flush. Unflushed writes are lost, unless they are written again.
    FailedFlush(FileKind),
    /// A mark that the test has set.
    Marker(usize),
}

/// How much of a failed write reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    Nothing,
    Half,
    Everything,
}

/// A file of a disk, for a journal.
#[derive(Clone, Debug)]
pub struct DiskFile(SimulatedDisk, FileKind);

impl SimulatedDisk {
    pub fn from_files(files: Files) -> Self {
        let disk = Self::default();
        disk.state().files = files;
        disk
    }

    pub fn state(&self) -> MutexGuard<'_, DiskState> {
        self.0.lock().unwrap()
    }

    pub fn files(&self) -> Files {
        self.state().files.clone()
    }

    pub fn file(&self, kind: FileKind) -> Arc<DiskFile> {
        Arc::new(DiskFile(self.clone(), kind))
    }

    /// Opens the journal on this disk. Its tail has halves of this length and is moved by the
    /// caller.
    pub fn open(&self, half_len: u64) -> Result<(RedbJournal, Recovered), OpenError> {
        let options = TailOptions { half_len, moving: Moving::ByCaller };
        RedbJournal::open_on(self.file(FileKind::Archive), &*self.file(FileKind::Tail), options)
    }

    /// Creates a journal on a new disk and starts recording.
    pub fn with_journal(half_len: u64) -> (Self, RedbJournal) {
        let disk = Self::default();
        RedbJournal::create_on(disk.file(FileKind::Archive), &State::default()).unwrap();
        let (log, _) = disk.open(half_len).unwrap();
        disk.start_recording();
        (disk, log)
    }

    /// Starts recording and discards what was recorded before. Returns the current files.
    pub fn start_recording(&self) -> Files {
        let mut state = self.state();
        state.is_recording = true;
        state.operations.clear();
        (state.write_count, state.flush_count, state.open_count) = (0, 0, 0);
        state.tail_flush_count = 0;
        state.files.clone()
    }

    pub fn mark(&self, marker: usize) {
        self.state().record(DiskOperation::Marker(marker));
    }
}

impl Files {
    pub fn get(&self, kind: FileKind) -> &Vec<u8> {
        match kind {
            FileKind::Archive => &self.archive,
            FileKind::Tail => &self.tail,
        }
    }

    pub fn get_mut(&mut self, kind: FileKind) -> &mut Vec<u8> {
        match kind {
            FileKind::Archive => &mut self.archive,
            FileKind::Tail => &mut self.tail,
        }
    }

    pub fn len(&self) -> u64 {
        (self.archive.len() + self.tail.len()) as u64
    }
}

impl DiskState {
    fn record(&mut self, operation: DiskOperation) {
        if self.is_recording {
            self.operations.push(operation);
        }
    }

    fn apply_write(&mut self, kind: FileKind, offset: u64, data: &[u8]) {
        self.record(DiskOperation::Write(kind, offset, data.to_vec()));
        let at = usize::try_from(offset).unwrap();
        self.files.get_mut(kind)[at..at + data.len()].copy_from_slice(data);
    }
}

impl Medium for DiskFile {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        self.0.state().open_count += u64::from(self.1 == FileKind::Archive);
        Ok(Box::new(self.clone()))
    }
}

impl StorageBackend for DiskFile {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.state().files.get(self.1).len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let state = self.0.state();
        let from = usize::try_from(offset).map_err(io::Error::other)?;
        let bytes = state.files.get(self.1);
        let found = from.checked_add(out.len()).and_then(|to| bytes.get(from..to));
        out.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut state = self.0.state();
        let before = state.files.get(self.1).len() as u64;
        let total_len = state.files.len() - before + len;
        if len > before && state.len_max.is_some_and(|len_max| total_len > len_max) {
            state.failed_growth_count += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.record(DiskOperation::SetLen(self.1, len));
        state.files.get_mut(self.1).resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.0.state();
        if self.1 == FileKind::Archive && std::mem::take(&mut state.panics_on_flush) {
            drop(state);
            panic!("injected panic in a flush");
        }
        state.flush_count += 1;
        state.tail_flush_count += u64::from(self.1 == FileKind::Tail);
        let fails = state.failing_flush.is_some_and(|failing| state.flush_count == failing);
        let tail_fails = state.failing_tail_flush == Some(state.tail_flush_count);
        if fails || tail_fails && self.1 == FileKind::Tail {
            state.record(DiskOperation::FailedFlush(self.1));
            return Err(io::Error::other("injected flush failure"));
        }
        state.record(DiskOperation::Flush(self.1));
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.0.state();
        state.write_count += 1;
        let fails = state.failing_write.filter(|(failing, _)| *failing == state.write_count);
        let Some((_, fault)) = fails else {
            state.apply_write(self.1, offset, data);
            return Ok(());
        };
        match fault {
            WriteFault::Nothing => {}
            WriteFault::Half => state.apply_write(self.1, offset, &data[..data.len() / 2]),
            WriteFault::Everything => state.apply_write(self.1, offset, data),
        }
        Err(io::Error::other("injected write failure"))
    }
}

/// The durable contents of a disk, and the operations since the last flush of each file.
#[derive(Clone, Debug)]
pub struct PowerCut<'a> {
    pub flushed: Files,
    pub unflushed: Vec<&'a DiskOperation>,
}

impl<'a> PowerCut<'a> {
    pub fn new(flushed: Files) -> Self {
        Self { flushed, unflushed: Vec::new() }
    }

    /// Adds the next operation.
    pub fn apply(&mut self, operation: &'a DiskOperation) {
        match operation {
            DiskOperation::Write(..) | DiskOperation::SetLen(..) => self.unflushed.push(operation),
            DiskOperation::Flush(kind) => {
                let is_covered = |operation: &&DiskOperation| match operation {
                    DiskOperation::Write(at, ..) | DiskOperation::SetLen(at, _) => at == kind,
                    DiskOperation::Flush(_)
                    | DiskOperation::FailedFlush(_)
                    | DiskOperation::Marker(_) => false,
                };
                let (flushed, remaining) =
                    std::mem::take(&mut self.unflushed).into_iter().partition(is_covered);
                self.unflushed = remaining;
                let flushed: Vec<&DiskOperation> = flushed;
                flushed
                    .into_iter()
                    .for_each(|operation| replay(&mut self.flushed, operation, None));
            }
            DiskOperation::FailedFlush(kind) => {
                self.unflushed.retain(|operation| match operation {
                    DiskOperation::Write(at, ..) | DiskOperation::SetLen(at, _) => at != kind,
                    DiskOperation::Flush(_)
                    | DiskOperation::FailedFlush(_)
                    | DiskOperation::Marker(_) => true,
                });
            }
            DiskOperation::Marker(_) => {}
        }
    }

    /// Returns the files after a power cut at this point. Of the unflushed operations, some
    /// survive, some do not, and some are torn; the last one always is.
    pub fn surviving_files(&self, seed: u64) -> Files {
        let mut rng = Rng::new(seed);
        let mut files = self.flushed.clone();
        // Losses of nothing, a little, half and nearly everything.
        let (loss_ppm, tear_ppm) =
            [(0, 0), (100_000, 50_000), (500_000, 100_000), (900_000, 50_000)]
                [usize::try_from(rng.below(4)).unwrap()];
        for (position, operation) in self.unflushed.iter().enumerate() {
            let is_last = position + 1 == self.unflushed.len();
            if !is_last && rng.chance(loss_ppm) {
                continue;
            }
            let tear = (is_last || rng.chance(tear_ppm)).then(|| rng.next_u64());
            replay(&mut files, operation, tear);
        }
        files
    }
}

/// Applies an operation: all of it, or one end of a torn write.
fn replay(files: &mut Files, operation: &DiskOperation, tear: Option<u64>) {
    match operation {
        DiskOperation::SetLen(kind, len) => {
            files.get_mut(*kind).resize(usize::try_from(*len).unwrap(), 0);
        }
        DiskOperation::Write(kind, offset, data) => {
            let bytes = files.get_mut(*kind);
            let len = data.len() as u64;
            let kept_len = usize::try_from(tear.map_or(len, |tear| tear % (len + 1))).unwrap();
            // The tail relies on the disk not to tear a sector, and so not a word.
            let unit = if *kind == FileKind::Tail { 8 } else { 1 };
            let kept_len =
                if kept_len == data.len() { kept_len } else { kept_len - kept_len % unit };
            let from_end = tear.is_some_and(|tear| tear >> 63 == 1);
            let kept_range = if from_end { data.len() - kept_len..data.len() } else { 0..kept_len };
            let at = usize::try_from(*offset).unwrap();
            if bytes.len() < at + kept_range.end {
                bytes.resize(at + kept_range.end, 0);
            }
            bytes[at + kept_range.start..at + kept_range.end].copy_from_slice(&data[kept_range]);
        }
        DiskOperation::Flush(_) | DiskOperation::FailedFlush(_) | DiskOperation::Marker(_) => {}
    }
}
