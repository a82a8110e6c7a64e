//! Failed writes, failed flushes, and full disks.

use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::LogIndex;
use leasehold_core::op::DropReason;
use leasehold_core::state::State;
use leasehold_core::time::Time;
use leasehold_server::journal::{AppendError, Log, OpenError, RedbJournal, encode_snapshot};

use super::simulated_disk::{Files, PowerCut, SimulatedDisk, WriteFault};
use super::wait_until;
use super::workload::Workload;

/// The length of a half of the tail that a few batches fill.
const HALF_LEN: u64 = 4_096;

fn new_journal() -> (SimulatedDisk, RedbJournal) {
    SimulatedDisk::with_journal(HALF_LEN)
}

fn state_on(files: Files) -> State {
    SimulatedDisk::from_files(files).open(HALF_LEN).unwrap().1.state
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
    let (mut stored_despite_fault, mut not_stored, mut reopened) = (0, 0, 0);
    for fault in [WriteFault::Nothing, WriteFault::Half, WriteFault::Everything] {
        for failing in 1.. {
            let (disk, mut log) = new_journal();
            let initial = disk.start_recording();
            disk.state().failing_write = Some((failing, fault));
            let mut failures = 0;
            for (number, batch) in workload.batches.iter().enumerate() {
                let before = disk.state().write_count;
                match log.append(batch) {
                    Ok(_) => {
                        let fault_occurred =
                            before < failing && failing <= disk.state().write_count;
                        stored_despite_fault += u32::from(fault_occurred);
                        continue;
                    }
                    Err(AppendError::Write(_)) => failures += 1,
                    Err(error) => panic!("{error}"),
                }
                expect_after_power_cut(&initial, &disk, &workload.states[number], failing);
                append_with_retries(&mut log, batch);
            }
            assert!(failures <= 1, "one write failed, but {failures} batches");
            not_stored += failures;
            let snapshot = &workload.states[workload.batches.len()];
            log.begin_snapshot(snapshot.applied_index(), encode_snapshot(snapshot));
            while let Err(error) = log.finish_snapshot() {
                assert!(matches!(error, AppendError::Write(_)), "{error}");
            }
            reopened += disk.state().open_count;
            let fault_not_reached = disk.state().write_count < failing;
            drop(log);
            assert_eq!(state_on(disk.files()), *snapshot);
            if fault_not_reached {
                break;
            }
        }
    }
    println!("{not_stored} not stored, {stored_despite_fault} stored, reopened {reopened} times");
    assert!(not_stored > 20, "{not_stored}");
    assert!(reopened > 20, "{reopened}");
}

/// Appends a batch, and retries after failed writes.
#[track_caller]
pub(crate) fn append_with_retries(log: &mut RedbJournal, batch: &[Event]) {
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
        let (disk, mut log) = new_journal();
        disk.state().failing_flush = Some(failing);
        let mut results = workload.batches.iter().map(|batch| log.append(batch));
        let Some(error) = results.find_map(Result::err) else { break };
        assert!(matches!(error, AppendError::Flush(_)), "{error}");
        failed += 1;
    }
    println!("{failed} flushes failed");
    assert!(failed >= 20, "{failed}");
}

#[test]
fn full_disk_stores_nothing_and_appends_resume_when_space_is_free() {
    let (mut full, mut reopened) = (0, 0);
    for seed in 0..40 {
        let workload = Workload::new(seed, 90, 1 + seed % 12);
        let (disk, mut log) = new_journal();
        let initial = disk.start_recording();
        let mut len_max = disk.files().len();
        disk.state().len_max = Some(len_max);
        for (number, batch) in workload.batches.iter().enumerate() {
            match log.append(batch) {
                Ok(_) => continue,
                Err(AppendError::Write(_)) => full += 1,
                Err(error) => panic!("{error}"),
            }
            // Opening reads everything, so retries on a full disk must not do it.
            let (open_count, growths) = {
                let state = disk.state();
                (state.open_count, state.failed_growth_count)
            };
            let mut retry = || {
                assert!(matches!(log.append(batch), Err(AppendError::Write(_))));
                assert!(matches!(log.run_maintenance(), Ok(()) | Err(AppendError::Write(_))));
            };
            (0..5).for_each(|_| retry());
            if full % 6 == 1 {
                wait_until("the journal tries to grow again", || {
                    retry();
                    disk.state().failed_growth_count > growths + 1
                });
            }
            assert_eq!(
                disk.state().open_count,
                open_count,
                "it was opened while the disk was full"
            );
            assert!(disk.files().len() <= len_max);
            expect_after_power_cut(&initial, &disk, &workload.states[number], seed);
            len_max *= 2;
            disk.state().len_max = Some(len_max);
            append_with_retries(&mut log, batch);
        }
        reopened += disk.state().open_count;
        drop(log);
        assert_eq!(state_on(disk.files()), *workload.states.last().unwrap());
    }
    println!("{full} times full, reopened {reopened} times");
    assert!(full > 20, "{full}");
}

#[test]
fn snapshot_waits_for_disk_space() {
    let workload = Workload::new(5, 60, 6);
    let (disk, mut log) = new_journal();
    for batch in &workload.batches {
        log.append(batch).unwrap();
    }
    let state = workload.states.last().unwrap();
    let len = disk.files().len();
    disk.state().len_max = Some(len);
    // The snapshot exceeds the capacity of the disk. The journal does not parse it.
    let mut bytes = encode_snapshot(state);
    bytes.resize(bytes.len() + usize::try_from(len).unwrap() * 2, b' ');
    assert!(!log.is_writing_snapshot());
    log.begin_snapshot(state.applied_index(), bytes);
    let failed = (0..20).filter(|_| log.run_maintenance().is_err()).count();
    assert!(failed > 5, "{failed}");
    assert!(log.is_writing_snapshot(), "another snapshot has to wait");
    assert_eq!(state_on(disk.files()), *state);
    log.begin_snapshot(state.applied_index(), encode_snapshot(state));
    disk.state().len_max = None;
    wait_until("the snapshot is written", || log.finish_snapshot().is_ok());
    assert!(!log.is_writing_snapshot());
    drop(log);
    let (_, recovered) = disk.open(HALF_LEN).unwrap();
    assert_eq!((&recovered.state, recovered.event_count), (state, 0));
}

#[test]
fn two_servers_cannot_open_the_same_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (log, _) = RedbJournal::open(dir.path()).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::InUse)));
    assert!(matches!(RedbJournal::create(dir.path(), &State::default()), Err(OpenError::InUse)));
    drop(log);
    RedbJournal::open(dir.path()).unwrap();
}

#[test]
fn log_indices_are_never_reused_even_when_events_are_not_stored() {
    let (disk, mut log) = new_journal();
    let kind = EventKind::DatagramDropped { reason: DropReason::NotJson };
    let event = |index| Event { index: LogIndex::new(index), at: Time::ZERO, kind: kind.clone() };
    let mut flushes = disk.state().flush_count;
    for index in (1..8_000_000).step_by(100_000) {
        log.append(&[event(index)]).unwrap();
        let files = disk.files();
        let (_, recovered) = SimulatedDisk::from_files(files).open(HALF_LEN).unwrap();
        assert!(recovered.last_index >= LogIndex::new(index), "{index}");
    }
    flushes = disk.state().flush_count - flushes;
    assert!(
        (8..40).contains(&flushes),
        "few commits for events that need not be durable: {flushes}"
    );
}
