//! A run with all its records, as JSON that can be read again.

use leasehold_core::rng::mix;
use serde::{Deserialize, Serialize};

use crate::check::{Checkers, Invariant};
use crate::explain::Explainer;
use crate::protection::Protection;
use crate::run::{MODEL_VERSION, Run};
use crate::trace::{LockId, NodeId, Record, RecordId};
use crate::validate::InvalidRun;

/// What a file of this kind says of itself.
const FORMAT: &str = "leasehold-trace";

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

/// How long a file may be, in bytes.
const LEN_MAX: usize = 256 << 20;

/// A run, and what happened in it. What the checkers say, and the fingerprint, are derived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recording {
    run: Run,
    records: Vec<Record>,
}

/// Why a file is no recording.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// Too long.
    #[error("it is longer than {} MB", LEN_MAX >> 20)]
    TooLarge,
    /// It is no JSON, or has not the fields of one.
    #[error("it can't be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else.
    #[error("it says that it is {0:?}, and not {FORMAT:?}")]
    WrongFormat(String),
    /// It is of a version that isn't known here.
    #[error("it is of version {0} of the format; this is version {FORMAT_VERSION}")]
    UnsupportedVersion(u32),
    /// Its run can't be one.
    #[error("its run: {0}")]
    InvalidRun(#[from] InvalidRun),
    /// One of its events can't be one.
    #[error("event {index}: {problem}")]
    InvalidEvent {
        /// Which.
        index: usize,
        /// What is wrong with it.
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

/// What is read of a file: the rest is for people, and is made anew.
#[derive(Deserialize)]
struct RecordingBody {
    run: Run,
    events: Vec<Record>,
}

/// What a recording says of itself, without its events: enough to go through its run again, and to
/// tell whether that leads to the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordingHeader {
    /// The run.
    pub run: Run,
    /// Its fingerprint when it was recorded, in 16 hex digits.
    pub fingerprint: String,
}

impl RecordingHeader {
    /// Reads the head of a recording.
    ///
    /// # Errors
    ///
    /// Where it is none, in words.
    pub fn from_json(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(RecordingError::TooLarge.to_string());
        }
        let head: FormatHeader = serde_json::from_str(text).map_err(|error| error.to_string())?;
        head.check().map_err(|error| error.to_string())?;
        let trace: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        trace.run.validate().map_err(|error| error.to_string())?;
        Ok(trace)
    }
}

/// Read first, since what else there is depends on it.
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
    /// What this run left.
    pub const fn new(run: Run, records: Vec<Record>) -> Self {
        Self { run, records }
    }

    /// Goes through a run, and records it.
    pub fn record(run: Run) -> Self {
        let records = run.execute().trace;
        Self { run, records }
    }

    /// The run.
    pub const fn run(&self) -> &Run {
        &self.run
    }

    /// What happened.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The fingerprint of the run, as [`crate::Harness`] has it at the end.
    pub fn fingerprint(&self) -> u64 {
        self.records.iter().fold(0, |hash, record| mix(hash ^ record.fingerprint()))
    }

    /// What is violated, by the order of the witnesses.
    pub fn violated(&self) -> Vec<(Invariant, RecordId)> {
        Checkers::from_trace(&self.run, &self.records).violations()
    }

    /// Whether this version of the program goes through the run in the same way.
    pub fn replays_identically(&self) -> bool {
        self.run.execute().fingerprint == self.fingerprint()
    }

    /// The recording as JSON, one event a line.
    pub fn to_json(&self) -> String {
        let explainer = Explainer::new(&self.run, &self.records);
        let violated = self.violated().into_iter().map(|(invariant, witness)| {
            let text = explainer.violation(invariant, witness).map(|violation| violation.text);
            ViolationJson { invariant, witness, text }
        });
        let head = RecordingJson {
            format: FORMAT,
            version: FORMAT_VERSION,
            model: MODEL_VERSION,
            fingerprint: format!("{:016x}", self.fingerprint()),
            run: &self.run,
            violated: violated.collect(),
            events: Vec::new(),
        };
        let mut text = to_json_string(&head);
        // Written one by one, so that not all of them are in memory twice.
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
    /// When it is none, or not one that could have been left by a run: an event that is caused by
    /// a later one, or that happened to a node that there is not.
    pub fn from_json(text: &str) -> Result<Self, RecordingError> {
        if text.len() > LEN_MAX {
            return Err(RecordingError::TooLarge);
        }
        let head: FormatHeader = serde_json::from_str(text)?;
        head.check()?;
        let RecordingBody { run, events } = serde_json::from_str(text)?;
        run.validate()?;
        let mut before = None;
        for (no, record) in events.iter().enumerate() {
            let invalid = |problem| Err(RecordingError::InvalidEvent { index: no, problem });
            let subject = record.kind.subject();
            let is_unknown = |node: NodeId| usize::from(node.0) > run.config.clients.len();
            if is_unknown(record.node) || subject.client.is_some_and(is_unknown) {
                return invalid("there is no such node");
            }
            if before.is_some_and(|before| before > record.at) {
                return invalid("it is earlier than the one before it");
            }
            if record
                .causes
                .both()
                .iter()
                .filter_map(|cause| cause.index())
                .any(|cause| cause >= no)
            {
                return invalid("it is caused by a later one");
            }
            let lock = subject.lock.filter(|lock| *lock != LockId::NONE);
            if lock.is_some_and(|lock| usize::from(lock.0) >= run.config.locks.len()) {
                return invalid("there is no such lock");
            }
            before = Some(record.at);
        }
        Ok(Self { run, records: events })
    }
}

/// As JSON; nothing here has a key that isn't text, so that can't fail.
fn to_json_string(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
