//! The guarded files line by line: client, token, and marks for lines that are stale, duplicated,
//! or different in a correct run.

use std::collections::BTreeSet;

use leasehold_core::id::{Seq, SessionId, Token};
use leasehold_sim::{Line, Lines, LockId, NodeId, RecordId, Run, World};

use super::live_trace::{FilePart, LiveFile, LiveTrace, UnobservedPart};
use super::timeline::Timeline;

/// Up to this number of lines, duplicates are found by comparing each line with all lines before
/// it.
const PAIRWISE_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileView {
    pub(crate) name: String,
    /// The number of lines, or of new lines if `is_partial_count`.
    pub(crate) line_count: usize,
    /// Whether the contents from before the page connected are unknown.
    pub(crate) is_partial_count: bool,
    pub(crate) lines: Vec<LineView>,
    /// Whether the file has lines before these.
    pub(crate) has_more: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineView {
    pub(crate) key: String,
    pub(crate) record: RecordId,
    pub(crate) text: String,
    /// Whether it is one line, and not a part that was not fetched.
    pub(crate) is_line: bool,
    /// The fencing token; `None` for a line that was not observed when it was appended.
    pub(crate) token: Option<Token>,
    pub(crate) client: String,
    /// The client that appended it, if that is known.
    pub(crate) node: Option<NodeId>,
    /// It follows a line with a larger token.
    pub(crate) is_stale: bool,
    /// The same request has already been appended.
    pub(crate) is_duplicate: bool,
    pub(crate) diff: LineDiff,
}

/// The result of comparing a line with a correct run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LineDiff {
    /// Both runs have it, or no comparison was requested.
    Unchanged,
    /// Only this run has it.
    Extra,
    /// Only the correct run has it.
    Missing,
}

/// Describes a number of lines. A partial count covers the time since the page connected.
pub(crate) fn line_count_text(count: usize, is_partial: bool) -> String {
    let plural = if count == 1 { "" } else { "s" };
    if is_partial { format!("{count} new line{plural}") } else { format!("{count} line{plural}") }
}

impl LineView {
    pub(crate) fn css_class(&self) -> &'static str {
        match self.diff {
            LineDiff::Extra => "extra",
            LineDiff::Missing => "missing",
            LineDiff::Unchanged if self.is_stale => "stale",
            LineDiff::Unchanged if self.is_duplicate => "duplicate",
            LineDiff::Unchanged => "",
        }
    }

    /// Whether the line should not be there.
    pub(crate) const fn is_wrong(&self) -> bool {
        self.is_stale || self.is_duplicate
    }

    /// Describes its marks.
    pub(crate) fn badges(&self) -> String {
        let mut badges = Vec::new();
        if self.is_stale {
            badges.push("stale");
        }
        if self.is_duplicate {
            badges.push("duplicate");
        }
        match self.diff {
            LineDiff::Extra => badges.push("+ only in this run"),
            LineDiff::Missing => badges.push("− only in the correct run"),
            LineDiff::Unchanged => {}
        }
        badges.join("  ")
    }

    pub(crate) fn token_text(&self) -> String {
        self.token.map_or_else(|| "·".to_owned(), |token| format!("#{token}"))
    }

    pub(crate) fn hint(&self) -> String {
        match self.token {
            Some(token) => format!("appended by {} with token {token}", self.client),
            None => "appended while the page was not connected".to_owned(),
        }
    }
}

impl Timeline {
    /// Returns all files at the current time, with at most `lines_max` of their last lines.
    /// `correct` is the end of the same run with all protections; if set, differences are marked.
    pub(crate) fn file_views(&self, correct: Option<&World>, lines_max: usize) -> Vec<FileView> {
        match (self.world(), self.live_trace()) {
            (Some(world), _) => simulated_file_views(world, correct, lines_max),
            (None, Some(live_trace)) => live_file_views(live_trace, self.position(), lines_max),
            (None, None) => Vec::new(),
        }
    }
}

