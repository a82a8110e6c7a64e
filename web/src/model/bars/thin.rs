//! The part of it that one looks at, with what is too close together to be told apart put together:
//! a busy server does thousands of things in the width of a screen.

use leasehold_core::ordered::Map;
use leasehold_core::sim::{LockNo, Moment, NodeNo};

use super::{Bars, Belief, MarkKind, Tenure, TenureEnd};

/// So many pixels apart two marks can be told from each other.
const MARKS_APART: u64 = 4;

/// What is no wider than this, and no farther from the next, is put together with it.
const BARS_APART: u64 = 5;

/// What is to be seen in a part of time.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Thinned {
    /// What stands by itself.
    pub(crate) bars: Bars,
    /// What doesn't.
    pub(crate) crowds: Vec<Crowd>,
}

/// Tenures of a lock, or beliefs of a client, so close together that they are one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Crowd {
    pub(crate) lock: LockNo,
    /// Who believed; unset where it is the server that says so.
    pub(crate) client: Option<NodeNo>,
    pub(crate) from: Moment,
    pub(crate) until: Moment,
    pub(crate) count: usize,
}

/// What is looked at, and how closely.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Moment,
    pub(crate) to: Moment,
    /// What comes later is not put together with what has been.
    pub(crate) now: Moment,
    /// How many microseconds a pixel is.
    pub(crate) pixel_us: u64,
}

impl Bars {
    /// What is to be seen of it there.
    pub(crate) fn thinned(&self, window: Window) -> Thinned {
        let near_us = window.pixel_us * MARKS_APART;
        let is_near = |at: Moment| window.from <= at && at <= window.to;
        let mut tenures = Merging::of(window);
        for it in &self.tenures {
            let until = it.until.unwrap_or(Moment::NEVER);
            let is_rare = matches!(it.end, Some(TenureEnd::Expired | TenureEnd::Forgotten));
            tenures.take((it.lock, None), (it.from, until), is_rare);
        }
        let (alone, mut crowds) = tenures.end();
        let tenures = chosen(&self.tenures, &alone).map(|it| Tenure {
            renewals: spread(it.renewals.iter().copied().filter(|at| is_near(*at)), near_us),
            ..it.clone()
        });
        let tenures = tenures.collect();
        let mut last = vec![None; 1 << 10];
        let marks = self.marks.iter().filter(|it| {
            let row = usize::from(it.lock.0) << 2 | it.what as usize;
            // A tenure of a crowd has written, like all of them.
            let is_within = |crowd: &Crowd| {
                crowd.lock == it.lock && crowd.from <= it.at && it.at <= crowd.until
            };
            is_near(it.at)
                && is_apart(&mut last[row], it.at, near_us)
                && !(it.what == MarkKind::Written && crowds.iter().any(is_within))
        });
        let marks = marks.copied().collect();
        let mut beliefs = Merging::of(window);
        let mut others: Map<LockNo, (NodeNo, Moment)> = Map::new();
        for it in &self.beliefs {
            let until = lasts(it);
            // Two who believe at once are what one looks for.
            let other = others.get(&it.lock).copied();
            let is_rare = other.is_some_and(|(client, end)| client != it.client && end > it.from);
            if other.is_none_or(|(_, end)| until >= end) {
                others.insert(it.lock, (it.client, until));
            }
            beliefs.take((it.lock, Some(it.client)), (it.from, until), is_rare);
        }
        let (alone, more) = beliefs.end();
        crowds.extend(more);
        let bars = Self {
            tenures,
            beliefs: chosen(&self.beliefs, &alone).cloned().collect(),
            marks,
            outages: self.outages.clone(),
            taken: self.taken,
        };
        Thinned { bars, crowds }
    }
}

/// Puts together what comes one behind the other in its row.
struct Merging {
    window: Window,
    rows: Vec<Open>,
    /// Where in `rows` each row is, behind its lock and client, from 1 on: there can be a hundred
    /// thousand things in a picture that is drawn sixty times a second.
    places: Vec<u16>,
    /// Of each thing that came, whether it stays alone.
    alone: Vec<bool>,
    crowds: Vec<Crowd>,
}

type Row = (LockNo, Option<NodeNo>);

/// The end of a row.
#[derive(Default)]
struct Open {
    /// What goes on growing, and the place of the first in it.
    crowd: Option<(Crowd, usize)>,
    /// Where the last rare one ended.
    rare: Option<Moment>,
}

impl Merging {
    fn of(window: Window) -> Self {
        let (rows, places) = (Vec::new(), vec![0; 1 << 16]);
        Self { window, rows, places, alone: Vec::new(), crowds: Vec::new() }
    }

    fn row(&mut self, (lock, client): Row) -> &mut Open {
        let key = usize::from(lock.0) << 8 | usize::from(client.unwrap_or(NodeNo::SERVER).0);
        if self.places[key] == 0 {
            self.rows.push(Open::default());
            self.places[key] = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        }
        &mut self.rows[usize::from(self.places[key]) - 1]
    }

