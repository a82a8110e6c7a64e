//! The tail of a journal: damaged, missing, exchanged, too small, and moved by a thread.

use std::path::PathBuf;
use std::sync::Arc;

use leasehold_core::event::Event;
use leasehold_server::journal::{
    AppendError, FileMedium, Log, Moving, OpenError, RedbJournal, TailOptions, encode_batch,
    encode_snapshot,
};
use leasehold_server::recovery::{RecoveredServer, recover};

use super::simulated_disk::{DiskState, FileKind, Files, SimulatedDisk};
use super::wait_until;
use super::workload::Workload;

/// The length of a half that holds a whole workload, so that nothing is moved.
const LARGE_HALF_LEN: u64 = 1 << 20;
/// The length of a half that a few batches fill.
const SMALL_HALF_LEN: u64 = 4_096;

/// Returns a journal after a crash, whose tail contains everything.
fn crashed_journal(workload: &Workload, half_len: u64) -> Files {
    let (disk, mut log) = SimulatedDisk::with_journal(half_len);
    for batch in &workload.batches {
        log.append(batch).unwrap();
    }
    let files = disk.files();
    drop(log);
    files
}

#[track_caller]
fn expect_damaged(files: Files, half_len: u64, description: &str) {
    let opened = SimulatedDisk::from_files(files).open(half_len);
    let Err(OpenError::Damaged { reason }) = &opened else {
        panic!("{description} is not reported: {opened:?}")
    };
    assert!(reason.contains("tail"), "{reason}");
}

/// Returns the byte ranges of the records of these batches in the tail.
fn record_ranges(workload: &Workload, files: &Files) -> Vec<(usize, usize)> {
    let durable =
        workload.batches.iter().filter(|it| it.iter().any(|event| event.kind.is_durable()));
    let mut from = 0;
    let record_range = |batch: &Vec<_>| {
        let body = encode_batch(batch);
        let at = (from..files.tail.len()).find(|at| files.tail[*at..].starts_with(&body)).unwrap();
        from = at + body.len();
        (at - 40, at + body.len().next_multiple_of(8) + 8)
    };
    durable.map(record_range).collect()
}

#[test]
fn flipped_bit_in_any_record_but_the_last_is_reported() {
    let workload = Workload::new(41, 60, 6);
    let files = crashed_journal(&workload, LARGE_HALF_LEN);
    let records = record_ranges(&workload, &files);
    let (last, others) = records.split_last().unwrap();
    let flipped = |at: usize| {
        let mut files = files.clone();
        files.tail[at] ^= 1 << (at % 8);
        files
    };
    for (number, (begin, end)) in others.iter().enumerate() {
        // Every byte of some records, and some bytes of each.
        let checks_every_byte = number % 20 == 0;
        let bytes = (*begin..*end).step_by(if checks_every_byte { 1 } else { 97 });
        let bytes = bytes.chain(checks_every_byte.then_some(end - 8..*end).into_iter().flatten());
        for at in bytes {
            expect_damaged(flipped(at), LARGE_HALF_LEN, &format!("a bit at {}", at - begin));
        }
    }
    for at in 0..64 {
        let header = usize::try_from(LARGE_HALF_LEN).unwrap() + at;
        expect_damaged(flipped(header), LARGE_HALF_LEN, &format!("a bit of the header at {at}"));
    }
    // The last record may be torn, since it may not be acknowledged, so damage to it cannot be
    // detected.
    let (_, recovered) =
        SimulatedDisk::from_files(flipped(last.0 + 50)).open(LARGE_HALF_LEN).unwrap();
    assert_eq!(workload.batch_count_of(&recovered.state), Some(workload.batches.len() - 1));
}

#[test]
fn flipped_bit_in_reused_halves_is_reported_or_harmless() {
    let workload = Workload::new(54, 120, 6);
    let files = crashed_journal(&workload, SMALL_HALF_LEN);
    let is_durable = |batch: &Vec<Event>| batch.iter().any(|event| event.kind.is_durable());
    let last = workload.batches.iter().rposition(is_durable).unwrap();
    let mut reported = 0;
    for at in (0..files.tail.len()).step_by(11) {
        let mut files = files.clone();
        files.tail[at] ^= 1 << (at % 8);
        match SimulatedDisk::from_files(files).open(SMALL_HALF_LEN) {
            Err(OpenError::Damaged { reason }) => {
                assert!(
                    reason.contains("journal.tail"),
                    "not detected by the tail itself: {reason}"
                );
                reported += 1;
            }
            // The last record is taken for torn.
            found => {
                let found = found.unwrap().1.state;
                assert!(workload.states[last..].contains(&found), "a bit at {at}");
            }
        }
    }
    assert!(reported > 200, "{reported}");
}

#[test]
fn missing_truncated_or_foreign_tail_is_reported_while_in_use() {
    let workload = Workload::new(42, 60, 6);
    for half_len in [SMALL_HALF_LEN, LARGE_HALF_LEN] {
        let files = crashed_journal(&workload, half_len);
        for len in (0..files.tail.len()).step_by(files.tail.len() / 37) {
            let mut files = files.clone();
            files.tail.truncate(len);
            expect_damaged(files, half_len, &format!("truncated at {len}"));
        }
        let other = Files { tail: crashed_journal(&workload, half_len).tail, ..files.clone() };
        expect_damaged(other, half_len, "the tail of another journal");
        let empty = Files { tail: vec![0; files.tail.len()], ..files };
        expect_damaged(empty, half_len, "an empty tail");
    }
}

