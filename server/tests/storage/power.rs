//! The power fails at any moment: what was acknowledged is there, and nothing else came of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use leasehold_core::service::Start;
use leasehold_core::state::State;
use leasehold_server::journal::{Journal, Recovered, RedbJournal, encode_snapshot};

use super::disk::{Cut, Disk, Note};
use super::run::Run;

/// How many disks are looked at for each moment at which the power fails.
const SURVIVORS: u64 = 3;

/// What was done to a disk during a run: `Said(2 * n)` before batch n is appended, and
/// `Said(2 * n + 1)` when it was acknowledged.
struct Story {
    begun: Vec<u8>,
    notes: Vec<Note>,
}

fn open(disk: &Disk) -> (RedbJournal, Recovered) {
    RedbJournal::open_on(Arc::new(disk.clone())).unwrap()
}

/// Stores a run, with a snapshot now and then.
fn store(run: &Run, snapshot_every: usize) -> Story {
    let disk = Disk::default();
    RedbJournal::begin_on(Arc::new(disk.clone()), &State::default()).unwrap();
    let (mut journal, _) = open(&disk);
    let begun = disk.begin();
    for (number, batch) in run.batches.iter().enumerate() {
        disk.say(2 * number);
        let stored = journal.append(batch).unwrap();
        assert_eq!(stored.through, run.last(number + 1));
        disk.say(2 * number + 1);
        if number % snapshot_every == snapshot_every / 2 {
            let fold = &run.folds[number + 1];
            journal.begin_snapshot(fold.index(), in_pieces(&encode_snapshot(fold)));
        }
        if number % 5 == 0 {
            journal.work().unwrap();
        }
    }
    // A stop in good order is a moment for a power cut like any other.
    drop(journal);
    let notes = std::mem::take(&mut disk.look().notes);
    Story { begun, notes }
}

/// The same snapshot, so long that it is written in three pieces.
fn in_pieces(snapshot: &[u8]) -> Vec<u8> {
    let mut json = snapshot[4..].to_vec();
    json.resize(560 << 10, b' ');
    [&crc32fast::hash(&json).to_le_bytes()[..], &json].concat()
}

/// Panics unless the journal on this disk holds at least the first `acknowledged` batches, and
/// nothing that was not begun.
fn check(run: &Run, disk: &Disk, acknowledged: usize, begun: usize) -> usize {
    let (_, recovered) = open(disk);
    let place = run.place_of(&recovered.state).expect("a state that there was");
    assert!(acknowledged <= place, "batch {acknowledged} was acknowledged, and {place} is there");
    assert!(
        recovered.state == run.folds[begun] || place <= begun,
        "batch {begun} was begun, and {place} is there"
    );
    assert!(run.last(acknowledged) <= recovered.after, "a place in history would be given twice");
    run.expect_appends(&recovered.state, &recovered.appends);
    place
}

/// Lets the service go on where the power cut has left it.
fn go_on(run: &Run, disk: &Disk, seed: u64) {
    let (mut journal, recovered) = open(disk);
    let (before, after) = (recovered.state.last_token(), recovered.after);
    let start = Start { state: recovered.state, after, ..Start::default() };
    let next = Run::from(start, seed, 8, 6);
    for batch in &next.batches {
        assert!(batch[0].index > run.last(0).max(after), "a place in history is given twice");
        journal.append(batch).unwrap();
    }
    let crashed = Disk::of(disk.look().bytes.clone());
    let (_, recovered) = open(&crashed);
    assert_eq!(recovered.state, *next.folds.last().unwrap());
    assert!(recovered.state.last_token() >= before);
}

#[test]
fn whenever_the_power_fails_what_was_acknowledged_is_there() {
    let run = Run::new(7, 220, 6);
    let story = store(&run, 50);
    let halves = [0, 1].map(|half| (half, AtomicUsize::new(0)));
    std::thread::scope(|scope| {
        for (half, looked_at) in &halves {
            let (run, story) = (&run, &story);
            scope.spawn(move || cut_everywhere(run, story, *half, looked_at));
        }
    });
    let looked_at: usize = halves.iter().map(|(_, count)| count.load(Ordering::Relaxed)).sum();
    println!("{looked_at} disks after a power cut, of {} things done", story.notes.len());
    assert!(looked_at > 2_000, "{looked_at}");
}

/// Cuts the power after each thing that was done whose number is even, or odd.
fn cut_everywhere(run: &Run, story: &Story, half: usize, looked_at: &AtomicUsize) {
    let mut cut = Cut::new(story.begun.clone());
    let (mut acknowledged, mut begun) = (0, 0);
    for (moment, note) in story.notes.iter().enumerate() {
        cut.take(note);
        if let Note::Said(what) = note {
            (begun, acknowledged) = (what / 2 + 1, what.div_ceil(2));
            continue;
        }
        if moment % 2 != half {
            continue;
        }
        for seed in 0..SURVIVORS {
            let seed = moment as u64 * SURVIVORS + seed;
            let disk = Disk::of(cut.survivor(seed));
            check(run, &disk, acknowledged, begun);
            if seed.is_multiple_of(40) {
                go_on(run, &disk, seed);
            }
            looked_at.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[test]
fn a_power_cut_in_the_midst_of_a_recovery_loses_nothing_either() {
    let run = Run::new(11, 60, 6);
    let story = store(&run, 20);
    let mut cut = Cut::new(story.begun.clone());
    let mut acknowledged = 0;
    for (moment, note) in story.notes.iter().enumerate() {
        cut.take(note);
        if let Note::Said(what) = note {
            acknowledged = what.div_ceil(2);
        } else if moment % 41 == 0 {
            let disk = Disk::of(cut.survivor(moment as u64));
            let begun = disk.begin();
            let place = check(&run, &disk, acknowledged, run.batches.len());
            let notes = std::mem::take(&mut disk.look().notes);
            let mut again = Cut::new(begun);
            for (moment, note) in notes.iter().enumerate() {
                again.take(note);
                let disk = Disk::of(again.survivor(moment as u64));
                assert_eq!(check(&run, &disk, acknowledged, run.batches.len()), place);
            }
        }
    }
}
