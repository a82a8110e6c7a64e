//! A simulated disk in memory that contains a log. It records operations and injects faults.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use leasehold_core::id::LogIndex;
use leasehold_core::rng::Rng;
use leasehold_core::state::State;
use leasehold_server::log::{
    EmbeddedLog, FileChecksums, Genesis, LogFile, Medium, OpenError, Options, Recovered, Witness,
};

/// A disk. Clones refer to the same disk.
#[derive(Clone, Debug, Default)]
pub struct SimulatedDisk(Arc<Mutex<DiskState>>);

/// The files of a disk: their names, and their contents by number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Files {
    names: BTreeMap<String, usize>,
    contents: Vec<Vec<u8>>,
}

/// The contents of a disk, its recorded operations and its faults.
#[derive(Debug, Default)]
pub struct DiskState {
    pub files: Files,
    /// The operations since recording started.
    pub operations: Vec<DiskOperation>,
    pub is_recording: bool,
    /// The limit of the total length of the files.
    pub len_max: Option<u64>,
    /// The number of the write that fails, counted from the start of recording, and how it fails.
    pub failing_write: Option<(u64, WriteFault)>,
    /// The number of the flush that fails, counted likewise.
    pub failing_flush: Option<u64>,
    pub write_count: u64,
    pub flush_count: u64,
    /// The number of times that a file could not be created because the disk was full.
    pub failed_creation_count: u64,
}

/// An operation on a disk. Files have numbers, because their names change.
#[derive(Clone, Debug)]
pub enum DiskOperation {
    Create(String, usize, u64),
    Rename(String, String),
    Remove(String),
    FlushNames,
    Write(usize, u64, Vec<u8>),
    Flush(usize),
    /// A failed flush. Unflushed writes are lost, unless they are written again.
    FailedFlush(usize),
    /// The test begins to write the batch with this number.
    Started(usize),
    /// The batch with this number was acknowledged.
    Acknowledged(usize),
}

/// How much of a failed write reaches the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteFault {
    Nothing,
    Half,
    Everything,
}

#[derive(Debug)]
struct DiskFile(SimulatedDisk, usize);

/// Returns options for a log whose segments have this length.
pub fn options(segment_len: u64) -> Options {
    Options { segment_len, in_background: false }
}

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

    pub fn medium(&self) -> Arc<dyn Medium> {
        Arc::new(self.clone())
    }

    /// Opens the log on this disk.
    pub fn open(&self, segment_len: u64) -> Result<(EmbeddedLog, Recovered), OpenError> {
        self.open_with_witnesses(segment_len, &[])
    }

    pub fn open_with_witnesses(
        &self,
        segment_len: u64,
        witnesses: &[Witness],
    ) -> Result<(EmbeddedLog, Recovered), OpenError> {
        EmbeddedLog::open_on(self.medium(), witnesses, options(segment_len))
    }

    pub fn create(&self, segment_len: u64) {
        let (state, last_index) = (&State::default(), LogIndex::default());
        let genesis = Genesis {
            state,
            file_checksums: &FileChecksums::new(),
            last_index,
            follows_data_loss: false,
        };
        EmbeddedLog::create_on(self, &genesis, options(segment_len)).unwrap();
    }

    /// Creates a log on a new disk and starts recording.
    pub fn with_log(segment_len: u64) -> (Self, EmbeddedLog) {
        let disk = Self::default();
        disk.create(segment_len);
        let (log, _) = disk.open(segment_len).unwrap();
        disk.start_recording();
        (disk, log)
    }

    /// Starts recording and discards what was recorded before. Returns the current files.
    pub fn start_recording(&self) -> Files {
        let mut state = self.state();
        state.is_recording = true;
        state.operations.clear();
        (state.write_count, state.flush_count) = (0, 0);
        state.files.clone()
    }

    pub fn mark(&self, operation: DiskOperation) {
        self.state().record(operation);
    }
}

impl Files {
    pub fn len(&self) -> u64 {
        self.names.values().map(|file| self.contents[*file].len() as u64).sum()
    }

    pub fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub fn get(&self, name: &str) -> &Vec<u8> {
        &self.contents[self.names[name]]
    }

    pub fn get_mut(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.contents[self.names[name]]
    }

    pub fn remove(&mut self, name: &str) {
        self.names.remove(name);
    }

    /// Gives a file the contents that it has on another disk.
    pub fn copy_from(&mut self, other: &Self, name: &str) {
        self.contents.push(other.get(name).clone());
        self.names.insert(name.to_owned(), self.contents.len() - 1);
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, operation: &DiskOperation) {
        match operation {
            DiskOperation::Create(name, file, _) => {
                self.names.insert(name.clone(), *file);
            }
            DiskOperation::Rename(from, to) => {
                if let Some(file) = self.names.remove(from) {
                    self.names.insert(to.clone(), file);
                }
            }
            DiskOperation::Remove(name) => self.remove(name),
            DiskOperation::FlushNames
            | DiskOperation::Write(..)
            | DiskOperation::Flush(_)
            | DiskOperation::FailedFlush(_)
            | DiskOperation::Started(_)
            | DiskOperation::Acknowledged(_) => {}
        }
    }
}

impl DiskState {
    fn record(&mut self, operation: DiskOperation) {
        self.files.change_names(&operation);
        if self.is_recording {
            self.operations.push(operation);
        }
    }

    fn apply_write(&mut self, file: usize, offset: u64, data: &[u8]) {
        self.record(DiskOperation::Write(file, offset, data.to_vec()));
        let at = usize::try_from(offset).unwrap();
        self.files.contents[file][at..at + data.len()].copy_from_slice(data);
    }

