//! Writes that fail, flushes that fail, and disks that are full.

use std::time::{Duration, Instant};

use leasehold_core::state::State;
use leasehold_server::journal::{AppendError, Journal, OpenError, RedbJournal, encode_snapshot};

use super::disk::{Cut, Disk, Files, HowItFails};
use super::run::Run;

/// Halves of the tail that a few batches fill.
const HALF: u64 = 4_096;

fn begin() -> (Disk, RedbJournal) {
    Disk::journal(HALF)
}

fn state_on(files: Files) -> State {
    Disk::of(files).open(HALF).unwrap().1.state
}

/// Panics where a disk that loses its power now could hold anything but this state.
#[track_caller]
fn expect_after_power_cut(begun: &Files, disk: &Disk, state: &State, seed: u64) {
    assert_eq!(state_on(disk.files()), *state, "all that was written is there");
    let mut cut = Cut::new(begun.clone());
    let notes = disk.look().notes.clone();
    notes.iter().for_each(|note| cut.take(note));
    for seed in [seed, seed + 1] {
        assert_eq!(state_on(cut.survivor(seed)), *state, "some of it is there, seed {seed}");
    }
}

#[test]
fn a_batch_that_could_not_be_written_is_not_stored_and_never_turns_up() {
    let run = Run::new(3, 14, 6);
    let (mut stored_after_all, mut not_stored, mut reopened) = (0, 0, 0);
    for how in [HowItFails::Undone, HowItFails::Half, HowItFails::Done] {
        for failing in 1.. {
            let (disk, mut journal) = begin();
            let begun = disk.begin();
            disk.look().failing_write = Some((failing, how));
            let mut failures = 0;
            for (number, batch) in run.batches.iter().enumerate() {
                let before = disk.look().writes;
                match journal.append(batch) {
                    Ok(_) => {
                        let hit = before < failing && failing <= disk.look().writes;
                        stored_after_all += u32::from(hit);
                        continue;
                    }
                    Err(AppendError::Write(_)) => failures += 1,
                    Err(error) => panic!("{error}"),
                }
                expect_after_power_cut(&begun, &disk, &run.folds[number], failing);
                append_when_it_can_be(&mut journal, batch);
            }
            assert!(failures <= 1, "one write failed, and {failures} batches");
            not_stored += failures;
            let snapshot = &run.folds[run.batches.len()];
            journal.begin_snapshot(snapshot.index(), encode_snapshot(snapshot));
            while let Err(error) = journal.finish_snapshot() {
                assert!(matches!(error, AppendError::Write(_)), "{error}");
            }
            reopened += disk.look().opened;
            let over = disk.look().writes < failing;
            drop(journal);
            assert_eq!(state_on(disk.files()), *snapshot);
            if over {
                break;
            }
        }
    }
    println!("{not_stored} not stored, {stored_after_all} stored, {reopened} opened again");
    assert!(not_stored > 20, "{not_stored}");
    assert!(reopened > 20, "{reopened}");
}

fn append_when_it_can_be(
    journal: &mut RedbJournal,
    batch: &[leasehold_core::event::Event],
) -> Duration {
    let begun = Instant::now();
    loop {
        match journal.append(batch) {
            Ok(_) => return begun.elapsed(),
            Err(AppendError::Write(_)) => std::thread::sleep(Duration::from_millis(5)),
            Err(error) => panic!("{error}"),
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "it never goes on");
    }
}

#[test]
fn a_flush_that_fails_is_told_from_a_write_and_never_forgiven() {
    let run = Run::new(4, 30, 6);
    let mut failed = 0;
    for failing in 1.. {
        let (disk, mut journal) = begin();
        disk.look().failing_flush = Some(failing);
        let mut results = run.batches.iter().map(|batch| journal.append(batch));
        let Some(error) = results.find_map(Result::err) else { break };
        assert!(matches!(error, AppendError::Flush(_)), "{error}");
        failed += 1;
    }
    println!("{failed} flushes failed");
    assert!(failed >= 20, "{failed}");
}

