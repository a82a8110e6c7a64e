//! Journals that are truncated, overwritten or empty, and files that never were journals.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use leasehold_core::rng::Rng;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use leasehold_server::journal::{
    Log, OpenError, Recovered, RedbJournal, encode_batch, encode_snapshot,
};

use super::simulated_disk::{FileKind, Files, SimulatedDisk};
use super::workload::Workload;

/// Halves of the tail that are filled several times.
const HALF_LEN: u64 = 8_192;

/// Returns the files of a journal that contains a workload and a snapshot of its first half.
fn write_journal(workload: &Workload, is_graceful_stop: bool) -> Files {
    let (disk, mut log) = SimulatedDisk::with_journal(HALF_LEN);
    for (number, batch) in workload.batches.iter().enumerate() {
        log.append(batch).unwrap();
        log.run_maintenance().unwrap();
        if number == workload.batches.len() / 2 {
            let state = &workload.states[number + 1];
            log.begin_snapshot(state.applied_index(), encode_snapshot(state));
        }
    }
    let crashed = disk.files();
    drop(log);
    if is_graceful_stop { disk.files() } else { crashed }
}

/// Checks that a journal which was opened despite damage can be used.
#[track_caller]
fn expect_usable(files: Files, description: &str) {
    let disk = SimulatedDisk::from_files(files);
    let (mut log, recovered) = disk.open(HALF_LEN).unwrap();
    let Recovered { state, last_index, .. } = recovered;
    let workload = Workload::continue_from(
        StartParams { state, index_floor: last_index, ..StartParams::default() },
        1,
        8,
        6,
    );
    for batch in &workload.batches {
        log.append(batch).expect(description);
    }
    log.begin_snapshot(workload.states[8].applied_index(), encode_snapshot(&workload.states[8]));
    log.finish_snapshot().expect(description);
    drop(log);
    assert_eq!(open(disk.files()).unwrap().state, workload.states[8], "{description}");
}

fn open(files: Files) -> Result<Recovered, OpenError> {
    SimulatedDisk::from_files(files).open(HALF_LEN).map(|(_, recovered)| recovered)
}

/// Checks that damage was reported or did no harm. Returns whether it was reported.
#[track_caller]
fn expect_reported_or_harmless(
    result: Result<Recovered, OpenError>,
    states: &[State],
    description: &str,
) -> bool {
    match result {
        Ok(recovered) => {
            assert!(
                states.contains(&recovered.state),
                "{description} yields a state that never existed"
            );
            false
        }
        Err(OpenError::Damaged { reason }) => {
            assert!(!reason.is_empty());
            true
        }
        Err(error) => panic!("{description}: {error}"),
    }
}

#[test]
fn overwritten_journal_is_rejected_or_unchanged_in_meaning() {
    let workload = Workload::new(21, 120, 6);
    let last_state = &workload.states[workload.batches.len()..];
    // An unreadable commit looks like one torn by a power cut, so without a graceful stop the
    // previous one may take its place. The same is true of a record.
    let last_two_states = &workload.states[workload.batches.len() - 1..];
    for (is_graceful_stop, allowed) in [(true, last_state), (false, last_two_states)] {
        let files = write_journal(&workload, is_graceful_stop);
        for (kind, step) in [(FileKind::Archive, 1_531), (FileKind::Tail, 23)] {
            let len = files.get(kind).len();
            let (mut reported, mut rng) = (0, Rng::new(5));
            let offsets: Vec<usize> = (0..len).step_by(step).chain(0..400).collect();
            for offset in &offsets {
                let mut files = files.clone();
                let end = len.min(offset + usize::try_from(rng.between(1, 40)).unwrap());
                let bytes = &mut files.get_mut(kind)[*offset..end];
                bytes.iter_mut().for_each(|byte| *byte ^= rng.next_u64().to_le_bytes()[0] | 1);
                let description = format!("{kind:?} {offset}..{end} overwritten");
                let is_reported =
                    expect_reported_or_harmless(open(files.clone()), allowed, &description);
                reported += usize::from(is_reported);
                if !is_reported {
                    expect_usable(files, &description);
                }
            }
            // Most offsets are in free pages, or in bytes that a power cut may have torn. A tail
            // that is not in use is not read.
            println!("{reported} of {} damages reported in the {kind:?}", offsets.len());
            let is_inspected = kind == FileKind::Archive || !is_graceful_stop;
            assert_eq!(reported > 20, is_inspected, "{reported} of {}", offsets.len());
        }
    }
}

