//! A child process: its output is captured, it can be paused and killed, and it never outlives its
//! owner.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::log::log;
use crate::wait::WAIT_LIMIT;

/// How often the exit of a process is polled.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// A running program. It is killed when dropped.
pub struct Process {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    error_lines: Receiver<String>,
    transcript: Arc<Mutex<String>>,
}

impl Process {
    /// Starts a program and captures its standard output and standard error, line by line.
    pub fn start(name: &str, command: &mut Command) -> Self {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| {
            panic!("cannot run {}: {error}", command.get_program().display())
        });
        log(name, format_args!("started as process {}", child.id()));
        let transcript = Arc::new(Mutex::new(String::new()));
        let lines = capture_lines(child.stdout.take().expect("piped"), &transcript);
        let error_lines = capture_lines(child.stderr.take().expect("piped"), &transcript);
        let input = child.stdin.take();
        Self { name: name.to_owned(), child, input, lines, error_lines, transcript }
    }

    /// Returns the next line of standard output.
    ///
    /// # Panics
    /// If none arrives within [`WAIT_LIMIT`].
    #[track_caller]
    pub fn line(&mut self) -> String {
        let line = self.line_within(WAIT_LIMIT);
        line.unwrap_or_else(|| panic!("{} printed no further line", self.name))
    }

    /// Returns the next line of standard output, or `None` if none arrives within `limit`.
    pub fn line_within(&mut self, limit: Duration) -> Option<String> {
        self.lines.recv_timeout(limit).ok()
    }

    /// Returns the next line of standard error, or `None` if none arrives within `limit`.
    pub fn error_line_within(&mut self, limit: Duration) -> Option<String> {
        self.error_lines.recv_timeout(limit).ok()
    }

    /// Returns standard input.
    ///
    /// # Panics
    /// If it has been closed.
    pub fn input(&mut self) -> &mut ChildStdin {
        self.input.as_mut().expect("standard input is open")
    }

    /// Closes standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        log(&self.name, format_args!("receives {signal:?}"));
        kill_process(self.pid(), signal).expect("a child can be signalled");
    }

    /// Returns the resident memory of the process in KiB.
    ///
    /// # Panics
    /// If the process has ended.
    pub fn resident_kb(&self) -> u64 {
        let pid = self.pid().as_raw_nonzero();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("its memory");
        let number = line.split_whitespace().nth(1).and_then(|number| number.parse().ok());
        number.expect("a number of KiB")
    }

    /// Kills the process, which cannot react, as in a power failure.
    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.child.wait().expect("a killed child exits");
    }

    /// Pauses the process, as a long garbage collection or a closed laptop does.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// Resumes a paused process.
    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    /// Returns the exit status, or `None` if the process is running.
    pub fn try_wait(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("the state of a child can be queried")
    }

    /// Waits until the process exits. Returns `None` if it does not exit within `limit`.
    pub fn wait_within(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.try_wait() {
                log(&self.name, format_args!("exited, {status}"));
                return Some(status);
            }
            if Instant::now() > deadline {
                return None;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Returns the unread rest of standard output and standard error of a process that has exited.
    pub fn remaining_output(&mut self) -> (String, String) {
        // The streams close with the process, unless one of its children still has them open.
        let deadline = Instant::now() + WAIT_LIMIT;
        let drain = |lines: &Receiver<String>| {
            let mut text = String::new();
            let left = || deadline.saturating_duration_since(Instant::now());
            while let Ok(line) = lines.recv_timeout(left()) {
                text.push_str(&line);
                text.push('\n');
            }
            text
        };
        (drain(&self.lines), drain(&self.error_lines))
    }

    /// Returns everything that the process has written so far, to either stream.
    pub fn transcript(&self) -> String {
        self.transcript.lock().expect("no reader panics").clone()
    }

    /// Returns the process id.
    pub fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // This ends a paused process too.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
        if thread::panicking() {
            println!("--- output of {}:\n{}---", self.name, self.transcript());
        }
    }
}

/// Returns whether a process exists and is not a zombie.
pub fn is_alive(pid: i32) -> bool {
    let Some(known) = Pid::from_raw(pid) else { return false };
    test_kill_process(known).is_ok() && !matches!(state(pid), Some('Z' | 'X'))
}

/// Returns whether a process is stopped by a signal.
pub fn is_stopped(pid: i32) -> bool {
    state(pid) == Some('T')
}

/// Returns the state of a process, as `ps` shows it. Returns `None` if the process does not exist.
fn state(pid: i32) -> Option<char> {
    stat_fields(pid)?.first()?.chars().next()
}

/// Returns the processes whose parent is `parent`.
pub fn children(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("/proc is mounted");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let parent = parent.to_string();
    pids.filter(|pid| stat_fields(*pid).is_some_and(|it| it.get(1) == Some(&parent))).collect()
}

/// Returns the fields of `/proc/PID/stat` from the state on.
fn stat_fields(pid: i32) -> Option<Vec<String>> {
    // `pid (name) STATE PARENT …`; the name may contain any character, so this searches from the
    // end.
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    Some(stat.rsplit(')').next()?.split_whitespace().map(str::to_owned).collect())
}

fn capture_lines(
    stream: impl Read + Send + 'static,
    transcript: &Arc<Mutex<String>>,
) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let transcript = Arc::clone(transcript);
    thread::spawn(move || {
        for line in BufReader::new(stream).split(b'\n') {
            let Ok(line) = line else { break };
            let line = String::from_utf8_lossy(&line).into_owned();
            transcript.lock().expect("no reader panics").extend([&line, "\n"]);
            // The receiver may have been dropped; the transcript continues.
            let _ = sender.send(line);
        }
    });
    receiver
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_and_exit_status_are_captured() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo one; echo two >&2; exit 3"]);
        let mut process = Process::start("sh", &mut command);
        assert_eq!(process.line(), "one");
        assert_eq!(process.error_line_within(WAIT_LIMIT).as_deref(), Some("two"));
        let status = process.wait_within(WAIT_LIMIT).expect("it exits");
        assert_eq!(status.code(), Some(3));
    }

    #[test]
    fn a_killed_process_is_not_alive() {
        let mut process = Process::start("sleep", Command::new("sleep").arg("100"));
        let pid = process.pid().as_raw_nonzero().get();
        assert!(is_alive(pid));
        process.pause();
        assert!(is_alive(pid), "a paused process is alive");
        process.kill();
        assert!(!is_alive(pid));
    }
}
