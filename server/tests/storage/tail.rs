//! The tail of a journal: damaged, missing, exchanged, too small, and moved by a thread.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use leasehold_core::event::Event;
use leasehold_server::journal::{
    AppendError, FileMedium, Journal, Moving, OpenError, RedbJournal, TailOptions, encode_batch,
    encode_snapshot,
};
use leasehold_server::recovery::{Ground, recover};

use super::disk::{Disk, Files, Place, Platter};
use super::run::Run;

/// A half into which a whole run goes, so that nothing is moved.
const LARGE: u64 = 1 << 20;
/// A half that a few batches fill.
const SMALL: u64 = 4_096;

/// A journal after a crash, whose tail has everything.
fn crashed(run: &Run, half_len: u64) -> Files {
    let (disk, mut journal) = Disk::journal(half_len);
    for batch in &run.batches {
        journal.append(batch).unwrap();
    }
    let files = disk.files();
    drop(journal);
    files
}

#[track_caller]
fn expect_damaged(files: Files, half_len: u64, what: &str) {
    let opened = Disk::of(files).open(half_len);
    let Err(OpenError::Damaged { why }) = &opened else { panic!("{what} is not told: {opened:?}") };
    assert!(why.contains("tail"), "{why}");
}

/// Where the records begin in the tail that have these batches.
fn records(run: &Run, files: &Files) -> Vec<(usize, usize)> {
    let durable = run.batches.iter().filter(|it| it.iter().any(|event| event.fact.is_durable()));
    let mut from = 0;
    let place = |batch: &Vec<_>| {
        let body = encode_batch(batch);
        let at = (from..files.tail.len()).find(|at| files.tail[*at..].starts_with(&body)).unwrap();
        from = at + body.len();
        (at - 40, at + body.len().next_multiple_of(8) + 8)
    };
    durable.map(place).collect()
}

#[test]
fn one_bit_that_has_changed_in_any_record_but_the_last_is_told() {
    let run = Run::new(41, 60, 6);
    let files = crashed(&run, LARGE);
    let records = records(&run, &files);
    let (last, others) = records.split_last().unwrap();
    let flipped = |at: usize| {
        let mut files = files.clone();
        files.tail[at] ^= 1 << (at % 8);
        files
    };
    for (number, (begin, end)) in others.iter().enumerate() {
        // All of the head and the foot of some records, and some of the body of each.
        let is_some = number % 20 == 0;
        let bytes = (*begin..*end).step_by(if is_some { 1 } else { 97 });
        let bytes = bytes.chain(is_some.then_some(end - 8..*end).into_iter().flatten());
        for at in bytes {
            expect_damaged(flipped(at), LARGE, &format!("a bit at {}", at - begin));
        }
    }
    for at in 0..64 {
        let header = usize::try_from(LARGE).unwrap() + at;
        expect_damaged(flipped(header), LARGE, &format!("a bit of the header at {at}"));
    }
    // What nobody was told of looks the same, so the last one is taken for torn.
    let (_, recovered) = Disk::of(flipped(last.0 + 50)).open(LARGE).unwrap();
    assert_eq!(run.place_of(&recovered.state), Some(run.batches.len() - 1));
}

#[test]
fn one_bit_that_has_changed_anywhere_in_halves_that_were_used_again_is_told_or_harmless() {
    let run = Run::new(54, 120, 6);
    let files = crashed(&run, SMALL);
    let is_durable = |batch: &Vec<Event>| batch.iter().any(|event| event.fact.is_durable());
    let last = run.batches.iter().rposition(is_durable).unwrap();
    let mut told = 0;
    for at in (0..files.tail.len()).step_by(11) {
        let mut files = files.clone();
        files.tail[at] ^= 1 << (at % 8);
        match Disk::of(files).open(SMALL) {
            Err(OpenError::Damaged { why }) => {
                assert!(why.contains("journal.tail"), "found out by luck: {why}");
                told += 1;
            }
            // The last one is taken for torn.
            found => {
                let found = found.unwrap().1.state;
                assert!(run.folds[last..].contains(&found), "a bit at {at}");
            }
        }
    }
    assert!(told > 200, "{told}");
}

#[test]
fn a_tail_that_is_missing_cut_off_or_not_its_own_is_told_while_it_is_in_use() {
    let run = Run::new(42, 60, 6);
    for half_len in [SMALL, LARGE] {
        let files = crashed(&run, half_len);
        for len in (0..files.tail.len()).step_by(files.tail.len() / 37) {
            let mut files = files.clone();
            files.tail.truncate(len);
            expect_damaged(files, half_len, &format!("cut off at {len}"));
        }
        let other = Files { tail: crashed(&run, half_len).tail, ..files.clone() };
        expect_damaged(other, half_len, "the tail of another journal");
        let empty = Files { tail: vec![0; files.tail.len()], ..files };
        expect_damaged(empty, half_len, "an empty tail");
    }
}

