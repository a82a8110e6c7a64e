//! The log of a single server: appends records to segments.
//!
//! A record is written with one write and one flush. The file with the acknowledged position is
//! written without a flush: after a crash of the server it proves that nothing acknowledged is
//! missing, and after a power cut, when it may be old, it proves a little less.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use tracing::warn;

use super::batch::encode_batch_into;
use super::format::{
    ACKNOWLEDGED, ACKNOWLEDGED_LEN, HEADER_LEN, Marks, RECORD_HEADER_LEN, RecordHeader, SPARE,
    SegmentHeader, encode_acknowledged, first_chain, record_len, segment_name,
};
use super::load::{self, End, Loaded};
use super::medium::{LogFile, Medium};
use super::snapshot::{self, SnapshotFileWriter, encode_state};
use super::spare::{self, Spare};
use super::tail::{self, UNACKNOWLEDGED_MAX};
use super::{
    AppendError, Flush, Genesis, Log, LogId, LogPosition, OpenError, Recovered, SnapshotWriter,
    Witness, Write,
};

/// How many log indices are reserved at a time: ten seconds of heartbeats at full load.
const RESERVED_INDICES: u64 = 1 << 20;

/// How a log is stored.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// The length of a segment in bytes, a multiple of 8.
    pub segment_len: u64,
    /// Whether a thread allocates segments in advance.
    pub in_background: bool,
}

impl Default for Options {
    /// Segments of 4 MiB: about a second at full load, read in a few milliseconds, and small
    /// compared to the 64 MiB between snapshots.
    fn default() -> Self {
        Self { segment_len: 4 << 20, in_background: true }
    }
}

/// Stores events in segments and snapshots.
#[derive(Debug)]
pub struct EmbeddedLog {
    medium: Arc<dyn Medium>,
    segment: Segment,
    spare: Spare,
    /// The last record.
    last: LogPosition,
    /// The last acknowledged position.
    acknowledged: LogPosition,
    acknowledged_file: AcknowledgedFile,
    reserved: u64,
    /// The index of the last event, stored or not.
    passed: u64,
    bytes_since_snapshot: u64,
    /// Whether nothing was written since the log was opened.
    is_fresh: bool,
    is_broken: Arc<AtomicBool>,
    buffer: Vec<u8>,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Segment {
    file: Arc<dyn LogFile>,
    marks: Marks,
    len: u64,
    /// The offset of the next record.
    offset: usize,
}

#[derive(Debug)]
struct AcknowledgedFile {
    file: Arc<dyn LogFile>,
    is_flushed: bool,
}

/// The flush of a segment.
#[derive(Debug)]
struct SegmentFlush(Arc<dyn LogFile>);

impl Flush for SegmentFlush {
    fn run(&self) -> Result<(), AppendError> {
        self.0.sync().map_err(AppendError::Flush)
    }
}

impl EmbeddedLog {
    /// Creates a log on an empty medium.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn create_on(
        medium: &dyn Medium,
        genesis: &Genesis<'_>,
        options: Options,
    ) -> io::Result<()> {
        assert!(options.segment_len.is_multiple_of(8), "records begin at multiples of 8");
        let log_id = LogId::random();
        let through = genesis.state.applied_index();
        let start = LogPosition { log_id, record: 0, chain: first_chain(log_id), through };
        if through != LogIndex::default() || genesis.follows_data_loss {
            let state = encode_state(genesis.state, genesis.file_checksums.clone());
            let written = snapshot::write(medium, &start, genesis.follows_data_loss, &state);
            written.map_err(io::Error::other)?;
        }
        let len = options.segment_len;
        spare::allocate(medium, len)?;
        let header = SegmentHeader { start, reserved: genesis.last_index.number(), len };
        let file = medium.open(SPARE)?;
        file.write_at(&header.encode(), 0)?;
        file.sync()?;
        medium.rename(SPARE, &segment_name(through.number()))?;
        AcknowledgedFile::create(medium)?.write(&start)?;
        medium.sync_names()
    }

    /// Opens the log on a medium.
    ///
    /// # Errors
    /// If it is damaged, or cannot be read or written.
    pub fn open_on(
        medium: Arc<dyn Medium>,
        witnesses: &[Witness],
        options: Options,
    ) -> Result<(Self, Recovered), OpenError> {
        let loaded = load::load(&*medium, witnesses)?;
        Ok(Self::resume(medium, loaded, options)?)
    }

