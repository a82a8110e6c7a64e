//! Recordings: a run with all its records, as JSON.
//!
//! - The run and the records are the content. Sentences, reasons and violations are written for
//!   readers of the file, and computed again after an import.
//! - An import is checked, so that no recording can make the rest of the program panic.

use leasehold_core::rng::mix;
use serde::{Deserialize, Serialize};

use crate::check::{Checkers, Invariant};
use crate::explain::Explainer;
use crate::protection::Protection;
use crate::run::{MODEL_VERSION, Run};
use crate::trace::{LockId, NodeId, Record, RecordId};
use crate::validate::InvalidRun;
use crate::virtual_time::VirtualTime;

/// The name of the format, in every file.
const FORMAT: &str = "leasehold-trace";

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

/// The maximum size of a file, in bytes: 256 MiB.
const LEN_MAX: usize = 256 << 20;

/// A run and its records. Violations and the fingerprint are derived from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    run: Run,
    records: Vec<Record>,
}

/// Why a file is not a valid recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// The file is too large.
    #[error("the file is larger than {} MiB", LEN_MAX >> 20)]
    TooLarge,
    /// The file is not JSON, or a field is missing or invalid.
    #[error("cannot parse the recording: {0}")]
    Json(#[from] serde_json::Error),
    /// The file has another format.
    #[error("unexpected format {0:?}, expected {FORMAT:?}")]
    WrongFormat(String),
    /// This program cannot read this version of the format.
    #[error("unsupported format version {0}, expected {FORMAT_VERSION}")]
    UnsupportedVersion(u32),
    /// The run is invalid.
    #[error("invalid run: {0}")]
    InvalidRun(#[from] InvalidRun),
    /// An event is invalid.
    #[error("invalid event {index}: {problem}")]
    InvalidEvent {
        /// The index of the event.
        index: usize,
        /// The problem.
        problem: &'static str,
    },
}

#[derive(Serialize)]
struct RecordingJson<'a> {
    format: &'a str,
    version: u32,
    model: u32,
    fingerprint: String,
    run: &'a Run,
    violated: Vec<ViolationJson>,
    events: Vec<EventJson<'a>>,
}

#[derive(Serialize)]
struct ViolationJson {
    invariant: Invariant,
    witness: RecordId,
    text: Option<String>,
}

#[derive(Serialize)]
struct EventJson<'a> {
    id: u32,
    #[serde(flatten)]
    record: &'a Record,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<Protection>,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[serde(rename = "because")]
    reason: Option<String>,
}

/// The fields that are read from a file; the others are derived again.
#[derive(Deserialize)]
struct RecordingBody {
    run: Run,
    events: Vec<Record>,
}

/// A recording without its events: enough to execute the run again, and to check that the result
/// is the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordingHeader {
    /// The run.
    pub run: Run,
    /// Its fingerprint when it was recorded, in 16 hex digits.
    pub fingerprint: String,
}

/// Removes the byte order mark that some editors and shells write in front of a file.
fn without_byte_order_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

impl RecordingHeader {
    /// Reads the header of a recording.
    ///
    /// # Errors
    ///
    /// Returns a message if the text is not a recording, or its run is invalid.
    pub fn from_json(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(RecordingError::TooLarge.to_string());
        }
        let text = without_byte_order_mark(text);
        let format: FormatHeader = serde_json::from_str(text).map_err(|error| error.to_string())?;
        format.check().map_err(|error| error.to_string())?;
        let header: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        header.run.validate().map_err(|error| error.to_string())?;
        Ok(header)
    }
}

/// Format and version, which are read first because the other fields depend on them.
#[derive(Deserialize)]
struct FormatHeader {
    format: String,
    version: u32,
}

impl FormatHeader {
    fn check(self) -> Result<(), RecordingError> {
        if self.format != FORMAT {
            return Err(RecordingError::WrongFormat(self.format));
        }
        if self.version != FORMAT_VERSION {
            return Err(RecordingError::UnsupportedVersion(self.version));
        }
        Ok(())
    }
}

impl Recording {
    /// Creates a recording from a run and its records.
    pub const fn new(run: Run, records: Vec<Record>) -> Self {
        Self { run, records }
    }

