//! A client in a process of its own, which can be stopped and killed: the handle to the program
//! `e2e-client`, whose commands are in its own file.

use std::io::Write;
use std::net::SocketAddr;
use std::process::Command;

use crate::command::artifacts;
use crate::log::tell;
use crate::process::Process;

/// A client process. Killed when dropped.
pub struct Worker {
    name: String,
    process: Process,
}

impl Worker {
    /// Starts one and waits until it has a session of this lease. It sends heartbeats by itself.
    #[track_caller]
    pub fn start(name: &str, server: SocketAddr, lease_ms: u64) -> Self {
        let program = artifacts().join(format!("e2e-client{}", std::env::consts::EXE_SUFFIX));
        let mut command = Command::new(program);
        command.args([name, &server.to_string(), &lease_ms.to_string()]);
        let mut worker =
            Self { name: name.to_owned(), process: Process::start(name, &mut command) };
        worker.hear("welcome");
        worker
    }

    /// Gives it a command; what it says to that is to be heard later.
    pub fn tell(&mut self, command: &str) {
        tell(&self.name, format_args!("is told: {command}"));
        let input = self.process.input();
        writeln!(input, "{command}").and_then(|()| input.flush()).expect("it reads its commands");
    }

    /// Gives it a command, and panics unless this is what it says to it.
    #[track_caller]
    pub fn expect(&mut self, command: &str, answer: &str) {
        self.tell(command);
        self.hear(answer);
    }

    /// Panics unless this is the next thing that it says.
    #[track_caller]
    pub fn hear(&mut self, answer: &str) {
        assert_eq!(self.process.line(), answer, "from {}", self.name);
        tell(&self.name, format_args!("says: {answer}"));
    }

    /// Its process.
    pub fn process(&mut self) -> &mut Process {
        &mut self.process
    }
}