    /// Continues the log that was read from a medium.
    ///
    /// # Errors
    /// If it cannot be written.
    pub fn resume(
        medium: Arc<dyn Medium>,
        loaded: Loaded,
        options: Options,
    ) -> io::Result<(Self, Recovered)> {
        let Loaded { recovered, end, .. } = loaded;
        let segment = settle(&*medium, &end)?;
        let acknowledged_file = AcknowledgedFile::open(&*medium, &end)?;
        let mut spare = Spare::new(Arc::clone(&medium), options.segment_len, options.in_background);
        spare.prepare();
        let mut log = Self {
            medium,
            segment,
            spare,
            last: recovered.position,
            acknowledged: recovered.position,
            acknowledged_file,
            reserved: end.reserved,
            passed: recovered.position.through.number(),
            bytes_since_snapshot: end.bytes_since_snapshot,
            is_fresh: true,
            is_broken: Arc::default(),
            buffer: Vec::new(),
        };
        log.acknowledge(recovered.position);
        Ok((log, recovered))
    }

    /// Writes the record in the buffer, which has a header and a body.
    fn write_record(&mut self, through: u64, reserved: u64) -> Result<(), AppendError> {
        assert!(
            self.last.record < self.acknowledged.record + UNACKNOWLEDGED_MAX,
            "too many batches are not acknowledged"
        );
        let len = record_len(self.buffer.len() - RECORD_HEADER_LEN) as u64;
        if !self.has_capacity(len) {
            self.start_segment(len)?;
        }
        let header = RecordHeader {
            previous: self.last.chain,
            number: self.last.record + 1,
            acknowledged: self.acknowledged.record,
            through,
            reserved,
        };
        let offset = self.segment.offset;
        let chain = self.segment.marks.seal(offset, &header, &mut self.buffer);
        if let Err(error) = self.segment.file.write_at(&self.buffer, offset as u64) {
            self.undo_write(offset)?;
            return Err(AppendError::Write(error));
        }
        self.segment.offset += self.buffer.len();
        self.last = LogPosition {
            log_id: self.last.log_id,
            record: header.number,
            chain,
            through: LogIndex::new(through),
        };
        (self.reserved, self.is_fresh) = (reserved, false);
        self.bytes_since_snapshot += len;
        self.spare.prepare();
        Ok(())
    }

    /// Returns whether a record fits into the segment. The end of a segment is for the first
    /// batch after a start, so that a server can start on a full disk.
    fn has_capacity(&self, len: u64) -> bool {
        let start_reserve = if self.is_fresh { 0 } else { self.segment.len / 64 };
        self.segment.offset as u64 + len <= self.segment.len - start_reserve
    }

    /// Starts a segment for a record of this length.
    fn start_segment(&mut self, len: u64) -> Result<(), AppendError> {
        // Nothing may follow a record that is not durable, except in the same segment.
        self.segment.file.sync().map_err(|error| self.flush_error(error))?;
        let len_min = (HEADER_LEN as u64 + len) * 65 / 64 + 8;
        let (file, len) = self.spare.get(len_min).map_err(AppendError::Write)?;
        let header = SegmentHeader { start: self.last, reserved: self.reserved, len };
        file.write_at(&header.encode(), 0).map_err(AppendError::Write)?;
        file.sync().map_err(|error| self.flush_error(error))?;
        let name = segment_name(self.last.through.number());
        self.medium.rename(SPARE, &name).map_err(AppendError::Write)?;
        self.spare.use_up();
        self.medium.sync_names().map_err(|error| self.flush_error(error))?;
        self.segment = Segment { file, marks: header.marks(), len, offset: HEADER_LEN };
        self.acknowledged_file.flush().map_err(|error| self.flush_error(error))
    }

    /// Overwrites what a failed write has left of a record, so that it is never found. If nothing
    /// can be read, nothing can reach the disk later.
    fn undo_write(&self, offset: usize) -> Result<(), AppendError> {
        let file = &self.segment.file;
        let undo = || {
            let mut written = vec![0; self.buffer.len()];
            file.read_at(&mut written, offset as u64)?;
            let remains = tail::remains(&written, 0);
            if remains.is_empty() {
                return Ok(());
            }
            file.write_at(&vec![0; remains.len()], offset as u64)?;
            file.sync()
        };
        undo().map_err(|error| self.flush_error(error))
    }

    fn flush_error(&self, error: io::Error) -> AppendError {
        self.is_broken.store(true, Ordering::Relaxed);
        AppendError::Flush(error)
    }

    fn check_usable(&self) -> Result<(), AppendError> {
        if self.is_broken.load(Ordering::Relaxed) {
            return Err(AppendError::Flush(io::Error::other("a flush has failed before")));
        }
        Ok(())
    }

