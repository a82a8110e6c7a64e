//! The guarded files: repair, tampering, full disks.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;

use leasehold_core::data::Data;
use leasehold_core::event::{Event, EventKind};
use leasehold_core::id::Name;
use leasehold_core::state::State;
use leasehold_server::files::{FileContradiction, FileStore, FlushError, RepairError};
use leasehold_server::log::RecoveredAppend;
use tempfile::TempDir;

use super::workload::Workload;

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
fn expect_files(dir: &Path, workload: &Workload) {
    for (file, bytes) in &workload.files {
        assert_eq!(read(dir, file.as_str()), *bytes, "{file}");
    }
    assert_eq!(fs::read_dir(dir.join("files")).unwrap().count(), workload.files.len());
}

/// Repairs files from what a log would recover of a workload if a snapshot covered its first
/// `covered_batches` batches.
fn repair(
    store: &mut FileStore,
    workload: &Workload,
    covered_batches: usize,
) -> Result<(), RepairError> {
    let appends = workload.batches[covered_batches..].iter().flatten().filter_map(|event| {
        let EventKind::FileAppended { file, offset, data, .. } = &event.kind else { return None };
        Some(RecoveredAppend { file: file.clone(), offset: *offset, data: data.clone() })
    });
    store.repair(workload.states.last().unwrap(), &appends.collect::<Vec<_>>())
}

/// Returns events that append these texts at these offsets of the file `a`.
fn appends(at: &[(u64, &str)]) -> Vec<Event> {
    let workload = Workload::new(1, 60, 6);
    let template = workload.batches.iter().flatten().find(|it| it.kind.code() == "file_appended");
    let mut event = template.unwrap().clone();
    let append = |(start, text): &(u64, &str)| {
        if let EventKind::FileAppended { file, offset, data, .. } = &mut event.kind {
            (*file, *offset, *data) = (name("a"), *start, Data::new(text.as_bytes()));
        }
        event.clone()
    };
    at.iter().map(append).collect()
}

#[test]
fn appended_bytes_are_in_the_files() {
    let workload = Workload::new(31, 120, 6);
    let (dir, mut store) = store();
    workload.batches.iter().for_each(|batch| store.write(batch));
    assert!(store.is_fully_written());
    assert_eq!(store.take_writability_changes(), []);
    store.sync_all().unwrap();
    expect_files(dir.path(), &workload);
    let mode = fs::metadata(dir.path().join("files/a")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777 & !0o644, 0, "{mode:o}");
}

/// Damages a file that had this length when the snapshot was taken.
type Damage = fn(&Path, u64);

#[test]
fn startup_repairs_the_files_from_the_log() {
    let workload = Workload::new(32, 120, 6);
    let covered = 60;
    let snapshot_lens: Vec<(Name, u64)> = workload.states[covered]
        .files()
        .iter()
        .map(|(name, file)| (name.clone(), file.len()))
        .collect();
    let damages: [(&str, Damage); 5] = [
        ("no damage", |_, _| {}),
        ("a truncated end", |path, snapshot_len| {
            let len = fs::metadata(path).unwrap().len();
            let file = fs::OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(len.midpoint(snapshot_len)).unwrap();
        }),
        ("a truncation to the snapshot", |path, snapshot_len| {
            fs::OpenOptions::new().write(true).open(path).unwrap().set_len(snapshot_len).unwrap();
        }),
        ("other bytes after the snapshot", |path, snapshot_len| {
            let mut bytes = fs::read(path).unwrap();
            bytes[usize::try_from(snapshot_len).unwrap()..].fill(b'#');
            fs::write(path, bytes).unwrap();
        }),
        ("zeros after the snapshot", |path, snapshot_len| {
            let mut bytes = fs::read(path).unwrap();
            bytes[usize::try_from(snapshot_len).unwrap()..].fill(0);
            fs::write(path, bytes).unwrap();
        }),
    ];
    for (description, damage) in damages {
        let (dir, mut store) = store();
        workload.batches.iter().for_each(|batch| store.write(batch));
        for (name, snapshot_len) in &snapshot_lens {
            damage(&dir.path().join("files").join(name.as_str()), *snapshot_len);
        }
        let mut store = FileStore::open(&dir.path().join("files")).unwrap();
        repair(&mut store, &workload, covered).unwrap();
        println!("after {description}");
        expect_files(dir.path(), &workload);
        assert_eq!(store.take_writability_changes(), []);
        let kept = dir.path().join("files.replaced");
        let kept = fs::read_dir(kept).map_or(0, Iterator::count);
        assert_eq!(kept > 0, description.starts_with("other bytes"), "{kept} files are kept");
    }
}

