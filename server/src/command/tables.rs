//! The state of a server as tables of text, for `leasehold status`.

use std::fmt::Write as _;

use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::{Lock, Session, State};
use leasehold_core::time::Time;

use super::style::Style;

/// The number of names that one cell lists.
const NAMES_MAX: usize = 4;

/// Returns a summary and the tables of locks, sessions and files. Each table has at most
/// `rows_max` rows.
pub(crate) fn status_tables(
    state: &State,
    now: Time,
    server: &str,
    rows_max: usize,
    style: Style,
) -> String {
    let held = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
    let mut out = format!(
        "{}  {}, {} held, {} queued, {}\n",
        style.bold(server),
        count(state.sessions().len(), "session"),
        count(held, "lock"),
        state.waiter_count(),
        count(state.files().len(), "file"),
    );
    let mut locks = Table::new(&["LOCK", "HELD BY", "TOKEN", "FOR", "LEASE LEFT", "QUEUE"]);
    for (name, lock) in state.locks() {
        locks.row(lock_row(state, now, name, lock));
    }
    let mut sessions = Table::new(&["SESSION", "CLIENT", "LEASE", "LEFT", "HOLDS", "QUEUED FOR"]);
    for (&session_id, session) in state.sessions() {
        sessions.row(session_row(now, session_id, session));
    }
    let mut files = Table::new(&["FILE", "BYTES", "LAST TOKEN"]);
    for (name, file) in state.files() {
        let (len, token) = (file.len().to_string(), file.last_token().to_string());
        files.row(vec![name.to_string(), len, token]);
    }
    for table in [locks, sessions, files] {
        table.write(&mut out, rows_max, style);
    }
    out
}

fn lock_row(state: &State, now: Time, name: &Name, lock: &Lock) -> Vec<String> {
    let client = |session_id| state.session(session_id).map(|session| session.client.to_string());
    let queue = names(lock.wait_queue().iter().filter_map(|waiter| client(waiter.session_id)));
    let Some(tenure) = lock.tenure() else {
        return [name.as_str(), "-", "", "", "", &queue].map(str::to_owned).to_vec();
    };
    let left = state.session(tenure.session_id).map(|session| now.until(session.expires_at));
    vec![
        name.to_string(),
        client(tenure.session_id).unwrap_or_default(),
        tenure.token.to_string(),
        now.since(tenure.granted_at).to_string(),
        left.map_or_else(String::new, |left| left.to_string()),
        queue,
    ]
}

fn session_row(now: Time, session_id: SessionId, session: &Session) -> Vec<String> {
    vec![
        session_id.to_string(),
        session.client.to_string(),
        session.lease.to_string(),
        now.until(session.expires_at).to_string(),
        names(session.held.iter().map(Name::to_string)),
        names(session.waits.iter().map(|wait| wait.lock.to_string())),
    ]
}

fn names(names: impl Iterator<Item = String>) -> String {
    let all: Vec<String> = names.collect();
    let (shown, rest) = all.split_at(all.len().min(NAMES_MAX));
    let mut text = shown.join(", ");
    if !rest.is_empty() {
        write!(text, ", and {} more", rest.len()).expect("writing to a string cannot fail");
    }
    text
}

fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// Rows of text in aligned columns.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&title| title.to_owned()).collect(), rows: Vec::new() }
    }

    fn row(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.head.len(), "one cell per column");
        self.rows.push(row);
    }

    /// Appends an empty line and the table. Appends nothing if the table has no rows.
    fn write(&self, out: &mut String, rows_max: usize, style: Style) {
        if self.rows.is_empty() {
            return;
        }
        let shown = &self.rows[..self.rows.len().min(rows_max)];
        let widths: Vec<usize> = (0..self.head.len())
            .map(|column| {
                let cells = shown.iter().chain([&self.head]).map(|row| row[column].len());
                cells.max().unwrap_or(0)
            })
            .collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
        };
        let head = style.dim(&line(&self.head));
        writeln!(out, "\n{head}").expect("writing to a string cannot fail");
        for row in shown {
            writeln!(out, "{}", line(row)).expect("writing to a string cannot fail");
        }
        if shown.len() < self.rows.len() {
            let more = self.rows.len() - shown.len();
            writeln!(out, "… and {more} more (show all with -v)")
                .expect("writing to a string cannot fail");
        }
    }
}

#[cfg(test)]
mod tests {
    use leasehold_core::time::Millis;

    use super::*;

    fn state(events: &[&str]) -> State {
        let mut state = State::default();
        for event in events {
            state.apply(&serde_json::from_str(event).unwrap());
        }
        state
    }

    #[test]
    fn holders_and_queued_clients_are_shown() {
        let state = state(&[
            r#"{"index":1,"at_ms":0,"type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}"#,
            r#"{"index":2,"at_ms":0,"type":"session_opened","session_no":2,"client":"bob","lease_ms":5000}"#,
            r#"{"index":3,"at_ms":0,"type":"lock_granted","lock":"ledger","session_no":1,"client":"ann","token":1,"seq":1,"from_queue":false}"#,
            r#"{"index":4,"at_ms":1000,"type":"lock_queued","lock":"ledger","session_no":2,"client":"bob","seq":1,"wait_ms":9000}"#,
        ]);
        let now = state.last_event_at() + Millis::from_millis(500);
        let text = status_tables(&state, now, "here:1", 9, Style::plain());
        let expected = "\
here:1  2 sessions, 1 lock held, 1 queued, 0 files

LOCK    HELD BY  TOKEN  FOR    LEASE LEFT  QUEUE
ledger  ann      1      1.5 s  3.5 s       bob

SESSION  CLIENT  LEASE  LEFT   HOLDS   QUEUED FOR
1        ann     5.0 s  3.5 s  ledger
2        bob     5.0 s  4.5 s          ledger
";
        assert_eq!(text, expected);
    }

    #[test]
    fn omitted_rows_and_names_are_counted() {
        let many = (0..6).map(|number| format!("c{number}"));
        assert_eq!(names(many), "c0, c1, c2, c3, and 2 more");
        let mut table = Table::new(&["A"]);
        (0..3).for_each(|row| table.row(vec![row.to_string()]));
        let mut out = String::new();
        table.write(&mut out, 2, Style::plain());
        assert_eq!(out, "\nA\n0\n1\n… and 1 more (show all with -v)\n");
    }
}
