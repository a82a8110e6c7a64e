//! Storage: a log or a file that is damaged, missing or modified, and a disk that is full.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::process::Command;
use std::time::{Duration, Instant};

use leasehold_tests::client::{RawClient, expect_code, number};
use leasehold_tests::command::leasehold;
use leasehold_tests::data_dir::DataDir;
use leasehold_tests::server::Server;
use leasehold_tests::small_disk::SmallDisk;
use leasehold_tests::wait::wait_for;
use rustix::process::{Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use tempfile::TempDir;

/// The longest lease that the servers of these tests grant.
const LEASE_MAX: Duration = Duration::from_secs(3);
const LEASE_MAX_FLAG: [&str; 2] = ["--lease-max-ms", "3000"];

/// Returns a server that has been killed, and the last token that it granted.
fn killed_server() -> (Server, u64) {
    let mut server = Server::start_with(&LEASE_MAX_FLAG);
    let mut client = RawClient::connect("C1", server.udp());
    client.append_under_lock("f", "A");
    let held = client.acquire("f");
    server.data_dir().expect_contents("f", "A");
    server.kill();
    (server, held)
}

/// Checks that the server refuses to start, with one line that names the flag to use.
#[track_caller]
fn expect_refusal(server: &Server) {
    let (status, output) = server.expect_start_failure(&[]);
    let code = status.code();
    assert!(code.is_some_and(|code| code != 0), "{status}");
    let errors: Vec<&str> =
        output.lines().filter(|line| line.contains("accept-data-loss")).collect();
    assert_eq!(errors.len(), 1, "one line that names --accept-data-loss in\n{output}");
    assert!(errors[0].contains("log"), "{output}");
    assert!(!output.contains("panicked"), "{output}");
}

/// Checks that the server starts without its log: it grants nothing until every lease that it
/// has lost must be over, its tokens are far larger than all tokens before, and the file keeps the
/// contents that are on disk.
fn expect_start_with_data_loss(server: &mut Server, last: u64) {
    server.set_flags(&[&LEASE_MAX_FLAG[..], &["--accept-data-loss"]].concat());
    // A slow machine can only be later than this.
    let old_leases_over = Instant::now() + LEASE_MAX;
    server.restart();
    let mut client = RawClient::connect("C2", server.udp());
    assert!(Instant::now() >= old_leases_over, "an old lease may be valid");
    let next = client.acquire_waiting("f");
    assert!(next > last + 1_000_000, "token {next} after {last}");
    let before = server.data_dir().contents("f");
    client.append_ok("f", next, "B");
    server.data_dir().expect_contents("f", &format!("{before}B"));
}

#[test]
fn a_damaged_log_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    let segment = server.data_dir().segment_paths().pop().unwrap();
    let segment = OpenOptions::new().write(true).open(segment).unwrap();
    let len = segment.metadata().unwrap().len();
    // All but the first bytes are overwritten, so that a check of any part finds the damage.
    let noise: Vec<u8> = (0..=255).cycle().take(usize::try_from(len).unwrap() - 80).collect();
    segment.write_all_at(&noise, 80).unwrap();
    expect_refusal(&server);
    expect_refusal(&server);
    expect_start_with_data_loss(&mut server, last);
}

#[test]
fn a_file_that_is_not_a_log_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    fs::remove_dir_all(server.data_dir().log_path()).unwrap();
    fs::write(server.data_dir().log_path(), "not a log at all").unwrap();
    let (status, output) = server.expect_start_failure(&[]);
    assert!(!status.success() && !output.contains("panicked"), "{output}");
    fs::remove_file(server.data_dir().log_path()).unwrap();
    expect_start_with_data_loss(&mut server, last);
}

#[test]
fn a_missing_log_is_refused_until_the_loss_is_accepted() {
    let (mut server, last) = killed_server();
    assert!(server.data_dir().state_path().exists(), "the server writes its state when it starts");
    fs::remove_dir_all(server.data_dir().log_path()).unwrap();
    expect_refusal(&server);
    expect_start_with_data_loss(&mut server, last);
}

