//! What the demonstration tells: who did what, and when.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::sync::{Arc, Mutex};

use leasehold_client::{Time, now};
use tokio::sync::mpsc;

use super::super::paint::Paint;

/// Prints lines in the order in which they were told.
#[derive(Debug)]
pub(super) struct Story {
    begun: Time,
    /// The width of the longest name.
    width: usize,
    paint: Paint,
    lines: mpsc::UnboundedSender<Line>,
    crashes: Crashes,
}

/// Who crashed while it held which file, and when.
type Crashes = Arc<Mutex<BTreeMap<String, (String, Time)>>>;

/// One thing that somebody did.
#[derive(Debug)]
pub(super) struct Line {
    at: Time,
    number: u32,
    client: String,
    what: String,
    is_alarm: bool,
}

/// What one client tells by.
#[derive(Clone, Debug)]
pub(super) struct Teller {
    number: u32,
    client: String,
    lines: mpsc::UnboundedSender<Line>,
    crashes: Crashes,
}

impl Story {
    /// A story that begins now, and where its lines come out.
    pub(super) fn new(width: usize) -> (Self, mpsc::UnboundedReceiver<Line>) {
        let (lines, told) = mpsc::unbounded_channel();
        let crashes = Arc::default();
        let paint = Paint::of_stdout();
        (Self { begun: now(), width, paint, lines, crashes }, told)
    }

    pub(super) fn teller(&self, number: u32, client: &str) -> Teller {
        let (lines, crashes) = (self.lines.clone(), Arc::clone(&self.crashes));
        Teller { number, client: client.to_owned(), lines, crashes }
    }

    /// Prints a line.
    pub(super) fn print(&self, line: &Line) -> io::Result<()> {
        writeln!(io::stdout(), "{}", self.text(line))
    }

    fn text(&self, line: &Line) -> String {
        let Self { width, paint, .. } = *self;
        let millis = self.begun.until(line.at).as_millis();
        let time = paint.dim(&format!("{:>5}.{:03}", millis / 1_000, millis % 1_000));
        let client = paint.hue(line.number.into(), &format!("{:<width$}", line.client));
        let what = if line.is_alarm { paint.error(&line.what) } else { line.what.clone() };
        format!("{time}  {client}  {what}")
    }
}

impl Teller {
    pub(super) fn tell(&self, what: String) {
        self.send(what, false);
    }

    /// Tells what must not be overlooked.
    pub(super) fn alarm(&self, what: String) {
        self.send(what, true);
    }

    pub(super) fn note_crash(&self, file: &str) {
        let crash = (self.client.clone(), now());
        self.crashes().insert(file.to_owned(), crash);
    }

    /// What there is to say of a grant that comes after a crash.
    pub(super) fn after_crash(&self, file: &str) -> String {
        let Some((client, at)) = self.crashes().remove(file) else { return String::new() };
        format!(", {} after {client} crashed", at.until(now()))
    }

    fn crashes(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, (String, Time)>> {
        self.crashes.lock().expect("nobody panics while holding it")
    }

    fn send(&self, what: String, is_alarm: bool) {
        let (number, client) = (self.number, self.client.clone());
        // Where nobody reads the story any more, nothing is left to tell.
        let _ = self.lines.send(Line { at: now(), number, client, what, is_alarm });
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::time::Millis;

    use super::*;

    #[test]
    fn a_line_says_when_and_who_and_what() {
        let (mut story, mut lines) = Story::new(9);
        story.paint = Paint::off();
        story.teller(1, "client_1").tell("asks for file_0".to_owned());
        let mut line = lines.try_recv().unwrap();
        line.at = story.begun + Millis::from_millis(1_042);
        assert_eq!(story.text(&line), "    1.042  client_1   asks for file_0");
    }

    #[test]
    fn the_grant_after_a_crash_tells_of_it_once() {
        let (story, _lines) = Story::new(9);
        story.teller(1, "client_1").note_crash("file_0");
        let next = story.teller(3, "client_3");
        assert!(next.after_crash("file_0").ends_with("after client_1 crashed"));
        assert_eq!(next.after_crash("file_0"), "");
    }
}