#[test]
fn outdated_tail_or_archive_is_reported_if_events_are_missing() {
    let workload = Workload::new(43, 120, 6);
    let (disk, mut log) = SimulatedDisk::with_journal(SMALL_HALF_LEN);
    let mut copies = Vec::new();
    for batch in &workload.batches {
        log.append(batch).unwrap();
        log.run_maintenance().unwrap();
        copies.push(disk.files());
    }
    drop(log);
    let last = copies.last().unwrap().clone();
    let final_state = workload.states.last().unwrap();
    let (mut reported_tails, mut reported_archives) = (0, 0);
    for (number, older) in copies.iter().enumerate() {
        let tail = Files { tail: older.tail.clone(), ..last.clone() };
        match SimulatedDisk::from_files(tail).open(SMALL_HALF_LEN) {
            Err(OpenError::Damaged { .. }) => reported_tails += 1,
            // The archive has everything that was moved, and the missing records could be unwritten
            // ones.
            found => assert_eq!(found.unwrap().1.state, workload.states[number + 1]),
        }
        let archive = Files { archive: older.archive.clone(), ..last.clone() };
        match SimulatedDisk::from_files(archive).open(SMALL_HALF_LEN) {
            Err(OpenError::Damaged { .. }) => reported_archives += 1,
            found => {
                assert_eq!(
                    found.unwrap().1.state,
                    *final_state,
                    "the tail has everything that the archive lacks"
                );
            }
        }
    }
    assert!(reported_tails > 50, "{reported_tails}");
    assert!(reported_archives > 50, "{reported_archives}");
}

#[test]
fn archive_holds_everything_after_a_graceful_stop() {
    let workload = Workload::new(44, 60, 6);
    for half_len in [SMALL_HALF_LEN, LARGE_HALF_LEN] {
        let (disk, mut log) = SimulatedDisk::with_journal(half_len);
        for batch in &workload.batches {
            log.append(batch).unwrap();
        }
        drop(log);
        let stopped = disk.files();
        let older = crashed_journal(&workload, half_len).tail;
        for tail in [stopped.tail, Vec::new(), vec![0xff; 999], older] {
            let files = Files { archive: stopped.archive.clone(), tail };
            let (_, recovered) = SimulatedDisk::from_files(files).open(half_len).unwrap();
            assert_eq!(recovered.state, *workload.states.last().unwrap());
            assert!(recovered.last_index >= workload.last_index(workload.batches.len()));
        }
    }
}

#[test]
fn batch_longer_than_a_half_is_stored() {
    let workload = Workload::new(45, 60, 40);
    let small = 1_024;
    let longer = workload.batches.iter().filter(|batch| encode_batch(batch).len() > 1_024).count();
    assert!((10..workload.batches.len() - 10).contains(&longer), "{longer} batches are longer");
    let (disk, mut log) = SimulatedDisk::with_journal(small);
    for (number, batch) in workload.batches.iter().enumerate() {
        log.append(batch).unwrap();
        let (_, recovered) = SimulatedDisk::from_files(disk.files()).open(small).unwrap();
        assert_eq!(recovered.state, workload.states[number + 1], "{number}");
        assert!(recovered.last_index >= workload.last_index(number + 1));
    }
}

#[test]
fn halves_of_another_length_are_read_and_replaced_once_empty() {
    let workload = Workload::new(46, 60, 6);
    let disk = SimulatedDisk::from_files(crashed_journal(&workload, LARGE_HALF_LEN));
    let (log, recovered) = disk.open(SMALL_HALF_LEN).unwrap();
    assert_eq!(recovered.state, *workload.states.last().unwrap());
    drop(log);
    let (_, recovered) = disk.open(SMALL_HALF_LEN).unwrap();
    assert_eq!(recovered.state, *workload.states.last().unwrap());
    assert_eq!(disk.files().tail.len() as u64, 2 * SMALL_HALF_LEN);
}