fn live_file_views(live_trace: &LiveTrace, records: u32, lines_max: usize) -> Vec<FileView> {
    let run = live_trace.run();
    let locks = (0..).map(LockId).zip(&run.config.locks);
    let file_views = locks.filter_map(|(lock_id, name)| {
        let file = live_trace.file(lock_id, records)?;
        let (line_count, is_partial_count) = file.line_count();
        let lines = live_line_views(run, &file, lines_max);
        let has_more = line_count > lines.iter().filter(|line| line.is_line).count();
        let name = name.to_string();
        Some(FileView { name, line_count, is_partial_count, lines, has_more })
    });
    file_views.filter(|file| !file.lines.is_empty()).collect()
}

/// Returns the last lines of a file, and rows for parts that were not fetched.
fn live_line_views(run: &Run, file: &LiveFile<'_>, lines_max: usize) -> Vec<LineView> {
    let mut observed = last_line_views(run, file.observed(), lines_max);
    let mut views = Vec::new();
    for part in file.parts_from_end() {
        match part {
            FilePart::Line(_) => views.extend(observed.pop()),
            FilePart::Unobserved(part) => {
                let rows = unobserved_line_views(part);
                views.extend(rows.into_iter().rev().take(lines_max));
            }
        }
        if views.len() >= lines_max {
            break;
        }
    }
    views.truncate(lines_max);
    views.reverse();
    views
}

/// Returns the lines that were appended while the page was not connected.
fn unobserved_line_views(part: &UnobservedPart) -> Vec<LineView> {
    let line_view = |key: String, text: String, is_line| LineView {
        key,
        record: RecordId::NONE,
        text,
        is_line,
        token: None,
        client: String::new(),
        node: None,
        is_stale: false,
        is_duplicate: false,
        diff: LineDiff::Unchanged,
    };
    let offset = part.offset;
    match &part.lines {
        Some(lines) => {
            let lines = (0_usize..).zip(lines);
            lines
                .map(|(index, line)| line_view(format!("{offset}+{index}"), line.clone(), true))
                .collect()
        }
        None => vec![line_view(format!("{offset}+"), part.description(), false)],
    }
}

fn simulated_file_views(world: &World, correct: Option<&World>, lines_max: usize) -> Vec<FileView> {
    let locks = (0..).map(LockId).zip(&world.run().config.locks);
    locks
        .map(|(lock_id, name)| {
            let count = world.file(lock_id).map_or(0, Lines::len);
            let mut lines =
                line_views(world, lock_id, if correct.is_some() { usize::MAX } else { lines_max });
            if let Some(correct) = correct {
                mark_differences(
                    &mut lines,
                    &line_views(correct, lock_id, usize::MAX),
                    world.is_over(),
                );
            }
            let has_more = lines.len().max(count) > lines_max;
            let lines = lines.split_off(lines.len().saturating_sub(lines_max));
            FileView {
                name: name.to_string(),
                line_count: count,
                is_partial_count: false,
                lines,
                has_more,
            }
        })
        .collect()
}

fn line_views(world: &World, lock_id: LockId, lines_max: usize) -> Vec<LineView> {
    last_line_views(world.run(), world.file(lock_id).into_iter().flat_map(Lines::iter), lines_max)
}

/// Returns the last lines. The marks take all lines into account.
fn last_line_views<'a>(
    run: &Run,
    lines: impl Iterator<Item = &'a Line>,
    lines_max: usize,
) -> Vec<LineView> {
    let client_name = |node: NodeId| {
        let client = usize::from(node.0).checked_sub(1).and_then(|it| run.config.clients.get(it));
        client.map_or_else(String::new, |client| client.name.to_string())
    };
    let lines: Vec<&Line> = lines.collect();
    let from = lines.len().saturating_sub(lines_max);
    let (before, shown) = lines.split_at(from);
    // Pairwise comparison is quadratic, and a set costs more than it saves for few lines.
    let mut request_ids: Option<BTreeSet<(SessionId, Seq)>> =
        (shown.len() > PAIRWISE_MAX).then(BTreeSet::new);
    if let Some(request_ids) = &mut request_ids {
        request_ids.extend(before.iter().map(|line| line.request));
    }
    let mut highest_token = before.iter().map(|line| line.token).max().unwrap_or_default();
    let shown = shown.iter().enumerate();
    shown
        .map(|(index, line)| {
            let is_stale = line.token < highest_token;
            highest_token = highest_token.max(line.token);
            LineView {
                key: line.offset.to_string(),
                record: line.record,
                text: line.text.clone(),
                is_line: true,
                token: Some(line.token),
                client: client_name(line.client),
                node: (line.client != NodeId::UNKNOWN).then_some(line.client),
                is_stale,
                is_duplicate: match &mut request_ids {
                    Some(request_ids) => !request_ids.insert(line.request),
                    None => lines[..from + index].iter().any(|it| it.request == line.request),
                },
                diff: LineDiff::Unchanged,
            }
        })
        .collect()
}

