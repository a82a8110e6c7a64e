//! Writes that fail, flushes that fail, and disks that are full.

use std::time::{Duration, Instant};

use leasehold_core::state::State;
use leasehold_server::journal::{AppendError, Log, OpenError, RedbJournal, encode_snapshot};

use super::simulated_disk::{Files, PowerCut, SimulatedDisk, WriteFault};
use super::workload::Workload;

/// Halves of the tail that a few batches fill.
const HALF_LEN: u64 = 4_096;

fn new_journal() -> (SimulatedDisk, RedbJournal) {
    SimulatedDisk::with_journal(HALF_LEN)
}

fn state_on(files: Files) -> State {
    SimulatedDisk::from_files(files).open(HALF_LEN).unwrap().1.state
}

/// Panics where a disk that loses its power now could hold anything but this state.
#[track_caller]
fn expect_after_power_cut(initial: &Files, disk: &SimulatedDisk, state: &State, seed: u64) {
    assert_eq!(state_on(disk.files()), *state, "all that was written is there");
    let mut power_cut = PowerCut::new(initial.clone());
    let operations = disk.state().operations.clone();
    operations.iter().for_each(|operation| power_cut.apply(operation));
    for seed in [seed, seed + 1] {
        assert_eq!(
            state_on(power_cut.surviving_files(seed)),
            *state,
            "some of it is there, seed {seed}"
        );
    }
}

#[test]
fn failed_batch_is_never_stored_or_recovered() {
    let workload = Workload::new(3, 14, 6);
    let (mut stored_despite_fault, mut not_stored, mut reopened) = (0, 0, 0);
    for fault in [WriteFault::NothingWritten, WriteFault::HalfWritten, WriteFault::FullyWritten] {
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
            assert!(failures <= 1, "one write failed, and {failures} batches");
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
    println!("{not_stored} not stored, {stored_despite_fault} stored, {reopened} opened again");
    assert!(not_stored > 20, "{not_stored}");
    assert!(reopened > 20, "{reopened}");
}

fn append_with_retries(log: &mut RedbJournal, batch: &[leasehold_core::event::Event]) -> Duration {
    let started = Instant::now();
    loop {
        match log.append(batch) {
            Ok(_) => return started.elapsed(),
            Err(AppendError::Write(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
        assert!(started.elapsed() < Duration::from_secs(5), "it never goes on");
    }
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
            // However often it is tried, and cheaply: everything is read when it is opened again.
            let (open_count, started) = (disk.state().open_count, Instant::now());
            for delay in [0, 0, 0, 0, if full % 6 == 1 { 120 } else { 0 }] {
                std::thread::sleep(Duration::from_millis(delay));
                assert!(matches!(log.append(batch), Err(AppendError::Write(_))));
                assert!(matches!(log.run_maintenance(), Ok(()) | Err(AppendError::Write(_))));
            }
            assert!(started.elapsed() < Duration::from_millis(500), "{:?}", started.elapsed());
            assert_eq!(
                disk.state().open_count,
                open_count,
                "it was opened while there was no room"
            );
            assert!(disk.files().len() <= len_max);
            expect_after_power_cut(&initial, &disk, &workload.states[number], seed);
            len_max *= 2;
            disk.state().len_max = Some(len_max);
            let waited = append_with_retries(&mut log, batch);
            assert!(waited < Duration::from_millis(400), "{waited:?}");
        }
        reopened += disk.state().open_count;
        drop(log);
        assert_eq!(state_on(disk.files()), *workload.states.last().unwrap());
    }
    println!("{full} times full, {reopened} times opened again");
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
    // Larger than all that there is room for; bytes of a snapshot are not looked into here.
    let mut bytes = encode_snapshot(state);
    bytes.resize(bytes.len() + usize::try_from(len).unwrap() * 2, b' ');
    assert!(!log.is_writing_snapshot());
    log.begin_snapshot(state.applied_index(), bytes);
    let failed = (0..20).filter(|_| log.run_maintenance().is_err()).count();
    assert!(failed > 5, "{failed}");
    assert!(log.is_writing_snapshot(), "another one would have to wait");
    assert_eq!(state_on(disk.files()), *state);
    log.begin_snapshot(state.applied_index(), encode_snapshot(state));
    disk.state().len_max = None;
    let started = Instant::now();
    while log.finish_snapshot().is_err() {
        assert!(started.elapsed() < Duration::from_secs(5), "it never goes on");
    }
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
    use leasehold_core::event::{Event, EventKind};
    use leasehold_core::id::LogIndex;
    use leasehold_core::op::DropReason;
    use leasehold_core::time::Time;
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
    assert!((8..40).contains(&flushes), "few commits for events that need not last: {flushes}");
}
