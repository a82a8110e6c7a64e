//! The search in the log: finds rows that contain a text.
//!
//! Only rows of the past are searched, as far as the filter of the log shows them. So the search
//! works with filters, and never reveals the future.

use leasehold_sim::RecordId;

use super::log_rows::LogRow;

/// The maximum number of rows that are searched, the newest first. Each row takes time to write.
pub(crate) const ROWS_SEARCHED_MAX: usize = 2_000;

/// The number of rows that are shown after the current match.
const ROWS_AFTER_MATCH: usize = 6;

/// What the user searches for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSearch {
    /// Whether the field is shown.
    pub(crate) is_open: bool,
    pub(crate) text: String,
    /// The match that the user has gone to; the newest if unset.
    current: Option<RecordId>,
}

/// The rows that match, newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogMatches {
    records: Vec<RecordId>,
    /// The index of the current match.
    current: usize,
    /// Whether older rows were not searched.
    is_truncated: bool,
}

impl LogSearch {
    pub(crate) fn is_active(&self) -> bool {
        self.is_open && !self.text.trim().is_empty()
    }

    pub(crate) fn set_text(&mut self, text: String) {
        (self.text, self.current) = (text, None);
    }

    pub(crate) fn close(&mut self) {
        *self = Self::default();
    }

    /// Goes to the next older match, or to the next newer one. After the last comes the first.
    pub(crate) fn go_to_next(&mut self, matches: &LogMatches, older: bool) {
        let count = matches.records.len();
        if count > 0 {
            let step = if older { 1 } else { count - 1 };
            self.current = Some(matches.records[(matches.current + step) % count]);
        }
    }

    /// Finds and marks the rows that contain the text.
    pub(crate) fn matches(&self, rows: &mut [LogRow], has_more_rows: bool) -> LogMatches {
        let text = self.text.trim().to_ascii_lowercase();
        let mut records = Vec::new();
        for row in rows {
            row.is_match = row.contains(&text);
            if row.is_match {
                records.push(row.record);
            }
        }
        let current = records.iter().position(|it| Some(*it) == self.current).unwrap_or(0);
        LogMatches { records, current, is_truncated: has_more_rows }
    }
}

impl LogMatches {
    pub(crate) fn current(&self) -> Option<RecordId> {
        self.records.get(self.current).copied()
    }

    /// Returns how many of the rows must be shown for the current match.
    pub(crate) fn rows_needed(&self, rows: &[LogRow]) -> usize {
        let index = rows.iter().position(|row| Some(row.record) == self.current());
        index.map_or(0, |index| index + 1 + ROWS_AFTER_MATCH)
    }

    /// Returns the position among the matches, such as "2 of 7".
    pub(crate) fn count_text(&self) -> String {
        let (count, more) = (self.records.len(), if self.is_truncated { "+" } else { "" });
        match count {
            0 if self.is_truncated => format!("None in the last {ROWS_SEARCHED_MAX}"),
            0 => "None so far".to_owned(),
            _ => format!("{} of {count}{more}", self.current + 1),
        }
    }
}

impl LogRow {
    /// Whether the row contains a text, which is in lower case.
    fn contains(&self, text: &str) -> bool {
        let violations =
            self.violations.iter().map(|(invariant, text)| format!("{invariant} {text}"));
        let mut parts = vec![format!("{} {} {}", self.at, self.actor, self.action)];
        parts.extend(self.reason.iter().map(|reason| format!("because {reason}")));
        parts.extend(violations);
        parts.iter().any(|part| part.to_ascii_lowercase().contains(text))
    }
}

#[cfg(test)]
mod tests {
    use crate::model::link::Link;
    use crate::model::target::Target;
    use crate::model::workspace::Workspace;
    use leasehold_sim::{NodeId, VirtualTime};

    fn workspace(text: &str) -> Workspace {
        let mut workspace = Workspace::from_link(&Link::parse("?scenario=gc-pause&t=17000"));
        workspace.log_search.is_open = true;
        workspace.log_search.set_text(text.to_owned());
        workspace
    }

    #[test]
    fn matches_are_found_without_regard_to_case_and_visited_in_turn() {
        let mut workspace = workspace("  CLIENT_2 ");
        let data = workspace.panel_data();
        let count = data.matches.records.len();
        assert!(count > 0 && data.matches.count_text() == format!("1 of {count}"));
        let first = data.matches.current();
        for step in 1..=count {
            let matches = workspace.panel_data().matches;
            workspace.log_search.go_to_next(&matches, true);
            let data = workspace.panel_data();
            assert_eq!(data.matches.current, step % count);
            let row = data.rows.iter().find(|row| Some(row.record) == data.matches.current());
            assert!(row.is_some_and(|row| row.is_match), "the current match is shown");
        }
        assert_eq!(workspace.panel_data().matches.current(), first);
    }

    #[test]
    fn search_respects_the_filter() {
        let mut workspace = workspace("client_2");
        let all = workspace.panel_data().matches.records.len();
        workspace.selected = Some(Target::Node(NodeId(1)));
        workspace.filter_by_selection();
        let filtered = workspace.panel_data().matches.records.len();
        assert!(filtered < all, "{filtered} of {all}");
    }

    /// The answer to the question is in the log only after it has happened.
    #[test]
    fn search_never_finds_the_future() {
        let mut workspace = workspace("rejects");
        assert_ne!(workspace.panel_data().matches.records, []);
        workspace.go_to(VirtualTime::from_millis(12_000));
        assert_eq!(workspace.panel_data().matches.count_text(), "None so far");
    }
}
