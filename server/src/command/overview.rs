//! The state as tables for a person.

use std::fmt::Write as _;

use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::{Lock, Session, State};
use leasehold_core::time::Time;

use super::paint::Paint;

/// How many names are listed in one cell.
const NAMES_MAX: usize = 4;

/// The tables: locks, sessions, files; at most `rows_max` rows each.
pub(crate) fn overview(
    state: &State,
    now: Time,
    server: &str,
    rows_max: usize,
    paint: Paint,
) -> String {
    let held = state.locks().values().filter(|lock| lock.tenure().is_some()).count();
    let mut out = format!(
        "{}  {}, {} held, {} waiting, {}\n",
        paint.bold(server),
        count(state.sessions().len(), "session"),
        count(held, "lock"),
        state.waiter_count(),
        count(state.files().len(), "file"),
    );
    let mut locks = Table::new(&["LOCK", "HELD BY", "TOKEN", "FOR", "LEASE LEFT", "IN LINE"]);
    for (name, lock) in state.locks() {
        locks.row(lock_row(state, now, name, lock));
    }
    let mut sessions = Table::new(&["SESSION", "CLIENT", "LEASE", "LEFT", "HOLDS", "WAITS FOR"]);
    for (&session_no, session) in state.sessions() {
        sessions.row(session_row(now, session_no, session));
    }
    let mut files = Table::new(&["FILE", "BYTES", "LAST TOKEN"]);
    for (name, file) in state.files() {
        let (len, token) = (file.len().to_string(), file.last_token().to_string());
        files.row(vec![name.to_string(), len, token]);
    }
    for table in [locks, sessions, files] {
        table.write(&mut out, rows_max, paint);
    }
    out
}

fn lock_row(state: &State, now: Time, name: &Name, lock: &Lock) -> Vec<String> {
    let client = |session_no| state.session(session_no).map(|session| session.client.to_string());
    let line = names(lock.wait_queue().iter().filter_map(|waiter| client(waiter.session_id)));
    let Some(tenure) = lock.tenure() else {
        return [name.as_str(), "-", "", "", "", &line].map(str::to_owned).to_vec();
    };
    let left = state.session(tenure.session_id).map(|session| now.until(session.expires_at));
    vec![
        name.to_string(),
        client(tenure.session_id).unwrap_or_default(),
        tenure.token.to_string(),
        now.since(tenure.granted_at).to_string(),
        left.map_or_else(String::new, |left| left.to_string()),
        line,
    ]
}

fn session_row(now: Time, session_no: SessionId, session: &Session) -> Vec<String> {
    vec![
        session_no.to_string(),
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
        write!(text, ", and {} more", rest.len()).expect("a string takes any text");
    }
    text
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

/// Text in columns, as wide as what is in them.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn new(head: &[&str]) -> Self {
        Self { head: head.iter().map(|&title| title.to_owned()).collect(), rows: Vec::new() }
    }

    fn row(&mut self, row: Vec<String>) {
        assert_eq!(row.len(), self.head.len(), "a cell for each column");
        self.rows.push(row);
    }

    /// Writes it under an empty line; nothing where it has no rows.
    fn write(&self, out: &mut String, rows_max: usize, paint: Paint) {
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
        let head = paint.dim(&line(&self.head));
        writeln!(out, "\n{head}").expect("a string takes any text");
        for row in shown {
            writeln!(out, "{}", line(row)).expect("a string takes any text");
        }
        if shown.len() < self.rows.len() {
            let more = self.rows.len() - shown.len();
            writeln!(out, "… and {more} more; -v shows them").expect("a string takes any text");
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
    fn it_tells_who_holds_and_who_waits() {
        let state = state(&[
            r#"{"index":1,"at_ms":0,"type":"session_opened","session_no":1,"client":"ann","lease_ms":5000}"#,
            r#"{"index":2,"at_ms":0,"type":"session_opened","session_no":2,"client":"bob","lease_ms":5000}"#,
            r#"{"index":3,"at_ms":0,"type":"lock_granted","lock":"ledger","session_no":1,"client":"ann","token":1,"seq":1,"from_queue":false}"#,
            r#"{"index":4,"at_ms":1000,"type":"lock_queued","lock":"ledger","session_no":2,"client":"bob","seq":1,"wait_ms":9000}"#,
        ]);
        let now = state.last_event_at() + Millis::from_millis(500);
        let text = overview(&state, now, "here:1", 9, Paint::off());
        let expected = "\
here:1  2 sessions, 1 lock held, 1 waiting, 0 files

LOCK    HELD BY  TOKEN  FOR    LEASE LEFT  IN LINE
ledger  ann      1      1.5 s  3.5 s       bob

SESSION  CLIENT  LEASE  LEFT   HOLDS   WAITS FOR
1        ann     5.0 s  3.5 s  ledger
2        bob     5.0 s  4.5 s          ledger
";
        assert_eq!(text, expected);
    }

    #[test]
    fn what_is_too_much_to_look_at_is_counted() {
        let many = (0..6).map(|number| format!("c{number}"));
        assert_eq!(names(many), "c0, c1, c2, c3, and 2 more");
        let mut table = Table::new(&["A"]);
        (0..3).for_each(|row| table.row(vec![row.to_string()]));
        let mut out = String::new();
        table.write(&mut out, 2, Paint::off());
        assert_eq!(out, "\nA\n0\n1\n… and 1 more; -v shows them\n");
    }
}