    /// One more. Rare ones stay alone, as far as they can be told from each other.
    fn take(&mut self, row: Row, (from, until): (Moment, Moment), is_rare: bool) {
        let Window { from: start, to, now, pixel_us } = self.window;
        let place = self.alone.len();
        self.alone.push(false);
        if from > to || until < start {
            return;
        }
        let near_us = pixel_us * BARS_APART;
        let is_near = |from: Moment, to: Moment| !is_far(from, to, near_us);
        let open = self.row(row);
        let stands_out = is_rare && is_apart(&mut open.rare, until, near_us);
        let is_small = is_near(from, until) && !stands_out;
        if let Some((crowd, _)) = &mut open.crowd
            && is_small
            && is_near(crowd.until, from)
            && (crowd.until <= now) == (until <= now)
        {
            crowd.until = crowd.until.max(until);
            crowd.count += 1;
            return;
        }
        let (lock, client) = row;
        let begun = is_small.then_some((Crowd { lock, client, from, until, count: 1 }, place));
        let ended = std::mem::replace(&mut open.crowd, begun);
        self.alone[place] = !is_small;
        self.close(ended);
    }

    fn close(&mut self, ended: Option<(Crowd, usize)>) {
        match ended {
            Some((crowd, first)) if crowd.count == 1 => self.alone[first] = true,
            Some((crowd, _)) => self.crowds.push(crowd),
            None => {}
        }
    }

    fn end(mut self) -> (Vec<bool>, Vec<Crowd>) {
        for mut row in std::mem::take(&mut self.rows) {
            self.close(row.crowd.take());
        }
        (self.alone, self.crowds)
    }
}

fn chosen<'a, T>(items: &'a [T], which: &'a [bool]) -> impl Iterator<Item = &'a T> {
    items.iter().zip(which).filter(|(_, is_chosen)| **is_chosen).map(|(item, _)| item)
}

/// Until when a belief is seen at most.
fn lasts(belief: &Belief) -> Moment {
    belief.ended.or(belief.steps.last().map(|(_, until)| *until)).unwrap_or(belief.from)
}

/// Whether something is far enough behind the last that is shown in its row.
fn is_apart(last: &mut Option<Moment>, at: Moment, apart_us: u64) -> bool {
    let is_apart = last.is_none_or(|last| is_far(last, at, apart_us));
    if is_apart {
        *last = Some(at);
    }
    is_apart
}

const fn is_far(from: Moment, to: Moment, apart_us: u64) -> bool {
    to.as_micros().saturating_sub(from.as_micros()) >= apart_us
}

fn spread(moments: impl Iterator<Item = Moment>, near_us: u64) -> Vec<Moment> {
    let mut last = None;
    moments.filter(|at| is_apart(&mut last, *at, near_us)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_core::sim::Scenario;

    const ALL: Window =
        Window { from: Moment::START, to: Moment::NEVER, now: Moment::NEVER, pixel_us: 1 };
    const FAR: Window = Window { pixel_us: 100_000_000, ..ALL };

    fn bars(scenario: &str) -> Bars {
        let mut bars = Bars::default();
        bars.take(&Scenario::named(scenario).unwrap().run().go().trace);
        bars
    }

    #[test]
    fn what_can_be_told_apart_stays_as_it_is() {
        let bars = bars("five-clients");
        let all = bars.thinned(ALL);
        assert_eq!((&all.bars.tenures, &all.bars.beliefs), (&bars.tenures, &bars.beliefs));
        assert_eq!((all.bars.marks.len(), all.crowds), (bars.marks.len(), Vec::new()));
        let first = bars.tenures[0].until.unwrap();
        let early = bars.thinned(Window { to: first, ..ALL }).bars;
        assert!(early.tenures.len() < bars.tenures.len());
        assert!(early.tenures.iter().all(|it| it.from <= first));
    }

    #[test]
    fn the_rest_is_put_together_and_counted() {
        let bars = bars("five-clients");
        let far = bars.thinned(FAR);
        let of_server = || far.crowds.iter().filter(|it| it.client.is_none());
        let crowded: usize = of_server().map(|it| it.count).sum();
        assert_eq!(crowded + far.bars.tenures.len(), bars.tenures.len());
        let first = of_server().next().unwrap();
        let of_lock = || bars.tenures.iter().filter(|it| it.lock == first.lock);
        assert_eq!((first.from, first.count), (of_lock().next().unwrap().from, of_lock().count()));
        assert_eq!(Some(first.until), of_lock().next_back().unwrap().until);
        let written = |bars: &Bars| {
            let marks = bars.marks.iter().filter(|it| it.lock == first.lock);
            marks.filter(|it| it.what == MarkKind::Written).count()
        };
        assert_eq!((written(&bars) > 0, written(&far.bars)), (true, 0), "each tenure has its own");
    }

    #[test]
    fn what_has_been_is_not_put_together_with_what_comes() {
        let bars = bars("five-clients");
        let now = bars.tenures[bars.tenures.len() / 2].from;
        let far = bars.thinned(Window { now, ..FAR });
        let past = far.crowds.iter().filter(|it| it.client.is_none() && it.until <= now);
        let alone = far.bars.tenures.iter().filter(|it| it.until.is_some_and(|at| at <= now));
        let ended = bars.tenures.iter().filter(|it| it.until.is_some_and(|at| at <= now));
        assert_eq!(past.map(|it| it.count).sum::<usize>() + alone.count(), ended.count());
    }

    #[test]
    fn what_is_rare_stands_out() {
        let bars = bars("gc-pause");
        let expired = |bars: &Bars| {
            bars.tenures.iter().filter(|it| it.end == Some(TenureEnd::Expired)).count()
        };
        assert_eq!((expired(&bars), expired(&bars.thinned(FAR).bars)), (1, 1));
    }
}