#[test]
fn an_older_tail_or_an_older_archive_is_told_where_events_are_missing_by_that() {
    let run = Run::new(43, 120, 6);
    let (disk, mut journal) = Disk::journal(SMALL);
    let mut taken = Vec::new();
    for batch in &run.batches {
        journal.append(batch).unwrap();
        journal.work().unwrap();
        taken.push(disk.files());
    }
    drop(journal);
    let last = taken.last().unwrap().clone();
    let whole = run.folds.last().unwrap();
    let (mut told_tails, mut told_archives) = (0, 0);
    for (number, older) in taken.iter().enumerate() {
        let tail = Files { tail: older.tail.clone(), ..last.clone() };
        match Disk::of(tail).open(SMALL) {
            Err(OpenError::Damaged { .. }) => told_tails += 1,
            // It has all that was moved; what it lacks might never have been written.
            found => assert_eq!(found.unwrap().1.state, run.folds[number + 1]),
        }
        let archive = Files { archive: older.archive.clone(), ..last.clone() };
        match Disk::of(archive).open(SMALL) {
            Err(OpenError::Damaged { .. }) => told_archives += 1,
            found => assert_eq!(found.unwrap().1.state, *whole, "the tail has all that it lacks"),
        }
    }
    assert!(told_tails > 50, "{told_tails}");
    assert!(told_archives > 50, "{told_archives}");
}

#[test]
fn after_a_stop_in_good_order_the_archive_alone_holds_everything() {
    let run = Run::new(44, 60, 6);
    for half_len in [SMALL, LARGE] {
        let (disk, mut journal) = Disk::journal(half_len);
        for batch in &run.batches {
            journal.append(batch).unwrap();
        }
        drop(journal);
        let stopped = disk.files();
        let older = crashed(&run, half_len).tail;
        for tail in [stopped.tail, Vec::new(), vec![0xff; 999], older] {
            let files = Files { archive: stopped.archive.clone(), tail };
            let (_, recovered) = Disk::of(files).open(half_len).unwrap();
            assert_eq!(recovered.state, *run.folds.last().unwrap());
            assert!(recovered.after >= run.last(run.batches.len()));
        }
    }
}

#[test]
fn a_batch_that_is_longer_than_a_half_is_stored_as_well() {
    let run = Run::new(45, 60, 40);
    let small = 1_024;
    let longer = run.batches.iter().filter(|batch| encode_batch(batch).len() > 1_024).count();
    assert!((10..run.batches.len() - 10).contains(&longer), "{longer} are longer");
    let (disk, mut journal) = Disk::journal(small);
    for (number, batch) in run.batches.iter().enumerate() {
        journal.append(batch).unwrap();
        let (_, recovered) = Disk::of(disk.files()).open(small).unwrap();
        assert_eq!(recovered.state, run.folds[number + 1], "{number}");
        assert!(recovered.after >= run.last(number + 1));
    }
}

#[test]
fn halves_of_another_length_are_read_and_replaced_when_they_are_empty() {
    let run = Run::new(46, 60, 6);
    let disk = Disk::of(crashed(&run, LARGE));
    let (journal, recovered) = disk.open(SMALL).unwrap();
    assert_eq!(recovered.state, *run.folds.last().unwrap());
    drop(journal);
    let (_, recovered) = disk.open(SMALL).unwrap();
    assert_eq!(recovered.state, *run.folds.last().unwrap());
    assert_eq!(disk.files().tail.len() as u64, 2 * SMALL);
}

#[test]
fn an_archive_that_is_missing_beside_its_tail_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(52, 20, 6);
    let (mut journal, _) = RedbJournal::open(dir.path()).unwrap();
    run.batches[..10].iter().for_each(|batch| assert!(journal.append(batch).is_ok()));
    let tail = std::fs::read(dir.path().join("journal.tail")).unwrap();
    drop(journal);
    std::fs::remove_file(dir.path().join("journal.redb")).unwrap();
    // An empty tail holds nothing that could be missed.
    drop(RedbJournal::open(dir.path()).unwrap());
    std::fs::remove_file(dir.path().join("journal.redb")).unwrap();
    std::fs::write(dir.path().join("journal.tail"), tail).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
}

