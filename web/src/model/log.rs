//! The log: what has happened, newest first, each with its because; heartbeats in a row are one
//! line.

use leasehold_sim::{
    Interest, Invariant, LockNo, NodeNo, Protection, Record, RecordNo, Run, Teller,
};

use crate::picture::glyph::Sign;

/// How many rows are shown at first, and how many more each time; of each file half as many lines.
/// Few: when one goes elsewhere in a run all of them are others.
pub(crate) const ROWS_STEP: usize = 24;

/// What is to be seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filter {
    /// What matters at least so much.
    pub(crate) least: Interest,
    /// Only what concerns this node, or this lock.
    pub(crate) node: Option<NodeNo>,
    pub(crate) lock: Option<LockNo>,
}

impl Default for Filter {
    fn default() -> Self {
        Self { least: Interest::Release, node: None, lock: None }
    }
}

/// One line of the log.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    pub(crate) record: RecordNo,
    pub(crate) at: String,
    pub(crate) sign: Sign,
    pub(crate) who: String,
    pub(crate) what: String,
    pub(crate) because: Option<String>,
    /// What it rests on: number and moment.
    pub(crate) causes: Vec<(RecordNo, String)>,
    /// The protection that decided it.
    pub(crate) protection: Option<Protection>,
    /// What it violates, and how.
    pub(crate) violates: Vec<(Invariant, String)>,
    /// It belongs to the last step.
    pub(crate) is_current: bool,
}

/// What is said of a server that one watches: which line of a file it is isn't known, since nobody
/// counted those before.
pub(crate) fn unnumbered(told: &str) -> String {
    let parts = told.split_once("writes line ").and_then(|(before, rest)| {
        let (_, file) = rest.split_once(" of ")?;
        Some(format!("{before}writes a line of {file}"))
    });
    parts.unwrap_or_else(|| told.to_owned())
}

/// The last rows, newest first. Says also whether there are more.
pub(crate) fn rows(
    run: &Run,
    past: &[Record],
    step_from: usize,
    violated: &[(Invariant, RecordNo)],
    filter: Filter,
    limit: usize,
) -> (Vec<Row>, bool) {
    let teller = Teller::new(run, past);
    let mut rows: Vec<Row> = Vec::new();
    let mut renewals = 0;
    for (place, record) in past.iter().enumerate().rev() {
        let no = RecordNo(u32::try_from(place).unwrap_or(u32::MAX));
        let violates = violated.iter().filter(|(_, witness)| *witness == no);
        let mut violates = violates.peekable();
        // The current step is always told, whatever one cares for.
        let is_current = place >= step_from;
        let is_wanted = violates.peek().is_some() || fits(record, filter);
        let is_told = is_wanted || (is_current && Interest::of(record) > Interest::Inner);
        if !is_told {
            continue;
        }
        let sign = Sign::of_record(record);
        if Interest::of(record) == Interest::Heartbeat && !is_current {
            renewals += 1;
            if renewals > 1
                && let Some(folded) = rows.last_mut()
            {
                folded.what = format!("and others: {renewals} steps of heartbeats");
                (folded.who, folded.because) = (String::new(), None);
                continue;
            }
        } else {
            renewals = 0;
        }
        if rows.len() == limit {
            return (rows, true);
        }
        let Some(told) = teller.tell(no) else { continue };
        let causes = told.causes.iter().rev().filter(|cause| **cause < no).take(3);
        let causes = causes.filter_map(|it| Some((*it, past.get(it.place()?)?.at.to_string())));
        rows.push(Row {
            record: no,
            at: record.at.to_string(),
            sign: if violates.peek().is_some() { Sign::Reject } else { sign },
            who: told.who,
            what: told.what,
            because: told.because,
            causes: causes.collect(),
            protection: record.protection(),
            violates: violates
                .map(|(invariant, witness)| {
                    let how = teller.violation(*invariant, *witness);
                    (*invariant, how.map_or_else(String::new, |it| it.text))
                })
                .collect(),
            is_current,
        });
    }
    (rows, false)
}

fn fits(record: &Record, filter: Filter) -> bool {
    let subject = record.kind.subject();
    Interest::of(record) >= filter.least
        && filter.node.is_none_or(|node| record.node == node || subject.client == Some(node))
        && filter.lock.is_none_or(|lock| subject.lock == Some(lock))
}

/// What one would say of the present moment, in a line: the last thing that mattered.
pub(crate) fn caption(run: &Run, past: &[Record]) -> String {
    let last = past.iter().enumerate().rev().take(400);
    let mut told = last.filter(|(_, record)| {
        let interest = Interest::of(record);
        interest >= Interest::Release && interest != Interest::Inner
    });
    let Some((place, record)) = told.next() else {
        return "Nothing has happened yet.".to_owned();
    };
    let no = RecordNo(u32::try_from(place).unwrap_or(u32::MAX));
    let teller = Teller::new(run, past);
    let sentence = teller.tell(no).map(|told| told.sentence()).unwrap_or_default();
    format!("{}: {sentence}.", record.at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::{Moment, Scenario};

    fn film(at_ms: u64) -> Film {
        let mut film = Film::new(Scenario::named("gc-pause").unwrap().run());
        film.go_to(Moment::from_millis(at_ms));
        film
    }

    fn told(film: &Film, filter: Filter) -> Vec<Row> {
        let step = film.step_at(film.place()).len();
        let from = film.past().len() - step;
        rows(film.run(), film.past(), from, &film.violated(), filter, 500).0
    }

    #[test]
    fn the_newest_is_first_and_says_why() {
        let rows = told(&film(17_000), Filter::default());
        let refused =
            rows.iter().find(|row| row.what.starts_with("refuses client_1's append")).unwrap();
        assert!(refused.because.as_deref().unwrap().contains("token 1 is not 2"), "{refused:?}");
        assert!(refused.causes.len() > 1 && refused.sign == Sign::Reject);
        assert_eq!(refused.protection, Some(Protection::Fencing));
        let mut numbers = rows.iter().map(|row| row.record);
        assert!(numbers.by_ref().is_sorted_by(|a, b| a > b));
    }

    #[test]
    fn one_can_look_at_one_node_alone_and_heartbeats_are_folded() {
        let film = film(9_000);
        let all = Filter { least: Interest::Heartbeat, ..Filter::default() };
        let rows = told(&film, all);
        assert!(rows.iter().any(|row| row.what.starts_with("and others: ")));
        let only = told(&film, Filter { node: Some(NodeNo(2)), ..Filter::default() });
        assert!(
            only.iter().skip(1).all(|row| format!("{} {}", row.who, row.what).contains("client_2"))
        );
    }

    #[test]
    fn the_present_step_is_told_whatever_one_filters() {
        let mut film = film(0);
        let strict = Filter { least: Interest::Violation, ..Filter::default() };
        for place in 1..60 {
            film.go_to_place(place);
            let current = film.step_at(place).iter();
            if current.clone().any(|record| Interest::of(record) > Interest::Inner) {
                assert!(told(&film, strict).iter().any(|row| row.is_current), "{place}");
            }
        }
    }

    #[test]
    fn lines_that_nobody_counted_have_no_number() {
        let told = "writes line 3 of file_0 for ann, under token 4";
        assert_eq!(unnumbered(told), "writes a line of file_0 for ann, under token 4");
        assert_eq!(unnumbered("grants file_0"), "grants file_0");
    }

    #[test]
    fn a_caption_says_what_mattered_last() {
        let film = film(11_000);
        let caption = caption(film.run(), film.past());
        assert!(caption.contains("server grants file_0 to client_2"), "{caption}");
    }
}
