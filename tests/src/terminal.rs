//! A pseudo-terminal with an interactive shell, for what a person types and sees.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::log::log;
use crate::wait::wait_for;

/// An interactive `bash` on a terminal of its own. It is killed when dropped.
pub struct Terminal {
    keyboard: File,
    shell: Child,
    screen: Arc<Mutex<String>>,
    /// The part of the screen that has been read by [`Terminal::wait_for`].
    read: usize,
}

impl Terminal {
    /// Starts the shell with the environment of `command`, whose program is not run.
    pub fn start(command: &Command) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)
            .expect("the system has pseudo-terminals");
        grantpt(&master).expect("the terminal is accessible");
        unlockpt(&master).expect("the terminal is usable");
        let path = ptsname(&master, Vec::new()).expect("the terminal has a name");
        let path = path.into_string().expect("the name is UTF-8");
        let device = || -> Stdio {
            use std::os::unix::fs::OpenOptionsExt;
            let flags = i32::try_from(OpenptFlags::NOCTTY.bits()).expect("a small number");
            let mut options = File::options();
            let file = options.read(true).write(true).custom_flags(flags).open(&path);
            Stdio::from(OwnedFd::from(file.expect("the terminal can be opened")))
        };
        // A new session, whose controlling terminal is standard input.
        let mut shell = Command::new("setsid");
        shell.args(["--ctty", "bash", "--norc", "--noprofile", "-i"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        shell.env("PS1", "$ ").env("TERM", "dumb");
        shell.stdin(device()).stdout(device()).stderr(device());
        let shell = shell.spawn().expect("setsid and bash are installed");
        let keyboard = File::from(master);
        let screen = Arc::new(Mutex::new(String::new()));
        capture(keyboard.try_clone().expect("a descriptor is free"), Arc::clone(&screen));
        let mut terminal = Self { keyboard, shell, screen, read: 0 };
        terminal.wait_for("$ ");
        terminal
    }

    /// Types text. `\x03` is Ctrl-C, `\x1a` is Ctrl-Z.
    pub fn type_text(&mut self, text: &str) {
        log("terminal", format_args!("types {text:?}"));
        self.keyboard.write_all(text.as_bytes()).expect("the terminal accepts input");
    }

    /// Waits until `expected` appears after the part of the screen that earlier calls have read.
    #[track_caller]
    pub fn wait_for(&mut self, expected: &str) {
        let (screen, read) = (&self.screen, self.read);
        let find = || {
            let screen = screen.lock().expect("no reader panics");
            screen[read..].find(expected).map(|at| read + at + expected.len())
        };
        self.read = wait_for(&format!("{expected:?} on the terminal"), find);
    }

    /// Returns everything that was shown so far.
    pub fn screen(&self) -> String {
        self.screen.lock().expect("no reader panics").clone()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.shell.kill();
        let _ = self.shell.wait();
        if thread::panicking() {
            println!("--- terminal:\n{}\n---", self.screen());
        }
    }
}

fn capture(mut terminal: File, screen: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4_096];
        // Reading fails once the last process has closed the terminal.
        while let Ok(len @ 1..) = terminal.read(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..len]).into_owned();
            screen.lock().expect("no reader panics").push_str(&text);
        }
    });
}
