//! The data directory of version 0.1, whose server was killed: it is converted once.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::Path;

use flate2::read::GzDecoder;
use leasehold_core::id::{Name, Token};
use leasehold_server::recovery::recover;
use tempfile::TempDir;

/// Returns a copy of the fixture.
fn old_data_dir() -> TempDir {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/0.1.0");
    let dir = tempfile::tempdir().unwrap();
    for name in ["journal.redb", "journal.tail"] {
        let packed = File::open(fixture.join(format!("{name}.gz"))).unwrap();
        let mut file = File::create(dir.path().join(name)).unwrap();
        io::copy(&mut GzDecoder::new(packed), &mut file).unwrap();
    }
    fs::create_dir(dir.path().join("files")).unwrap();
    for name in ["server_state.json", "files/file_a", "files/file_b"] {
        fs::copy(fixture.join(name), dir.path().join(name)).unwrap();
    }
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn data_directory_of_version_0_1_is_converted() {
    let dir = old_data_dir();
    // The last append is in the log only.
    fs::write(dir.path().join("files/file_a"), "line 1 of a\nline 2 of a\n").unwrap();
    for _ in 0..2 {
        let recovered = recover(dir.path(), false).unwrap();
        let state = &recovered.start.state;
        assert_eq!(state.last_token(), Token::new(7));
        assert!(state.locks()[&Name::new("held").unwrap()].tenure().is_some());
        assert!(recovered.start.index_floor > state.applied_index() && !recovered.data_lost);
        let contents = fs::read_to_string(dir.path().join("files/file_a")).unwrap();
        assert_eq!(contents, "line 1 of a\nline 2 of a\nline 3 of a\n");
    }
    assert_eq!(
        names(dir.path()),
        ["files", "journal.redb.converted", "journal.tail.converted", "log", "server_state.json"]
    );
}

#[test]
fn interrupted_conversion_is_completed() {
    let dir = old_data_dir();
    drop(recover(dir.path(), false).unwrap());
    let mut converted = Vec::new();
    let log = dir.path().join("log");
    for entry in fs::read_dir(&log).unwrap() {
        let entry = entry.unwrap();
        File::open(entry.path()).unwrap().read_to_end(&mut converted).unwrap();
    }
    // The new log was complete, but the old one not renamed.
    let again = old_data_dir();
    fs::rename(&log, again.path().join("log")).unwrap();
    assert_eq!(recover(again.path(), false).unwrap().start.state.last_token(), Token::new(7));
    assert!(!names(again.path()).contains(&"journal.redb".to_owned()));
    // The new log was not complete, so the old one counts.
    let again = old_data_dir();
    fs::create_dir(again.path().join("log.new")).unwrap();
    fs::write(again.path().join("log.new/00000000000000000001.segment"), "incomplete").unwrap();
    assert_eq!(recover(again.path(), false).unwrap().start.state.last_token(), Token::new(7));
}

#[test]
fn damaged_or_incomplete_old_log_is_refused() {
    let refusal = |damage: &dyn Fn(&Path)| {
        let dir = old_data_dir();
        damage(dir.path());
        let error = recover(dir.path(), false).err().expect("a refusal").to_string();
        assert!(error.contains("--accept-data-loss") && !error.contains('\n'), "{error}");
        assert!(!dir.path().join("log").exists());
        error
    };
    for name in ["journal.redb", "journal.tail"] {
        let error = refusal(&|dir| fs::remove_file(dir.join(name)).unwrap());
        assert!(error.contains(name), "{error}");
        refusal(&|dir| fs::write(dir.join(name), "garbage").unwrap());
    }
    refusal(&|dir| {
        let path = dir.join("journal.tail");
        let mut bytes = fs::read(&path).unwrap();
        let at = bytes.windows(11).position(|window| window == b"line 1 of a").unwrap();
        bytes[at] ^= 1;
        fs::write(&path, bytes).unwrap();
    });
    let error = refusal(&|dir| {
        let newer = fs::read_to_string(dir.join("server_state.json")).unwrap();
        let newer = newer.replacen("\"last_token\": 0", "\"last_token\": 9", 1);
        fs::write(dir.join("server_state.json"), newer).unwrap();
    });
    assert!(error.contains("server_state.json"), "{error}");
    let error =
        refusal(&|dir| fs::write(dir.join("files/file_b"), "line 1 of b\n".repeat(9)).unwrap());
    assert!(error.contains("file_b"), "{error}");
}
