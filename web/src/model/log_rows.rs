//! The rows of the log: past records, newest first, each with its reason.
//!
//! Consecutive heartbeats are collapsed into one row.

use leasehold_sim::{
    Explainer, Importance, Invariant, LockId, NodeId, Protection, Record, RecordId, Run,
    TimeLabels as _,
};

use crate::model::event_category::EventCategory;
use crate::model::time_display::TimeDisplay;

/// The number of rows that a page of the log adds, and twice the number of lines that a page of a
/// file adds. Small, because a seek replaces all rows.
pub(crate) const ROWS_PER_PAGE: usize = 24;

/// Selects the records that the log shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LogFilter {
    pub(crate) min_importance: Importance,
    /// Only records that concern this node.
    pub(crate) node: Option<NodeId>,
    /// Only records that concern this lock.
    pub(crate) lock: Option<LockId>,
}

impl Default for LogFilter {
    fn default() -> Self {
        Self { min_importance: Importance::Release, node: None, lock: None }
    }
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LogRow {
    pub(crate) record: RecordId,
    pub(crate) at: String,
    pub(crate) category: EventCategory,
    pub(crate) actor: String,
    pub(crate) action: String,
    pub(crate) reason: Option<String>,
    /// Earlier records that caused it, each with its time.
    pub(crate) causes: Vec<(RecordId, String)>,
    /// The protection that decided the outcome.
    pub(crate) protection: Option<Protection>,
    /// The invariants that this record violates, each with an explanation.
    pub(crate) violations: Vec<(Invariant, String)>,
    /// Whether the record belongs to the current step.
    pub(crate) is_current: bool,
    /// Whether the user searches for this row.
    pub(crate) is_match: bool,
}

/// Removes the line number from a sentence about a live server: the lines that were written before
/// the page connected were not counted.
pub(crate) fn without_line_number(sentence: &str) -> String {
    let rewritten = sentence.split_once("writes line ").and_then(|(before, rest)| {
        let (_, file) = rest.split_once(" of ")?;
        Some(format!("{before}writes a line of {file}"))
    });
    rewritten.unwrap_or_else(|| sentence.to_owned())
}

/// Returns at most `limit` rows, newest first, and whether there are more.
pub(crate) fn log_rows(
    run: &Run,
    past: &[Record],
    current_step_start: usize,
    violated: &[(Invariant, RecordId)],
    (filter, limit): (LogFilter, usize),
    time_display: &TimeDisplay,
) -> (Vec<LogRow>, bool) {
    let explainer = Explainer::new(run, past).with_time_labels(time_display);
    let mut rows: Vec<LogRow> = Vec::new();
    let mut heartbeat_steps = 0;
    for (index, record) in past.iter().enumerate().rev() {
        let id = RecordId(u32::try_from(index).unwrap_or(u32::MAX));
        let violations = violated.iter().filter(|(_, witness)| *witness == id);
        let mut violations = violations.peekable();
        // The filter does not hide the current step.
        let is_current = index >= current_step_start;
        let passes_filter = violations.peek().is_some() || matches(record, filter);
        let is_shown =
            passes_filter || (is_current && Importance::from_record(record) > Importance::Internal);
        if !is_shown {
            continue;
        }
        let category = EventCategory::from_record(record);
        if Importance::from_record(record) == Importance::Heartbeat && !is_current {
            heartbeat_steps += 1;
            if heartbeat_steps > 1
                && let Some(collapsed) = rows.last_mut()
            {
                collapsed.action = format!("{heartbeat_steps} heartbeat steps");
                (collapsed.actor, collapsed.reason) = (String::new(), None);
                continue;
            }
        } else {
            heartbeat_steps = 0;
        }
        if rows.len() == limit {
            return (rows, true);
        }
        let Some(description) = explainer.describe(id) else { continue };
        let causes = description.causes.iter().rev().filter(|cause| **cause < id).take(3);
        let causes =
            causes.filter_map(|it| Some((*it, time_display.label(past.get(it.index()?)?.at))));
        rows.push(LogRow {
            record: id,
            at: time_display.label(record.at),
            category: if violations.peek().is_some() { EventCategory::Reject } else { category },
            actor: description.actor,
            action: description.action,
            reason: description.reason,
            causes: causes.collect(),
            protection: record.deciding_protection(),
            violations: violations
                .map(|(invariant, witness)| {
                    let violation = explainer.violation(*invariant, *witness);
                    (*invariant, violation.map_or_else(String::new, |it| it.text))
                })
                .collect(),
            is_current,
            is_match: false,
        });
    }
    (rows, false)
}

fn matches(record: &Record, filter: LogFilter) -> bool {
    let subject = record.kind.subject();
    Importance::from_record(record) >= filter.min_importance
        && filter.node.is_none_or(|node| record.node == node || subject.client == Some(node))
        && filter.lock.is_none_or(|lock| subject.lock == Some(lock))
}

/// Returns a sentence about the last important record.
pub(crate) fn caption(run: &Run, past: &[Record], time_display: &TimeDisplay) -> String {
    let last = past.iter().enumerate().rev().take(400);
    let mut important = last.filter(|(_, record)| {
        let importance = Importance::from_record(record);
        importance >= Importance::Release && importance != Importance::Internal
    });
    let Some((index, record)) = important.next() else {
        return "Nothing has happened yet.".to_owned();
    };
    let id = RecordId(u32::try_from(index).unwrap_or(u32::MAX));
    let explainer = Explainer::new(run, past).with_time_labels(time_display);
    let sentence =
        explainer.describe(id).map(|description| description.sentence()).unwrap_or_default();
    format!("{}: {sentence}.", time_display.label(record.at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::{Scenario, VirtualTime};

    fn timeline_at(at_ms: u64) -> Timeline {
        let mut timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(at_ms));
        timeline
    }

    fn rows_of(timeline: &Timeline, filter: LogFilter) -> Vec<LogRow> {
        let step = timeline.step_records(timeline.position()).len();
        let from = timeline.past().len() - step;
        let (past, violated) = (timeline.past(), timeline.violated());
        let limit = (filter, 500);
        log_rows(timeline.run(), past, from, &violated, limit, timeline.time_display()).0
    }

    #[test]
    fn newest_row_is_first_and_has_a_reason() {
        let rows = rows_of(&timeline_at(17_000), LogFilter::default());
        let refused =
            rows.iter().find(|row| row.action.starts_with("rejects client_1's append")).unwrap();
        assert!(
            refused
                .reason
                .as_deref()
                .unwrap()
                .contains("client_2 has held file_0 under token 2 since"),
            "{refused:?}"
        );
        assert!(refused.causes.len() > 1 && refused.category == EventCategory::Reject);
        assert_eq!(refused.protection, Some(Protection::Fencing));
        let mut numbers = rows.iter().map(|row| row.record);
        assert!(numbers.by_ref().is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn rows_are_filtered_by_node_and_heartbeats_are_collapsed() {
        let timeline = timeline_at(9_000);
        let with_heartbeats =
            LogFilter { min_importance: Importance::Heartbeat, ..LogFilter::default() };
        let rows = rows_of(&timeline, with_heartbeats);
        assert!(rows.iter().any(|row| row.action.ends_with(" heartbeat steps")));
        let client_2_rows =
            rows_of(&timeline, LogFilter { node: Some(NodeId(2)), ..LogFilter::default() });
        assert!(
            client_2_rows
                .iter()
                .skip(1)
                .all(|row| format!("{} {}", row.actor, row.action).contains("client_2"))
        );
    }

    #[test]
    fn current_step_is_shown_whatever_the_filter() {
        let mut timeline = timeline_at(0);
        let violations_only =
            LogFilter { min_importance: Importance::Violation, ..LogFilter::default() };
        for position in 1..60 {
            timeline.go_to_position(position);
            let current = timeline.step_records(position).iter();
            if current.clone().any(|record| Importance::from_record(record) > Importance::Internal)
            {
                assert!(
                    rows_of(&timeline, violations_only).iter().any(|row| row.is_current),
                    "{position}"
                );
            }
        }
    }

    #[test]
    fn line_numbers_are_removed_if_unknown() {
        let sentence = "writes line 3 of file_0 for ann, under token 4";
        assert_eq!(without_line_number(sentence), "writes a line of file_0 for ann, under token 4");
        assert_eq!(without_line_number("grants file_0"), "grants file_0");
    }

    #[test]
    fn caption_describes_the_last_important_record() {
        let timeline = timeline_at(11_000);
        let caption = caption(timeline.run(), timeline.past(), timeline.time_display());
        assert!(caption.contains("server grants file_0 to client_2"), "{caption}");
    }
}
