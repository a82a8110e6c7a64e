//! Standard error is best effort: if it is closed, full or broken, or if its reader has stopped,
//! the server and the commands do what they would do otherwise.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Command, Stdio};

use leasehold_tests::client::{RawClient, expect_status};
use leasehold_tests::command::{leasehold, leasehold_against, run};
use leasehold_tests::process::Process;
use leasehold_tests::server::Server;
use leasehold_tests::wait::{WAIT_LIMIT, wait_for};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
use rustix::process::Signal;
use serde_json::json;
use tempfile::TempDir;

/// Returns an address that no socket uses.
fn free_address() -> SocketAddr {
    UdpSocket::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap()
}

/// Returns a command that runs `leasehold ARGUMENTS` with a redirection by the shell.
fn redirected(leasehold: &Command, arguments: &str, redirection: &str) -> Command {
    let mut command = Command::new("sh");
    let program = leasehold.get_program().to_str().unwrap();
    command.args(["-c", &format!("exec {program} {arguments} {redirection}")]);
    for (name, value) in leasehold.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Uses a server in a way that makes it log warnings: a guarded file is not a regular file.
fn use_server(address: SocketAddr, data: &Path) {
    let mut client = RawClient::connect("C", address);
    let token = client.acquire("f");
    client.append_ok("f", token, "a\n");
    fs::create_dir_all(data.join("files/g")).unwrap();
    let other = client.acquire("g");
    let append = client.append_request("g", other, "x");
    client.send(&append);
    client.append_ok("f", token, "b\n");
    expect_status(&client.call("heartbeat", &json!({})), "alive");
}

fn serve(address: SocketAddr, data: &Path) -> String {
    format!("serve -v --listen {address} --no-http --data-dir {}", data.display())
}

#[test]
fn the_server_continues_without_a_usable_standard_error() {
    for redirection in ["2>/dev/full", "2>&-", "2>&1 >/dev/null 2</dev/null"] {
        let directory = TempDir::new().unwrap();
        let (address, data) = (free_address(), directory.path().join("data"));
        let mut command = redirected(&leasehold(), &serve(address, &data), redirection);
        let mut server = Process::start("server", &mut command);
        use_server(address, &data);
        server.signal(Signal::TERM);
        let status = server.wait_within(WAIT_LIMIT).expect("it exits");
        assert_eq!(status.code(), Some(0), "{redirection}");
    }
}

#[test]
fn the_server_continues_after_the_reader_of_its_standard_error_has_gone() {
    let directory = TempDir::new().unwrap();
    let (address, data) = (free_address(), directory.path().join("data"));
    let mut command = leasehold();
    command.args(serve(address, &data).split(' ')).stderr(Stdio::piped());
    let mut server = command.spawn().unwrap();
    let mut lines = BufReader::new(server.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("ready ")), "it is ready");
    drop(lines);
    use_server(address, &data);
    rustix::process::kill_process(rustix::process::Pid::from_child(&server), Signal::TERM).unwrap();
    assert_eq!(server.wait().unwrap().code(), Some(0));
}

#[test]
fn a_command_continues_without_a_usable_standard_error() {
    let server = Server::start();
    let environment = leasehold_against(&server);
    for redirection in ["2>/dev/full", "2>&-"] {
        for (arguments, code) in [
            ("lock -v f -- sh -c 'exit 7'", 7),
            ("append -v f text", 0),
            ("cat nothing", 1),
            ("lock f -- no-such-program", 127),
            ("cat ''", 1),
            ("no-such-command", 2),
        ] {
            let outcome = run(&mut redirected(&environment, arguments, redirection));
            assert_eq!(outcome.code, Some(code), "{arguments} {redirection}\n{outcome:#?}");
        }
    }
}

#[test]
fn a_command_runs_although_the_reader_of_standard_error_has_stopped() {
    let server = Server::start();
    let (_reader, mut writer) = std::io::pipe().unwrap();
    // The pipe is full: the next write blocks.
    let flags = fcntl_getfl(&writer).unwrap();
    fcntl_setfl(&writer, flags | OFlags::NONBLOCK).unwrap();
    while writer.write(&[b'x'; 4_096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    fcntl_setfl(&writer, flags).unwrap();
    let mut command = leasehold_against(&server);
    command.args(["lock", "-v", "f", "--", "sh", "-c", "exit 7"]).stderr(writer);
    let mut lock = command.spawn().unwrap();
    let status = wait_for("the command to exit", || lock.try_wait().unwrap());
    assert_eq!(status.code(), Some(7));
}