#[test]
fn a_journal_that_is_given_up_is_kept_with_its_tail_and_never_mixed_with_the_next() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(53, 20, 6);
    let [archive, tail] = ["journal.redb", "journal.tail"].map(|name| dir.path().join(name));
    let (mut journal, _) = RedbJournal::open(dir.path()).unwrap();
    run.batches.iter().for_each(|batch| assert!(journal.append(batch).is_ok()));
    let crashed = [&archive, &tail].map(|path| std::fs::read(path).unwrap());
    drop(journal);
    std::fs::write(&archive, &crashed[0]).unwrap();
    let mut damaged = crashed[1].clone();
    damaged[(4 << 20) + 200] ^= 1;
    std::fs::write(&tail, &damaged).unwrap();
    assert!(recover(dir.path(), false).is_err());
    let Ground { journal, start, lost, .. } = recover(dir.path(), true).unwrap();
    assert!(lost && start.state.sessions().is_empty());
    drop(journal);
    let aside = |name: &str| {
        let mut found = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let is_it = |path: &PathBuf| path.to_str().unwrap().contains(&format!("{name}.damaged-"));
        std::fs::read(found.find(is_it).unwrap()).unwrap()
    };
    assert!(!aside("journal.redb").is_empty());
    assert!(aside("journal.tail") == damaged, "the tail is kept as it was");
    // The old tail put back beside the new journal is none of its.
    std::fs::write(&tail, &crashed[1]).unwrap();
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, start.state);
}

fn by_thread() -> TailOptions {
    TailOptions { half_len: 8_192, moving: Moving::ByThread }
}

#[test]
fn a_thread_moves_what_is_appended_while_more_is() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(47, 600, 6);
    RedbJournal::begin(dir.path(), &run.folds[0]).unwrap();
    let open = || {
        let archive = FileMedium::open(dir.path(), "journal.redb").unwrap();
        let tail = archive.beside(dir.path(), "journal.tail").unwrap();
        RedbJournal::open_on(Arc::new(archive), &tail, by_thread()).unwrap()
    };
    for part in 0..3 {
        let (mut journal, recovered) = open();
        assert_eq!(recovered.state, run.folds[part * 200]);
        for number in part * 200..(part + 1) * 200 {
            journal.append(&run.batches[number]).unwrap();
            if number % 90 == 0 {
                let fold = &run.folds[number + 1];
                journal.begin_snapshot(fold.index(), encode_snapshot(fold));
            }
        }
    }
    std::fs::remove_file(dir.path().join("journal.tail")).unwrap();
    let (_, recovered) = open();
    assert_eq!(recovered.state, *run.folds.last().unwrap());
}

/// Panics unless whoever appends or waits is told of what ends the thread, and what was
/// acknowledged before is there.
fn expect_told(fail: impl FnOnce(&mut Platter)) {
    let run = Run::new(48, 400, 6);
    let disk = Disk::default();
    let (archive, tail) = (disk.side(Place::Archive), disk.side(Place::Tail));
    RedbJournal::begin_on(archive.clone(), &run.folds[0]).unwrap();
    let (mut journal, _) = RedbJournal::open_on(archive, &*tail, by_thread()).unwrap();
    journal.append(&run.batches[0]).unwrap();
    let fold = &run.folds[1];
    // Nothing but the snapshot flushes anything from here on.
    fail(&mut disk.look());
    journal.begin_snapshot(fold.index(), encode_snapshot(fold));
    let begun = Instant::now();
    while journal.work().is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(5), "nobody is told");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(matches!(journal.append(&run.batches[1]), Err(AppendError::Flush(_))));
    drop(journal);
    let (_, recovered) = Disk::of(disk.files()).open(8_192).unwrap();
    assert_eq!(recovered.state, *fold, "what was acknowledged before");
}

#[test]
fn a_flush_that_fails_for_the_thread_is_told_to_whoever_appends_or_waits() {
    expect_told(|platter| platter.failing_flush = Some(platter.flushes + 1));
}

#[test]
fn a_thread_that_panics_lets_nothing_be_stored_any_more() {
    expect_told(|platter| platter.panicking_flush = true);
}

#[test]
fn a_thread_that_finds_no_room_goes_on_where_there_is_some() {
    let run = Run::new(49, 400, 6);
    let disk = Disk::default();
    let (archive, tail) = (disk.side(Place::Archive), disk.side(Place::Tail));
    RedbJournal::begin_on(archive.clone(), &run.folds[0]).unwrap();
    let (mut journal, _) = RedbJournal::open_on(archive, &*tail, by_thread()).unwrap();
    let len = disk.files().len();
    disk.look().len_max = Some(len);
    let (mut full, begun) = (0, Instant::now());
    for batch in &run.batches {
        while let Err(error) = journal.append(batch) {
            assert!(matches!(error, AppendError::Write(_)), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(20), "it never goes on");
            full += 1;
            if full > 5 {
                disk.look().len_max = None;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    println!("{full} times full");
    drop(journal);
    let archive_only = Files { tail: Vec::new(), ..disk.files() };
    let (_, recovered) = Disk::of(archive_only).open(8_192).unwrap();
    assert_eq!(recovered.state, *run.folds.last().unwrap());
    assert_eq!(disk.files().tail.len(), 16_384);
}
