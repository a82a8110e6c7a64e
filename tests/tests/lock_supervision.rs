//! `leasehold lock` as a supervisor: signals, its own death, and the processes of its command.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use leasehold_tests::client::RawClient;
use leasehold_tests::command::{leasehold_against, run};
use leasehold_tests::process::{Process, children, is_alive, is_stopped};
use leasehold_tests::server::Server;
use leasehold_tests::wait::{WAIT_LIMIT, wait_for};
use rustix::process::Signal;
use tempfile::TempDir;

/// A command that prints its process id, then runs until it is terminated.
const LOOP: &str = "echo $$; while :; do sleep 0.05; done";

/// Starts `leasehold lock f -- bash -c SCRIPT`.
fn start_lock(server: &Server, script: &str) -> Process {
    let mut command = leasehold_against(server);
    Process::start("lock", command.args(["lock", "f", "--", "bash", "-c", script]))
}

/// Returns the process id that the command prints as its next line.
fn read_pid(lock: &mut Process) -> i32 {
    lock.line().parse().expect("a process id")
}

fn pid(process: &Process) -> i32 {
    process.pid().as_raw_nonzero().get()
}

/// Sends a signal by its number.
fn kill(pid: i32, signal: i32) {
    let script = format!("kill -{signal} {pid}");
    assert!(Command::new("bash").args(["-c", &script]).status().unwrap().success(), "{script}");
}

fn pid_from_file(path: &Path) -> i32 {
    wait_for("a process id in a file", || {
        fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
    })
}

fn wait_until_dead(pid: i32) {
    wait_for("the process to end", || (!is_alive(pid)).then_some(()));
}

/// Waits until another client is granted the lock.
fn wait_for_the_lock(server: &Server) {
    RawClient::connect("other", server.udp()).acquire_waiting("f");
}

#[test]
fn every_signal_that_can_be_caught_reaches_the_command() {
    let server = Server::start();
    // Without SIGKILL, SIGSTOP and SIGCHLD, and the three that stop a job.
    let signals: Vec<i32> =
        (1..=31).chain([34, 40, 64]).filter(|it| ![9, 17, 19, 20, 21, 22].contains(it)).collect();
    let list = signals.iter().map(i32::to_string).collect::<Vec<_>>().join(" ");
    let script = format!(
        "for n in {list}; do trap \"echo signal $n\" $n; done; echo $$; while :; do sleep 0.02; done"
    );
    let mut lock = start_lock(&server, &script);
    let command = read_pid(&mut lock);
    for signal in signals {
        kill(pid(&lock), signal);
        assert_eq!(lock.line(), format!("signal {signal}"));
    }
    lock.kill();
    wait_until_dead(command);
}

#[test]
fn signals_that_are_ignored_at_the_start_stay_ignored() {
    let server = Server::start();
    let leasehold = leasehold_against(&server);
    let mut command = Command::new("env");
    command.arg("--ignore-signal=HUP,INT").arg(leasehold.get_program());
    for (name, value) in leasehold.get_envs() {
        value.map(|value| command.env(name, value));
    }
    let script =
        "grep SigIgn /proc/$$/status; trap 'exit 5' USR1; echo $$; while :; do sleep 0.05; done";
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "bash", "-c", script]));
    let ignored = lock.line();
    let ignored = u64::from_str_radix(ignored.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(ignored & 0b11, 0b11, "HUP and INT are ignored by the command");
    let command = read_pid(&mut lock);
    lock.signal(Signal::HUP);
    lock.signal(Signal::INT);
    lock.signal(Signal::USR1);
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(5), "neither HUP nor INT ended it");
    wait_until_dead(command);
}

#[test]
fn the_exit_code_is_passed_on_although_sigchld_was_ignored() {
    let server = Server::start();
    let leasehold = leasehold_against(&server);
    for (script, code) in
        [("exit 0", 0), ("exit 7", 7), ("sleep 0.2; exit 7", 7), ("kill -9 $$", 137)]
    {
        let mut command = Command::new("env");
        command.arg("--ignore-signal=CHLD").arg(leasehold.get_program());
        for (name, value) in leasehold.get_envs() {
            value.map(|value| command.env(name, value));
        }
        run(command.args(["lock", "f", "--", "bash", "-c", script])).expect(code);
    }
    let script = "grep SigIgn /proc/$$/status";
    let status = run(leasehold_against(&server).args(["lock", "f", "--", "sh", "-c", script]));
    let ignored = status.expect(0).stdout;
    let ignored = u64::from_str_radix(ignored.split_whitespace().nth(1).unwrap(), 16).unwrap();
    assert_eq!(ignored & (1 << 16), 0, "the command does not ignore SIGCHLD");
}