#[test]
fn file_with_more_bytes_than_the_log_is_neither_truncated_nor_accepted() {
    let workload = Workload::new(32, 120, 6);
    let (dir, mut store) = store();
    workload.batches.iter().for_each(|batch| store.write(batch));
    let path = dir.path().join("files/a");
    let mut bytes = fs::read(&path).unwrap();
    bytes.extend_from_slice(b"acknowledged, but lost from the log");
    fs::write(&path, &bytes).unwrap();
    let mut store = FileStore::open(&dir.path().join("files")).unwrap();
    let error = repair(&mut store, &workload, 60).unwrap_err();
    assert!(
        matches!(&error, RepairError::Contradiction(FileContradiction::Unaccounted { name, .. })
            if name.as_str() == "a"),
        "{error}"
    );
    assert_eq!(fs::read(&path).unwrap(), bytes);
}

#[test]
fn missing_files_are_restored_from_the_log_unless_a_snapshot_covers_them() {
    let workload = Workload::new(33, 120, 6);
    let (dir, mut store) = store();
    repair(&mut store, &workload, 0).unwrap();
    expect_files(dir.path(), &workload);
    fs::remove_file(dir.path().join("files/a")).unwrap();
    let mut store = FileStore::open(&dir.path().join("files")).unwrap();
    let error = repair(&mut store, &workload, 90).unwrap_err();
    let expected = workload.states[90].files()[&name("a")].len();
    assert!(
        matches!(
            &error,
            RepairError::Contradiction(FileContradiction::Truncated {
                name, expected: at, found: 0
            }) if name.as_str() == "a" && *at == expected
        ),
        "{error}"
    );
}

#[test]
fn non_regular_file_is_never_opened_and_does_not_block_other_files() {
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
        assert!(store.check_writable(&name(bad)).is_err(), "{bad}");
    }
    assert!(store.check_writable(&name("not_there_yet")).is_ok());
    let workload = Workload::new(34, 60, 6);
    workload.batches.iter().for_each(|batch| store.write(batch));
    let mut changes = store.take_writability_changes();
    changes.sort();
    assert_eq!(changes, [(name("a"), false), (name("b"), false)]);
    assert!(!store.is_fully_written());
    assert!(store.begin_flush().is_none());
    assert_eq!(read(dir.path(), "c"), workload.files[&name("c")]);
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    store.retry();
    assert_eq!(store.take_writability_changes(), [], "no file has become writable");
    for bad in ["a", "b"] {
        fs::remove_file(files.join(bad)).unwrap();
    }
    fs::remove_dir(files.join("d")).unwrap();
    store.retry();
    assert_eq!(store.take_writability_changes(), [(name("a"), true), (name("b"), true)]);
    assert!(store.is_fully_written());
    expect_files(dir.path(), &workload);
}