#[test]
fn a_full_disk_stores_nothing_and_the_journal_goes_on_where_there_is_room() {
    let (mut full, mut reopened) = (0, 0);
    for seed in 0..40 {
        let run = Run::new(seed, 90, 1 + seed % 12);
        let (disk, mut journal) = begin();
        let begun = disk.begin();
        let mut len_max = disk.files().len();
        disk.look().len_max = Some(len_max);
        for (number, batch) in run.batches.iter().enumerate() {
            match journal.append(batch) {
                Ok(_) => continue,
                Err(AppendError::Write(_)) => full += 1,
                Err(error) => panic!("{error}"),
            }
            // However often it is tried, and cheaply: everything is read when it is opened again.
            let (opened, tried) = (disk.look().opened, Instant::now());
            for pause in [0, 0, 0, 0, if full % 6 == 1 { 120 } else { 0 }] {
                std::thread::sleep(Duration::from_millis(pause));
                assert!(matches!(journal.append(batch), Err(AppendError::Write(_))));
                assert!(matches!(journal.work(), Ok(()) | Err(AppendError::Write(_))));
            }
            assert!(tried.elapsed() < Duration::from_millis(500), "{:?}", tried.elapsed());
            assert_eq!(disk.look().opened, opened, "it was opened while there was no room");
            assert!(disk.files().len() <= len_max);
            expect_after_power_cut(&begun, &disk, &run.folds[number], seed);
            len_max *= 2;
            disk.look().len_max = Some(len_max);
            let waited = append_when_it_can_be(&mut journal, batch);
            assert!(waited < Duration::from_millis(400), "{waited:?}");
        }
        reopened += disk.look().opened;
        drop(journal);
        assert_eq!(state_on(disk.files()), *run.folds.last().unwrap());
    }
    println!("{full} times full, {reopened} times opened again");
    assert!(full > 20, "{full}");
}

#[test]
fn a_snapshot_that_finds_no_room_waits_for_it() {
    let run = Run::new(5, 60, 6);
    let (disk, mut journal) = begin();
    for batch in &run.batches {
        journal.append(batch).unwrap();
    }
    let fold = run.folds.last().unwrap();
    let len = disk.files().len();
    disk.look().len_max = Some(len);
    // Larger than all that there is room for; bytes of a snapshot are not looked into here.
    let mut bytes = encode_snapshot(fold);
    bytes.resize(bytes.len() + usize::try_from(len).unwrap() * 2, b' ');
    assert!(!journal.is_writing_snapshot());
    journal.begin_snapshot(fold.index(), bytes);
    let failed = (0..20).filter(|_| journal.work().is_err()).count();
    assert!(failed > 5, "{failed}");
    assert!(journal.is_writing_snapshot(), "another one would have to wait");
    assert_eq!(state_on(disk.files()), *fold);
    journal.begin_snapshot(fold.index(), encode_snapshot(fold));
    disk.look().len_max = None;
    let begun = Instant::now();
    while journal.finish_snapshot().is_err() {
        assert!(begun.elapsed() < Duration::from_secs(5), "it never goes on");
    }
    assert!(!journal.is_writing_snapshot());
    drop(journal);
    let (_, recovered) = disk.open(HALF).unwrap();
    assert_eq!((&recovered.state, recovered.events), (fold, 0));
}

#[test]
fn two_servers_never_have_one_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = RedbJournal::open(dir.path()).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::InUse)));
    assert!(matches!(RedbJournal::begin(dir.path(), &State::default()), Err(OpenError::InUse)));
    drop(journal);
    RedbJournal::open(dir.path()).unwrap();
}

#[test]
fn places_in_history_are_never_given_twice_though_not_all_events_are_stored() {
    use leasehold_core::event::{Event, Fact};
    use leasehold_core::id::Index;
    use leasehold_core::op::DropReason;
    use leasehold_core::time::Time;
    let (disk, mut journal) = begin();
    let fact = Fact::DatagramDropped { reason: DropReason::NotJson };
    let event = |index| Event { index: Index::new(index), at: Time::ZERO, fact: fact.clone() };
    let mut flushes = disk.look().flushes;
    for index in (1..8_000_000).step_by(100_000) {
        journal.append(&[event(index)]).unwrap();
        let files = disk.files();
        let (_, recovered) = Disk::of(files).open(HALF).unwrap();
        assert!(recovered.after >= Index::new(index), "{index}");
    }
    flushes = disk.look().flushes - flushes;
    assert!((8..40).contains(&flushes), "few commits for events that need not last: {flushes}");
}
