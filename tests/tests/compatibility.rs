//! Data directories that released versions wrote must be readable: sessions, tenures, tokens and
//! files are what they were.
//!
//! Each fixture is a compressed directory. In `-killed` the server was killed while a session held
//! the lock `job`, token 7, and another waited for it; `-stopped` is the same directory after
//! another start, the end of the waiting session, and a graceful stop.

use std::path::{Path, PathBuf};
use std::process::Command;

use leasehold_tests::client::RawClient;
use leasehold_tests::server::Server;
use leasehold_tests::wait::wait_for;
use tempfile::TempDir;

/// The bytes of the guarded files in the fixtures.
const FILES: [(&str, &str); 4] = [
    (
        "file_0",
        "Log entry from client_1 writing to file_0\nLog entry from client_3 writing to file_0\n",
    ),
    ("file_2", "Log entry from client_2 writing to file_2\n"),
    (
        "file_3",
        "Log entry from client_4 writing to file_3\nLog entry from client_5 writing to file_3\n",
    ),
    ("notes", "one\ntwo\n"),
];

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(format!("{name}.tar.gz"))
}

/// Unpacks a fixture, whose only directory becomes the data directory.
fn unpack(name: &str, parent: &Path) -> PathBuf {
    let data = parent.join("data");
    std::fs::create_dir(&data).expect("a new directory");
    let mut tar = Command::new("tar");
    tar.arg("-xzf").arg(fixture(name)).arg("-C").arg(&data).arg("--strip-components=1");
    assert!(tar.status().expect("tar runs").success(), "{name} is a compressed archive");
    data
}

#[track_caller]
fn expect_everything(name: &str, sessions: &[u64]) {
    let parent = TempDir::with_prefix("leasehold-").expect("a temporary directory");
    let data = unpack(name, parent.path());
    // The leases of the fixture's sessions begin again at the start of the server.
    let server = Server::start_in(&data, &["--lease-ms", "5000"]);
    for (file, contents) in FILES {
        assert_eq!(server.data_dir().contents(file), contents, "{file} of {name}");
    }
    let state = leasehold_tests::http::get(server.http(), "/api/state").json();
    assert_eq!(state["last_token"], 7, "{name}: {state}");
    let lock = &state["state"]["locks"]["job"];
    assert_eq!(lock["tenure"]["token"], 7, "{name}: {lock}");
    let session_nos: Vec<u64> = state["state"]["sessions"]
        .as_object()
        .expect("sessions by number")
        .keys()
        .map(|number| number.parse().expect("a number"))
        .collect();
    assert_eq!(session_nos, sessions, "{name}");
    // Nothing is granted twice: the next token is larger, and the file continues where it ended.
    let mut client = RawClient::connect("C1", server.udp());
    let token = client.acquire("notes");
    assert_eq!(token, 8, "{name}");
    client.append_ok("notes", token, "three\n");
    wait_for("the appended line", || {
        (server.data_dir().contents("notes") == "one\ntwo\nthree\n").then_some(())
    });
}

#[test]
fn directory_of_version_0_1_0_that_was_killed_is_read() {
    expect_everything("data-0.1.0-killed", &[7, 8]);
}

#[test]
fn directory_of_version_0_1_0_that_was_stopped_is_read() {
    expect_everything("data-0.1.0-stopped", &[7]);
}
