//! A run with all its records, as JSON that can be read again.

use leasehold_core::rng::mix;
use serde::{Deserialize, Serialize};

use crate::check::{Checks, Invariant};
use crate::explain::Teller;
use crate::protection::Protection;
use crate::run::{Run, VERSION};
use crate::trace::{LockNo, NodeNo, Record, RecordNo};
use crate::valid::BadRun;

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
pub enum BadRecording {
    /// Too long.
    #[error("it is longer than {} MB", LEN_MAX >> 20)]
    TooLong,
    /// It is no JSON, or has not the fields of one.
    #[error("it can't be read: {0}")]
    Json(#[from] serde_json::Error),
    /// It is something else.
    #[error("it says that it is {0:?}, and not {FORMAT:?}")]
    Format(String),
    /// It is of a version that isn't known here.
    #[error("it is of version {0} of the format; this is version {FORMAT_VERSION}")]
    Version(u32),
    /// Its run can't be one.
    #[error("its run: {0}")]
    Run(#[from] BadRun),
    /// One of its events can't be one.
    #[error("event {no}: {what}")]
    Event {
        /// Which.
        no: usize,
        /// What is wrong with it.
        what: &'static str,
    },
}

#[derive(Serialize)]
struct Written<'a> {
    format: &'a str,
    version: u32,
    model: u32,
    fingerprint: String,
    run: &'a Run,
    violated: Vec<WrittenViolation>,
    events: Vec<WrittenEvent<'a>>,
}

#[derive(Serialize)]
struct WrittenViolation {
    invariant: Invariant,
    witness: RecordNo,
    text: Option<String>,
}

#[derive(Serialize)]
struct WrittenEvent<'a> {
    id: u32,
    #[serde(flatten)]
    record: &'a Record,
    rule: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    protection: Option<Protection>,
    sentence: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    because: Option<String>,
}

/// What is read of a file: the rest is for people, and is made anew.
#[derive(Deserialize)]
struct Read {
    run: Run,
    events: Vec<Record>,
}

/// What a recording says of itself, without its events: enough to go through its run again, and to
/// tell whether that leads to the same.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Trace {
    /// The run.
    pub run: Run,
    /// Its fingerprint when it was recorded, in 16 hex digits.
    pub fingerprint: String,
}

impl Trace {
    /// Reads the head of a recording.
    ///
    /// # Errors
    ///
    /// Where it is none, in words.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > LEN_MAX {
            return Err(BadRecording::TooLong.to_string());
        }
        let head: Head = serde_json::from_str(text).map_err(|error| error.to_string())?;
        head.check().map_err(|error| error.to_string())?;
        let trace: Self = serde_json::from_str(text).map_err(|error| error.to_string())?;
        trace.run.validate().map_err(|error| error.to_string())?;
        Ok(trace)
    }
}

/// Read first, since what else there is depends on it.
#[derive(Deserialize)]
struct Head {
    format: String,
    version: u32,
}

impl Head {
    fn check(self) -> Result<(), BadRecording> {
        if self.format != FORMAT {
            return Err(BadRecording::Format(self.format));
        }
        if self.version != FORMAT_VERSION {
            return Err(BadRecording::Version(self.version));
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
    pub fn of(run: Run) -> Self {
        let records = run.go().trace;
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

    /// The fingerprint of the run, as [`crate::World`] has it at the end.
    pub fn fingerprint(&self) -> u64 {
        self.records.iter().fold(0, |all, record| mix(all ^ record.fingerprint()))
    }

    /// What is violated, by the order of the witnesses.
    pub fn violated(&self) -> Vec<(Invariant, RecordNo)> {
        Checks::of(&self.run, &self.records).violated()
    }

    /// Whether this version of the program goes through the run in the same way.
    pub fn is_replayed(&self) -> bool {
        self.run.go().fingerprint == self.fingerprint()
    }

    /// The recording as JSON, one event a line.
    pub fn to_json(&self) -> String {
        let teller = Teller::new(&self.run, &self.records);
        let violated = self.violated().into_iter().map(|(invariant, witness)| {
            let text = teller.violation(invariant, witness).map(|violation| violation.text);
            WrittenViolation { invariant, witness, text }
        });
        let head = Written {
            format: FORMAT,
            version: FORMAT_VERSION,
            model: VERSION,
            fingerprint: format!("{:016x}", self.fingerprint()),
            run: &self.run,
            violated: violated.collect(),
            events: Vec::new(),
        };
        let mut text = json(&head);
        // Written one by one, so that not all of them are in memory twice.
        text.truncate(text.len() - "]}".len());
        for (no, record) in (0_u32..).zip(&self.records) {
            let told = teller.tell(RecordNo(no));
            let event = WrittenEvent {
                id: no,
                record,
                rule: record.kind.word(),
                protection: record.protection(),
                sentence: told.as_ref().map(crate::explain::Told::sentence).unwrap_or_default(),
                because: told.and_then(|told| told.because),
            };
            text.push_str(if no == 0 { "\n" } else { ",\n" });
            text.push_str(&json(&event));
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
    pub fn from_json(text: &str) -> Result<Self, BadRecording> {
        if text.len() > LEN_MAX {
            return Err(BadRecording::TooLong);
        }
        let head: Head = serde_json::from_str(text)?;
        head.check()?;
        let Read { run, events } = serde_json::from_str(text)?;
        run.validate()?;
        let mut before = None;
        for (no, record) in events.iter().enumerate() {
            let wrong = |what| Err(BadRecording::Event { no, what });
            let subject = record.kind.subject();
            let is_none = |node: NodeNo| usize::from(node.0) > run.config.clients.len();
            if is_none(record.node) || subject.client.is_some_and(is_none) {
                return wrong("there is no such node");
            }
            if before.is_some_and(|before| before > record.at) {
                return wrong("it is earlier than the one before it");
            }
            if record
                .causes
                .both()
                .iter()
                .filter_map(|cause| cause.place())
                .any(|cause| cause >= no)
            {
                return wrong("it is caused by a later one");
            }
            let lock = subject.lock.filter(|lock| *lock != LockNo::NONE);
            if lock.is_some_and(|lock| usize::from(lock.0) >= run.config.locks.len()) {
                return wrong("there is no such lock");
            }
            before = Some(record.at);
        }
        Ok(Self { run, records: events })
    }
}

/// As JSON; nothing here has a key that isn't text, so that can't fail.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}
