//! The guarded files: repaired, tampered with, full.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use leasehold_core::data::Data;
use leasehold_core::event::{Event, Fact};
use leasehold_core::id::{Index, Name};
use leasehold_core::state::State;
use leasehold_server::files::{FileStore, FlushError, RepairError};
use leasehold_server::journal::{Append, Recovered};
use tempfile::TempDir;

use super::run::Run;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn store() -> (TempDir, FileStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = FileStore::open(&dir.path().join("files")).unwrap();
    (dir, store)
}

fn read(dir: &Path, file: &str) -> Vec<u8> {
    fs::read(dir.join("files").join(file)).unwrap()
}

#[track_caller]
fn expect_files(dir: &Path, run: &Run) {
    for (file, bytes) in &run.files {
        assert_eq!(read(dir, file.as_str()), *bytes, "{file}");
    }
    assert_eq!(fs::read_dir(dir.join("files")).unwrap().count(), run.files.len());
}

/// What a journal would give back of a run, whose snapshot covers the first `covered` batches.
fn recovered(run: &Run, covered: usize) -> Recovered {
    let appends = run.batches[covered..].iter().flatten().filter_map(|event| match &event.fact {
        Fact::FileAppended { file, offset, data, .. } => {
            Some(Append { file: file.clone(), offset: *offset, data: data.clone() })
        }
        _ => None,
    });
    let state = run.folds.last().unwrap().clone();
    Recovered { state, after: Index::default(), appends: appends.collect(), events: 0 }
}

/// The first events of a run that append to the file `a`, two batches of them.
fn appends(at: &[(u64, &str)]) -> Vec<Event> {
    let run = Run::new(1, 60, 6);
    let sample = run.batches.iter().flatten().find(|it| it.fact.word() == "file_appended");
    let mut event = sample.unwrap().clone();
    let append = |(place, text): &(u64, &str)| {
        if let Fact::FileAppended { file, offset, data, .. } = &mut event.fact {
            (*file, *offset, *data) = (name("a"), *place, Data::new(text.as_bytes()));
        }
        event.clone()
    };
    at.iter().map(append).collect()
}

