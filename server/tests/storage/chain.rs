//! The chain of records: a record of another history does not fit, and the remains of a batch that
//! a power cut has lost never become part of the log.

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{LogIndex, Token};
use leasehold_core::time::Time;
use leasehold_server::log::{EmbeddedLog, Log, OpenError};

use super::simulated_medium::{Files, SimulatedDisk};

const SEGMENT_LEN: u64 = 8_192;

/// Returns a batch. All batches have the same length when they are encoded, and differ by
/// `version`.
fn batch(index: u64, version: u64) -> Vec<Event> {
    let kind = EventKind::ServerStarted { unix_ms: version, token_floor: Token::new(1) };
    vec![Event { index: LogIndex::new(index), at: Time::from_millis(1), kind }]
}

fn segment_name(files: &Files) -> String {
    files.names().into_iter().find(|name| name.ends_with(".segment")).unwrap()
}

/// Returns the end of the last record.
fn end(files: &Files) -> usize {
    let segment = files.get(&segment_name(files));
    (segment.iter().rposition(|byte| *byte != 0).unwrap() + 1).next_multiple_of(8)
}

fn open(files: Files) -> Result<(EmbeddedLog, LogIndex), OpenError> {
    let opened = SimulatedDisk::from_files(files).open(SEGMENT_LEN);
    opened.map(|(log, recovered)| (log, recovered.state.applied_index()))
}

#[test]
fn record_of_another_history_does_not_fit() {
    let (disk, mut log) = SimulatedDisk::with_log(SEGMENT_LEN);
    log.append(&batch(1, 1)).unwrap();
    let begin = end(&disk.files());
    let fork = SimulatedDisk::from_files(disk.files());
    log.append(&batch(2, 1)).unwrap();
    let end = end(&disk.files());
    log.append(&batch(3, 1)).unwrap();
    let (mut other, _) = fork.open(SEGMENT_LEN).unwrap();
    other.append(&batch(2, 2)).unwrap();
    let mut files = disk.files();
    let name = segment_name(&files);
    assert_eq!(open(files.clone()).unwrap().1, LogIndex::new(3));
    // An intact record with the same number takes the place of the second one.
    let record = fork.files().get(&name)[begin..end].to_vec();
    files.get_mut(&name)[begin..end].copy_from_slice(&record);
    let error = open(files).unwrap_err().to_string();
    assert!(error.contains("another history"), "{error}");
}

#[test]
fn remains_of_a_lost_batch_are_removed_before_anything_is_appended() {
    let (disk, mut log) = SimulatedDisk::with_log(SEGMENT_LEN);
    log.append(&batch(1, 1)).unwrap();
    let begin = end(&disk.files());
    let acknowledged = disk.files();
    let first = log.write(&batch(2, 1)).unwrap();
    let end = end(&disk.files());
    let second = log.write(&batch(3, 1)).unwrap();
    assert!(first.flush.is_some() && second.flush.is_some());
    // The power fails: of the two batches that were not acknowledged, only the second is stored.
    let mut files = disk.files();
    let name = segment_name(&files);
    files.get_mut(&name)[begin..end].fill(0);
    assert!(acknowledged.get(&name)[begin..].iter().all(|byte| *byte == 0));
    let disk = SimulatedDisk::from_files(files);
    let (mut log, recovered) = disk.open(SEGMENT_LEN).unwrap();
    assert_eq!(recovered.state.applied_index(), LogIndex::new(1));
    // The next batch ends exactly where the remains begin.
    log.append(&batch(4, 2)).unwrap();
    drop(log);
    assert_eq!(open(disk.files()).unwrap().1, LogIndex::new(4));
}

#[test]
fn acknowledged_batch_before_a_lost_one_is_not_taken_for_lost() {
    let (disk, mut log) = SimulatedDisk::with_log(SEGMENT_LEN);
    log.append(&batch(1, 1)).unwrap();
    let begin = end(&disk.files());
    log.append(&batch(2, 1)).unwrap();
    let end = end(&disk.files());
    // It was written after the second batch had been acknowledged.
    let third = log.write(&batch(3, 1)).unwrap();
    assert!(third.flush.is_some());
    let mut files = disk.files();
    let name = segment_name(&files);
    files.get_mut(&name)[begin..end].fill(0);
    files.remove("acknowledged");
    let error = open(files).unwrap_err().to_string();
    assert!(error.contains("record 2 is damaged"), "{error}");
}
