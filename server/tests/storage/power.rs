//! The power fails at any moment: what was acknowledged is there, and nothing else came of it.

use std::sync::atomic::{AtomicUsize, Ordering};

use leasehold_core::service::Start;
use leasehold_core::state::State;
use leasehold_server::journal::{Journal, Recovered, RedbJournal, encode_snapshot};

use super::disk::{Cut, Disk, Files, Note, Place};
use super::run::Run;

/// How many disks are looked at for each moment at which the power fails.
const SURVIVORS: u64 = 3;

/// Halves of the tail that a few batches fill, and such as longer runs go into.
const HALVES: [u64; 2] = [3_000, 24_000];

/// What was done to a disk during a run: `Said(2 * n)` before batch n is appended, and
/// `Said(2 * n + 1)` when it was acknowledged.
struct Story {
    half_len: u64,
    begun: Files,
    notes: Vec<Note>,
}

impl Story {
    fn open(&self, disk: &Disk) -> (RedbJournal, Recovered) {
        disk.open(self.half_len).unwrap()
    }
}

/// Stores a run, with a snapshot now and then.
fn store(run: &Run, half_len: u64, snapshot_every: usize) -> Story {
    let disk = Disk::default();
    RedbJournal::begin_on(disk.side(Place::Archive), &State::default()).unwrap();
    let begun = disk.begin();
    let (mut journal, _) = disk.open(half_len).unwrap();
    for (number, batch) in run.batches.iter().enumerate() {
        disk.say(2 * number);
        let stored = journal.append(batch).unwrap();
        assert_eq!(stored.through, run.last(number + 1));
        disk.say(2 * number + 1);
        if number % snapshot_every == snapshot_every / 2 {
            let fold = &run.folds[number + 1];
            journal.begin_snapshot(fold.index(), in_pieces(&encode_snapshot(fold)));
        }
        // Sometimes the archive comes after slowly, sometimes it has everything at once.
        if number % 100 >= 50 {
            journal.finish_snapshot().unwrap();
        } else if number % 5 == 0 {
            journal.work().unwrap();
        }
    }
    // A stop in good order is a moment for a power cut like any other.
    drop(journal);
    let notes = std::mem::take(&mut disk.look().notes);
    Story { half_len, begun, notes }
}

/// The same snapshot, so long that it is written in three pieces.
fn in_pieces(snapshot: &[u8]) -> Vec<u8> {
    let mut json = snapshot[4..].to_vec();
    json.resize(560 << 10, b' ');
    [&crc32fast::hash(&json).to_le_bytes()[..], &json].concat()
}

/// Panics unless the journal on this disk holds at least the first `acknowledged` batches, and
/// nothing that was not begun.
fn check(run: &Run, story: &Story, disk: &Disk, acknowledged: usize, begun: usize) -> usize {
    let (mut journal, recovered) = story.open(disk);
    let place = run.place_of(&recovered.state).expect("a state that there was");
    assert!(acknowledged <= place, "batch {acknowledged} was acknowledged, and {place} is there");
    assert!(
        recovered.state == run.folds[begun] || place <= begun,
        "batch {begun} was begun, and {place} is there"
    );
    assert!(run.last(acknowledged) <= recovered.after, "a place in history would be given twice");
    run.expect_appends(&recovered.state, &recovered.appends);
    // Whatever there is to move is moved before anything is appended, as its thread does it.
    journal.finish_snapshot().expect("what was found in the tail goes to the archive");
    place
}

/// Lets the service go on where the power cut has left it.
fn go_on(run: &Run, story: &Story, disk: &Disk, seed: u64) {
    let (mut journal, recovered) = story.open(disk);
    let (before, after) = (recovered.state.last_token(), recovered.after);
    let start = Start { state: recovered.state, after, ..Start::default() };
    let next = Run::from(start, seed, 8, 6);
    for batch in &next.batches {
        assert!(batch[0].index > run.last(0).max(after), "a place in history is given twice");
        journal.append(batch).unwrap();
    }
    let (_, recovered) = story.open(&Disk::of(disk.files()));
    assert_eq!(recovered.state, *next.folds.last().unwrap());
    assert!(recovered.state.last_token() >= before);
}

