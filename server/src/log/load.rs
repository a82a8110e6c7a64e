//! Reads a log without changing it: the newest snapshot, the segments after it, and the evidence
//! that they are complete.

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;

use super::batch::decode_batch;
use super::format::{
    ACKNOWLEDGED, HEADER_LEN, Marks, SegmentHeader, decode_acknowledged, first_chain,
    index_in_name, segment_name, snapshot_name,
};
use super::medium::Medium;
use super::snapshot::{self, Snapshot};
use super::tail::{evidence_of_loss, remains};
use super::{LogPosition, OpenError, Recovered, RecoveredAppend, Witness};

/// The result of reading a log.
#[derive(Debug)]
pub struct Loaded {
    /// Its contents.
    pub recovered: Recovered,
    /// The number of segments that were read.
    pub segment_count: usize,
    /// Where to continue.
    pub(super) end: End,
}

/// Where a log continues.
#[derive(Debug)]
pub(super) struct End {
    pub(super) segment: String,
    pub(super) marks: Marks,
    pub(super) segment_len: u64,
    /// The offset of the next record.
    pub(super) offset: usize,
    /// The bytes to write again: the last records, and zeros in place of what a lost record left.
    pub(super) rewrite_offset: usize,
    pub(super) rewrite: Vec<u8>,
    pub(super) reserved: u64,
    pub(super) bytes_since_snapshot: u64,
    /// Whether the file with the acknowledged position is missing or damaged.
    pub(super) acknowledged_is_unusable: bool,
    /// The index of the snapshot that the log was read from.
    pub(super) snapshot: Option<u64>,
}

/// Reads a log. `witnesses` are positions that it must have reached.
///
/// # Errors
/// Returns [`OpenError::Damaged`] if something is damaged or missing, or a witness contradicts the
/// log.
pub fn load(medium: &dyn Medium, witnesses: &[Witness]) -> Result<Loaded, OpenError> {
    let mut reader = Reader::default();
    reader.load(medium, witnesses).map_err(|error| match error {
        LoadError::Damaged(reason) => {
            let state = &reader.state;
            let index = LogIndex::new(reader.reserved).max(state.applied_index());
            OpenError::Damaged { reason, legible: (state.last_token(), index) }
        }
        LoadError::Io(error) => error.into(),
    })
}

enum LoadError {
    Damaged(String),
    Io(std::io::Error),
}

impl From<std::io::Error> for LoadError {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}

fn damaged(reason: impl Into<String>) -> LoadError {
    LoadError::Damaged(reason.into())
}

/// What was read so far.
#[derive(Debug, Default)]
struct Reader {
    state: State,
    appends: Vec<RecoveredAppend>,
    event_count: usize,
    reserved: u64,
    bytes: u64,
    notes: Vec<String>,
    /// The index up to which a snapshot covers the events.
    covered: u64,
    /// Positions that were not reached yet.
    unreached: Vec<Witness>,
}

/// A segment that is being read.
struct Segment {
    name: String,
    bytes: Vec<u8>,
    header: SegmentHeader,
}

impl Reader {
    fn load(&mut self, medium: &dyn Medium, witnesses: &[Witness]) -> Result<Loaded, LoadError> {
        let names = medium.list()?;
        self.unreached = witnesses.to_vec();
        let acknowledged_is_unusable = self.read_acknowledged(medium, &names)?;
        let snapshot = self.read_snapshot(medium, &names)?;
        let segments = self.required_segments(&names)?;
        let (last_name, earlier_names) = segments.split_last().expect("there is a segment");
        let mut position = None;
        for name in earlier_names {
            let segment = read_segment(medium, *name)?;
            position = Some(self.read_records(&segment, position, snapshot.as_ref())?.position);
        }
        let last = read_segment(medium, *last_name)?;
        let walk = self.read_records(&last, position, snapshot.as_ref())?;
        let marks = last.header.marks();
        if let Some(evidence) = evidence_of_loss(marks, &last.bytes, walk.end, walk.position.record)
        {
            return Err(damaged(format!("{evidence} in {}", last.name)));
        }
        self.check_witnesses(&walk.position, &last.name)?;
        let remains = remains(&last.bytes, walk.end);
        if !remains.is_empty() {
            self.notes.push(format!(
                "{} ends with {} bytes of a batch that was never acknowledged",
                last.name,
                remains.len()
            ));
        }
        let mut rewrite = last.bytes[walk.last_two..walk.end].to_vec();
        rewrite.resize(remains.end - walk.last_two, 0);
        let end = End {
            segment: last.name,
            marks,
            segment_len: last.header.len,
            offset: walk.end,
            rewrite_offset: walk.last_two,
            rewrite,
            reserved: self.reserved,
            bytes_since_snapshot: self.bytes,
            acknowledged_is_unusable,
            snapshot: snapshot.as_ref().map(|it| it.position.through.number()),
        };
        let recovered = self.finish(walk.position, snapshot.as_ref());
        Ok(Loaded { recovered, segment_count: segments.len(), end })
    }

