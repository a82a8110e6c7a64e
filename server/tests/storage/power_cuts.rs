//! Power cuts at any moment: acknowledged batches survive, and nothing else appears.

use std::sync::atomic::{AtomicUsize, Ordering};

use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use leasehold_server::journal::{Log, Recovered, RedbJournal, encode_snapshot};

use super::simulated_disk::{DiskOperation, FileKind, Files, PowerCut, SimulatedDisk};
use super::workload::Workload;

/// The number of outcomes that are tested for each power cut.
const OUTCOMES_PER_CUT: u64 = 3;

/// The lengths of halves of the tail: one that a few batches fill, and one that holds many.
const HALF_LENS: [u64; 2] = [3_000, 24_000];

/// The operations on a disk during a workload: `Marker(2 * n)` precedes the append of batch n, and
/// `Marker(2 * n + 1)` follows its acknowledgement.
struct DiskTrace {
    half_len: u64,
    initial: Files,
    operations: Vec<DiskOperation>,
}

impl DiskTrace {
    fn open(&self, disk: &SimulatedDisk) -> (RedbJournal, Recovered) {
        disk.open(self.half_len).unwrap()
    }
}

/// Stores a workload, with a snapshot after every `snapshot_every` batches.
fn record_workload(workload: &Workload, half_len: u64, snapshot_every: usize) -> DiskTrace {
    let disk = SimulatedDisk::default();
    RedbJournal::create_on(disk.file(FileKind::Archive), &State::default()).unwrap();
    let initial = disk.start_recording();
    let (mut log, _) = disk.open(half_len).unwrap();
    for (number, batch) in workload.batches.iter().enumerate() {
        disk.mark(2 * number);
        let durable = log.append(batch).unwrap();
        assert_eq!(durable.through, workload.last_index(number + 1));
        disk.mark(2 * number + 1);
        if number % snapshot_every == snapshot_every / 2 {
            let state = &workload.states[number + 1];
            log.begin_snapshot(state.applied_index(), pad_to_three_chunks(&encode_snapshot(state)));
        }
        // The archive alternates between lagging and being complete.
        if number % 100 >= 50 {
            log.finish_snapshot().unwrap();
        } else if number % 5 == 0 {
            log.run_maintenance().unwrap();
        }
    }
    // The power may also fail during a graceful stop.
    drop(log);
    let operations = std::mem::take(&mut disk.state().operations);
    DiskTrace { half_len, initial, operations }
}

/// Pads a snapshot so that it is written in three chunks.
fn pad_to_three_chunks(snapshot: &[u8]) -> Vec<u8> {
    let mut json = snapshot[4..].to_vec();
    json.resize(560 << 10, b' ');
    [&crc32fast::hash(&json).to_le_bytes()[..], &json].concat()
}

/// Checks that the journal on this disk contains at least the first `acknowledged` batches, and no
/// batch after the `started` ones. Returns the number of batches.
fn expect_recovery(
    workload: &Workload,
    trace: &DiskTrace,
    disk: &SimulatedDisk,
    acknowledged: usize,
    started: usize,
) -> usize {
    let (mut log, recovered) = trace.open(disk);
    let batch_count = workload.batch_count_of(&recovered.state).expect("a state of the workload");
    assert!(
        acknowledged <= batch_count,
        "{acknowledged} batches were acknowledged, but {batch_count} recovered"
    );
    assert!(
        recovered.state == workload.states[started] || batch_count <= started,
        "{started} batches were started, but {batch_count} recovered"
    );
    assert!(
        workload.last_index(acknowledged) <= recovered.last_index,
        "a log index would be reused"
    );
    workload.expect_appends(&recovered.state, &recovered.appends);
    // As the journal's thread does, everything is moved before the next append.
    log.finish_snapshot().expect("cannot move the tail to the archive");
    batch_count
}

/// Checks that the service can continue after the power cut.
fn expect_continuation(workload: &Workload, trace: &DiskTrace, disk: &SimulatedDisk, seed: u64) {
    let (mut log, recovered) = trace.open(disk);
    let (before, last_index) = (recovered.state.last_token(), recovered.last_index);
    let start =
        StartParams { state: recovered.state, index_floor: last_index, ..StartParams::default() };
    let next = Workload::continue_from(start, seed, 8, 6);
    for batch in &next.batches {
        assert!(batch[0].index > workload.last_index(0).max(last_index), "a log index is reused");
        log.append(batch).unwrap();
    }
    let (_, recovered) = trace.open(&SimulatedDisk::from_files(disk.files()));
    assert_eq!(recovered.state, *next.states.last().unwrap());
    assert!(recovered.state.last_token() >= before);
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_any_moment() {
    let workload = Workload::new(7, 220, 6);
    let checked = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for half_len in HALF_LENS {
            let (workload, checked) = (&workload, &checked);
            scope.spawn(move || {
                cut_power_after_each_operation(
                    workload,
                    &record_workload(workload, half_len, 50),
                    checked,
                );
            });
        }
    });
    let checked = checked.load(Ordering::Relaxed);
    println!("{checked} disks checked after a power cut");
    assert!(checked > 2_000, "{checked}");
}

