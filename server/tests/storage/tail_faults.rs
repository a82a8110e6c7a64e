//! The tail of a journal where writes and flushes of it fail, and what follows them.

use std::time::Duration;

use leasehold_core::id::Index;
use leasehold_core::service::Start;
use leasehold_core::state::State;
use leasehold_server::journal::{AppendError, Journal, RedbJournal};

use super::disk::{Cut, Disk, HowItFails, Note, Place};
use super::run::Run;

/// A half that a few batches fill.
const SMALL: u64 = 4_096;

/// Goes on from where a journal is, with batches so small that they fit where the last one didn't.
fn go_on(journal: &mut RedbJournal, state: &State, after: Index, seed: u64) -> State {
    let run = Run::from(Start { state: state.clone(), after, ..Start::default() }, seed, 6, 1);
    for batch in &run.batches {
        while let Err(error) = journal.append(batch) {
            assert!(matches!(error, AppendError::Write(_)), "{error}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    run.folds.last().unwrap().clone()
}

#[test]
fn whatever_follows_a_batch_that_could_not_be_written_is_found() {
    let mut failures = 0;
    for (seed, how) in (60..84).zip([HowItFails::Half, HowItFails::Done].into_iter().cycle()) {
        let run = Run::new(seed, 24, 8);
        for failing in 1..=50 {
            let (disk, mut journal) = Disk::journal(SMALL);
            disk.look().failing_write = Some((failing, how));
            let failed = run.batches.iter().position(|batch| journal.append(batch).is_err());
            // A commit that failed may have stored what it should nevertheless.
            let Some(failed) = failed else { continue };
            failures += 1;
            let after = run.last(failed + 1);
            let state = go_on(&mut journal, &run.folds[failed], after, failing);
            let found = Disk::of(disk.files()).open(SMALL).unwrap().1.state;
            assert_eq!(found, state, "write {failing} of {seed} failed: {how:?}");
        }
    }
    assert!(failures > 200, "{failures}");
}

#[test]
fn a_tail_is_taken_into_use_wholly_or_not_whatever_fails_then_and_when_the_power_does() {
    let run = Run::new(55, 1, 6);
    for how in [HowItFails::Half, HowItFails::Done] {
        for failing in 1..=12 {
            let (disk, mut journal) = Disk::journal(SMALL);
            let begun = disk.begin();
            disk.look().failing_write = Some((failing, how));
            while journal.append(&run.batches[0]).is_err() {
                std::thread::sleep(Duration::from_millis(20));
            }
            let notes = disk.look().notes.clone();
            drop(journal);
            let mut cut = Cut::new(begun);
            for (moment, note) in notes.iter().enumerate() {
                cut.take(note);
                let survivor = Disk::of(cut.survivor(moment as u64));
                let found = survivor.open(SMALL).unwrap().1.state;
                assert!(run.folds.contains(&found), "write {failing} failed: {how:?}");
            }
        }
    }
}

#[test]
fn what_a_flush_that_failed_has_left_in_memory_is_on_the_disk_once_it_is_believed() {
    let run = Run::new(51, 30, 6);
    let (mut failures, mut believed) = (0, 0);
    for failing in 1.. {
        let (disk, mut journal) = Disk::journal(SMALL);
        let begun = disk.begin();
        disk.look().failing_tail_flush = Some(failing);
        let failed = run.batches.iter().position(|batch| journal.append(batch).is_err());
        let Some(failed) = failed else { break };
        failures += 1;
        drop(journal);
        // The same machine, so what was written is read, be it on the disk or not.
        let (journal, recovered) = disk.open(SMALL).unwrap();
        believed += u32::from(recovered.state == run.folds[failed + 1]);
        let notes = disk.look().notes.clone();
        let mut cut = Cut::new(begun);
        notes.iter().for_each(|note| cut.take(note));
        let found = Disk::of(cut.flushed).open(SMALL).unwrap().1.state;
        assert_eq!(found, recovered.state, "flush {failing} failed");
        drop(journal);
    }
    assert!(failures > 20 && believed > 20, "{believed} of {failures}");
}

#[test]
fn a_record_whose_header_was_lost_never_turns_up_with_the_next_header() {
    let half_len = 3_000;
    let run = Run::new(56, 60, 6);
    let (disk, mut journal) = Disk::journal(half_len);
    let is_switch = |note: &&Note| {
        let Note::Write(Place::Tail, at, data) = note else { return false };
        at % half_len == 0 && data.len() > 104
    };
    let mut looked_at = 0;
    for (number, batch) in run.batches.iter().enumerate() {
        let before = disk.begin();
        journal.append(batch).unwrap();
        let notes = disk.look().notes.clone();
        let Some(Note::Write(_, at, data)) = notes.iter().find(is_switch) else { continue };
        // What was moved before that write is there.
        let mut cut = Cut::new(before);
        notes.iter().take_while(|note| !is_switch(note)).for_each(|note| cut.take(note));
        let mut files = cut.flushed;
        let at = usize::try_from(*at).unwrap();
        files.tail[at + 64..at + data.len()].copy_from_slice(&data[64..]);
        let again = Disk::of(files);
        let (mut journal, recovered) = again.open(half_len).unwrap();
        assert_eq!(recovered.state, run.folds[number], "nobody was told of the torn one");
        let start = Start { state: recovered.state, after: recovered.after, ..Start::default() };
        let next = Run::from(start, 1, 1, 40);
        let mut files = again.begin();
        journal.append(&next.batches[0]).unwrap();
        let notes = again.look().notes.clone();
        let Some(Note::Write(_, at, data)) = notes.iter().find(is_switch) else { continue };
        let at = usize::try_from(*at).unwrap();
        files.tail[at..at + 64].copy_from_slice(&data[..64]);
        assert_eq!(Disk::of(files).open(half_len).unwrap().1.state, run.folds[number]);
        looked_at += 1;
    }
    assert!(looked_at > 2, "{looked_at}");
}
