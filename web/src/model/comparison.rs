//! Compares a run with another run of the same seed and different protections.

use std::collections::BTreeSet;

use leasehold_sim::{
    Explainer, Importance, Invariant, InvariantStatus, Protection, RecordId, Run, Scenario,
    VirtualTime,
};

use super::file_views::FileView;
use super::timeline::Timeline;

/// The maximum number of lines of a file in a comparison.
const LINES_COMPARED_MAX: usize = 60;

pub(crate) struct Comparison {
    pub(crate) other: Timeline,
    /// Describes the protections of the other run.
    pub(crate) title: String,
    /// The first record of this run that the other run does not have, and its time, if it may be
    /// shown.
    pub(crate) divergence: Option<(RecordId, VirtualTime)>,
    /// The same, whatever may be shown.
    full_divergence: Option<(RecordId, VirtualTime)>,
    /// The number of records that both runs are known to share.
    shared_records: usize,
    pub(crate) mode: ComparisonMode,
}

/// The layout of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ComparisonMode {
    SideBySide,
    Stacked,
    Overlaid,
    Text,
}

impl ComparisonMode {
    pub(crate) const ALL: [Self; 4] = [Self::SideBySide, Self::Stacked, Self::Overlaid, Self::Text];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::SideBySide => "Side by side",
            Self::Stacked => "Stacked",
            Self::Overlaid => "Overlaid",
            Self::Text => "Text",
        }
    }
}

/// Returns the run to compare with: the run with all protections if some are disabled, or else the
/// run without the first protection that the scenario is about. Returns `None` if the two would be
/// equal.
pub(crate) fn counterpart(scenario: &Scenario, run: &Run) -> Option<Run> {
    let mut without: BTreeSet<Protection> = BTreeSet::new();
    if run.without.is_empty() {
        without.extend(scenario.switches.first());
    }
    (without != run.without).then(|| Run { without, ..run.clone() })
}

/// Names a run by its protections.
pub(crate) fn run_title(run: &Run) -> String {
    if run.without.is_empty() {
        return "with all protections".to_owned();
    }
    let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    format!("without {}", names.join(", "))
}

/// Names a run by its protections, as a title.
fn side_title(run: &Run) -> String {
    if run.without.is_empty() {
        return "All protections on".to_owned();
    }
    let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    format!("Off: {}", names.join(", "))
}

impl Comparison {
    /// Compares a timeline with another run at the same time.
    pub(crate) fn new(timeline: &Timeline, other: Run) -> Self {
        let title = side_title(&other);
        let other = timeline.with_run(other);
        let mode = ComparisonMode::SideBySide;
        let (divergence, full_divergence) = (None, None);
        let mut comparison =
            Self { other, title, divergence, full_divergence, shared_records: 0, mode };
        comparison.find_divergence(timeline);
        comparison.apply_horizon(timeline);
        comparison
    }

    /// Extends the simulation of the other run while `has_time` returns true, but at least by a few
    /// steps. Returns whether anything has changed.
    pub(crate) fn simulate_while(
        &mut self,
        current: &Timeline,
        has_time: &mut dyn FnMut() -> bool,
    ) -> bool {
        let has_grown = self.other.simulate_while(has_time);
        self.find_divergence(current);
        self.apply_horizon(current) | has_grown
    }

    /// Hides from the other run what `timeline` hides. Returns whether this changes what is shown.
    pub(super) fn apply_horizon(&mut self, timeline: &Timeline) -> bool {
        let divergence = self.full_divergence.filter(|(record, _)| timeline.is_shown(*record));
        let has_changed = std::mem::replace(&mut self.divergence, divergence) != divergence;
        let horizon = timeline.horizon().map(|horizon| {
            // The runs are identical up to the divergence.
            let is_shared = self
                .full_divergence
                .is_none_or(|(record, _)| timeline.position_of(record) > horizon);
            if is_shared { horizon } else { self.other.position() }
        });
        self.other.set_horizon(horizon) | has_changed
    }

