//! The files line by line: whose each is and under which token, what is stale, what stands there
//! twice, and what a correct run would not have.

use std::collections::BTreeSet;

use leasehold_sim::{Line, Lines, LockNo, NodeNo, RecordNo, Run, World};

use super::film::Film;
use super::footage::{Beginning, Footage};
use super::scene::count_at;

/// So many lines are each compared with all that came before.
const FEW: usize = 100;

/// The key of what stands for bytes that nobody has seen.
const UNSEEN: &str = "unseen";

/// One file.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FileView {
    pub(crate) name: String,
    /// How many lines there are; where it isn't known what stood there before, how many came.
    pub(crate) count: usize,
    pub(crate) is_since: bool,
    pub(crate) lines: Vec<LineView>,
    /// Whether there are earlier ones.
    pub(crate) has_more: bool,
}

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LineView {
    pub(crate) key: String,
    pub(crate) record: RecordNo,
    pub(crate) text: String,
    pub(crate) token: u32,
    pub(crate) client: String,
    /// It came after a line under a larger token.
    pub(crate) is_stale: bool,
    /// The same request stands there already.
    pub(crate) is_twice: bool,
    pub(crate) against: Against,
}

/// How a line stands against a correct run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Against {
    /// Nobody has asked, or it stands there too.
    Same,
    /// A correct run doesn't have it.
    Extra,
    /// A correct run has it, and this one doesn't.
    Missing,
}

/// A number of lines, in words: all that there are, or those since somebody watched.
pub(crate) fn lines_text(count: usize, is_since: bool) -> String {
    let plural = if count == 1 { "" } else { "s" };
    if is_since { format!("+{count} since watched") } else { format!("{count} line{plural}") }
}

impl LineView {
    pub(crate) fn class(&self) -> &'static str {
        match self.against {
            Against::Extra => "extra",
            Against::Missing => "missing",
            Against::Same if self.is_stale => "stale",
            Against::Same if self.is_twice => "twice",
            Against::Same => "",
        }
    }

    /// What is wrong with it, in signs and words.
    pub(crate) fn signs(&self) -> String {
        let mut signs = Vec::new();
        if self.is_stale {
            signs.push("⚠ stale");
        }
        if self.is_twice {
            signs.push("⧉ twice");
        }
        match self.against {
            Against::Extra => signs.push("+ not in a correct run"),
            Against::Missing => signs.push("− only in a correct run"),
            Against::Same => {}
        }
        signs.join("  ")
    }

    pub(crate) fn token_text(&self) -> String {
        if self.token == 0 { "·".to_owned() } else { format!("#{}", self.token) }
    }

    pub(crate) fn hint(&self) -> String {
        if self.token == 0 {
            return "written before anybody watched".to_owned();
        }
        format!("written by {} under token {}", self.client, self.token)
    }
}

impl Film {
    /// All files at this moment, with so many of their last lines; `correct` is the same run with
    /// all protections, at its end.
    pub(crate) fn files(&self, correct: Option<&World>, lines_max: usize) -> Vec<FileView> {
        match (self.world(), self.footage()) {
            (Some(world), _) => files(world, correct, lines_max),
            (None, Some(footage)) => seen(footage, self.place(), lines_max),
            (None, None) => Vec::new(),
        }
    }
}

fn seen(footage: &Footage, records: u32, lines_max: usize) -> Vec<FileView> {
    let run = footage.run();
    let locks = (0..).map(LockNo).zip(&run.config.locks);
    let seen = locks.filter_map(|(no, name)| {
        let all = footage.ledger().file(no)?;
        let beginning = footage.beginning(no, records);
        let mut shown = beginning.map_or_else(Vec::new, beginning_views);
        let lines = beginning.map_or(0, |it| it.seen)..count_at(all, records);
        let came = lines.len();
        let has_more = shown.len() + came > lines_max;
        // How many there were before isn't known where only their bytes are.
        let count = came + shown.iter().filter(|line| line.key != UNSEEN).count();
        shown.extend(last_views(run, lines.filter_map(|at| all.get(at)), lines_max));
        let lines = shown.split_off(shown.len().saturating_sub(lines_max));
        let is_since = beginning.is_some_and(|it| it.lines().is_none());
        Some(FileView { name: name.to_string(), count, is_since, lines, has_more })
    });
    seen.filter(|file| !file.lines.is_empty()).collect()
}

/// What stood in a file before anybody looked.
fn beginning_views(beginning: &Beginning) -> Vec<LineView> {
    let view = |key: String, text: String| LineView {
        key,
        record: RecordNo::NONE,
        text,
        token: 0,
        client: String::new(),
        is_stale: false,
        is_twice: false,
        against: Against::Same,
    };
    match &beginning.text {
        Some(text) => {
            let lines = (0_usize..).zip(text.lines());
            lines.map(|(no, line)| view(format!("before {no}"), line.to_owned())).collect()
        }
        None if beginning.len > 0 => {
            vec![view(UNSEEN.to_owned(), format!("… {} bytes before", beginning.len))]
        }
        None => Vec::new(),
    }
}

