//! Failed writes, failed flushes, and full disks.

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::{LogIndex, Token};
use leasehold_core::op::DropReason;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_server::log::{AppendError, EmbeddedLog, FileChecksums, Log, encode_state};

use super::simulated_medium::{Files, PowerCut, SimulatedDisk, WriteFault};
use super::wait_until;
use super::workload::Workload;

/// The length of a segment that a few batches fill.
const SEGMENT_LEN: u64 = 4_096;

fn new_log() -> (SimulatedDisk, EmbeddedLog) {
    SimulatedDisk::with_log(SEGMENT_LEN)
}

fn state_on(files: Files) -> State {
    SimulatedDisk::from_files(files).open(SEGMENT_LEN).unwrap().1.state
}

/// Checks that the disk holds this state now, and after a power cut.
#[track_caller]
fn expect_after_power_cut(initial: &Files, disk: &SimulatedDisk, state: &State, seed: u64) {
    assert_eq!(state_on(disk.files()), *state, "with everything that was written");
    let mut power_cut = PowerCut::new(initial.clone());
    let operations = disk.state().operations.clone();
    operations.iter().for_each(|operation| power_cut.apply(operation));
    for seed in [seed, seed + 1] {
        assert_eq!(
            state_on(power_cut.surviving_files(seed)),
            *state,
            "with a part of what was written, seed {seed}"
        );
    }
}

#[test]
fn failed_batch_is_never_stored_or_recovered() {
    let workload = Workload::new(3, 14, 6);
    let mut not_stored = 0;
    for fault in [WriteFault::Nothing, WriteFault::Half, WriteFault::Everything] {
        for failing in 1.. {
            let (disk, mut log) = new_log();
            let initial = disk.start_recording();
            disk.state().failing_write = Some((failing, fault));
            let mut failures = 0;
            for (number, batch) in workload.batches.iter().enumerate() {
                match log.append(batch) {
                    Ok(_) => continue,
                    Err(AppendError::Write(_)) => failures += 1,
                    Err(error @ AppendError::Flush(_)) => panic!("{error}"),
                }
                expect_after_power_cut(&initial, &disk, &workload.states[number], failing);
                append_with_retries(&mut log, batch);
            }
            assert!(failures <= 1, "one write failed, but {failures} batches");
            not_stored += failures;
            let snapshot = &workload.states[workload.batches.len()];
            let position = log.append(&[]).unwrap();
            while let Err(error) =
                log.begin_snapshot().write(&position, &encode_state(snapshot, FileChecksums::new()))
            {
                assert!(matches!(error, AppendError::Write(_)), "{error}");
            }
            let fault_not_reached = disk.state().write_count < failing;
            drop(log);
            assert_eq!(state_on(disk.files()), *snapshot);
            if fault_not_reached {
                break;
            }
        }
    }
    println!("{not_stored} not stored");
    assert!(not_stored > 20, "{not_stored}");
}

/// Appends a batch, and retries after failed writes.
#[track_caller]
pub(crate) fn append_with_retries(log: &mut EmbeddedLog, batch: &[Event]) {
    wait_until("an append succeeds", || match log.append(batch) {
        Ok(_) => true,
        Err(AppendError::Write(_)) => false,
        Err(AppendError::Flush(error)) => panic!("a flush failed: {error}"),
    });
}

#[test]
fn failed_flush_is_distinguished_from_a_failed_write_and_is_permanent() {
    let workload = Workload::new(4, 30, 6);
    let mut failed = 0;
    for failing in 1.. {
        let (disk, mut log) = new_log();
        disk.state().failing_flush = Some(failing);
        let mut results = workload.batches.iter().map(|batch| log.append(batch));
        let Some(error) = results.find_map(Result::err) else { break };
        drop(results);
        // The flush of a segment that is not in use yet may fail without consequences.
        if matches!(error, AppendError::Flush(_)) {
            let next = log.append(&workload.batches[29]).unwrap_err();
            assert!(matches!(next, AppendError::Flush(_)), "{next}");
        }
        failed += 1;
    }
    println!("{failed} flushes failed");
    assert!(failed >= 20, "{failed}");
}

#[test]
fn full_disk_stores_nothing_and_appends_resume_when_space_is_free() {
    let mut full = 0;
    for seed in 0..40 {
        let workload = Workload::new(seed, 120, 1 + seed % 12);
        let (disk, mut log) = new_log();
        let initial = disk.start_recording();
        let mut len_max = disk.files().len();
        disk.state().len_max = Some(len_max);
        for (number, batch) in workload.batches.iter().enumerate() {
            match log.append(batch) {
                Ok(_) => continue,
                Err(AppendError::Write(_)) => full += 1,
                Err(error @ AppendError::Flush(_)) => panic!("{error}"),
            }
            for _ in 0..5 {
                assert!(matches!(log.append(batch), Err(AppendError::Write(_))));
                log.run_maintenance().unwrap();
            }
            assert!(disk.files().len() <= len_max);
            expect_after_power_cut(&initial, &disk, &workload.states[number], seed);
            len_max += SEGMENT_LEN * 2;
            disk.state().len_max = Some(len_max);
            append_with_retries(&mut log, batch);
        }
        drop(log);
        assert_eq!(state_on(disk.files()), *workload.states.last().unwrap());
    }
    println!("{full} times full");
    assert!(full > 20, "{full}");
}

