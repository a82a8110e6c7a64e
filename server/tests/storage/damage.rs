//! Journals that were cut, overwritten, emptied, or never were journals.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt as _;

use leasehold_core::rng::Rng;
use leasehold_core::service::Start;
use leasehold_core::state::State;
use leasehold_server::journal::{
    Journal, OpenError, Recovered, RedbJournal, encode_batch, encode_snapshot,
};

use super::disk::{Disk, Files, Place};
use super::run::Run;

/// Halves of the tail that are filled a few times.
const HALF: u64 = 8_192;

/// The bytes of a journal that holds a run and a snapshot of its first half.
fn journal_of(run: &Run, is_stopped_in_order: bool) -> Files {
    let (disk, mut journal) = Disk::journal(HALF);
    for (number, batch) in run.batches.iter().enumerate() {
        journal.append(batch).unwrap();
        journal.work().unwrap();
        if number == run.batches.len() / 2 {
            let fold = &run.folds[number + 1];
            journal.begin_snapshot(fold.index(), encode_snapshot(fold));
        }
    }
    let crashed = disk.files();
    drop(journal);
    if is_stopped_in_order { disk.files() } else { crashed }
}

/// Stores more on a journal that was opened in spite of damage; panics where that comes out later.
#[track_caller]
fn expect_use(files: Files, what: &str) {
    let disk = Disk::of(files);
    let (mut journal, recovered) = disk.open(HALF).unwrap();
    let Recovered { state, after, .. } = recovered;
    let run = Run::from(Start { state, after, ..Start::default() }, 1, 8, 6);
    for batch in &run.batches {
        journal.append(batch).expect(what);
    }
    journal.begin_snapshot(run.folds[8].index(), encode_snapshot(&run.folds[8]));
    journal.finish_snapshot().expect(what);
    drop(journal);
    assert_eq!(open(disk.files()).unwrap().state, run.folds[8], "{what}");
}

fn open(files: Files) -> Result<Recovered, OpenError> {
    Disk::of(files).open(HALF).map(|(_, recovered)| recovered)
}

/// Panics unless the damage is told, or did no harm.
#[track_caller]
fn expect_told_or_harmless(
    result: Result<Recovered, OpenError>,
    states: &[State],
    what: &str,
) -> bool {
    match result {
        Ok(recovered) => {
            assert!(states.contains(&recovered.state), "{what} makes another history");
            false
        }
        Err(OpenError::Damaged { why }) => {
            assert!(!why.is_empty());
            true
        }
        Err(error) => panic!("{what}: {error}"),
    }
}

#[test]
fn a_journal_that_was_overwritten_anywhere_is_refused_or_says_what_it_said() {
    let run = Run::new(21, 120, 6);
    let last = &run.folds[run.batches.len()..];
    // A commit that can't be read looks like one that the power cut has torn, so the one before
    // it may take its place where the server was not stopped in order. So may a record.
    let last_two = &run.folds[run.batches.len() - 1..];
    for (is_stopped_in_order, allowed) in [(true, last), (false, last_two)] {
        let files = journal_of(&run, is_stopped_in_order);
        for (place, step) in [(Place::Archive, 1_531), (Place::Tail, 23)] {
            let len = files.at(place).len();
            let (mut told, mut rng) = (0, Rng::new(5));
            let places: Vec<usize> = (0..len).step_by(step).chain(0..400).collect();
            for at in &places {
                let mut files = files.clone();
                let end = len.min(at + usize::try_from(rng.between(1, 40)).unwrap());
                let bytes = &mut files.at_mut(place)[*at..end];
                bytes.iter_mut().for_each(|byte| *byte ^= rng.bits().to_le_bytes()[0] | 1);
                let what = format!("{place:?} {at}..{end} overwritten");
                let is_told = expect_told_or_harmless(open(files.clone()), allowed, &what);
                told += usize::from(is_told);
                if !is_told {
                    expect_use(files, &what);
                }
            }
            // Most of the places are free pages, or such that the power cut may have torn; and
            // a tail that is not in use is not looked at.
            println!("{told} of {} damages told in the {place:?}", places.len());
            let is_looked_at = place == Place::Archive || !is_stopped_in_order;
            assert_eq!(told > 20, is_looked_at, "{told} of {}", places.len());
        }
    }
}

#[test]
fn one_bit_that_has_changed_in_a_batch_is_told() {
    let run = Run::new(24, 120, 6);
    for is_stopped_in_order in [true, false] {
        let files = journal_of(&run, is_stopped_in_order);
        // The second half is not covered by the snapshot, and what comes last could be torn. What
        // is archived may be in a row with others, so only its events are looked for.
        let batches = run.batches[run.batches.len() / 2 + 1..run.batches.len() - 3].iter();
        let durable = batches.filter(|batch| batch.iter().any(|event| event.fact.is_durable()));
        let mut looked_at = 0;
        for batch in durable {
            let (written, mut files) = (encode_batch(batch).split_off(5), files.clone());
            // Copies of it may be left in pages that are free, and in the tail.
            for place in [Place::Archive, Place::Tail] {
                let bytes = files.at_mut(place);
                let is_it = |place: &usize| bytes[*place..].starts_with(&written);
                let places: Vec<usize> = (0..bytes.len()).filter(is_it).collect();
                for place in places {
                    bytes[place + written.len() / 2] ^= 1;
                }
            }
            let result = open(files);
            assert!(matches!(result, Err(OpenError::Damaged { .. })), "{result:?}");
            looked_at += 1;
        }
        assert!(looked_at > 30, "{looked_at}");
    }
}

#[test]
fn a_journal_that_was_cut_off_anywhere_is_refused() {
    let run = Run::new(22, 80, 6);
    for is_stopped_in_order in [true, false] {
        let files = journal_of(&run, is_stopped_in_order);
        let len = files.archive.len();
        for len in (0..len).step_by(997).chain([1, 64, 320, 4_096, 8_192]) {
            let mut files = files.clone();
            files.archive.truncate(len);
            let what = format!("cut off at {len}");
            let told = expect_told_or_harmless(open(files), &run.folds[run.batches.len()..], &what);
            assert!(told, "{what} is not told");
        }
    }
}

#[test]
fn garbage_is_no_journal() {
    let mut rng = Rng::new(9);
    let noise = |len| (0..len).map(|_| rng.bits().to_le_bytes()[0]).collect::<Vec<u8>>();
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
fn a_damaged_file_is_refused_and_can_be_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::new(23, 40, 6);
    let (mut journal, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, State::default());
    for batch in &run.batches {
        journal.append(batch).unwrap();
    }
    drop(journal);
    let path = dir.path().join("journal.redb");
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!(recovered.state, *run.folds.last().unwrap());
    let file = OpenOptions::new().write(true).open(&path).unwrap();
    file.write_all_at(&vec![0x55; 50_000], 64).unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
    fs::write(&path, "").unwrap();
    assert!(matches!(RedbJournal::open(dir.path()), Err(OpenError::Damaged { .. })));
    // Left behind by a power cut while a journal was made.
    fs::write(dir.path().join("journal.redb.new"), "half of one").unwrap();
    let state = &run.folds[20];
    RedbJournal::begin(dir.path(), state).unwrap();
    let (_, recovered) = RedbJournal::open(dir.path()).unwrap();
    assert_eq!((&recovered.state, recovered.after), (state, recovered.after.max(state.index())));
    let mut names: Vec<_> =
        fs::read_dir(dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["journal.redb", "journal.tail"]);
}