/// Cuts the power after each operation.
fn cut_power_after_each_operation(workload: &Workload, trace: &DiskTrace, checked: &AtomicUsize) {
    let mut power_cut = PowerCut::new(trace.initial.clone());
    let (mut acknowledged, mut started) = (0, 0);
    for (step, operation) in trace.operations.iter().enumerate() {
        power_cut.apply(operation);
        if let DiskOperation::Marker(marker) = operation {
            (started, acknowledged) = (marker / 2 + 1, marker.div_ceil(2));
            continue;
        }
        for seed in 0..OUTCOMES_PER_CUT {
            let seed = step as u64 * OUTCOMES_PER_CUT + seed;
            let disk = SimulatedDisk::from_files(power_cut.surviving_files(seed));
            expect_recovery(workload, trace, &disk, acknowledged, started);
            if seed.is_multiple_of(40) {
                expect_continuation(
                    workload,
                    trace,
                    &SimulatedDisk::from_files(power_cut.surviving_files(seed)),
                    seed,
                );
            }
            checked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn power_cut_during_recovery_loses_nothing() {
    let workload = Workload::new(11, 60, 6);
    std::thread::scope(|scope| {
        for half_len in HALF_LENS {
            let workload = &workload;
            scope.spawn(move || {
                cut_power_during_recovery(workload, &record_workload(workload, half_len, 20));
            });
        }
    });
}

fn cut_power_during_recovery(workload: &Workload, trace: &DiskTrace) {
    let mut power_cut = PowerCut::new(trace.initial.clone());
    let mut acknowledged = 0;
    for (step, operation) in trace.operations.iter().enumerate() {
        power_cut.apply(operation);
        if let DiskOperation::Marker(marker) = operation {
            acknowledged = marker.div_ceil(2);
        } else if step % 19 == 0 {
            let disk = SimulatedDisk::from_files(power_cut.surviving_files(step as u64));
            let initial = disk.start_recording();
            let batch_count =
                expect_recovery(workload, trace, &disk, acknowledged, workload.batches.len());
            let operations = std::mem::take(&mut disk.state().operations);
            let mut second_cut = PowerCut::new(initial);
            for (step, operation) in operations.iter().enumerate() {
                second_cut.apply(operation);
                let disk = SimulatedDisk::from_files(second_cut.surviving_files(step as u64));
                let recovered_again =
                    expect_recovery(workload, trace, &disk, acknowledged, workload.batches.len());
                assert_eq!(recovered_again, batch_count);
            }
        }
    }
}

#[test]
fn batch_lost_in_a_power_cut_never_reappears() {
    let workload = Workload::new(12, 40, 6);
    let trace = record_workload(&workload, 3_000, 100);
    let mut power_cut = PowerCut::new(trace.initial.clone());
    let mut checked = 0;
    for (step, operation) in trace.operations.iter().enumerate() {
        power_cut.apply(operation);
        if step % 7 != 0 {
            continue;
        }
        let disk = SimulatedDisk::from_files(power_cut.surviving_files(step as u64));
        let initial = disk.start_recording();
        let (mut log, recovered) = trace.open(&disk);
        let (before, last_index) = (recovered.state, recovered.last_index);
        let next = Workload::continue_from(
            StartParams {
                state: before.clone(),
                index_floor: last_index,
                ..StartParams::default()
            },
            step as u64,
            1,
            6,
        );
        log.append(&next.batches[0]).unwrap();
        let operations = disk.state().operations.clone();
        let mut second_cut = PowerCut::new(initial);
        for (step, operation) in operations.iter().enumerate() {
            second_cut.apply(operation);
            for seed in 0..OUTCOMES_PER_CUT {
                let disk = SimulatedDisk::from_files(
                    second_cut.surviving_files(step as u64 * OUTCOMES_PER_CUT + seed),
                );
                let found = trace.open(&disk).1.state;
                assert!(next.states.contains(&found), "a lost batch has reappeared");
                checked += 1;
            }
        }
    }
    assert!(checked > 500, "{checked}");
}