#[test]
fn the_command_is_dead_before_the_lock_moves_if_the_supervisor_is_killed() {
    let server = Server::start();
    let mut lock = start_lock(&server, LOOP);
    let command = read_pid(&mut lock);
    lock.kill();
    wait_for_the_lock(&server);
    assert!(!is_alive(command), "the command outlived its lock");
}

#[test]
fn the_command_is_dead_before_the_lock_moves_if_the_supervisor_is_stopped() {
    let server = Server::start();
    let mut lock = start_lock(&server, LOOP);
    let command = read_pid(&mut lock);
    lock.pause();
    wait_for_the_lock(&server);
    assert!(!is_alive(command), "the command outlived its lock");
    lock.resume();
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(75));
}

#[test]
fn processes_that_left_the_process_group_are_killed_too() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let file = |name: &str| directory.path().join(name);
    let daemon = |name: &str, run: &str| {
        format!("(setsid sh -c 'echo $$ > {}; {run}' &)", file(name).display())
    };
    let script = format!(
        "{}; {}; {LOOP}",
        daemon("daemon", "exec sleep 1000"),
        daemon("bare", "exec env -i sleep 1000")
    );
    let mut lock = start_lock(&server, &script);
    let command = read_pid(&mut lock);
    let daemons = [pid_from_file(&file("daemon")), pid_from_file(&file("bare"))];
    // The keeper records the processes several times a second, which is the scenario.
    std::thread::sleep(Duration::from_secs(2));
    lock.kill();
    wait_for_the_lock(&server);
    for process in daemons.into_iter().chain([command]) {
        assert!(!is_alive(process), "process {process} outlived the lock");
    }
}

#[test]
fn a_nested_lock_does_not_escape() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let inner = directory.path().join("inner");
    let leasehold = leasehold_against(&server);
    let program = leasehold.get_program().to_str().unwrap().to_owned();
    let inner_script = format!("echo $$ > {}; while :; do sleep 0.05; done", inner.display());
    for is_killed in [true, false] {
        let _ = fs::remove_file(&inner);
        let mut command = leasehold_against(&server);
        command.args(["lock", "f", "--", &program, "lock", "g", "--", "sh", "-c", &inner_script]);
        let mut lock = Process::start("lock", &mut command);
        let inner = pid_from_file(&inner);
        if is_killed {
            lock.kill();
        } else {
            lock.pause();
        }
        wait_for_the_lock(&server);
        assert!(!is_alive(inner), "the command of the nested lock outlived the outer lock");
    }
}

#[test]
fn the_keeper_is_replaced_and_without_it_the_command_still_dies() {
    let server = Server::start();
    let mut lock = start_lock(&server, LOOP);
    let command = read_pid(&mut lock);
    let supervisor = pid(&lock);
    let keeper =
        || children(supervisor).into_iter().find(|child| *child != command && is_alive(*child));
    let first = keeper().expect("there is a keeper");
    kill(first, 9);
    let second = wait_for("another keeper", || keeper().filter(|it| *it != first));
    // A keeper that is stopped cannot act in time, as if it had been killed too.
    kill(second, 19);
    lock.kill();
    wait_until_dead(command);
    kill(second, 18);
    wait_until_dead(second);
}

#[test]
fn a_stop_request_stops_the_command_then_the_supervisor() {
    let server = Server::start_with(&["--lease-ms", "5000"]);
    let mut lock = start_lock(&server, LOOP);
    let command = read_pid(&mut lock);
    let supervisor = pid(&lock);
    lock.signal(Signal::TSTP);
    wait_for("both to be stopped", || {
        (is_stopped(command) && is_stopped(supervisor)).then_some(())
    });
    lock.resume();
    wait_for("both to be continued", || {
        (!is_stopped(command) && !is_stopped(supervisor)).then_some(())
    });
    assert!(is_alive(command));
    lock.signal(Signal::TERM);
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(143));
}