#[test]
fn flipped_bit_in_a_batch_is_reported() {
    let workload = Workload::new(24, 120, 6);
    for is_graceful_stop in [true, false] {
        let files = write_journal(&workload, is_graceful_stop);
        // The snapshot does not cover the second half, and the last batches could be torn. The
        // archive may store a batch in a row with others, so only the bytes of its events are
        // searched for.
        let batches =
            workload.batches[workload.batches.len() / 2 + 1..workload.batches.len() - 3].iter();
        let durable = batches.filter(|batch| batch.iter().any(|event| event.kind.is_durable()));
        let mut checked = 0;
        for batch in durable {
            let (encoded, mut files) = (encode_batch(batch).split_off(5), files.clone());
            // There may be copies of the batch in free pages and in the tail.
            for kind in [FileKind::Archive, FileKind::Tail] {
                let bytes = files.get_mut(kind);
                let matches_batch = |offset: &usize| bytes[*offset..].starts_with(&encoded);
                let offsets: Vec<usize> = (0..bytes.len()).filter(matches_batch).collect();
                for offset in offsets {
                    bytes[offset + encoded.len() / 2] ^= 1;
                }
            }
            let result = open(files);
            assert!(matches!(result, Err(OpenError::Damaged { .. })), "{result:?}");
            checked += 1;
        }
        assert!(checked > 30, "{checked}");
    }
}

#[test]
fn truncated_journal_is_rejected() {
    let workload = Workload::new(22, 80, 6);
    for is_graceful_stop in [true, false] {
        let files = write_journal(&workload, is_graceful_stop);
        let len = files.archive.len();
        for len in (0..len).step_by(997).chain([1, 64, 320, 4_096, 8_192]) {
            let mut files = files.clone();
            files.archive.truncate(len);
            let description = format!("truncated at {len}");
            let is_reported = expect_reported_or_harmless(
                open(files),
                &workload.states[workload.batches.len()..],
                &description,
            );
            assert!(is_reported, "{description} is not reported");
        }
    }
}

#[test]
fn garbage_is_rejected_as_a_journal() {
    let mut rng = Rng::new(9);
    let noise = |len| (0..len).map(|_| rng.next_u64().to_le_bytes()[0]).collect::<Vec<u8>>();
    let garbage = [
        Vec::new(),
        b"not a journal at all".to_vec(),
        vec![0; 100_000],
        vec![0xff; 100_000],
        [100, 4_096, 1 << 20].map(noise).concat(),
    ];
    for bytes in garbage {
        let len = bytes.len();
        let result = open(Files { archive: bytes, tail: Vec::new() });
        assert!(matches!(result, Err(OpenError::Damaged { .. })), "{len} bytes: {result:?}");
    }
}

#[test]
fn damaged_journal_is_rejected_and_can_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Workload::new(23, 40, 6);
    let (mut log, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, State::default());
    for batch in &workload.batches {
        log.append(batch).unwrap();
    }
    drop(log);
    let path = dir.path().join("journal.redb");
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, *workload.states.last().unwrap());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0x55; 50_000], 64).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
    // The remains of a power cut during the creation of a journal.
    fs::write(dir.path().join("journal.redb.new"), "incomplete").unwrap();
    let state = &workload.states[20];
    RedbJournal::create(dir.path(), state).unwrap();
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(
        (&recovered.state, recovered.last_index),
        (state, recovered.last_index.max(state.applied_index()))
    );
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.redb", "journal.tail"]);
}
