//! A client in its own process, which a test can pause and kill.
//!
//! The process runs the program `e2e-client`; its commands are documented there.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use crate::command::artifacts;
use crate::log::log;
use crate::process::Process;

/// A client process. It is killed when dropped.
pub struct ClientProcess {
    name: String,
    process: Process,
}

impl ClientProcess {
    /// Starts a client and waits until it has a session with this lease. The client sends
    /// heartbeats by itself.
    #[track_caller]
    pub fn start(name: &str, server: SocketAddr, lease_ms: u64) -> Self {
        let program = artifacts().join(format!("e2e-client{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(program);
        command.args([name, &server.to_string(), &lease_ms.to_string()]);
        let mut client =
            Self { name: name.to_owned(), process: Process::start(name, &mut command) };
        client.expect_answer("welcome");
        client
    }

    /// Sends a command, without waiting for the answer.
    pub fn send(&mut self, command: &str) {
        log(&self.name, format_args!("command: {command}"));
        let input = self.process.input();
        writeln!(input, "{command}").and_then(|()| input.flush()).expect("the client reads");
    }

    /// Waits for the next answer.
    ///
    /// # Panics
    /// If it differs from `answer`, or none arrives.
    #[track_caller]
    pub fn expect_answer(&mut self, answer: &str) {
        assert_eq!(self.process.line(), answer, "from {}", self.name);
        log(&self.name, format_args!("answer: {answer}"));
    }

    /// Sends a command and waits for its answer.
    ///
    /// # Panics
    /// As [`Self::expect_answer`].
    #[track_caller]
    pub fn run(&mut self, command: &str, answer: &str) {
        self.send(command);
        self.expect_answer(answer);
    }

    /// Returns the process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