/// In a container, the leaders of the process group and of the session can be outside the PID
/// namespace, so that the kernel reports 0 instead of their process ids.
#[test]
fn a_supervisor_whose_process_group_is_outside_its_namespace_can_be_stopped() {
    const NAMESPACE: [&str; 6] =
        ["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "--kill-child"];
    let probe = Command::new("unshare").args(NAMESPACE).arg("true").output();
    if !probe.is_ok_and(|it| it.status.success()) {
        eprintln!("not tested: this machine does not permit PID namespaces");
        return;
    }
    let server = Server::start_with(&["--lease-ms", "5000"]);
    let leasehold = leasehold_against(&server);
    let mut command = Command::new("unshare");
    for (name, value) in leasehold.get_envs() {
        value.map(|value| command.env(name, value));
    }
    let script =
        "exec 3< <(exec \"$0\" lock f -- bash -c 'echo started; while :; do sleep 0.05; done')
        supervisor=$!; read -r line <&3; echo $line
        kill -TSTP $supervisor
        until grep -q 'State:.T' /proc/$supervisor/status; do sleep 0.02; done; echo stopped
        kill -CONT $supervisor
        while grep -q 'State:.T' /proc/$supervisor/status; do sleep 0.02; done; echo continued
        kill -TERM $supervisor; wait $supervisor; echo $?";
    command.args(NAMESPACE).args(["bash", "-c", script]).arg(leasehold.get_program());
    let mut shell = Process::start("shell", &mut command);
    for line in ["started", "stopped", "continued", "143"] {
        assert_eq!(shell.line(), line);
    }
    assert!(shell.wait_within(WAIT_LIMIT).is_some_and(|status| status.success()));
}

#[test]
fn a_command_whose_lock_was_lost_while_it_was_stopped_is_not_continued() {
    let server = Server::start();
    let directory = TempDir::new().unwrap();
    let continued = directory.path().join("continued");
    let script = format!("trap 'echo x > {}' CONT; {LOOP}", continued.display());
    let mut lock = start_lock(&server, &script);
    let command = read_pid(&mut lock);
    lock.signal(Signal::TSTP);
    wait_for("the command to be stopped", || is_stopped(command).then_some(()));
    wait_for_the_lock(&server);
    lock.resume();
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(75));
    assert!(!continued.exists(), "the command ran without the lock");
}

#[test]
fn background_processes_are_reported_and_keep_running() {
    let server = Server::start();
    let script = "sleep 1000 > /dev/null 2>&1 & echo $!; exit 4";
    let mut lock = start_lock(&server, script);
    let background = read_pid(&mut lock);
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(4));
    let (_, warnings) = lock.remaining_output();
    assert!(
        warnings.contains("warning: ") && warnings.contains(&background.to_string()),
        "{warnings}"
    );
    assert!(is_alive(background), "it is not killed");
    kill(background, 9);
    let quiet = run(leasehold_against(&server).args(["lock", "f", "--", "true"])).expect(0);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn orphans_of_the_command_are_reaped() {
    let server = Server::start();
    let mut lock = start_lock(&server, &format!("for i in 1 2 3; do (sleep 0.1 &); done; {LOOP}"));
    let command = read_pid(&mut lock);
    let supervisor = pid(&lock);
    // The children of the supervisor are the command and the keeper in the end, and no zombies.
    wait_for("the orphans to be reaped", || {
        let children = children(supervisor);
        (children.len() == 2 && children.iter().all(|child| is_alive(*child))).then_some(())
    });
    lock.signal(Signal::TERM);
    assert!(lock.wait_within(WAIT_LIMIT).is_some());
    wait_until_dead(command);
}

#[test]
fn a_waiter_reports_that_the_server_does_not_reply() {
    let mut server = Server::start();
    let mut holder = RawClient::connect("holder", server.udp());
    holder.acquire("f");
    let mut command = leasehold_against(&server);
    let mut lock = Process::start("lock", command.args(["lock", "f", "--", "echo", "ran"]));
    wait_for("the waiter", || {
        let state = leasehold_tests::http::get(server.http(), "/api/state").text();
        state.contains("\"lock-").then_some(())
    });
    server.kill();
    let warning = lock.error_line_within(WAIT_LIMIT).expect("a warning");
    assert!(warning.starts_with("warning: no reply from "), "{warning}");
    assert!(lock.try_wait().is_none(), "it still waits");
    server.restart();
    let warning = lock.error_line_within(WAIT_LIMIT).expect("a second line");
    assert!(warning.contains("replies again"), "{warning}");
    lock.signal(Signal::TERM);
    let status = lock.wait_within(WAIT_LIMIT).expect("it exits");
    assert_eq!(status.code(), Some(143));
}
