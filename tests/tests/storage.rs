//! The disk: damaged, missing, tampered with, and full.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use leasehold_tests::client::{RawClient, expect_code, number};
use leasehold_tests::command::leasehold;
use leasehold_tests::log::{tell, wait_for};
use leasehold_tests::server::Server;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest lease of these tests: as long as a server that lost its data is silent for.
const LEASE_MAX: [&str; 2] = ["--lease-max-ms", "3000"];
const SILENCE: Duration = Duration::from_secs(3);

/// A server that has done something, and was killed. Gives the last token that it granted.
fn killed_server() -> (Server, u64) {
    let mut server = Server::start_with(&LEASE_MAX);
    let mut client = RawClient::connect("C1", server.udp());
    client.turn("f", "A");
    let held = client.acquire("f");
    server.data().expect("f", "A");
    server.kill();
    (server, held)
}

/// Panics unless the server refuses to start, in one clear line that names the way out.
#[track_caller]
fn expect_refusal(server: &Server) {
    let (status, said) = server.start_in_vain(&[]);
    let code = status.code();
    assert!(code.is_some_and(|code| code != 0), "{status}");
    let errors: Vec<&str> = said.lines().filter(|line| line.contains("accept-data-loss")).collect();
    assert_eq!(errors.len(), 1, "one line that names --accept-data-loss in\n{said}");
    assert!(errors[0].contains("journal"), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}

/// Panics unless the server starts without its journal: silent for its longest lease, with tokens
/// far ahead of all that were granted before, and nothing of the file lost that the disk still has.
fn expect_fresh_start(server: &mut Server, last: u64) {
    server.set_flags(&[&LEASE_MAX[..], &["--accept-data-loss"]].concat());
    let begun = Instant::now();
    server.start_again();
    let mut client = RawClient::connect("C2", server.udp());
    assert!(
        begun.elapsed() >= SILENCE,
        "somebody may hold a lock still, after {:?}",
        begun.elapsed()
    );
    let next = client.acquire_waiting("f");
    assert!(next > last + 1_000_000, "token {next} after {last}");
    let before = server.data().contents("f");
    client.write("f", next, "B");
    server.data().expect("f", &format!("{before}B"));
}

#[test]
fn a_damaged_journal_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    let journal = OpenOptions::new().write(true).open(server.data().journal()).unwrap();
    let len = journal.metadata().unwrap().len();
    // All of it but its first bytes, so that the damage is found wherever it is looked for.
    let noise: Vec<u8> = (0..=255).cycle().take(usize::try_from(len).unwrap() - 64).collect();
    journal.write_all_at(&noise, 64).unwrap();
    expect_refusal(&server);
    expect_refusal(&server);
    expect_fresh_start(&mut server, last);
}

#[test]
fn a_journal_that_is_no_journal_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    fs::write(server.data().journal(), "not a journal at all").unwrap();
    expect_refusal(&server);
    expect_fresh_start(&mut server, last);
}

#[test]
fn a_journal_missing_beside_the_state_file_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    assert!(server.data().state().exists(), "the state is written at start");
    fs::remove_file(server.data().journal()).unwrap();
    expect_refusal(&server);
    expect_fresh_start(&mut server, last);
}

#[test]
fn the_state_file_is_for_people_and_for_its_owner_only() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.write("f", held, "A");
    assert_eq!(server.end().code(), Some(0));
    let path = server.data().state();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let text = fs::read_to_string(&path).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    assert!(state.is_object() && text.contains("\"C1\"") && text.contains("\"f\""), "{text}");
    // People may do with it as they like: the journal is what counts.
    fs::remove_file(&path).unwrap();
    server.start_again();
    client.write("f", held, "B");
    server.data().expect("f", "AB");
}

#[test]
fn guarded_files_are_made_equal_to_the_journal_at_each_start() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    for name in ["torn", "missing", "longer", "changed"] {
        client.turn(name, "one,");
        client.turn(name, "two");
        server.data().expect(name, "one,two");
    }
    server.kill();
    let folder = server.data();
    fs::write(folder.file("torn"), "one,t").unwrap();
    fs::remove_file(folder.file("missing")).unwrap();
    fs::write(folder.file("longer"), "one,twoXYZ").unwrap();
    server.start_again();
    for name in ["torn", "missing", "longer", "changed"] {
        folder.expect(name, "one,two");
        client.turn(name, "!");
        folder.expect(name, "one,two!");
    }
}

#[test]
fn two_servers_on_one_folder_do_not_happen() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    client.turn("f", "A");
    let mut second = leasehold();
    second.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]);
    second.arg(server.data().path());
    let refused = leasehold_tests::command::run(&mut second);
    assert!(refused.code.is_some_and(|code| code != 0), "{refused:#?}");
    assert!(!refused.errors.contains("panicked"), "{refused:#?}");
    client.turn("f", "B");
    server.data().expect("f", "AB");
}

