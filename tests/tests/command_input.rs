//! Unusual input of the commands: names, empty variables, long lines, files with a byte order mark,
//! and runs that are too long.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::process::{Command, Stdio};

use leasehold_tests::command::{leasehold, leasehold_against, run, run_against, run_with_input};
use leasehold_tests::process::Process;
use leasehold_tests::server::Server;
use leasehold_tests::wait::WAIT_LIMIT;
use serde_json::{Value, json};
use tempfile::TempDir;

#[test]
fn a_name_may_begin_with_a_hyphen() {
    let server = Server::start();
    for name in ["-x", "--dash"] {
        let script = ["lock", name, "--", "sh", "-c", "echo $LEASEHOLD_LOCK"];
        assert_eq!(run_against(&server, &script).expect(0).stdout.trim(), name);
        run_against(&server, &["append", "--", name, "text"]).expect(0);
        assert_eq!(run_against(&server, &["cat", "--", name]).expect(0).stdout, "text\n");
    }
}

#[test]
fn an_empty_variable_counts_as_not_set() {
    let server = Server::start();
    for variable in ["LEASEHOLD_KEY_FILE", "RUST_LOG"] {
        run(leasehold_against(&server).args(["append", "f", "x"]).env(variable, "")).expect(0);
    }
    for variable in ["LEASEHOLD_SERVER", "LEASEHOLD_HTTP", "LEASEHOLD_KEY_FILE"] {
        let mut command = leasehold();
        // The default port, so whether there is a server depends on the machine.
        let outcome = run(command.arg("status").env(variable, ""));
        assert_ne!(outcome.code, Some(2), "{variable}\n{outcome:#?}");
        assert!(!outcome.stderr.contains("key file"), "{outcome:#?}");
    }
}

#[test]
fn a_line_that_cannot_fit_is_refused_before_it_is_read_to_its_end() {
    let server = Server::start();
    let mut command = leasehold_against(&server);
    command.args(["append", "f"]);
    let mut append = Process::start("append", &mut command);
    // The input stays open: the command must not wait for its end, or for a newline.
    append.input().write_all(b"first\n").unwrap();
    append.input().write_all(&[b'x'; 4_000]).unwrap();
    let status = append.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(1));
    let (_, error) = append.remaining_output();
    assert!(error.contains("line 2") && error.contains("split it"), "{error}");
    server.data_dir().expect_contents("f", "first\n");
}

#[test]
fn data_may_contain_nul() {
    let server = Server::start();
    let text = format!("a\0b{}\n", "\0".repeat(700));
    run_with_input(leasehold_against(&server).args(["append", "f"]), &text).expect(0);
    assert_eq!(run_against(&server, &["cat", "f"]).expect(0).stdout, text);
}

#[test]
fn a_hold_limit_of_zero_is_wrong_usage() {
    let outcome = run(leasehold().args(["lock", "--hold-ms", "0", "f", "--", "true"])).expect(2);
    assert!(outcome.stderr.contains("--hold-ms"), "{outcome:#?}");
}

#[test]
fn a_byte_order_mark_is_ignored() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("run.json");
    let recording = run(leasehold().args(["sim", "gc-pause", "--json"])).expect(0).stdout;
    fs::write(&file, format!("\u{feff}{recording}")).unwrap();
    run(leasehold().arg("sim").arg(&file)).expect(0);
    let run_alone = serde_json::from_str::<Value>(&recording).unwrap()["run"].to_string();
    fs::write(&file, format!("\u{feff}{run_alone}")).unwrap();
    run(leasehold().arg("sim").arg(&file)).expect(0);
}

#[test]
fn a_run_that_is_too_long_is_cut_and_is_not_exported() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("day.json");
    let recording = run(leasehold().args(["sim", "five-clients", "--json"])).expect(0).stdout;
    let mut day = serde_json::from_str::<Value>(&recording).unwrap()["run"].take();
    let client = day["config"]["clients"][0].clone();
    let clients = (0..200).map(|number| {
        let mut client = client.clone();
        client["name"] = format!("c{number}").into();
        client
    });
    day["config"]["clients"] = clients.collect();
    day["config"]["ends_ms"] = 86_400_000.into();
    day["config"]["lease_ms"] = 250.into();
    day["interventions"] = json!([]);
    fs::write(&file, day.to_string()).unwrap();
    let text = run(leasehold().arg("sim").arg(&file)).expect(0).stdout;
    assert!(text.contains("The run was cut at "), "{}", &text[text.len().saturating_sub(500)..]);
    let refused = run(leasehold().arg("sim").arg(&file).arg("--shiviz")).expect(1);
    assert!(refused.stderr.contains("ends_ms"), "{refused:#?}");
}

#[test]
fn a_data_directory_that_is_a_file_or_a_dangling_link_is_refused() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    symlink(directory.path().join("nowhere"), directory.path().join("link")).unwrap();
    for (name, reason) in [("file", "is not a directory"), ("link", "does not exist")] {
        let mut command: Command = leasehold();
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-http", "--data-dir"]);
        command.arg(directory.path().join(name)).stdin(Stdio::null());
        let outcome = run(&mut command).expect(1);
        let error = outcome.stderr.trim_end();
        assert!(error.contains(reason) && error.contains("--data-dir"), "{error}");
        assert_eq!(error.lines().count(), 1, "{error}");
    }
}
