//! Power cuts at any moment: acknowledged batches survive, and nothing else appears.

use std::sync::atomic::{AtomicUsize, Ordering};

use leasehold_core::service::StartParams;
use leasehold_server::log::{
    EmbeddedLog, FileChecksums, Log, LogPosition, Recovered, Write, encode_state,
};

use super::simulated_medium::{DiskOperation, Files, PowerCut, SimulatedDisk};
use super::workload::Workload;

/// The number of outcomes that are tested for each power cut.
const OUTCOMES_PER_CUT: u64 = 3;

/// The lengths of segments: one that a few batches fill, and one that holds many.
const SEGMENT_LENS: [u64; 2] = [6_000, 48_000];

/// The operations on a disk during a workload.
struct DiskTrace {
    segment_len: u64,
    initial: Files,
    operations: Vec<DiskOperation>,
}

impl DiskTrace {
    fn open(&self, disk: &SimulatedDisk) -> (EmbeddedLog, Recovered) {
        disk.open(self.segment_len).unwrap()
    }
}

/// A workload that is being stored, two batches at a time or one.
struct Recording<'a> {
    workload: &'a Workload,
    disk: SimulatedDisk,
    log: EmbeddedLog,
    unacknowledged: Vec<(usize, Write)>,
}

impl Recording<'_> {
    fn write(&mut self, number: usize) {
        self.disk.mark(DiskOperation::Started(number));
        let write = self.log.write(&self.workload.batches[number]).unwrap();
        assert_eq!(write.position.through, self.workload.last_index(number + 1));
        self.unacknowledged.push((number, write));
    }

    fn flush_and_acknowledge(&mut self) -> LogPosition {
        let (number, write) = self.unacknowledged.remove(0);
        if let Some(flush) = &write.flush {
            flush.run().unwrap();
        }
        self.log.acknowledge(write.position);
        self.disk.mark(DiskOperation::Acknowledged(number));
        write.position
    }
}

/// Stores a workload, with a snapshot after every `snapshot_every` batches.
fn record_workload(workload: &Workload, segment_len: u64, snapshot_every: usize) -> DiskTrace {
    let disk = SimulatedDisk::default();
    disk.create(segment_len);
    let initial = disk.start_recording();
    let (log, _) = disk.open(segment_len).unwrap();
    let mut recording = Recording { workload, disk: disk.clone(), log, unacknowledged: Vec::new() };
    for number in 0..workload.batches.len() {
        let is_pipelined = number % 40 < 25;
        while recording.unacknowledged.len() > usize::from(is_pipelined) {
            recording.flush_and_acknowledge();
        }
        recording.write(number);
        if number % snapshot_every == snapshot_every / 2 {
            let position = loop {
                let position = recording.flush_and_acknowledge();
                if recording.unacknowledged.is_empty() {
                    break position;
                }
            };
            let state = encode_state(&workload.states[number + 1], FileChecksums::new());
            recording.log.begin_snapshot().write(&position, &state).unwrap();
        }
        if number % 30 == 0 {
            recording.log.run_maintenance().unwrap();
        }
    }
    while !recording.unacknowledged.is_empty() {
        recording.flush_and_acknowledge();
    }
    // The power may also fail during a graceful stop.
    drop(recording);
    let operations = std::mem::take(&mut disk.state().operations);
    DiskTrace { segment_len, initial, operations }
}