#[test]
fn a_file_that_cannot_be_written_is_refused_alone_and_can_be_tried_again() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    fs::create_dir(server.data().file("f")).unwrap();
    let held = client.acquire("f");
    expect_code(&client.append("f", held, "A"), "storage_failed");
    client.turn("g", "B");
    fs::remove_dir(server.data().file("f")).unwrap();
    wait_for("the file to be writable", || {
        (client.append("f", held, "C")["status"] == "appended").then_some(())
    });
    server.data().expect("f", "C");
    server.data().expect("g", "B");
}

#[test]
fn bounds_on_files_are_refusals() {
    let server = Server::start_with(&["--max-files", "2", "--max-file-bytes", "10"]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.write("f", held, "12345678");
    expect_code(&client.append("f", held, "901"), "too_large");
    client.write("f", held, "90");
    client.turn("g", "A");
    let third = client.acquire("h");
    expect_code(&client.append("h", third, "A"), "overloaded");
    server.data().expect("f", "1234567890");
    server.data().expect("h", "");
}

#[test]
fn bounds_on_locks_and_waiters_are_refusals() {
    let server = Server::start_with(&["--max-locks", "2", "--max-waiters", "1"]);
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let first = c1.acquire("f");
    c1.acquire("g");
    expect_code(&c1.ask("acquire_lock", &json!({"lock": "h"})), "overloaded");
    c2.stand_in_line("f");
    let wait = json!({"lock": "g", "wait_ms": 60_000});
    expect_code(&c2.ask("acquire_lock", &wait), "overloaded");
    c1.write("f", first, "A");
    server.data().expect("f", "A");
}

/// The bound on the size of what the process may write, which no test needs to be root for.
#[test]
fn where_nothing_more_can_be_written_nothing_more_is_acknowledged() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    server.kill();
    let used = fs::metadata(server.data().journal()).unwrap().len();
    // The signal which that bound sends is ignored, as it is in any service that is to outlive it.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(leasehold().get_program());
    command.env("NO_COLOR", "1");
    server.start_as(command);
    // In one such run of the server the bound comes down on it, and is lifted again.
    let limit = |most: Option<u64>| {
        let rlimit = Rlimit { current: most, maximum: None };
        prlimit(Some(server.process().pid()), Resource::Fsize, rlimit).unwrap();
    };
    client.write("f", held, "before\n");
    limit(Some(used));
    let acknowledged = append_until_refused(&mut client, held, "before\n");
    limit(None);
    expect_recovery(&mut server, &mut client, held, acknowledged);
}

/// A disk that is really full. Only root may make one; without that right there is no such test.
#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let folder = TempDir::new().unwrap();
    let Some(disk) = SmallDisk::mount(folder.path()) else {
        tell("disk", "only root may mount one");
        return;
    };
    let mut server = Server::start_in(&folder.path().join("data"), &[]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.write("f", held, "before\n");
    disk.fill();
    let acknowledged = append_until_refused(&mut client, held, "before\n");
    disk.make_room();
    expect_recovery(&mut server, &mut client, held, acknowledged);
    server.kill();
}

/// Appends until one is refused, for want of storage; gives what the file should then hold.
fn append_until_refused(client: &mut RawClient, held: u64, before: &str) -> String {
    let mut expected = before.to_owned();
    for line in 0..20_000 {
        let line = format!("{line:0900}\n");
        let reply = client.append("f", held, &line);
        if reply["status"] != "appended" {
            expect_code(&reply, "storage_failed");
            return expected;
        }
        assert_eq!(number(&reply, "offset"), expected.len() as u64);
        expected.push_str(&line);
    }
    panic!("18 MB fit where there was no room for them");
}

/// Panics unless the service goes on, once there is room, and again after a kill.
fn expect_recovery(server: &mut Server, client: &mut RawClient, held: u64, before: String) {
    let after = wait_for("the service to resume", || {
        assert!(server.ended().is_none(), "the server gave up");
        let reply = client.append("f", held, "after\n");
        (reply["status"] == "appended").then_some(reply)
    });
    assert_eq!(number(&after, "offset"), before.len() as u64, "nothing in between");
    let expected = before + "after\n";
    server.data().expect("f", &expected);
    server.kill_and_start_again();
    client.write("f", held, "again\n");
    server.data().expect("f", &(expected + "again\n"));
}

/// A file system of a few megabytes. Unmounted when dropped.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(path: &'a Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=16m", "none"]).arg(path);
        mount.status().is_ok_and(|status| status.success()).then_some(Self(path))
    }

    fn fill(&self) {
        let ballast = fs::File::create(self.ballast()).unwrap();
        let chunk = [0; 4_096];
        let mut at = 0;
        while ballast.write_at(&chunk, at).is_ok_and(|len| len == chunk.len()) {
            at += 4_096;
        }
        tell("disk", format_args!("full, {at} bytes of ballast"));
    }

    fn make_room(&self) {
        fs::remove_file(self.ballast()).unwrap();
    }

    fn ballast(&self) -> std::path::PathBuf {
        self.0.join("ballast")
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        // Lazily: the server may still have it open where the test has failed.
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}