#[test]
fn what_is_appended_is_in_the_files() {
    let run = Run::new(31, 120, 6);
    let (dir, mut store) = store();
    run.batches.iter().for_each(|batch| store.write(batch));
    assert!(store.is_complete());
    assert_eq!(store.changes(), []);
    store.sync_all().unwrap();
    expect_files(dir.path(), &run);
    let mode = fs::metadata(dir.path().join("files/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o644, 0, "{mode:o}");
}

/// What is done to a file that was so long when the snapshot was taken.
type Harm = fn(&Path, u64);

#[test]
fn a_start_makes_the_files_what_the_journal_says() {
    let run = Run::new(32, 120, 6);
    let covered = 60;
    let begun: Vec<(Name, u64)> =
        run.folds[covered].files().iter().map(|(name, file)| (name.clone(), file.len())).collect();
    let harms: [(&str, Harm); 5] = [
        ("nothing", |_, _| {}),
        ("a torn tail", |path, begun| {
            let len = fs::metadata(path).unwrap().len();
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(len.midpoint(begun)).unwrap();
        }),
        ("all that the snapshot does not cover", |path, begun| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(begun).unwrap();
        }),
        ("bytes too many", |path, _| {
            let mut bytes = fs::read(path).unwrap();
            bytes.extend_from_slice(b"never acknowledged");
            fs::write(path, bytes).unwrap();
        }),
        ("zeros where the last bytes were", |path, begun| {
            let mut bytes = fs::read(path).unwrap();
            bytes[usize::try_from(begun).unwrap()..].fill(0);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (what, harm) in harms {
        let (dir, mut store) = store();
        run.batches.iter().for_each(|batch| store.write(batch));
        for (name, begun) in &begun {
            harm(&dir.path().join("files").join(name.as_str()), *begun);
        }
        let mut store = FileStore::open(&dir.path().join("files")).unwrap();
        store.repair(&recovered(&run, covered)).unwrap();
        println!("{what} repaired");
        expect_files(dir.path(), &run);
        assert_eq!(store.changes(), []);
    }
}

#[test]
fn files_that_are_gone_come_out_of_the_journal_unless_a_snapshot_covers_them() {
    let run = Run::new(33, 120, 6);
    let (dir, mut store) = store();
    store.repair(&recovered(&run, 0)).unwrap();
    expect_files(dir.path(), &run);
    fs::remove_file(dir.path().join("files/a")).unwrap();
    let mut store = FileStore::open(&dir.path().join("files")).unwrap();
    let error = store.repair(&recovered(&run, 90)).unwrap_err();
    let expected = run.folds[90].files()[&name("a")].len();
    assert!(
        matches!(&error, RepairError::Damaged { name, expected: at, found: 0 }
            if name.as_str() == "a" && *at == expected),
        "{error}"
    );
}

#[test]
fn what_is_no_plain_file_is_never_opened_and_holds_up_no_other_file() {
    let (dir, mut store) = store();
    let outside = dir.path().join("victim");
    fs::write(&outside, "untouched").unwrap();
    let files = dir.path().join("files");
    symlink(&outside, files.join("a")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        files.join("b"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    fs::create_dir(files.join("d")).unwrap();
    for bad in ["a", "b", "d"] {
        assert!(store.check(&name(bad)).is_err(), "{bad}");
    }
    assert!(store.check(&name("not_there_yet")).is_ok());
    let run = Run::new(34, 60, 6);
    run.batches.iter().for_each(|batch| store.write(batch));
    let mut changes = store.changes();
    changes.sort();
    assert_eq!(changes, [(name("a"), false), (name("b"), false)]);
    assert!(!store.is_complete());
    assert!(store.begin_flush().is_none());
    assert_eq!(read(dir.path(), "c"), run.files[&name("c")]);
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    store.retry();
    assert_eq!(store.changes(), [], "nothing has changed");
    for bad in ["a", "b"] {
        fs::remove_file(files.join(bad)).unwrap();
    }
    fs::remove_dir(files.join("d")).unwrap();
    store.retry();
    assert_eq!(store.changes(), [(name("a"), true), (name("b"), true)]);
    assert!(store.is_complete());
    expect_files(dir.path(), &run);
}

#[test]
fn a_planted_link_is_not_repaired_and_not_followed() {
    let run = Run::new(35, 60, 6);
    let (dir, mut store) = store();
    let outside = dir.path().join("victim");
    fs::write(&outside, "untouched").unwrap();
    symlink(&outside, dir.path().join("files/a")).unwrap();
    store.repair(&recovered(&run, 0)).unwrap();
    assert_eq!(store.changes(), [(name("a"), false)]);
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert_eq!(read(dir.path(), "c"), run.files[&name("c")]);
    fs::remove_file(dir.path().join("files/a")).unwrap();
    store.retry();
    expect_files(dir.path(), &run);
}

#[test]
fn a_file_that_somebody_has_cut_gets_no_hole() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,"), (4, "two,")]));
    assert_eq!(read(dir.path(), "a"), b"one,two,");
    fs::write(dir.path().join("files/a"), "one,").unwrap();
    store.write(&appends(&[(8, "three")]));
    assert_eq!(store.changes(), [(name("a"), false)]);
    assert_eq!(read(dir.path(), "a"), b"one,");
    fs::write(dir.path().join("files/a"), "one,two,").unwrap();
    store.retry();
    assert_eq!(store.changes(), [(name("a"), true)]);
    assert_eq!(read(dir.path(), "a"), b"one,two,three");
}

#[test]
fn a_file_that_was_removed_while_it_was_open_is_missed() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    fs::remove_file(dir.path().join("files/a")).unwrap();
    store.write(&appends(&[(4, "two,")]));
    assert_eq!(store.changes(), [(name("a"), false)]);
    assert!(!store.is_complete());
}

#[test]
fn a_flush_that_finds_a_file_gone_comes_to_nothing_and_can_be_begun_again() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    fs::rename(dir.path().join("files/a"), dir.path().join("elsewhere")).unwrap();
    let flush = store.begin_flush().unwrap();
    assert!(matches!(flush.run(), Err(FlushError::Gone { .. })));
    store.flush_again(&flush);
    fs::rename(dir.path().join("elsewhere"), dir.path().join("files/a")).unwrap();
    store.begin_flush().unwrap().run().unwrap();
    assert!(State::default().files().is_empty());
}

#[test]
fn a_flush_that_finds_a_file_shut_is_not_taken_for_one_that_has_lost_it() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    // A program that runs can't be opened to be written, whoever one is.
    let path = dir.path().join("program");
    fs::copy("/bin/sleep", &path).unwrap();
    let mut program = std::process::Command::new(&path).arg("60").spawn().unwrap();
    fs::rename(&path, dir.path().join("files/a")).unwrap();
    let flush = store.begin_flush().unwrap();
    let result = flush.run();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(matches!(result, Err(FlushError::Shut { .. })), "{result:?}");
    store.flush_again(&flush);
    assert!(store.begin_flush().unwrap().run().is_ok());
}

#[test]
fn more_files_than_may_be_open_are_written_all_the_same() {
    let (dir, mut store) = store();
    let [first, second]: [Event; 2] = appends(&[(0, "one,"), (4, "two,")]).try_into().unwrap();
    for event in [first, second] {
        for number in 0..700 {
            let mut event = event.clone();
            if let Fact::FileAppended { file, .. } = &mut event.fact {
                *file = name(&format!("f{number}"));
            }
            store.write(&[event]);
        }
    }
    store.sync_all().unwrap();
    for number in 0..700 {
        assert_eq!(read(dir.path(), &format!("f{number}")), b"one,two,");
    }
    let open = fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    assert!(open < 600, "{open} files are open");
}