    fn finish(&mut self, position: LogPosition, snapshot: Option<&Snapshot>) -> Recovered {
        let last_index = self.reserved.max(position.through.number());
        Recovered {
            state: std::mem::take(&mut self.state),
            last_index: LogIndex::new(last_index),
            position,
            appends: std::mem::take(&mut self.appends),
            file_checksums: snapshot.map(|it| it.file_checksums.clone()).unwrap_or_default(),
            event_count: self.event_count,
            follows_data_loss: position.record == 0
                && snapshot.is_some_and(|snapshot| snapshot.follows_data_loss),
            notes: std::mem::take(&mut self.notes),
        }
    }

    /// Reads the acknowledged position, which becomes a witness. Returns whether it is unusable,
    /// which does no harm: the rest of the log still has to be complete in itself.
    fn read_acknowledged(
        &mut self,
        medium: &dyn Medium,
        names: &[String],
    ) -> Result<bool, LoadError> {
        if !names.iter().any(|name| name == ACKNOWLEDGED) {
            self.notes.push(format!("the file {ACKNOWLEDGED} is missing"));
            return Ok(true);
        }
        let bytes = medium.read(ACKNOWLEDGED)?;
        let Some(position) = decode_acknowledged(&bytes) else {
            self.notes.push(format!("the file {ACKNOWLEDGED} is damaged"));
            return Ok(true);
        };
        self.unreached.push(Witness { source: format!("the file {ACKNOWLEDGED}"), position });
        Ok(false)
    }

    fn read_snapshot(
        &mut self,
        medium: &dyn Medium,
        names: &[String],
    ) -> Result<Option<Snapshot>, LoadError> {
        let newest = names.iter().filter_map(|name| index_in_name(name, ".snapshot")).max();
        let Some(index) = newest else { return Ok(None) };
        let name = snapshot_name(index);
        let snapshot = snapshot::decode(&medium.read(&name)?)
            .map_err(|reason| damaged(format!("the snapshot {name} is damaged: {reason}")))?;
        if snapshot.position.through.number() != index {
            return Err(damaged(format!("the snapshot {name} is of another index than its name")));
        }
        self.state = snapshot.state.clone();
        self.covered = index;
        self.reserved = index;
        self.unreached
            .push(Witness { source: format!("the snapshot {name}"), position: snapshot.position });
        Ok(Some(snapshot))
    }

    /// Returns the first indices of the segments to read. Earlier ones are covered by the snapshot.
    fn required_segments(&self, names: &[String]) -> Result<Vec<u64>, LoadError> {
        let mut segments: Vec<u64> =
            names.iter().filter_map(|name| index_in_name(name, ".segment")).collect();
        segments.retain(|first| *first > 0);
        segments.sort_unstable();
        let next = self.covered.saturating_add(1);
        let Some(first) = segments.iter().rposition(|first| *first <= next) else {
            return Err(damaged(match segments.first() {
                None => "its segments are missing".to_owned(),
                Some(first) if self.covered == 0 => {
                    format!("the snapshot that covers the events up to {} is missing", first - 1)
                }
                Some(first) => format!("the events from {next} to {} are missing", first - 1),
            }));
        };
        Ok(segments.split_off(first))
    }

    /// Reads the records of a segment, which must continue `previous`.
    fn read_records(
        &mut self,
        segment: &Segment,
        previous: Option<LogPosition>,
        snapshot: Option<&Snapshot>,
    ) -> Result<Walk, LoadError> {
        let start = segment.header.start;
        let (name, marks) = (&segment.name, segment.header.marks());
        if let Some(previous) = previous
            && previous != start
        {
            return Err(damaged(if previous.record < start.record {
                let (from, to) = (previous.record + 1, start.record);
                format!("records {from} to {to} before {name} are damaged or missing")
            } else {
                format!("{name} does not continue the segment before it")
            }));
        }
        if previous.is_none() {
            check_first_segment(segment, snapshot)?;
        }
        let mut walk =
            Walk { position: start, end: HEADER_LEN, last_two: HEADER_LEN, last: HEADER_LEN };
        self.reserved = self.reserved.max(segment.header.reserved);
        self.reach(&walk.position)?;
        while let Some(record) = marks.record_at(&segment.bytes, walk.end) {
            let (header, before) = (record.header, walk.position);
            if header.previous != before.chain
                || header.number != before.record + 1
                || header.through <= before.through.number()
            {
                let (found, number) = (header.number, before.record + 1);
                return Err(damaged(format!(
                    "{name} contains record {found} of another history instead of record {number}"
                )));
            }
            self.apply(&segment.bytes[record.body], header.through, before.through.number(), name)?;
            walk.position = LogPosition {
                log_id: before.log_id,
                record: header.number,
                chain: record.chain,
                through: LogIndex::new(header.through),
            };
            (walk.last_two, walk.last, walk.end) = (walk.last, walk.end, record.end);
            self.reserved = self.reserved.max(header.reserved);
            self.reach(&walk.position)?;
        }
        Ok(walk)
    }