#[test]
fn missing_archive_with_a_tail_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Workload::new(52, 20, 6);
    let (mut log, _) = RedbJournal::open(dir.path()).unwrap();
    workload.batches[..10].iter().for_each(|batch| assert!(log.append(batch).is_ok()));
    let tail = std::fs::read(dir.path().join("journal.tail")).unwrap();
    drop(log);
    std::fs::remove_file(dir.path().join("journal.redb")).unwrap();
    // An empty tail proves no loss.
    drop(RedbJournal::open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("journal.redb")).unwrap();
    std::fs::write(dir.path().join("journal.tail"), tail).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn abandoned_journal_is_preserved_with_its_tail_and_never_mixed_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Workload::new(53, 20, 6);
    let [archive, tail] = ["journal.redb", "journal.tail"].map(|name| dir.path().join(name));
    let (mut log, _) = RedbJournal::open(dir.path()).unwrap();
    workload.batches.iter().for_each(|batch| assert!(log.append(batch).is_ok()));
    let crashed = [&archive, &tail].map(|path| std::fs::read(path).unwrap());
    drop(log);
    std::fs::write(&archive, &crashed[0]).unwrap();
    let mut damaged = crashed[1].clone();
    damaged[(4 << 20) + 200] ^= 1;
    std::fs::write(&tail, &damaged).unwrap();
    assert!(recover(dir.path(), false).is_err());
    let RecoveredServer { log, start, data_lost, .. } = recover(dir.path(), true).unwrap();
    assert!(data_lost && start.state.sessions().is_empty());
    drop(log);
    let backup_of = |name: &str| {
        let mut found = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| path.to_str().unwrap().contains(&format!("{name}.damaged-"));
        std::fs::read(found.find(is_it).unwrap()).unwrap()
    };
    assert!(!backup_of("journal.redb").is_empty());
    assert!(backup_of("journal.tail") == damaged, "the tail is preserved unchanged");
    // The old tail does not belong to the new journal.
    std::fs::write(&tail, &crashed[1]).unwrap();
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, start.state);
}

fn moved_by_thread() -> TailOptions {
    TailOptions { half_len: 8_192, moving: Moving::ByThread }
}

#[test]
fn thread_moves_batches_during_appends() {
    let dir = tempfile::tempdir().unwrap();
    let workload = Workload::new(47, 600, 6);
    RedbJournal::create(dir.path(), &workload.states[0]).unwrap();
    let open = || {
        let archive = FileMedium::open(dir.path(), "journal.redb").unwrap();
        let tail = archive.beside(dir.path(), "journal.tail").unwrap();
        RedbJournal::open_on(Arc::new(archive), &tail, moved_by_thread()).unwrap()
    };
    for part in 0..3 {
        let (mut log, recovered) = open();
        assert_eq!(recovered.state, workload.states[part * 200]);
        for number in part * 200..(part + 1) * 200 {
            log.append(&workload.batches[number]).unwrap();
            if number % 90 == 0 {
                let state = &workload.states[number + 1];
                log.begin_snapshot(state.applied_index(), encode_snapshot(state));
            }
        }
    }
    std::fs::remove_file(dir.path().join("journal.tail")).unwrap();
    let (_, recovered) = open();
    assert_eq!(recovered.state, *workload.states.last().unwrap());
}

/// Checks that the failure of the thread is reported to callers, and that acknowledged batches are
/// intact.
fn expect_thread_failure_reported(fail: impl FnOnce(&mut DiskState)) {
    let workload = Workload::new(48, 400, 6);
    let disk = SimulatedDisk::default();
    let (archive, tail) = (disk.file(FileKind::Archive), disk.file(FileKind::Tail));
    RedbJournal::create_on(archive.clone(), &workload.states[0]).unwrap();
    let (mut log, _) = RedbJournal::open_on(archive, &*tail, moved_by_thread()).unwrap();
    log.append(&workload.batches[0]).unwrap();
    let state = &workload.states[1];
    // From here on, only the snapshot flushes.
    fail(&mut disk.state());
    log.begin_snapshot(state.applied_index(), encode_snapshot(state));
    wait_until("the failure is reported", || log.run_maintenance().is_err());
    assert!(matches!(log.append(&workload.batches[1]), Err(AppendError::Flush(_))));
    drop(log);
    let (_, recovered) = SimulatedDisk::from_files(disk.files()).open(8_192).unwrap();
    assert_eq!(recovered.state, *state, "the acknowledged batch");
}

#[test]
fn failed_flush_in_the_thread_is_reported_to_the_caller() {
    expect_thread_failure_reported(|state| state.failing_flush = Some(state.flush_count + 1));
}

#[test]
fn panic_in_the_thread_prevents_further_appends() {
    expect_thread_failure_reported(|state| state.panics_on_flush = true);
}

#[test]
fn thread_resumes_once_disk_space_is_free() {
    let workload = Workload::new(49, 400, 6);
    let disk = SimulatedDisk::default();
    let (archive, tail) = (disk.file(FileKind::Archive), disk.file(FileKind::Tail));
    RedbJournal::create_on(archive.clone(), &workload.states[0]).unwrap();
    let (mut log, _) = RedbJournal::open_on(archive, &*tail, moved_by_thread()).unwrap();
    let len = disk.files().len();
    disk.state().len_max = Some(len);
    let mut full = 0;
    for batch in &workload.batches {
        wait_until("an append succeeds", || {
            let Err(error) = log.append(batch) else { return true };
            assert!(matches!(error, AppendError::Write(_)), "{error}");
            full += 1;
            if full > 5 {
                disk.state().len_max = None;
            }
            false
        });
    }
    println!("{full} appends failed on the full disk");
    drop(log);
    let archive_only = Files { tail: Vec::new(), ..disk.files() };
    let (_, recovered) = SimulatedDisk::from_files(archive_only).open(8_192).unwrap();
    assert_eq!(recovered.state, *workload.states.last().unwrap());
    assert_eq!(disk.files().tail.len(), 16_384);
}