    /// Executes a run and records it.
    pub fn record(run: Run) -> Self {
        let records = run.execute().trace;
        Self { run, records }
    }

    /// Returns the run.
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// Returns the records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// Returns the fingerprint, equal to [`crate::World::fingerprint`] at the end of the run.
    pub fn fingerprint(&self) -> u64 {
        self.records.iter().fold(0, |hash, record| mix(hash ^ record.fingerprint()))
    }

    /// Returns the violated invariants, in the order of their witnesses.
    pub fn violated(&self) -> Vec<(Invariant, RecordId)> {
        Checkers::from_trace(&self.run, &self.records).violations()
    }

    /// Whether this version of the simulator produces the same records.
    pub fn replays_identically(&self) -> bool {
        self.run.execute().fingerprint == self.fingerprint()
    }

    /// Returns the recording as JSON, with one event per line.
    pub fn to_json(&self) -> String {
        let explainer = Explainer::new(&self.run, &self.records);
        let violated = self.violated().into_iter().map(|(invariant, witness)| {
            let text = explainer.violation(invariant, witness).map(|violation| violation.text);
            ViolationJson { invariant, witness, text }
        });
        let header = RecordingJson {
            format: FORMAT,
            version: FORMAT_VERSION,
            model: MODEL_VERSION,
            fingerprint: format!("{:016x}", self.fingerprint()),
            run: &self.run,
            violated: violated.collect(),
            events: Vec::new(),
        };
        let mut text = to_json_string(&header);
        // Events are appended one by one, so that they are not in memory twice.
        text.truncate(text.len() - "]}".len());
        for (index, record) in (0_u32..).zip(&self.records) {
            let description = explainer.describe(RecordId(index));
            let event = EventJson {
                id: index,
                record,
                rule: record.kind.code_with_cause(),
                protection: record.deciding_protection(),
                sentence: description
                    .as_ref()
                    .map(crate::explain::Description::sentence)
                    .unwrap_or_default(),
                reason: description.and_then(|description| description.reason),
            };
            text.push_str(if index == 0 { "\n" } else { ",\n" });
            text.push_str(&to_json_string(&event));
        }
        text.push_str("\n]}\n");
        text
    }

    /// Reads a recording.
    ///
    /// # Errors
    ///
    /// If the text is not a recording of a supported version, if its run is invalid, or if no run
    /// could have produced its events: they must be in order of time, their causes must precede
    /// them, and nodes and locks must exist.
    pub fn from_json(text: &str) -> Result<Self, RecordingError> {
        if text.len() > LEN_MAX {
            return Err(RecordingError::TooLarge);
        }
        let text = without_byte_order_mark(text);
        let format: FormatHeader = serde_json::from_str(text)?;
        format.check()?;
        let RecordingBody { run, events } = serde_json::from_str(text)?;
        run.validate()?;
        let mut previous_at = VirtualTime::START;
        for (index, record) in events.iter().enumerate() {
            if let Some(problem) = record_problem(&run, index, record, previous_at) {
                return Err(RecordingError::InvalidEvent { index, problem });
            }
            previous_at = record.at;
        }
        Ok(Self { run, records: events })
    }
}

/// Returns why no run could have produced a record at this index.
fn record_problem(
    run: &Run,
    index: usize,
    record: &Record,
    previous_at: VirtualTime,
) -> Option<&'static str> {
    let subject = record.kind.subject();
    let is_unknown = |node: NodeId| usize::from(node.0) > run.config.clients.len();
    if is_unknown(record.node) || subject.client.is_some_and(is_unknown) {
        return Some("unknown node");
    }
    if previous_at > record.at {
        return Some("earlier than the event before it");
    }
    let mut causes = record.causes.both().into_iter().filter_map(RecordId::index);
    if causes.any(|cause| cause >= index) {
        return Some("caused by a later event");
    }
    let lock = subject.lock.filter(|lock| *lock != LockId::NONE);
    let is_lock_unknown = lock.is_some_and(|lock| usize::from(lock.0) >= run.config.locks.len());
    is_lock_unknown.then_some("unknown lock")
}

/// Serializes a value. This cannot fail, because all keys are strings.
fn to_json_string(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