#[test]
fn whenever_the_power_fails_what_was_acknowledged_is_there() {
    let run = Run::new(7, 220, 6);
    let looked_at = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for half_len in HALVES {
            let (run, looked_at) = (&run, &looked_at);
            scope.spawn(move || cut_everywhere(run, &store(run, half_len, 50), looked_at));
        }
    });
    let looked_at = looked_at.load(Ordering::Relaxed);
    println!("{looked_at} disks after a power cut");
    assert!(looked_at > 2_000, "{looked_at}");
}

/// Cuts the power after each thing that was done.
fn cut_everywhere(run: &Run, story: &Story, looked_at: &AtomicUsize) {
    let mut cut = Cut::new(story.begun.clone());
    let (mut acknowledged, mut begun) = (0, 0);
    for (moment, note) in story.notes.iter().enumerate() {
        cut.take(note);
        if let Note::Said(what) = note {
            (begun, acknowledged) = (what / 2 + 1, what.div_ceil(2));
            continue;
        }
        for seed in 0..SURVIVORS {
            let seed = moment as u64 * SURVIVORS + seed;
            let disk = Disk::of(cut.survivor(seed));
            check(run, story, &disk, acknowledged, begun);
            if seed.is_multiple_of(40) {
                go_on(run, story, &Disk::of(cut.survivor(seed)), seed);
            }
            looked_at.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_power_cut_in_the_midst_of_a_recovery_loses_nothing_either() {
    let run = Run::new(11, 60, 6);
    std::thread::scope(|scope| {
        for half_len in HALVES {
            let run = &run;
            scope.spawn(move || cut_recoveries(run, &store(run, half_len, 20)));
        }
    });
}

fn cut_recoveries(run: &Run, story: &Story) {
    let mut cut = Cut::new(story.begun.clone());
    let mut acknowledged = 0;
    for (moment, note) in story.notes.iter().enumerate() {
        cut.take(note);
        if let Note::Said(what) = note {
            acknowledged = what.div_ceil(2);
        } else if moment % 19 == 0 {
            let disk = Disk::of(cut.survivor(moment as u64));
            let begun = disk.begin();
            let place = check(run, story, &disk, acknowledged, run.batches.len());
            let notes = std::mem::take(&mut disk.look().notes);
            let mut again = Cut::new(begun);
            for (moment, note) in notes.iter().enumerate() {
                again.take(note);
                let disk = Disk::of(again.survivor(moment as u64));
                let again = check(run, story, &disk, acknowledged, run.batches.len());
                assert_eq!(again, place);
            }
        }
    }
}

#[test]
fn what_a_power_cut_has_cut_off_never_turns_up_whatever_happens_then() {
    let run = Run::new(12, 40, 6);
    let story = store(&run, 3_000, 100);
    let mut cut = Cut::new(story.begun.clone());
    let mut looked_at = 0;
    for (moment, note) in story.notes.iter().enumerate() {
        cut.take(note);
        if moment % 7 != 0 {
            continue;
        }
        let disk = Disk::of(cut.survivor(moment as u64));
        let begun = disk.begin();
        let (mut journal, recovered) = story.open(&disk);
        let (before, after) = (recovered.state, recovered.after);
        let next = Run::from(
            Start { state: before.clone(), after, ..Start::default() },
            moment as u64,
            1,
            6,
        );
        journal.append(&next.batches[0]).unwrap();
        let notes = disk.look().notes.clone();
        let mut again = Cut::new(begun);
        for (moment, note) in notes.iter().enumerate() {
            again.take(note);
            for seed in 0..SURVIVORS {
                let disk = Disk::of(again.survivor(moment as u64 * SURVIVORS + seed));
                let found = story.open(&disk).1.state;
                assert!(next.folds.contains(&found), "what had been cut off has turned up");
                looked_at += 1;
            }
        }
    }
    assert!(looked_at > 500, "{looked_at}");
}