    fn apply(
        &mut self,
        body: &[u8],
        through: u64,
        after: u64,
        segment: &str,
    ) -> Result<(), LoadError> {
        if body.is_empty() || through <= self.covered {
            return Ok(());
        }
        self.bytes += body.len() as u64;
        let events = decode_batch(body)
            .map_err(|error| damaged(format!("{segment} is damaged: {error}")))?;
        let mut last = after;
        for event in events {
            let index = event.index.number();
            if index <= last || through < index {
                return Err(damaged(format!("event {index} in {segment} is out of order")));
            }
            last = index;
            if index > self.covered {
                self.state.apply(&event);
                self.event_count += 1;
                self.appends.extend(append_of(event));
            }
        }
        Ok(())
    }

    /// Compares the witnesses of this position with it.
    fn reach(&mut self, position: &LogPosition) -> Result<(), LoadError> {
        let mut contradiction = None;
        self.unreached.retain(|witness| {
            let is_here = witness.position.record == position.record
                && witness.position.log_id == position.log_id;
            if is_here && witness.position.chain != position.chain {
                contradiction = Some(witness.source.clone());
            }
            !is_here
        });
        match contradiction {
            Some(source) => Err(damaged(format!(
                "{source} shows another history up to record {} than the log",
                position.record
            ))),
            None => Ok(()),
        }
    }

    /// Checks that the log has reached all positions that it must have reached.
    fn check_witnesses(&self, last: &LogPosition, segment: &str) -> Result<(), LoadError> {
        for Witness { source, position } in &self.unreached {
            if position.log_id != last.log_id {
                return Err(damaged(format!("{source} belongs to another log")));
            }
            if position.record > last.record {
                return Err(damaged(format!(
                    "{source} shows that record {} was stored, but {segment} ends at record {}",
                    position.record, last.record
                )));
            }
        }
        Ok(())
    }
}

/// The end of a segment's records.
struct Walk {
    position: LogPosition,
    end: usize,
    /// The offsets of the last record and of the one before it.
    last: usize,
    last_two: usize,
}

fn read_segment(medium: &dyn Medium, first: u64) -> Result<Segment, LoadError> {
    let name = segment_name(first - 1);
    let bytes = medium.read(&name)?;
    let header = SegmentHeader::decode(&bytes)
        .ok_or_else(|| damaged(format!("the header of {name} is damaged")))?;
    if header.start.through.number() != first - 1 {
        return Err(damaged(format!("{name} is of another index than its name")));
    }
    if header.len != bytes.len() as u64 {
        let (len, expected) = (bytes.len(), header.len);
        return Err(damaged(format!("{name} has {len} bytes instead of {expected}")));
    }
    Ok(Segment { name, bytes, header })
}

/// Checks that the first segment continues the snapshot, or begins the log.
fn check_first_segment(segment: &Segment, snapshot: Option<&Snapshot>) -> Result<(), LoadError> {
    let (start, name) = (segment.header.start, &segment.name);
    let begins_log = start.record == 0 && start.chain == first_chain(start.log_id);
    match snapshot.map(|snapshot| snapshot.position) {
        None if !begins_log || start.through != LogIndex::default() => {
            Err(damaged(format!("the snapshot before {name} is missing")))
        }
        Some(position) if position.log_id != start.log_id => {
            Err(damaged(format!("{name} belongs to another log than the snapshot")))
        }
        Some(position) if position.record < start.record => Err(damaged(format!(
            "records {} to {} before {name} are missing",
            position.record + 1,
            start.record
        ))),
        None | Some(_) => Ok(()),
    }
}

fn append_of(event: Event) -> Option<RecoveredAppend> {
    let EventKind::FileAppended { file, offset, data, .. } = event.kind else { return None };
    Some(RecoveredAppend { file, offset, data })
}
