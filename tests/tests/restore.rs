//! `leasehold verify` and `leasehold restore`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use leasehold_tests::client::RawClient;
use leasehold_tests::command::{Outcome, leasehold, run};
use leasehold_tests::data_dir::DataDir;
use leasehold_tests::server::Server;
use tempfile::TempDir;

const LEASE_MAX: Duration = Duration::from_secs(2);
const FLAGS: [&str; 2] = ["--lease-max-ms", "2000"];

fn verify(dir: &Path) -> Outcome {
    run(leasehold().args(["verify", "--data-dir"]).arg(dir))
}

fn restore(from: &Path, dir: &Path) -> Outcome {
    run(leasehold().args(["restore", "--from"]).arg(from).arg("--data-dir").arg(dir))
}

/// Returns the names and contents of all files below a directory.
fn contents(dir: &DataDir) -> Vec<(std::path::PathBuf, Vec<u8>)> {
    dir.all_files().into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

/// A stopped server, a copy of its data directory, and the last token granted after the copy.
struct Scene {
    server: Server,
    directory: TempDir,
    last: u64,
}

impl Scene {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut server = Server::start_in(&directory.path().join("data"), &FLAGS);
        let mut client = RawClient::connect("C1", server.udp());
        client.append_under_lock("f", "one,");
        client.acquire("held");
        server.data_dir().expect_contents("f", "one,");
        assert_eq!(server.terminate().code(), Some(0));
        server.data_dir().copy_to(&directory.path().join("copy"));
        server.restart();
        let mut client = RawClient::connect("C2", server.udp());
        let last = client.append_under_lock("f", "two");
        client.append_under_lock("g", "new");
        server.data_dir().expect_contents("f", "one,two");
        server.data_dir().expect_contents("g", "new");
        server.kill();
        Self { server, directory, last: last + 1 }
    }

    fn copy(&self) -> DataDir {
        DataDir::new(&self.directory.path().join("copy"))
    }
}

#[test]
fn verify_reads_everything_and_changes_nothing() {
    let scene = Scene::new();
    let data = scene.server.data_dir();
    let before = contents(&data);
    let intact = verify(data.path()).expect(0);
    for part in ["intact", "token 4", "2 files, 10 bytes", "nothing that was acknowledged"] {
        assert!(intact.stdout.contains(part), "{part} in {}", intact.stdout);
    }
    assert_eq!(contents(&data), before);
    fs::write(data.file_path("f"), "one,").unwrap();
    assert!(verify(data.path()).expect(0).stdout.contains("f differs from the log"));
    fs::write(data.file_path("f"), "one,two,three").unwrap();
    let longer = verify(data.path()).expect(1);
    assert!(longer.stderr.contains("f has 13 bytes"), "{}", longer.stderr);
    assert_eq!(data.contents("f"), "one,two,three");
    fs::write(data.file_path("f"), "one,two").unwrap();
    let segment = data.segment_paths().pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, &bytes).unwrap();
    let damaged = verify(data.path()).expect(1);
    assert!(damaged.stderr.contains("damaged") && damaged.stderr.lines().count() == 1);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "verify changes nothing");
    assert!(verify(scene.directory.path()).expect(1).stderr.contains("contains no log"));
    verify(Path::new("does/not/exist")).expect(1);
}

#[test]
fn verify_and_restore_refuse_a_directory_in_use() {
    let scene = Scene::new();
    let running = Server::start();
    let in_use = running.data_dir();
    for outcome in [
        verify(in_use.path()),
        restore(in_use.path(), scene.server.data_dir().path()),
        restore(scene.copy().path(), in_use.path()),
    ] {
        assert!(outcome.expect(1).stderr.contains("another server uses"));
    }
}

#[test]
fn restore_keeps_what_it_replaces_and_moves_tokens_ahead_of_all_that_were_seen() {
    let mut scene = Scene::new();
    let (data, copy) = (scene.server.data_dir(), scene.copy());
    let before = contents(&copy);
    let mut last = scene.last;
    for _ in 0..2 {
        let report = restore(copy.path(), data.path()).expect(0).stdout;
        assert!(report.contains("lost: 1 sessions and 1 locks"), "{report}");
        assert!(report.contains("restored;") && report.contains("kept:"), "{report}");
        verify(data.path()).expect(0);
        assert_eq!(contents(&copy), before, "the copy is not changed");
        let old_leases_over = Instant::now() + LEASE_MAX;
        scene.server.restart();
        assert!(Instant::now() >= old_leases_over, "an old lease may be valid");
        data.expect_contents("f", "one,");
        let mut client = RawClient::connect("C3", scene.server.udp());
        let token = client.append_under_lock("f", "three");
        assert!(token > last + 1_000_000, "token {token} after {last}");
        last = token;
        data.expect_contents("f", "one,three");
        scene.server.kill();
    }
    let kept = fs::read_dir(data.path()).unwrap().map(|entry| entry.unwrap().path());
    let kept = kept.filter(|path| path.join("f").exists() && path.join("g").exists());
    let kept: Vec<_> = kept.map(|path| fs::read_to_string(path.join("f")).unwrap()).collect();
    assert_eq!(kept, ["one,two"], "the files that were replaced first are kept");
}

#[test]
fn restore_says_which_bytes_are_lost() {
    let scene = Scene::new();
    let report = restore(scene.copy().path(), scene.server.data_dir().path()).expect(0).stdout;
    assert!(report.contains("lost: 3 bytes of f after byte 4"), "{report}");
    assert!(report.contains("lost: 3 bytes of g after byte 0"), "{report}");
}

#[test]
fn restore_into_an_empty_directory_starts() {
    let scene = Scene::new();
    let directory = TempDir::new().unwrap();
    let target = directory.path().join("new");
    restore(scene.copy().path(), &target).expect(0);
    let server = Server::start_in(&target, &FLAGS);
    let mut client = RawClient::connect("C3", server.udp());
    assert!(client.append_under_lock("f", "three") > scene.last + 1_000_000);
    server.data_dir().expect_contents("f", "one,three");
}

#[test]
fn damaged_copy_is_not_restored() {
    let mut scene = Scene::new();
    let (data, copy) = (scene.server.data_dir(), scene.copy());
    let before = contents(&data);
    let segment = copy.segment_paths().pop().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let refused = restore(copy.path(), data.path()).expect(1);
    assert!(refused.stderr.contains("is not intact"), "{}", refused.stderr);
    let inside = restore(&data.path().join("files"), data.path()).expect(1);
    assert!(inside.stderr.contains("outside"), "{}", inside.stderr);
    assert_eq!(contents(&data), before, "nothing is replaced");
    scene.server.restart();
    data.expect_contents("f", "one,two");
}