#[test]
fn planted_symlink_is_neither_repaired_nor_followed() {
    let workload = Workload::new(35, 60, 6);
    let (dir, mut store) = store();
    let outside = dir.path().join("victim");
    fs::write(&outside, "untouched").unwrap();
    symlink(&outside, dir.path().join("files/a")).unwrap();
    repair(&mut store, &workload, 0).unwrap();
    assert_eq!(store.take_writability_changes(), [(name("a"), false)]);
    assert_eq!(fs::read(&outside).unwrap(), b"untouched");
    assert_eq!(read(dir.path(), "c"), workload.files[&name("c")]);
    fs::remove_file(dir.path().join("files/a")).unwrap();
    store.retry();
    expect_files(dir.path(), &workload);
}

#[test]
fn truncated_file_gets_no_hole() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,"), (4, "two,")]));
    assert_eq!(read(dir.path(), "a"), b"one,two,");
    fs::write(dir.path().join("files/a"), "one,").unwrap();
    store.write(&appends(&[(8, "three")]));
    assert_eq!(store.take_writability_changes(), [(name("a"), false)]);
    assert_eq!(read(dir.path(), "a"), b"one,");
    fs::write(dir.path().join("files/a"), "one,two,").unwrap();
    store.retry();
    assert_eq!(store.take_writability_changes(), [(name("a"), true)]);
    assert_eq!(read(dir.path(), "a"), b"one,two,three");
}

#[test]
fn bytes_of_another_program_are_not_overwritten() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    for foreign in ["one,#", "one,two,#", "one,two,three,four"] {
        fs::write(dir.path().join("files/a"), foreign).unwrap();
        store.write(&appends(&[(4, "two,")]));
        assert_eq!(store.take_writability_changes(), [(name("a"), false)]);
        store.write(&appends(&[(8, "three")]));
        assert_eq!(read(dir.path(), "a"), foreign.as_bytes());
        // A part of the bytes may have been written before the failure.
        fs::write(dir.path().join("files/a"), "one,t").unwrap();
        store.retry();
        assert_eq!(store.take_writability_changes(), [(name("a"), true)]);
        assert_eq!(read(dir.path(), "a"), b"one,two,three");
        fs::write(dir.path().join("files/a"), "one,").unwrap();
    }
}

#[test]
fn removal_of_an_open_file_is_detected() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    fs::remove_file(dir.path().join("files/a")).unwrap();
    store.write(&appends(&[(4, "two,")]));
    assert_eq!(store.take_writability_changes(), [(name("a"), false)]);
    assert!(!store.is_fully_written());
}

#[test]
fn flush_of_a_missing_file_fails_and_can_be_retried() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    fs::rename(dir.path().join("files/a"), dir.path().join("elsewhere")).unwrap();
    let flush = store.begin_flush().unwrap();
    assert!(matches!(flush.run(), Err(FlushError::Missing { .. })));
    store.requeue_flush(&flush);
    fs::rename(dir.path().join("elsewhere"), dir.path().join("files/a")).unwrap();
    store.begin_flush().unwrap().run().unwrap();
    assert!(State::default().files().is_empty());
}

#[test]
fn flush_distinguishes_an_unopenable_file_from_a_missing_one() {
    let (dir, mut store) = store();
    store.write(&appends(&[(0, "one,")]));
    // A running program cannot be opened for writing, not even by root.
    let path = dir.path().join("program");
    fs::copy("/bin/sleep", &path).unwrap();
    let mut program = std::process::Command::new(&path).arg("60").spawn().unwrap();
    fs::rename(&path, dir.path().join("files/a")).unwrap();
    let flush = store.begin_flush().unwrap();
    let result = flush.run();
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(matches!(result, Err(FlushError::CannotOpen { .. })), "{result:?}");
    store.requeue_flush(&flush);
    assert!(store.begin_flush().unwrap().run().is_ok());
}

#[test]
fn more_files_than_the_open_file_limit_can_be_written() {
    let (dir, mut store) = store();
    let [first, second]: [Event; 2] = appends(&[(0, "one,"), (4, "two,")]).try_into().unwrap();
    for event in [first, second] {
        for number in 0..700 {
            let mut event = event.clone();
            if let EventKind::FileAppended { file, .. } = &mut event.kind {
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