#[test]
fn full_disk_is_tried_again_only_now_and_then() {
    let workload = Workload::new(1, 200, 6);
    let (disk, mut log) = new_log();
    disk.state().len_max = Some(disk.files().len());
    let failing = workload.batches.iter().find(|batch| log.append(batch).is_err()).unwrap();
    let attempts = disk.state().failed_creation_count;
    for _ in 0..1_000 {
        assert!(log.append(failing).is_err());
    }
    let more = disk.state().failed_creation_count - attempts;
    assert!(more < 100, "{more} attempts");
}

/// Returns a batch that a server stores when it starts.
fn start_batch(index: LogIndex) -> Vec<Event> {
    let kind = EventKind::ServerStarted { unix_ms: 1, token_floor: Token::default() };
    vec![Event { index, at: Time::ZERO, kind }]
}

#[test]
fn server_can_start_on_a_full_disk() {
    // The part that is reserved for starts has 1 KiB.
    let segment_len = 65_536;
    let (disk, mut log) = SimulatedDisk::with_log(segment_len);
    let len = disk.files().len();
    disk.state().len_max = Some(len);
    let mut stored = LogIndex::default();
    while log.append(&start_batch(stored.next())).is_ok() {
        stored = stored.next();
    }
    for start in 0..8 {
        drop(log);
        let recovered;
        (log, recovered) = disk.open(segment_len).unwrap();
        assert_eq!(recovered.state.applied_index(), stored);
        stored = recovered.last_index.next();
        log.append(&start_batch(stored))
            .unwrap_or_else(|error| panic!("start {start} on a full disk: {error}"));
        assert!(log.append(&start_batch(stored.next())).is_err(), "only the first batch is stored");
    }
}

#[test]
fn segment_that_is_allocated_in_advance_is_kept_by_a_start_on_a_full_disk() {
    let segment_len = 65_536;
    let (disk, mut log) = SimulatedDisk::with_log(segment_len);
    let len = disk.files().len();
    assert_eq!(disk.files().get("spare").len() as u64, segment_len);
    // Not even the segment that is there could be allocated again.
    disk.state().len_max = Some(len - 1);
    let mut index = LogIndex::new(1);
    log.append(&start_batch(index)).unwrap();
    drop(log);
    let (mut log, recovered) = disk.open(segment_len).unwrap();
    let mut appended = 0;
    index = recovered.last_index;
    while {
        index = index.next();
        log.append(&start_batch(index)).is_ok()
    } {
        appended += 1;
    }
    assert!(appended > 1_000, "two segments are filled: {appended}");
}

#[test]
fn batch_longer_than_a_segment_is_stored() {
    let workload = Workload::new(6, 200, 6);
    let (disk, mut log) = new_log();
    let batch = workload.batches.concat();
    let encoded = leasehold_server::log::encode_batch(&batch).len() as u64;
    assert!(encoded > SEGMENT_LEN, "{encoded}");
    log.append(&batch).unwrap();
    let state = workload.states.last().unwrap().clone();
    assert_eq!(state_on(disk.files()), state);
    let next = Workload::continue_from(
        leasehold_core::service::StartParams {
            index_floor: LogIndex::new(1 << 30),
            state,
            ..Default::default()
        },
        6,
        60,
        6,
    );
    for batch in &next.batches {
        log.append(batch).unwrap();
    }
    assert_eq!(state_on(disk.files()), *next.states.last().unwrap());
}

#[test]
fn snapshot_waits_for_disk_space() {
    let workload = Workload::new(5, 200, 6);
    let (disk, mut log) = new_log();
    for batch in &workload.batches {
        log.append(batch).unwrap();
    }
    let position = log.append(&[]).unwrap();
    let state = workload.states.last().unwrap();
    let before = disk.files().names();
    let bytes = encode_state(state, FileChecksums::new());
    disk.state().len_max = Some(disk.files().len() + bytes.len() as u64 / 2);
    let error = log.begin_snapshot().write(&position, &bytes).unwrap_err();
    assert!(matches!(error, AppendError::Write(_)), "{error}");
    assert_eq!(disk.files().names(), before, "nothing is left of it, and nothing is deleted");
    assert_eq!(state_on(disk.files()), *state);
    disk.state().len_max = None;
    log.begin_snapshot().write(&position, &bytes).unwrap();
    assert!(disk.files().names().len() < before.len(), "{:?}", disk.files().names());
    drop(log);
    let (_, recovered) = disk.open(SEGMENT_LEN).unwrap();
    assert_eq!((&recovered.state, recovered.event_count), (state, 0));
}

#[test]
fn log_indices_are_never_reused_even_when_events_are_not_stored() {
    let (disk, mut log) = new_log();
    let kind = EventKind::DatagramDropped { reason: DropReason::NotJson };
    let event = |index| Event { index: LogIndex::new(index), at: Time::ZERO, kind: kind.clone() };
    let mut flushes = disk.state().flush_count;
    for index in (1..8_000_000).step_by(100_000) {
        log.append(&[event(index)]).unwrap();
        let files = disk.files();
        let (_, recovered) = SimulatedDisk::from_files(files).open(SEGMENT_LEN).unwrap();
        assert!(recovered.last_index >= LogIndex::new(index), "{index}");
    }
    flushes = disk.state().flush_count - flushes;
    assert!(
        (8..40).contains(&flushes),
        "few flushes for events that need not be durable: {flushes}"
    );
}
