//! The output of the demonstration: what each client does, and when.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard};

use leasehold_client::{Time, now};
use tokio::sync::mpsc;

use super::super::style::Style;

/// Prints the lines that the clients report.
#[derive(Debug)]
pub(super) struct Story {
    started_at: Time,
    /// The width of the longest client name.
    width: usize,
    style: Style,
    lines: mpsc::UnboundedSender<Line>,
    crashes: Crashes,
}

/// By file: the client that crashed while it held the file's lock, and when.
type Crashes = Arc<Mutex<BTreeMap<String, (String, Time)>>>;

/// One action of a client.
#[derive(Debug)]
pub(super) struct Line {
    at: Time,
    number: u32,
    client: String,
    action: String,
    is_alarm: bool,
}

/// Reports the actions of one client.
#[derive(Clone, Debug)]
pub(super) struct Reporter {
    number: u32,
    client: String,
    lines: mpsc::UnboundedSender<Line>,
    crashes: Crashes,
}

impl Story {
    /// Returns a story that starts now, and the receiver of its lines.
    pub(super) fn new(width: usize) -> (Self, mpsc::UnboundedReceiver<Line>) {
        let (lines, receiver) = mpsc::unbounded_channel();
        let crashes = Arc::default();
        let style = Style::for_stdout();
        (Self { started_at: now(), width, style, lines, crashes }, receiver)
    }

    pub(super) fn reporter(&self, number: u32, client: &str) -> Reporter {
        let (lines, crashes) = (self.lines.clone(), Arc::clone(&self.crashes));
        Reporter { number, client: client.to_owned(), lines, crashes }
    }

    pub(super) fn print(&self, line: &Line) -> io::Result<()> {
        writeln!(io::stdout(), "{}", self.text(line))
    }

    fn text(&self, line: &Line) -> String {
        let Self { width, style, .. } = *self;
        let millis = self.started_at.until(line.at).as_millis();
        let time = style.dim(&format!("{:>5}.{:03}", millis / 1_000, millis % 1_000));
        let client = style.client(line.number.into(), &format!("{:<width$}", line.client));
        let action = if line.is_alarm { style.error(&line.action) } else { line.action.clone() };
        format!("{time}  {client}  {action}")
    }
}

impl Reporter {
    pub(super) fn report(&self, action: String) {
        self.send(action, false);
    }

    /// Reports an action that is to be highlighted.
    pub(super) fn report_alarm(&self, action: String) {
        self.send(action, true);
    }

    pub(super) fn record_crash(&self, file: &str) {
        let crash = (self.client.clone(), now());
        self.crashes().insert(file.to_owned(), crash);
    }

    /// Returns the addition to the first grant after a crash, or nothing.
    pub(super) fn after_crash(&self, file: &str) -> String {
        let Some((client, at)) = self.crashes().remove(file) else { return String::new() };
        format!(", {} after {client} crashed", at.until(now()))
    }

    fn crashes(&self) -> MutexGuard<'_, BTreeMap<String, (String, Time)>> {
        self.crashes.lock().expect("no thread panics while it holds the mutex")
    }

    fn send(&self, action: String, is_alarm: bool) {
        let (number, client) = (self.number, self.client.clone());
        // An error means that the story has ended.
        let _ = self.lines.send(Line { at: now(), number, client, action, is_alarm });
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::time::Millis;

    use super::*;

    #[test]
    fn a_line_has_a_time_a_client_and_an_action() {
        let (mut story, mut lines) = Story::new(9);
        story.style = Style::plain();
        story.reporter(1, "client_1").report("requests file_0".to_owned());
        let mut line = lines.try_recv().unwrap();
        line.at = story.started_at + Millis::from_millis(1_042);
        assert_eq!(story.text(&line), "    1.042  client_1   requests file_0");
    }

    #[test]
    fn only_the_first_grant_after_a_crash_mentions_it() {
        let (story, _lines) = Story::new(9);
        story.reporter(1, "client_1").record_crash("file_0");
        let next = story.reporter(3, "client_3");
        assert!(next.after_crash("file_0").ends_with("after client_1 crashed"));
        assert_eq!(next.after_crash("file_0"), "");
    }
}
