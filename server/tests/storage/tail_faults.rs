//! The tail of a journal: failed writes and flushes, and their consequences.

use leasehold_core::id::LogIndex;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use leasehold_server::journal::{Log, RedbJournal};

use super::faults::append_with_retries;
use super::simulated_disk::{DiskOperation, FileKind, PowerCut, SimulatedDisk, WriteFault};
use super::workload::Workload;

/// The length of a half that a few batches fill.
const SMALL_HALF_LEN: u64 = 4_096;

/// Appends more batches to a journal, which are short enough to fit where the last one did not.
fn continue_from(log: &mut RedbJournal, state: &State, last_index: LogIndex, seed: u64) -> State {
    let workload = Workload::continue_from(
        StartParams { state: state.clone(), index_floor: last_index, ..StartParams::default() },
        seed,
        6,
        1,
    );
    for batch in &workload.batches {
        append_with_retries(log, batch);
    }
    workload.states.last().unwrap().clone()
}

#[test]
fn batches_after_a_failed_one_are_recovered() {
    let mut failures = 0;
    for (seed, fault) in
        (60..84).zip([WriteFault::Half, WriteFault::Everything].into_iter().cycle())
    {
        let workload = Workload::new(seed, 24, 8);
        for failing in 1..=50 {
            let (disk, mut log) = SimulatedDisk::with_journal(SMALL_HALF_LEN);
            disk.state().failing_write = Some((failing, fault));
            let failed = workload.batches.iter().position(|batch| log.append(batch).is_err());
            // A failed commit may nevertheless have stored its batch.
            let Some(failed) = failed else { continue };
            failures += 1;
            let last_index = workload.last_index(failed + 1);
            let state = continue_from(&mut log, &workload.states[failed], last_index, failing);
            let found =
                SimulatedDisk::from_files(disk.files()).open(SMALL_HALF_LEN).unwrap().1.state;
            assert_eq!(found, state, "write {failing} of {seed} failed: {fault:?}");
        }
    }
    assert!(failures > 200, "{failures}");
}

#[test]
fn tail_activation_is_atomic_under_write_faults_and_power_cuts() {
    let workload = Workload::new(55, 1, 6);
    for fault in [WriteFault::Half, WriteFault::Everything] {
        for failing in 1..=12 {
            let (disk, mut log) = SimulatedDisk::with_journal(SMALL_HALF_LEN);
            let initial = disk.start_recording();
            disk.state().failing_write = Some((failing, fault));
            append_with_retries(&mut log, &workload.batches[0]);
            let operations = disk.state().operations.clone();
            drop(log);
            let mut power_cut = PowerCut::new(initial);
            for (step, operation) in operations.iter().enumerate() {
                power_cut.apply(operation);
                let surviving_disk =
                    SimulatedDisk::from_files(power_cut.surviving_files(step as u64));
                let found = surviving_disk.open(SMALL_HALF_LEN).unwrap().1.state;
                assert!(workload.states.contains(&found), "write {failing} failed: {fault:?}");
            }
        }
    }
}

#[test]
fn unflushed_bytes_are_flushed_before_recovery_relies_on_them() {
    let workload = Workload::new(51, 30, 6);
    let (mut failures, mut recovered_batches) = (0, 0);
    for failing in 1.. {
        let (disk, mut log) = SimulatedDisk::with_journal(SMALL_HALF_LEN);
        let initial = disk.start_recording();
        disk.state().failing_tail_flush = Some(failing);
        let failed = workload.batches.iter().position(|batch| log.append(batch).is_err());
        let Some(failed) = failed else { break };
        failures += 1;
        drop(log);
        // The machine has not restarted, so unflushed bytes can be read.
        let (log, recovered) = disk.open(SMALL_HALF_LEN).unwrap();
        recovered_batches += u32::from(recovered.state == workload.states[failed + 1]);
        let operations = disk.state().operations.clone();
        let mut power_cut = PowerCut::new(initial);
        operations.iter().for_each(|operation| power_cut.apply(operation));
        let found =
            SimulatedDisk::from_files(power_cut.flushed).open(SMALL_HALF_LEN).unwrap().1.state;
        assert_eq!(found, recovered.state, "flush {failing} failed");
        drop(log);
    }
    assert!(failures > 20 && recovered_batches > 20, "{recovered_batches} of {failures}");
}

#[test]
fn record_with_a_lost_header_never_reappears_under_the_next_header() {
    let half_len = 3_000;
    let workload = Workload::new(56, 60, 6);
    let (disk, mut log) = SimulatedDisk::with_journal(half_len);
    let is_switch = |operation: &&DiskOperation| {
        let DiskOperation::Write(FileKind::Tail, at, data) = operation else { return false };
        at % half_len == 0 && data.len() > 104
    };
    let mut checked = 0;
    for (number, batch) in workload.batches.iter().enumerate() {
        let before = disk.start_recording();
        log.append(batch).unwrap();
        let operations = disk.state().operations.clone();
        let Some(DiskOperation::Write(_, at, data)) = operations.iter().find(is_switch) else {
            continue;
        };
        // Records moved before that write are in the archive.
        let mut power_cut = PowerCut::new(before);
        operations
            .iter()
            .take_while(|operation| !is_switch(operation))
            .for_each(|operation| power_cut.apply(operation));
        let mut files = power_cut.flushed;
        let at = usize::try_from(*at).unwrap();
        files.tail[at + 64..at + data.len()].copy_from_slice(&data[64..]);
        let reopened = SimulatedDisk::from_files(files);
        let (mut log, recovered) = reopened.open(half_len).unwrap();
        assert_eq!(
            recovered.state, workload.states[number],
            "the torn batch was never acknowledged"
        );
        let start = StartParams {
            state: recovered.state,
            index_floor: recovered.last_index,
            ..StartParams::default()
        };
        let next = Workload::continue_from(start, 1, 1, 40);
        let mut files = reopened.start_recording();
        log.append(&next.batches[0]).unwrap();
        let operations = reopened.state().operations.clone();
        let Some(DiskOperation::Write(_, at, data)) = operations.iter().find(is_switch) else {
            continue;
        };
        let at = usize::try_from(*at).unwrap();
        files.tail[at..at + 64].copy_from_slice(&data[..64]);
        assert_eq!(
            SimulatedDisk::from_files(files).open(half_len).unwrap().1.state,
            workload.states[number]
        );
        checked += 1;
    }
    assert!(checked > 2, "{checked}");
}