#[test]
fn guarded_files_alone_are_not_taken_for_a_new_directory() {
    let (mut server, last) = killed_server();
    fs::remove_dir_all(server.data_dir().log_path()).unwrap();
    fs::remove_file(server.data_dir().state_path()).unwrap();
    expect_refusal(&server);
    expect_start_with_data_loss(&mut server, last);
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn two_losses_never_grant_the_same_token_and_a_kill_does_not_shorten_the_silence() {
    let (mut server, mut last) = killed_server();
    for _ in 0..2 {
        fs::remove_dir_all(server.data_dir().log_path()).unwrap();
        // Without the state file, only the wall clock tells which tokens are free.
        drop(fs::remove_file(server.data_dir().state_path()));
        server.set_flags(&[&LEASE_MAX_FLAG[..], &["--accept-data-loss"]].concat());
        let old_leases_over = Instant::now() + LEASE_MAX;
        server.start_and_kill_when(|data| data.log_path().exists());
        // The next start is an ordinary one, and still has to wait.
        server.set_flags(&LEASE_MAX_FLAG);
        server.restart();
        assert!(Instant::now() >= old_leases_over, "an old lease may be valid");
        let mut client = RawClient::connect("C2", server.udp());
        for name in ["f", "g", "h"] {
            let token = client.acquire(name);
            assert!(token > last, "token {token} after {last}");
            last = token;
        }
        server.kill();
    }
}

#[test]
fn an_older_copy_of_the_log_is_refused() {
    let mut server = Server::start_with(&LEASE_MAX_FLAG);
    let mut client = RawClient::connect("C1", server.udp());
    client.append_under_lock("f", "A");
    server.data_dir().expect_contents("f", "A");
    assert_eq!(server.terminate().code(), Some(0));
    let copy = TempDir::new().unwrap();
    DataDir::new(&server.data_dir().log_path()).copy_to(&copy.path().join("log"));
    server.restart();
    client.append_under_lock("f", "B");
    server.data_dir().expect_contents("f", "AB");
    server.kill();
    let state = fs::read(server.data_dir().state_path()).unwrap();
    for keeps_state_file in [true, false] {
        fs::remove_dir_all(server.data_dir().log_path()).unwrap();
        DataDir::new(&copy.path().join("log")).copy_to(&server.data_dir().log_path());
        if !keeps_state_file {
            fs::remove_file(server.data_dir().state_path()).unwrap();
        }
        expect_refusal(&server);
        server.data_dir().expect_contents("f", "AB");
    }
    fs::write(server.data_dir().state_path(), state).unwrap();
}

#[test]
fn the_state_file_is_readable_by_its_owner_only_and_may_be_deleted() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.append_ok("f", held, "A");
    assert_eq!(server.terminate().code(), Some(0));
    let path = server.data_dir().state_path();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let text = fs::read_to_string(&path).unwrap();
    let state: Value = serde_json::from_str(&text).unwrap();
    assert!(state.is_object() && text.contains("\"C1\"") && text.contains("\"f\""), "{text}");
    // The server recovers from the log, not from this file.
    fs::remove_file(&path).unwrap();
    server.restart();
    client.append_ok("f", held, "B");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn each_start_restores_guarded_files_from_the_log() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    for name in ["torn", "missing", "changed"] {
        client.append_under_lock(name, "one,");
        client.append_under_lock(name, "two");
        server.data_dir().expect_contents(name, "one,two");
    }
    server.kill();
    let data = server.data_dir();
    fs::write(data.file_path("torn"), "one,t").unwrap();
    fs::remove_file(data.file_path("missing")).unwrap();
    fs::write(data.file_path("changed"), "one,#wo").unwrap();
    server.restart();
    for name in ["torn", "missing", "changed"] {
        data.expect_contents(name, "one,two");
        client.append_under_lock(name, "!");
        data.expect_contents(name, "one,two!");
    }
}

#[test]
fn bytes_that_the_log_does_not_have_are_never_cut() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    client.append_under_lock("f", "one,");
    server.data_dir().expect_contents("f", "one,");
    server.kill();
    for (name, contents) in [("f", "one,two"), ("other", "two")] {
        let path = server.data_dir().file_path(name);
        let before = fs::read(&path).unwrap_or_default();
        fs::write(&path, contents).unwrap();
        expect_refusal(&server);
        assert_eq!(server.data_dir().contents(name), contents);
        fs::write(&path, before).unwrap();
    }
    server.restart();
    client.append_under_lock("f", "three");
    server.data_dir().expect_contents("f", "one,three");
}