/// Marks differences. Lines are marked as missing only if the run is over, because they may still
/// be appended.
fn mark_differences(lines: &mut Vec<LineView>, correct: &[LineView], is_over: bool) {
    let mut unmatched: Vec<&LineView> = correct.iter().collect();
    for line in lines.iter_mut() {
        match unmatched.iter().position(|other| other.text == line.text) {
            Some(index) => drop(unmatched.remove(index)),
            None => line.diff = LineDiff::Extra,
        }
    }
    if is_over {
        let missing = unmatched.into_iter().map(|line| LineView {
            key: format!("missing {}", line.key),
            diff: LineDiff::Missing,
            ..line.clone()
        });
        lines.extend(missing);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Protection, Scenario};

    fn world(scenario: &str, without: &[Protection]) -> World {
        let scenario = Scenario::from_name(scenario).unwrap();
        let mut world = World::new(scenario.run_without(&without.iter().copied().collect()));
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        world
    }

    #[test]
    fn partial_counts_are_labelled() {
        assert_eq!(
            (line_count_text(1, false), line_count_text(0, false)),
            ("1 line".into(), "0 lines".into())
        );
        assert_eq!(line_count_text(3, true), "3 new lines");
    }

    #[test]
    fn stale_and_duplicate_lines_are_marked() {
        let without_fencing =
            simulated_file_views(&world("gc-pause", &[Protection::Fencing]), None, 60);
        assert!(
            without_fencing[0].lines.iter().any(|line| line.badges() == "stale"),
            "{without_fencing:#?}"
        );
        let without_dedupe =
            simulated_file_views(&world("lost-reply", &[Protection::Dedupe]), None, 60);
        assert!(
            without_dedupe[0].lines.iter().any(|line| line.badges() == "duplicate"),
            "{without_dedupe:#?}"
        );
        let correct_run = simulated_file_views(&world("gc-pause", &[]), None, 60);
        assert!(correct_run[0].lines.iter().all(|line| line.badges().is_empty()));
    }

    #[test]
    fn last_lines_of_a_long_file_keep_their_marks() {
        for (scenario, without) in
            [("gc-pause", Protection::Fencing), ("lost-reply", Protection::Dedupe)]
        {
            let world = world(scenario, &[without]);
            let (all_lines, last_line) = (
                simulated_file_views(&world, None, usize::MAX),
                simulated_file_views(&world, None, 1),
            );
            assert!(
                last_line.iter().any(|file| file.has_more && !file.lines[0].badges().is_empty())
            );
            for (all_lines, last_line) in all_lines.iter().zip(last_line) {
                assert_eq!(
                    (last_line.line_count, &last_line.lines[..]),
                    (all_lines.line_count, &all_lines.lines[all_lines.lines.len() - 1..])
                );
            }
        }
    }

    #[test]
    fn differences_from_a_correct_run_are_marked() {
        let (faulty_run, correct_run) =
            (world("gc-pause", &[Protection::Fencing]), world("gc-pause", &[]));
        let files = simulated_file_views(&faulty_run, Some(&correct_run), 60);
        assert!(files[0].lines.iter().any(|line| line.diff != LineDiff::Unchanged), "{files:#?}");
        let same = simulated_file_views(&correct_run, Some(&correct_run), 60);
        assert!(same[0].lines.iter().all(|line| line.diff == LineDiff::Unchanged));
        assert_eq!(same[0].line_count, same[0].lines.len());
    }
}
