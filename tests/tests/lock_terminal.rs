//! `leasehold lock` at a terminal: what a person types, and what an interactive shell sees.
//!
//! A command that is interrupted or stopped uses no `vfork`, as `sh` does: until its child has
//! called `exec`, `sh` cannot be stopped and may lose a SIGINT, with and without `leasehold`.
#![cfg(target_os = "linux")]

use std::fs;
use std::path::Path;

use leasehold_tests::client::RawClient;
use leasehold_tests::command::leasehold_against;
use leasehold_tests::process::{is_alive, is_stopped};
use leasehold_tests::server::Server;
use leasehold_tests::terminal::Terminal;
use leasehold_tests::wait::wait_for;
use tempfile::TempDir;

/// Starts a shell in which `$L` runs `leasehold lock f --`.
fn shell(server: &Server) -> Terminal {
    let command = leasehold_against(server);
    let mut terminal = Terminal::start(&command);
    let program = command.get_program().to_str().unwrap();
    terminal.type_text(&format!("L='{program} lock f --'; echo set $((1 + 1))\n"));
    terminal.wait_for("set 2");
    terminal
}

fn pid_from_file(path: &Path) -> i32 {
    wait_for("a process id in a file", || {
        fs::read_to_string(path).ok()?.strip_suffix('\n')?.parse().ok()
    })
}

#[test]
fn a_command_can_read_from_the_terminal() {
    let server = Server::start();
    let mut terminal = shell(&server);
    terminal
        .type_text("$L sh -c 'echo ask $((1+1)); read x </dev/tty; echo got-$x'; echo code $?\n");
    terminal.wait_for("ask 2");
    terminal.type_text("hello\n");
    terminal.wait_for("got-hello");
    terminal.wait_for("code 0");
    // The shell has its terminal back.
    terminal.type_text("echo back $((1 + 1))\n");
    terminal.wait_for("back 2");
}

#[test]
fn a_command_can_write_to_a_terminal_that_stops_background_jobs() {
    let server = Server::start();
    let mut terminal = shell(&server);
    terminal.type_text("stty tostop; $L sh -c 'echo written $((1+1))'; echo code $?\n");
    terminal.wait_for("written 2");
    terminal.wait_for("code 0");
}

#[test]
fn ctrl_c_interrupts_the_command() {
    let server = Server::start();
    let mut terminal = shell(&server);
    terminal.type_text("$L bash -c 'echo up $((1+1)); sleep 1000'; echo code $?\n");
    terminal.wait_for("up 2");
    terminal.type_text("\x03");
    terminal.wait_for("code 130");
    // Also if standard input is a pipe, so that the terminal stays with the pipeline.
    terminal.type_text("sleep 1000 | $L bash -c 'echo up $((2+1)); sleep 1000'\n");
    terminal.wait_for("up 3");
    terminal.type_text("\x03");
    terminal.type_text("echo after $((3 + 1))\n");
    terminal.wait_for("after 4");
    RawClient::connect("other", server.udp()).acquire("f");
}

#[test]
fn ctrl_z_stops_the_command_and_fg_continues_it() {
    let server = Server::start_with(&["--lease-ms", "20000"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pid");
    let mut terminal = shell(&server);
    terminal.type_text(&format!(
        "$L bash -c 'echo $$ > {}; sleep 2; echo done $((1+1))'\n",
        file.display()
    ));
    let command = pid_from_file(&file);
    terminal.type_text("\x1a");
    terminal.wait_for("Stopped");
    wait_for("the command to be stopped", || is_stopped(command).then_some(()));
    terminal.type_text("echo shell $((1 + 1))\n");
    terminal.wait_for("shell 2");
    terminal.type_text("fg\n");
    terminal.wait_for("done 2");
}

#[test]
fn a_stopped_job_loses_the_lock_and_is_not_continued() {
    // The margin between the end of the belief and that of the lease grows with the lease.
    let server = Server::start_with(&["--lease-ms", "6000"]);
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("pid");
    let mut terminal = shell(&server);
    terminal.type_text(&format!("$L sh -c 'echo $$ > {}; exec sleep 1000'\n", file.display()));
    let command = pid_from_file(&file);
    terminal.type_text("\x1a");
    terminal.wait_for("Stopped");
    let mut other = RawClient::connect("other", server.udp());
    let queued = other.join_queue("f");
    other.wait_while_queued(&queued);
    assert!(!is_alive(command), "the command outlived its lock");
    terminal.type_text("fg; echo code $?\n");
    terminal.wait_for("code 75");
}

#[test]
fn a_background_job_that_needs_the_terminal_is_stopped_as_a_job() {
    let server = Server::start_with(&["--lease-ms", "20000"]);
    let mut terminal = shell(&server);
    terminal.type_text("$L sh -c 'read x </dev/tty; echo got-$x' &\n");
    // Once the job is stopped, the shell reports it before its next prompt.
    wait_for("the job to be stopped", || {
        terminal.type_text("\n");
        terminal.screen().contains("Stopped").then_some(())
    });
    terminal.type_text("fg\n");
    terminal.wait_for("read x </dev/tty; echo got-$x'");
    terminal.type_text("late\n");
    terminal.wait_for("got-late");
}