#[test]
fn a_second_server_on_the_same_data_directory_is_refused() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    client.append_under_lock("f", "A");
    let mut second = leasehold();
    second.args(["serve", "--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--data-dir"]);
    second.arg(server.data_dir().path());
    let refused = leasehold_tests::command::run(&mut second);
    assert!(refused.code.is_some_and(|code| code != 0), "{refused:#?}");
    assert!(!refused.stderr.contains("panicked"), "{refused:#?}");
    client.append_under_lock("f", "B");
    server.data_dir().expect_contents("f", "AB");
}

#[test]
fn a_file_that_cannot_be_written_does_not_affect_others_and_recovers() {
    let server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    fs::create_dir(server.data_dir().file_path("f")).unwrap();
    let held = client.acquire("f");
    expect_code(&client.append("f", held, "A"), "storage_failed");
    client.append_under_lock("g", "B");
    fs::remove_dir(server.data_dir().file_path("f")).unwrap();
    wait_for("the file to be writable", || {
        (client.append("f", held, "C")["status"] == "appended").then_some(())
    });
    server.data_dir().expect_contents("f", "C");
    server.data_dir().expect_contents("g", "B");
}

#[test]
fn requests_beyond_the_limits_on_files_are_refused() {
    let server = Server::start_with(&["--max-files", "2", "--max-file-bytes", "10"]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.append_ok("f", held, "12345678");
    expect_code(&client.append("f", held, "901"), "too_large");
    client.append_ok("f", held, "90");
    client.append_under_lock("g", "A");
    let third = client.acquire("h");
    expect_code(&client.append("h", third, "A"), "overloaded");
    server.data_dir().expect_contents("f", "1234567890");
    server.data_dir().expect_contents("h", "");
}

#[test]
fn requests_beyond_the_limits_on_locks_and_waiters_are_refused() {
    let server = Server::start_with(&["--max-locks", "2", "--max-waiters", "1"]);
    let mut c1 = RawClient::connect("C1", server.udp());
    let mut c2 = RawClient::connect("C2", server.udp());
    let first = c1.acquire("f");
    c1.acquire("g");
    expect_code(&c1.call("acquire_lock", &json!({"lock": "h"})), "overloaded");
    c2.join_queue("f");
    let wait = json!({"lock": "g", "wait_ms": 60_000});
    expect_code(&c2.call("acquire_lock", &wait), "overloaded");
    c1.append_ok("f", first, "A");
    server.data_dir().expect_contents("f", "A");
}

/// This uses the resource limit on the size of files, which needs no privileges.
#[test]
fn an_append_that_cannot_be_written_is_not_acknowledged() {
    let mut server = Server::start();
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    server.kill();
    // Beyond the limit the kernel sends a signal, which the server must ignore to continue.
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""]).arg(leasehold().get_program());
    command.env("NO_COLOR", "1");
    server.restart_with(command);
    let limit = |bytes: Option<u64>| {
        let rlimit = Rlimit { current: bytes, maximum: None };
        prlimit(Some(server.process().pid()), Resource::Fsize, rlimit).unwrap();
    };
    client.append_ok("f", held, "before\n");
    limit(Some(1));
    let acknowledged = append_until_refused(&mut client, held, "before\n");
    limit(None);
    expect_recovery(&mut server, &mut client, held, acknowledged);
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let Some(disk) = SmallDisk::mount() else { return };
    let mut server = Server::start_in(&disk.path().join("data"), &[]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    client.append_ok("f", held, "before\n");
    disk.fill();
    let acknowledged = append_until_refused(&mut client, held, "before\n");
    disk.free();
    expect_recovery(&mut server, &mut client, held, acknowledged);
    server.kill();
}

/// Appends until the storage fails, and returns the expected contents of the file.
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
    panic!("18 MB were written although the disk was full");
}

/// Checks that the server accepts appends once there is space, and after a kill.
fn expect_recovery(server: &mut Server, client: &mut RawClient, held: u64, before: String) {
    let after = wait_for("the service to resume", || {
        assert!(server.try_wait().is_none(), "the server has exited");
        let reply = client.append("f", held, "after\n");
        (reply["status"] == "appended").then_some(reply)
    });
    assert_eq!(number(&after, "offset"), before.len() as u64, "no refused append was written");
    let expected = before + "after\n";
    server.data_dir().expect_contents("f", &expected);
    server.kill_and_restart();
    client.append_ok("f", held, "again\n");
    server.data_dir().expect_contents("f", &(expected + "again\n"));
}