    fn encode(&mut self, events: &[Event], has_durable: bool) {
        // The capacity for an unusually long batch is not retained.
        self.buffer.truncate(RECORD_HEADER_LEN);
        self.buffer.shrink_to(usize::try_from(self.segment.len).unwrap_or(usize::MAX));
        self.buffer.clear();
        self.buffer.resize(RECORD_HEADER_LEN, 0);
        if has_durable {
            encode_batch_into(&mut self.buffer, events);
        }
    }
}

impl Log for EmbeddedLog {
    fn write(&mut self, events: &[Event]) -> Result<Write, AppendError> {
        self.check_usable()?;
        let Some((first, last)) = events.first().zip(events.last()) else {
            return Ok(Write { position: self.last, flush: None });
        };
        let through = last.index.number();
        assert!(self.passed < first.index.number(), "events are appended in order");
        let has_durable = events.iter().any(|event| event.kind.is_durable());
        // Extended before so few indices are left that a batch might exceed them.
        let is_reserve_low = through + RESERVED_INDICES / 2 > self.reserved;
        if !has_durable && !is_reserve_low {
            self.passed = through;
            return Ok(Write { position: self.position(through), flush: None });
        }
        let reserved = if is_reserve_low { through + RESERVED_INDICES } else { self.reserved };
        self.encode(events, has_durable);
        self.write_record(through, reserved)?;
        self.passed = through;
        let flush: Box<dyn Flush> = Box::new(SegmentFlush(Arc::clone(&self.segment.file)));
        Ok(Write { position: self.last, flush: Some(flush) })
    }

    fn acknowledge(&mut self, position: LogPosition) {
        assert!(self.acknowledged.record <= position.record, "acknowledgements are in order");
        let is_new = self.acknowledged.record < position.record;
        self.acknowledged = position;
        if is_new && let Err(error) = self.acknowledged_file.write(&position) {
            warn!(%error, "server cannot write {ACKNOWLEDGED}; the log has everything it needs");
        }
    }

    fn fail(&mut self) {
        self.is_broken.store(true, Ordering::Relaxed);
    }

    fn begin_snapshot(&mut self) -> Box<dyn SnapshotWriter> {
        self.bytes_since_snapshot = 0;
        Box::new(SnapshotFileWriter { medium: Arc::clone(&self.medium) })
    }

    fn bytes_since_snapshot(&self) -> u64 {
        self.bytes_since_snapshot
    }

    fn run_maintenance(&mut self) -> Result<(), AppendError> {
        self.check_usable()?;
        self.spare.prepare();
        self.acknowledged_file.flush().map_err(|error| self.flush_error(error))
    }
}

impl EmbeddedLog {
    /// Returns the position after the event at `through`, which is not stored.
    fn position(&self, through: u64) -> LogPosition {
        LogPosition { through: LogIndex::new(through), ..self.last }
    }
}

impl Drop for EmbeddedLog {
    fn drop(&mut self) {
        if !self.is_broken.load(Ordering::Relaxed) {
            // Only a power cut could be noticed less precisely without it.
            let _ = self.acknowledged_file.flush();
        }
    }
}

impl AcknowledgedFile {
    fn create(medium: &dyn Medium) -> io::Result<Self> {
        let file = medium.create(ACKNOWLEDGED, ACKNOWLEDGED_LEN as u64)?;
        Ok(Self { file, is_flushed: false })
    }

    fn open(medium: &dyn Medium, end: &End) -> io::Result<Self> {
        if end.acknowledged_is_unusable {
            let created = Self::create(medium)?;
            medium.sync_names()?;
            return Ok(created);
        }
        Ok(Self { file: medium.open(ACKNOWLEDGED)?, is_flushed: true })
    }

    fn write(&mut self, position: &LogPosition) -> io::Result<()> {
        self.is_flushed = false;
        self.file.write_at(&encode_acknowledged(position), 0)
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.is_flushed {
            self.file.sync()?;
            self.is_flushed = true;
        }
        Ok(())
    }
}

/// Makes durable what was read, removes what a lost batch left, and opens the last segment.
fn settle(medium: &dyn Medium, end: &End) -> io::Result<Segment> {
    let file = medium.open(&end.segment)?;
    // Written again, because a flush that failed earlier may have marked it as durable.
    file.write_at(&end.rewrite, end.rewrite_offset as u64)?;
    file.sync()?;
    medium.sync_names()?;
    if let Some(index) = end.snapshot {
        snapshot::prune(medium, index)?;
    }
    Ok(Segment { file, marks: end.marks, len: end.segment_len, offset: end.offset })
}
