//! A child process whose words are kept, that can be stopped and killed, and that never outlives
//! its owner.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::log::{PATIENCE, tell};

/// A running program. Killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Process {
    /// Starts it. Its standard output and error are read from now on, line by line.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|why| panic!("{command:?}: {why}"));
        tell(name, format_args!("started as process {}", child.id()));
        let said = Arc::new(Mutex::new(String::new()));
        let lines = keep_lines(child.stdout.take().expect("piped"), &said);
        let errors = keep_lines(child.stderr.take().expect("piped"), &said);
        let input = child.stdin.take();
        Self { name: name.to_owned(), child, input, lines, errors, said }
    }

    /// The next line of its standard output. Panics where none comes.
    #[track_caller]
    pub fn line(&mut self) -> String {
        self.line_within(PATIENCE).unwrap_or_else(|| panic!("{} said nothing more", self.name))
    }

    /// The next line of its standard output, if one comes in time.
    pub fn line_within(&mut self, span: Duration) -> Option<String> {
        self.lines.recv_timeout(span).ok()
    }

    /// The next line of its standard error, if one comes in time.
    pub fn error_line_within(&mut self, span: Duration) -> Option<String> {
        self.errors.recv_timeout(span).ok()
    }

    /// Its standard input, for as long as it has not been closed.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.input.as_mut().expect("its input is open")
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        tell(&self.name, format_args!("gets {signal:?}"));
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    /// Kills it as a power cut would: it can't do anything about it.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("a killed child ends");
    }

    /// Stops it, as a long collection of garbage or a closed laptop would.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Lets it go on.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be asked for")
    }

    /// How it ended, if it does so in time.
    pub fn ended_within(&mut self, span: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + span;
        loop {
            if let Some(status) = self.ended() {
                tell(&self.name, format_args!("ended, {status}"));
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// What is left unread of its standard output and error, for a process that has ended.
    pub fn rest(&mut self) -> (String, String) {
        // A second is for streams that children of its own still hold open.
        let drain = |lines: &Receiver<String>| {
            let mut text = String::new();
            while let Ok(line) = lines.recv_timeout(Duration::from_secs(1)) {
                text.push_str(&line);
                text.push('\n');
            }
            text
        };
        (drain(&self.lines), drain(&self.errors))
    }

    /// All that it has said so far, on either stream.
    pub fn said(&self) -> String {
        self.said.lock().expect("no reader panics").clone()
    }

    /// Its process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // A stopped process dies of this too.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            println!("--- {} said:\n{}---", self.name, self.said());
        }
    }
}

/// Whether a process does anything any more. One that has ended, and that nobody has asked about
/// yet, doesn't.
pub fn is_alive(pid: i32) -> bool {
    let Some(known) = Pid::from_raw(pid) else { return false };
    if test_kill_process(known).is_err() {
        return false;
    }
    // `pid (name) STATE …`; the name may hold anything, so from its end.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(')').next().unwrap_or_default().trim_start().chars().next();
    !matches!(state, Some('Z' | 'X'))
}

fn keep_lines(stream: impl Read + Send + 'static, said: &Arc<Mutex<String>>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let said = Arc::clone(said);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            said.lock().expect("no reader panics").extend([&line, "\n"]);
            // Whoever wanted the lines may have gone; what was said is kept all the same.
            let _ = sender.send(line);
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_process_says_is_kept_and_its_end_is_seen() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let mut process = Process::start("sh", &mut command);
        assert_eq!(process.line(), "one");
        assert_eq!(process.error_line_within(PATIENCE).as_deref(), Some("two"));
        let status = process.ended_within(PATIENCE).expect("it ends");
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_killed_process_is_not_alive() {
        let mut process = Process::start("sleep", Command::new("sleep").arg("100"));
        let pid = process.pid().as_raw_nonzero().get();
        assert!(is_alive(pid));
        process.pause();
        assert!(is_alive(pid), "stopped is not dead");
        process.kill();
        assert!(!is_alive(pid));
    }
}
