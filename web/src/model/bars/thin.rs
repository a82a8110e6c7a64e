//! The part of it that one looks at, with what is too close together to be told apart put together:
//! a busy server does thousands of things in the width of a screen.

use leasehold_sim::{LockNo, Moment, NodeNo, RecordNo};

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
    /// What begins later is left out.
    pub(crate) now: Moment,
    /// How many microseconds a pixel is.
    pub(crate) pixel_us: u64,
}

impl Bars {
    /// What is to be seen of it there. What violates something stays to be seen, as far as it
    /// can be told from the next that does.
    pub(crate) fn thinned(&self, window: Window, witnesses: &[RecordNo]) -> Thinned {
        let near_us = window.pixel_us * MARKS_APART;
        let is_near = |at: Moment| window.from <= at && at <= window.to;
        let mut tenures = Merging::of(window);
        for it in &self.tenures {
            let until = it.until.unwrap_or(Moment::NEVER);
            let is_rare = matches!(it.end, Some(TenureEnd::Expired | TenureEnd::Forgotten));
            let is_witness = witnesses.contains(&it.record);
            tenures.take((it.lock, None), (it.from, until), is_rare || is_witness);
        }
        let (alone, mut crowds) = tenures.end();
        let tenures = chosen(&self.tenures, &alone).map(|it| Tenure {
            renewals: spread(it.renewals.iter().copied().filter(|at| is_near(*at)), near_us),
            ..it.clone()
        });
        let tenures = tenures.collect();
        let mut last = vec![None; 1 << 10];
        let mut within = Within::of(&crowds);
        let marks = self.marks.iter().filter(|it| {
            if !is_near(it.at) || it.at > window.now {
                return false;
            }
            // Where there is one tenure behind the other, they are all written under.
            let is_crowded = it.what == MarkKind::Written && within.has(it.lock, it.at);
            let row = usize::from(it.lock.0) << 2 | it.what as usize;
            witnesses.contains(&it.record)
                || !is_crowded && is_apart(&mut last[row], it.at, near_us)
        });
        let marks = marks.copied().collect();
        let together = self.together();
        let mut beliefs = Merging::of(window);
        for (it, is_rare) in self.beliefs.iter().zip(together) {
            beliefs.take((it.lock, Some(it.client)), (it.from, lasts(it)), is_rare);
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

    /// Of each belief, whether another client has one of the same lock at the same time: two who
    /// believe at once are what one looks for.
    fn together(&self) -> Vec<bool> {
        let mut together = vec![false; self.beliefs.len()];
        let mut open: Vec<Vec<usize>> = Vec::new();
        for (no, it) in self.beliefs.iter().enumerate() {
            let lock = usize::from(it.lock.0);
            if open.len() <= lock {
                open.resize(lock + 1, Vec::new());
            }
            let open = &mut open[lock];
            open.retain(|other| lasts(&self.beliefs[*other]) > it.from);
            for other in open.iter().filter(|other| self.beliefs[**other].client != it.client) {
                (together[*other], together[no]) = (true, true);
            }
            open.push(no);
        }
        together
    }
}

/// The crowds of each lock, for whoever goes through time.
struct Within(Vec<Vec<(Moment, Moment)>>);

impl Within {
    fn of(crowds: &[Crowd]) -> Self {
        let mut locks = vec![Vec::new(); 1 << 8];
        // The last first.
        for crowd in crowds.iter().rev() {
            locks[usize::from(crowd.lock.0)].push((crowd.from, crowd.until));
        }
        Self(locks)
    }

    /// Whether there is one of this lock at a moment, which is not before the last one.
    fn has(&mut self, lock: LockNo, at: Moment) -> bool {
        let crowds = &mut self.0[usize::from(lock.0)];
        while crowds.pop_if(|(_, until)| *until < at).is_some() {}
        crowds.last().is_some_and(|(from, _)| *from <= at)
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
        if from > to.min(now) || until < start {
            return;
        }
        let near_us = pixel_us * BARS_APART;
        let is_near = |from: Moment, to: Moment| !is_far(from, to, near_us);
        let open = self.row(row);
        let stands_out = is_rare && is_apart(&mut open.rare, until, near_us);
        // What lasts yet has a promise to be seen.
        let is_small = is_near(from, until) && until <= now && !stands_out;
        if let Some((crowd, _)) = &mut open.crowd
            && is_small
            && is_near(crowd.until, from)
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
    use leasehold_sim::Scenario;

    const ALL: Window =
        Window { from: Moment::START, to: Moment::NEVER, now: Moment::NEVER, pixel_us: 1 };
    const FAR: Window = Window { pixel_us: 100_000_000, ..ALL };

    fn bars(scenario: &str) -> Bars {
        let mut bars = Bars::default();
        bars.take(&Scenario::named(scenario).unwrap().run().go().trace);
        bars
    }

    fn of_server(thinned: &Thinned) -> impl Iterator<Item = &Crowd> {
        thinned.crowds.iter().filter(|it| it.client.is_none())
    }

    #[test]
    fn what_can_be_told_apart_stays_as_it_is() {
        let bars = bars("five-clients");
        let all = bars.thinned(ALL, &[]);
        assert_eq!((&all.bars.tenures, &all.bars.beliefs), (&bars.tenures, &bars.beliefs));
        assert_eq!((all.bars.marks.len(), all.crowds), (bars.marks.len(), Vec::new()));
        let first = bars.tenures[0].until.unwrap();
        let early = bars.thinned(Window { to: first, ..ALL }, &[]).bars;
        assert!(early.tenures.len() < bars.tenures.len());
        assert!(early.tenures.iter().all(|it| it.from <= first));
    }

    #[test]
    fn the_rest_is_put_together_and_counted() {
        let bars = bars("five-clients");
        let far = bars.thinned(FAR, &[]);
        let crowded: usize = of_server(&far).map(|it| it.count).sum();
        assert_eq!(crowded + far.bars.tenures.len(), bars.tenures.len());
        let first = of_server(&far).next().unwrap();
        let of_lock = || bars.tenures.iter().filter(|it| it.lock == first.lock);
        assert_eq!((first.from, first.count), (of_lock().next().unwrap().from, of_lock().count()));
        assert_eq!(Some(first.until), of_lock().next_back().unwrap().until);
        let written = |bars: &Bars| -> Vec<RecordNo> {
            let marks = bars.marks.iter().filter(|it| it.lock == first.lock);
            marks.filter(|it| it.what == MarkKind::Written).map(|it| it.record).collect()
        };
        let all = written(&bars);
        assert_eq!((all.is_empty(), written(&far.bars)), (false, Vec::new()));
        assert_eq!(written(&bars.thinned(FAR, &all[..1]).bars), all[..1], "it violates something");
    }

    #[test]
    fn what_lasts_is_alone_and_what_comes_is_left_out() {
        let bars = bars("five-clients");
        for no in 0..bars.tenures.len() {
            let now = bars.tenures[no].from + 1;
            let far = bars.thinned(Window { now, ..FAR }, &[]);
            let begun = bars.tenures.iter().filter(|it| it.from <= now);
            let (ended, lasting): (Vec<&Tenure>, Vec<_>) =
                begun.partition(|it| it.until.is_some_and(|until| until <= now));
            let alone = |it: &Tenure| far.bars.tenures.iter().any(|other| other.from == it.from);
            assert!(lasting.iter().all(|it| alone(it)), "{now}");
            let alone = ended.iter().filter(|it| alone(it)).count();
            let crowded: usize = of_server(&far).map(|it| it.count).sum();
            assert_eq!(
                (alone + crowded, far.bars.tenures.len()),
                (ended.len(), alone + lasting.len())
            );
        }
    }

    #[test]
    fn what_is_rare_stands_out() {
        let paused = bars("gc-pause");
        let expired = |bars: &Bars| {
            bars.tenures.iter().filter(|it| it.end == Some(TenureEnd::Expired)).count()
        };
        assert_eq!((expired(&paused), expired(&paused.thinned(FAR, &[]).bars)), (1, 1));
    }

    #[test]
    fn two_who_believe_at_once_stand_out() {
        let mut bars = Bars::default();
        let ms = Moment::from_millis;
        for no in 0..50_u8 {
            let (client, token) = (NodeNo(1 + u8::from(no % 2 == 1)), 1 + u32::from(no));
            let (from, key) = (ms(100 * u64::from(no)), (LockNo(0), client, token));
            // One of them goes on while the next one has begun.
            bars.believe(from, key, from + if no == 20 { 150_000 } else { 50_000 });
        }
        let thinned = bars.thinned(FAR, &[]).bars;
        let tokens: Vec<u32> = thinned.beliefs.iter().map(|it| it.token).collect();
        assert_eq!(tokens, [21, 22]);
    }
}