    /// Continues to look for the first record that differs.
    fn find_divergence(&mut self, current: &Timeline) {
        if self.full_divergence.is_some() {
            return;
        }
        let (here, there) = (current.full_trace(), self.other.full_trace());
        let pairs = here.iter().zip(there).skip(self.shared_records);
        self.shared_records += pairs.take_while(|(here, there)| here == there).count();
        let index = self.shared_records;
        if let (Some(record), Some(_), Ok(id)) =
            (here.get(index), there.get(index), u32::try_from(index))
        {
            self.full_divergence = Some((RecordId(id), record.at));
        }
    }

    /// Returns both runs at the current time.
    pub(crate) fn view(&self, current: &Timeline) -> ComparisonView {
        let (only_here, only_there) = self.differences(current);
        let is_overlaid = self.mode == ComparisonMode::Overlaid;
        let legend = if is_overlaid { " (differences dashed)" } else { "" };
        let other_title = format!("{}{legend}", self.title);
        ComparisonView {
            mode: self.mode,
            divergence: self.divergence,
            now: current.now(),
            left: ComparedRun::new(current, side_title(current.run()), only_here),
            right: ComparedRun::new(&self.other, other_title, only_there),
        }
    }

    /// Returns the important records up to now that only this run has, and those that only the
    /// other run has.
    fn differences(&self, current: &Timeline) -> (Vec<Difference>, Vec<Difference>) {
        (only_in(current, &self.other), only_in(&self.other, current))
    }
}

/// What the page shows of a comparison, apart from pictures.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparisonView {
    pub(crate) mode: ComparisonMode,
    /// The first record of this run that the other run does not have, and its time.
    pub(crate) divergence: Option<(RecordId, VirtualTime)>,
    pub(crate) now: VirtualTime,
    pub(crate) left: ComparedRun,
    pub(crate) right: ComparedRun,
}

/// One of the runs, at the current time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ComparedRun {
    pub(crate) title: String,
    pub(crate) files: Vec<FileView>,
    pub(crate) violated: Vec<Invariant>,
    pub(crate) differences: Vec<Difference>,
}

impl ComparedRun {
    fn new(timeline: &Timeline, title: String, differences: Vec<Difference>) -> Self {
        let statuses = timeline.statuses().into_iter();
        let violated =
            statuses.filter(|(_, status, _)| matches!(status, InvariantStatus::Violated { .. }));
        Self {
            title,
            files: timeline.file_views(None, LINES_COMPARED_MAX),
            violated: violated.map(|(it, ..)| it).collect(),
            differences,
        }
    }
}

/// An event that only one of the runs has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) record: RecordId,
    pub(crate) at: String,
    pub(crate) text: String,
}

fn only_in(a: &Timeline, b: &Timeline) -> Vec<Difference> {
    let important_records = |timeline: &Timeline| {
        let explainer = Explainer::new(timeline.run(), timeline.past());
        let past = timeline.past().iter().enumerate();
        let important =
            past.filter(|(_, record)| Importance::from_record(record) >= Importance::Release);
        let important_records = important.filter_map(|(index, record)| {
            let id = RecordId(u32::try_from(index).ok()?);
            let text = explainer.describe(id)?.sentence();
            Some(Difference { record: id, at: record.at.to_string(), text })
        });
        important_records.collect::<Vec<_>>()
    };
    let mut other_records: BTreeSet<(String, String)> = BTreeSet::new();
    other_records.extend(important_records(b).into_iter().map(|it| (it.at, it.text)));
    let mut records = important_records(a);
    records.retain(|it| !other_records.contains(&(it.at.clone(), it.text.clone())));
    records
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_diverge_where_the_protection_matters() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let mut timeline = Timeline::new(scenario.resolve_run());
        timeline.go_to(VirtualTime::from_millis(25_000));
        let other = counterpart(&scenario, timeline.run()).unwrap();
        assert_eq!(run_title(&other), "without fencing");
        let comparison = Comparison::new(&timeline, other);
        let (_, at) = comparison.divergence.unwrap();
        assert!((15_900..16_400).contains(&at.as_millis()), "{at}");
        let (current_only, other_only) = comparison.differences(&timeline);
        assert!(
            current_only.iter().any(|it| it.text.contains("rejects client_1's append")),
            "{current_only:#?}"
        );
        assert!(other_only.iter().any(|it| it.text.contains("for client_1 under token 1")));
        let reverse = counterpart(&scenario, comparison.other.run()).unwrap();
        assert_eq!(&reverse, timeline.run());
    }
}
