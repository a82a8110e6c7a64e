//! Two runs of the same seed, in which one protection differs.

use std::collections::BTreeSet;

use leasehold_sim::{Interest, Moment, Protection, RecordNo, Run, Scenario, Teller};

use super::film::Film;

/// The run that stands beside, and what differs.
pub(crate) struct Compare {
    pub(crate) film: Film,
    /// What is different over there, in words.
    pub(crate) title: String,
    /// Where the two part: the record of the one here, and when.
    pub(crate) parts: Option<(RecordNo, Moment)>,
    pub(crate) mode: Mode,
}

/// How the two are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    SideBySide,
    Stacked,
    Overlaid,
    Text,
}

impl Mode {
    pub(crate) const ALL: [Self; 4] = [Self::SideBySide, Self::Stacked, Self::Overlaid, Self::Text];

    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::SideBySide => "Side by side",
            Self::Stacked => "One below the other",
            Self::Overlaid => "One over the other",
            Self::Text => "In words",
        }
    }
}

/// Which run to compare this one with: the one with all protections where some are off here, else
/// the one without what the scenario is about. None where there is nothing that differs.
pub(crate) fn counterpart(scenario: &Scenario, run: &Run) -> Option<Run> {
    let without: BTreeSet<Protection> = if run.without.is_empty() {
        scenario.switches.iter().copied().take(1).collect()
    } else {
        BTreeSet::new()
    };
    (without != run.without).then(|| Run { without, ..run.clone() })
}

/// What a run is called beside another.
pub(crate) fn title(run: &Run) -> String {
    if run.without.is_empty() {
        return "with all protections".to_owned();
    }
    let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    format!("without {}", names.join(", "))
}

impl Compare {
    /// This film beside another run, at the same moment.
    pub(crate) fn new(film: &Film, other: Run) -> Self {
        let title = title(&other);
        let other = film.other(other);
        let parts = parting(film, &other);
        Self { film: other, title, parts, mode: Mode::SideBySide }
    }

    /// What mattered by now in only one of the two, from where they part: here, there.
    pub(crate) fn differences(&self, here: &Film) -> (Vec<Difference>, Vec<Difference>) {
        (only_in(here, &self.film), only_in(&self.film, here))
    }
}

/// Something that happened in one run alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Difference {
    pub(crate) record: RecordNo,
    pub(crate) at: String,
    pub(crate) text: String,
}

fn parting(a: &Film, b: &Film) -> Option<(RecordNo, Moment)> {
    let mut pairs = a.trace().iter().zip(b.trace());
    let place = pairs.position(|(a, b)| a != b)?;
    Some((RecordNo(u32::try_from(place).ok()?), a.trace()[place].at))
}

fn only_in(a: &Film, b: &Film) -> Vec<Difference> {
    let told = |film: &Film| {
        let teller = Teller::new(film.run(), film.trace());
        let past = film.past().iter().enumerate();
        let matters = past.filter(|(_, record)| Interest::of(record) >= Interest::Release);
        let told = matters.filter_map(|(place, record)| {
            let no = RecordNo(u32::try_from(place).ok()?);
            let text = teller.tell(no)?.sentence();
            Some(Difference { record: no, at: record.at.to_string(), text })
        });
        told.collect::<Vec<_>>()
    };
    let there: BTreeSet<(String, String)> =
        told(b).into_iter().map(|it| (it.at, it.text)).collect();
    let mut here = told(a);
    here.retain(|it| !there.contains(&(it.at.clone(), it.text.clone())));
    here
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_part_where_the_protection_matters() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let mut film = Film::new(scenario.run());
        film.go_to(Moment::from_millis(25_000));
        let other = counterpart(&scenario, film.run()).unwrap();
        assert_eq!(title(&other), "without fencing");
        let compare = Compare::new(&film, other);
        let (_, at) = compare.parts.unwrap();
        assert!((15_900..16_400).contains(&at.as_millis()), "{at}");
        let (here, there) = compare.differences(&film);
        assert!(here.iter().any(|it| it.text.contains("refuses client_1's append")), "{here:#?}");
        assert!(there.iter().any(|it| it.text.contains("for client_1, under token 1")));
        let back = counterpart(&scenario, compare.film.run()).unwrap();
        assert_eq!(&back, film.run());
    }
}