    fn flush(&mut self) -> io::Result<()> {
        self.flush_count += 1;
        if self.failing_flush == Some(self.flush_count) {
            return Err(io::Error::other("injected flush failure"));
        }
        Ok(())
    }
}

impl Medium for SimulatedDisk {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.state().files.names())
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let state = self.state();
        let file = state.files.find(name)?;
        Ok(state.files.contents[file].clone())
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn LogFile>> {
        let mut state = self.state();
        let replaced = state.files.find(name).map_or(0, |file| state.files.contents[file].len());
        let total_len = state.files.len() - replaced as u64 + len;
        if state.len_max.is_some_and(|len_max| total_len > len_max) {
            state.failed_creation_count += 1;
            return Err(io::ErrorKind::StorageFull.into());
        }
        let file = state.files.contents.len();
        state.files.contents.push(vec![0; usize::try_from(len).unwrap()]);
        state.record(DiskOperation::Create(name.to_owned(), file, len));
        Ok(Arc::new(DiskFile(self.clone(), file)))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = self.state().files.find(name)?;
        Ok(Arc::new(DiskFile(self.clone(), file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        state.files.find(from)?;
        state.record(DiskOperation::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.files.find(name)?;
        state.record(DiskOperation::Remove(name.to_owned()));
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.state();
        state.flush()?;
        state.record(DiskOperation::FlushNames);
        Ok(())
    }
}

impl LogFile for DiskFile {
    fn write_at(&self, data: &[u8], offset: u64) -> io::Result<()> {
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

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        let at = usize::try_from(offset).unwrap();
        bytes.copy_from_slice(&self.0.state().files.contents[self.1][at..at + bytes.len()]);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.0.state();
        let result = state.flush();
        let flushed = result.is_ok();
        let operation = if flushed { DiskOperation::Flush } else { DiskOperation::FailedFlush };
        state.record(operation(self.1));
        result
    }
}

/// The durable contents of a disk, and the operations that are not flushed.
#[derive(Clone, Debug)]
pub struct PowerCut<'a> {
    flushed: Files,
    unflushed_writes: Vec<&'a DiskOperation>,
    unflushed_names: Vec<&'a DiskOperation>,
}

impl<'a> PowerCut<'a> {
    pub fn new(flushed: Files) -> Self {
        Self { flushed, unflushed_writes: Vec::new(), unflushed_names: Vec::new() }
    }

    /// Adds the next operation.
    pub fn apply(&mut self, operation: &'a DiskOperation) {
        match operation {
            DiskOperation::Create(_, file, len) => {
                assert_eq!(*file, self.flushed.contents.len());
                self.flushed.contents.push(vec![0; usize::try_from(*len).unwrap()]);
                self.unflushed_names.push(operation);
            }
            DiskOperation::Rename(..) | DiskOperation::Remove(_) => {
                self.unflushed_names.push(operation);
            }
            DiskOperation::FlushNames => {
                for operation in std::mem::take(&mut self.unflushed_names) {
                    self.flushed.change_names(operation);
                }
            }
            DiskOperation::Write(..) => self.unflushed_writes.push(operation),
            DiskOperation::Flush(file) => {
                let (flushed, remaining): (Vec<_>, Vec<_>) =
                    std::mem::take(&mut self.unflushed_writes)
                        .into_iter()
                        .partition(|write| is_write_to(*file, write));
                self.unflushed_writes = remaining;
                flushed.into_iter().for_each(|write| replay(&mut self.flushed, write, None));
            }
            DiskOperation::FailedFlush(file) => {
                self.unflushed_writes.retain(|write| !is_write_to(*file, write));
            }
            DiskOperation::Started(_) | DiskOperation::Acknowledged(_) => {}
        }
    }

    /// Returns the files after a power cut at this point. Of the unflushed writes, some survive,
    /// some do not, and some are torn; the last one always is. Of the changes of names, the first
    /// few survive.
    pub fn surviving_files(&self, seed: u64) -> Files {
        let mut rng = Rng::new(seed);
        let mut files = self.flushed.clone();
        let surviving_names = rng.below(self.unflushed_names.len() as u64 + 1);
        for operation in &self.unflushed_names[..usize::try_from(surviving_names).unwrap()] {
            files.change_names(operation);
        }
        // Losses of nothing, a little, half and nearly everything.
        let (loss_ppm, tear_ppm) =
            [(0, 0), (100_000, 50_000), (500_000, 100_000), (900_000, 50_000)]
                [usize::try_from(rng.below(4)).unwrap()];
        for (position, write) in self.unflushed_writes.iter().enumerate() {
            let is_last = position + 1 == self.unflushed_writes.len();
            if !is_last && rng.chance(loss_ppm) {
                continue;
            }
            let tear = (is_last || rng.chance(tear_ppm)).then(|| rng.next_u64());
            replay(&mut files, write, tear);
        }
        files
    }
}

fn is_write_to(file: usize, operation: &DiskOperation) -> bool {
    matches!(operation, DiskOperation::Write(written, ..) if *written == file)
}

/// Applies a write: all of it, or one end of a torn one. Words are not torn.
fn replay(files: &mut Files, operation: &DiskOperation, tear: Option<u64>) {
    let DiskOperation::Write(file, offset, data) = operation else { return };
    let len = data.len() as u64;
    let kept_len = usize::try_from(tear.map_or(len, |tear| tear % (len + 1))).unwrap();
    let kept_len = if kept_len == data.len() { kept_len } else { kept_len - kept_len % 8 };
    let from_end = tear.is_some_and(|tear| tear >> 63 == 1);
    let kept_range = if from_end { data.len() - kept_len..data.len() } else { 0..kept_len };
    let at = usize::try_from(*offset).unwrap();
    files.contents[*file][at + kept_range.start..at + kept_range.end]
        .copy_from_slice(&data[kept_range]);
}