fn files(world: &World, correct: Option<&World>, lines_max: usize) -> Vec<FileView> {
    let locks = (0..).map(LockNo).zip(&world.run().config.locks);
    locks
        .map(|(no, name)| {
            let count = world.file(no).map_or(0, Lines::len);
            let mut lines =
                lines(world, no, if correct.is_some() { usize::MAX } else { lines_max });
            if let Some(correct) = correct {
                against(&mut lines, &self::lines(correct, no, usize::MAX), world.is_over());
            }
            let has_more = lines.len().max(count) > lines_max;
            let lines = lines.split_off(lines.len().saturating_sub(lines_max));
            FileView { name: name.to_string(), count, is_since: false, lines, has_more }
        })
        .collect()
}

fn lines(world: &World, no: LockNo, lines_max: usize) -> Vec<LineView> {
    last_views(world.run(), world.file(no).into_iter().flat_map(Lines::iter), lines_max)
}

/// The last of these lines. All of them say what is wrong with those.
fn last_views<'a>(
    run: &Run,
    lines: impl Iterator<Item = &'a Line>,
    lines_max: usize,
) -> Vec<LineView> {
    let author = |node: NodeNo| {
        let client = usize::from(node.0).checked_sub(1).and_then(|it| run.config.clients.get(it));
        client.map_or_else(String::new, |client| client.name.to_string())
    };
    let lines: Vec<&Line> = lines.collect();
    let from = lines.len().saturating_sub(lines_max);
    let (before, shown) = lines.split_at(from);
    // To compare all with all takes too long, and a set of all is too much for a few.
    let mut asked: Option<BTreeSet<(u32, u32)>> =
        (shown.len() > FEW).then(|| before.iter().map(|line| line.asked).collect());
    let mut highest = before.iter().map(|line| line.token).max().unwrap_or(0);
    let shown = shown.iter().enumerate();
    shown
        .map(|(no, line)| {
            let is_stale = line.token < highest;
            highest = highest.max(line.token);
            LineView {
                key: line.offset.to_string(),
                record: line.record,
                text: line.text.clone(),
                token: line.token,
                client: author(line.client),
                is_stale,
                is_twice: match &mut asked {
                    Some(asked) => !asked.insert(line.asked),
                    None => lines[..from + no].iter().any(|it| it.asked == line.asked),
                },
                against: Against::Same,
            }
        })
        .collect()
}

/// Marks what differs. Only at the end what is missing is missing for good.
fn against(lines: &mut Vec<LineView>, correct: &[LineView], is_over: bool) {
    let mut left: Vec<&LineView> = correct.iter().collect();
    for line in lines.iter_mut() {
        match left.iter().position(|other| other.text == line.text) {
            Some(place) => drop(left.remove(place)),
            None => line.against = Against::Extra,
        }
    }
    if is_over {
        let missing = left.into_iter().map(|line| LineView {
            key: format!("missing {}", line.key),
            against: Against::Missing,
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
        let scenario = Scenario::named(scenario).unwrap();
        let mut world = World::new(scenario.run_without(&without.iter().copied().collect()));
        let mut trace = Vec::new();
        while world.step(&mut trace) {}
        world
    }

    #[test]
    fn what_was_not_seen_is_not_counted_as_all_there_is() {
        assert_eq!(
            (lines_text(1, false), lines_text(0, false)),
            ("1 line".into(), "0 lines".into())
        );
        assert_eq!(lines_text(3, true), "+3 since watched");
    }

    #[test]
    fn a_stale_line_and_a_double_one_are_told() {
        let stale = files(&world("gc-pause", &[Protection::Fencing]), None, 60);
        assert!(stale[0].lines.iter().any(|line| line.signs() == "⚠ stale"), "{stale:#?}");
        let twice = files(&world("lost-reply", &[Protection::Dedupe]), None, 60);
        assert!(twice[0].lines.iter().any(|line| line.signs() == "⧉ twice"), "{twice:#?}");
        let right = files(&world("gc-pause", &[]), None, 60);
        assert!(right[0].lines.iter().all(|line| line.signs().is_empty()));
    }

    #[test]
    fn of_a_long_file_the_last_lines_are_told_and_what_is_wrong_with_them() {
        for (scenario, without) in
            [("gc-pause", Protection::Fencing), ("lost-reply", Protection::Dedupe)]
        {
            let world = world(scenario, &[without]);
            let (all, last) = (files(&world, None, usize::MAX), files(&world, None, 1));
            assert!(last.iter().any(|file| file.has_more && !file.lines[0].signs().is_empty()));
            for (all, last) in all.iter().zip(last) {
                assert_eq!(
                    (last.count, &last.lines[..]),
                    (all.count, &all.lines[all.lines.len() - 1..])
                );
            }
        }
    }

    #[test]
    fn what_a_correct_run_would_not_have_is_marked() {
        let (wrong, right) = (world("gc-pause", &[Protection::Fencing]), world("gc-pause", &[]));
        let files = files(&wrong, Some(&right), 60);
        assert!(files[0].lines.iter().any(|line| line.against != Against::Same), "{files:#?}");
        let same = super::files(&right, Some(&right), 60);
        assert!(same[0].lines.iter().all(|line| line.against == Against::Same));
        assert_eq!(same[0].count, same[0].lines.len());
    }
}