/// Checks that the log on this disk contains at least the first `acknowledged` batches, and no
/// batch after the `started` ones. Returns the number of batches.
fn expect_recovery(
    workload: &Workload,
    trace: &DiskTrace,
    disk: &SimulatedDisk,
    acknowledged: usize,
    started: usize,
) -> usize {
    let (_, recovered) = trace.open(disk);
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

/// Replays the operations of a trace. Calls `check` after each with the power cut, the step, and
/// the numbers of acknowledged and started batches.
fn cut_power_after_each_operation(
    trace: &DiskTrace,
    mut check: impl FnMut(&PowerCut<'_>, u64, usize, usize),
) {
    let mut power_cut = PowerCut::new(trace.initial.clone());
    let (mut acknowledged, mut started) = (0, 0);
    for (step, operation) in trace.operations.iter().enumerate() {
        power_cut.apply(operation);
        if let DiskOperation::Started(number) = operation {
            started = number + 1;
        } else if let DiskOperation::Acknowledged(number) = operation {
            acknowledged = number + 1;
        } else {
            check(&power_cut, step as u64, acknowledged, started);
        }
    }
}

#[test]
fn acknowledged_batches_survive_a_power_cut_at_any_moment() {
    let workload = Workload::new(7, 220, 6);
    let checked = AtomicUsize::new(0);
    let lost = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for segment_len in SEGMENT_LENS {
            let (workload, checked, lost) = (&workload, &checked, &lost);
            scope.spawn(move || {
                let trace = record_workload(workload, segment_len, 50);
                cut_power_after_each_operation(&trace, |cut, step, acknowledged, started| {
                    for outcome in 0..OUTCOMES_PER_CUT {
                        let seed = step * OUTCOMES_PER_CUT + outcome;
                        let disk = SimulatedDisk::from_files(cut.surviving_files(seed));
                        let found = expect_recovery(workload, &trace, &disk, acknowledged, started);
                        if seed.is_multiple_of(40) {
                            let disk = SimulatedDisk::from_files(cut.surviving_files(seed));
                            expect_continuation(workload, &trace, &disk, seed);
                        }
                        checked.fetch_add(1, Ordering::Relaxed);
                        lost.fetch_add(usize::from(found + 1 < started), Ordering::Relaxed);
                    }
                });
            });
        }
    });
    let (checked, lost) = (checked.load(Ordering::Relaxed), lost.load(Ordering::Relaxed));
    println!("{checked} disks checked after a power cut, {lost} without the last two batches");
    assert!(checked > 2_000, "{checked}");
    assert!(lost > 20, "{lost}");
}

#[test]
fn power_cut_during_recovery_loses_nothing() {
    let workload = Workload::new(11, 60, 6);
    std::thread::scope(|scope| {
        for segment_len in SEGMENT_LENS {
            let workload = &workload;
            scope.spawn(move || {
                let trace = record_workload(workload, segment_len, 20);
                cut_power_after_each_operation(&trace, |cut, step, acknowledged, _| {
                    if step.is_multiple_of(7) {
                        cut_power_during_recovery(workload, &trace, cut, step, acknowledged);
                    }
                });
            });
        }
    });
}

fn cut_power_during_recovery(
    workload: &Workload,
    trace: &DiskTrace,
    cut: &PowerCut<'_>,
    step: u64,
    acknowledged: usize,
) {
    let started = workload.batches.len();
    let disk = SimulatedDisk::from_files(cut.surviving_files(step));
    let initial = disk.start_recording();
    let batch_count = expect_recovery(workload, trace, &disk, acknowledged, started);
    let operations = std::mem::take(&mut disk.state().operations);
    let mut second_cut = PowerCut::new(initial);
    for (step, operation) in operations.iter().enumerate() {
        second_cut.apply(operation);
        let disk = SimulatedDisk::from_files(second_cut.surviving_files(step as u64));
        let recovered_again = expect_recovery(workload, trace, &disk, acknowledged, started);
        assert_eq!(recovered_again, batch_count);
    }
}

#[test]
fn batch_lost_in_a_power_cut_never_reappears() {
    let workload = Workload::new(12, 40, 6);
    let trace = record_workload(&workload, 6_000, 100);
    let mut checked = 0;
    cut_power_after_each_operation(&trace, |cut, step, _, _| {
        if !step.is_multiple_of(3) {
            return;
        }
        let disk = SimulatedDisk::from_files(cut.surviving_files(step));
        let initial = disk.start_recording();
        let (mut log, recovered) = trace.open(&disk);
        let start = StartParams {
            state: recovered.state,
            index_floor: recovered.last_index,
            ..StartParams::default()
        };
        let next = Workload::continue_from(start, step, 1, 6);
        log.append(&next.batches[0]).unwrap();
        let operations = disk.state().operations.clone();
        let mut second_cut = PowerCut::new(initial);
        for (step, operation) in operations.iter().enumerate() {
            second_cut.apply(operation);
            for outcome in 0..OUTCOMES_PER_CUT {
                let seed = step as u64 * OUTCOMES_PER_CUT + outcome;
                let disk = SimulatedDisk::from_files(second_cut.surviving_files(seed));
                let found = trace.open(&disk).1.state;
                assert!(next.states.contains(&found), "a lost batch has reappeared");
                checked += 1;
            }
        }
    });
    assert!(checked > 500, "{checked}");
}
