//! Aggregates intervals that are too close to distinguish on the screen: a busy server has
//! thousands in the width of a screen.
//!
//! Expired and lost tenures, witnesses of violations, and overlapping beliefs are aggregated only
//! if two of them are indistinguishable.

use leasehold_sim::{LockId, NodeId, RecordId, VirtualTime};

use super::{Belief, Intervals, Load, MarkKind, Tenure, TenureEnd};

/// The smallest distance between two marks of a row, in pixels.
const MARK_SPACING_PX: u64 = 4;

/// Intervals that are shorter than this, and closer than this to the next, are merged. In pixels.
const MERGE_DISTANCE_PX: u64 = 5;

/// The intervals to draw in a viewport.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AggregatedIntervals {
    /// Intervals that are drawn individually.
    pub(crate) intervals: Intervals,
    /// Intervals that are drawn merged.
    pub(crate) aggregates: Vec<Aggregate>,
}

/// Merged tenures of a lock, or merged beliefs of a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Aggregate {
    pub(crate) lock: LockId,
    /// The client of the beliefs; `None` for tenures.
    pub(crate) client: Option<NodeId>,
    pub(crate) from: VirtualTime,
    pub(crate) until: VirtualTime,
    pub(crate) count: usize,
}

/// The visible part of time, and its scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Viewport {
    pub(crate) from: VirtualTime,
    pub(crate) to: VirtualTime,
    /// Intervals that begin later are omitted.
    pub(crate) now: VirtualTime,
    pub(crate) us_per_pixel: u64,
}

impl Intervals {
    /// Returns the intervals to draw. `witnesses` are the records that violate an invariant; their
    /// tenures and marks stay visible.
    pub(crate) fn aggregated(
        &self,
        viewport: Viewport,
        witnesses: &[RecordId],
    ) -> AggregatedIntervals {
        let spacing_us = viewport.us_per_pixel * MARK_SPACING_PX;
        let is_visible = |at: VirtualTime| viewport.from <= at && at <= viewport.to;
        let mut tenures = Aggregator::new(viewport);
        for it in &self.tenures {
            let until = it.until.unwrap_or(VirtualTime::NEVER);
            let is_exception = match it.end {
                Some(
                    TenureEnd::Expired
                    | TenureEnd::HoldLimit
                    | TenureEnd::Lost
                    | TenureEnd::Unobserved,
                ) => true,
                Some(TenureEnd::Released) | None => false,
            };
            let is_witness = witnesses.contains(&it.record);
            tenures.push((it.lock, None), (it.from, until), is_exception || is_witness);
        }
        let (is_single, mut aggregates) = tenures.finish();
        let tenures = select(&self.tenures, &is_single).map(|it| Tenure {
            renewals: keep_spaced(
                it.renewals.iter().copied().filter(|at| is_visible(*at)),
                spacing_us,
            ),
            ..it.clone()
        });
        let tenures = tenures.collect();
        let mut last_marks = vec![None; 1 << 10];
        let mut lookup = AggregateLookup::new(&aggregates);
        let marks = self.marks.iter().filter(|it| {
            if !is_visible(it.at) || it.at > viewport.now {
                return false;
            }
            // In an aggregate of tenures, appends are too frequent to show.
            let is_crowded = it.kind == MarkKind::Appended && lookup.contains(it.lock, it.at);
            let row = usize::from(it.lock.0) << 2 | it.kind as usize;
            witnesses.contains(&it.record)
                || !is_crowded && advance_if_apart(&mut last_marks[row], it.at, spacing_us)
        });
        let marks = marks.copied().collect();
        let overlapping = self.find_overlapping_beliefs();
        let mut beliefs = Aggregator::new(viewport);
        for (it, is_exception) in self.beliefs.iter().zip(overlapping) {
            beliefs.push((it.lock, Some(it.client)), (it.from, visible_until(it)), is_exception);
        }
        let (is_single, belief_aggregates) = beliefs.finish();
        aggregates.extend(belief_aggregates);
        let intervals = Self {
            tenures,
            beliefs: select(&self.beliefs, &is_single).cloned().collect(),
            marks,
            outages: self.outages.clone(),
            load: Load::default(),
            records_applied: self.records_applied,
        };
        AggregatedIntervals { intervals, aggregates }
    }

    /// Returns for each belief whether another client believes to hold the same lock at the same
    /// time. Those are the interesting ones.
    fn find_overlapping_beliefs(&self) -> Vec<bool> {
        let mut overlapping = vec![false; self.beliefs.len()];
        let mut open_beliefs: Vec<Vec<usize>> = Vec::new();
        for (index, it) in self.beliefs.iter().enumerate() {
            let lock = usize::from(it.lock.0);
            if open_beliefs.len() <= lock {
                open_beliefs.resize(lock + 1, Vec::new());
            }
            let open_beliefs = &mut open_beliefs[lock];
            open_beliefs.retain(|other| visible_until(&self.beliefs[*other]) > it.from);
            for other in
                open_beliefs.iter().filter(|other| self.beliefs[**other].client != it.client)
            {
                (overlapping[*other], overlapping[index]) = (true, true);
            }
            open_beliefs.push(index);
        }
        overlapping
    }
}

/// The aggregates of each lock, for lookups in the order of time.
struct AggregateLookup(Vec<Vec<(VirtualTime, VirtualTime)>>);

impl AggregateLookup {
    fn new(aggregates: &[Aggregate]) -> Self {
        let mut locks = vec![Vec::new(); 1 << 8];
        // In reverse order, so that the earliest is popped first.
        for aggregate in aggregates.iter().rev() {
            locks[usize::from(aggregate.lock.0)].push((aggregate.from, aggregate.until));
        }
        Self(locks)
    }

    /// Returns whether an aggregate covers this time. Times must not decrease from call to call.
    fn contains(&mut self, lock: LockId, at: VirtualTime) -> bool {
        let aggregates = &mut self.0[usize::from(lock.0)];
        while aggregates.pop_if(|(_, until)| *until < at).is_some() {}
        aggregates.last().is_some_and(|(from, _)| *from <= at)
    }
}

/// Merges adjacent intervals of each row.
struct Aggregator {
    viewport: Viewport,
    rows: Vec<OpenRow>,
    /// The index of each row in `rows` plus one, by lock and client; 0 if there is none. A table,
    /// because a picture may have 100,000 intervals and is drawn 60 times per second.
    row_indices: Vec<u16>,
    /// For each interval pushed, whether it is drawn individually.
    is_single: Vec<bool>,
    aggregates: Vec<Aggregate>,
}

type RowKey = (LockId, Option<NodeId>);

/// The last aggregate of a row.
#[derive(Default)]
struct OpenRow {
    /// The aggregate that may still grow, and the index of its first interval.
    aggregate: Option<(Aggregate, usize)>,
    /// The end of the last exception.
    last_exception: Option<VirtualTime>,
}

impl Aggregator {
    fn new(viewport: Viewport) -> Self {
        let (rows, row_indices) = (Vec::new(), vec![0; 1 << 16]);
        Self { viewport, rows, row_indices, is_single: Vec::new(), aggregates: Vec::new() }
    }

    fn row(&mut self, (lock, client): RowKey) -> &mut OpenRow {
        let key = usize::from(lock.0) << 8 | usize::from(client.unwrap_or(NodeId::SERVER).0);
        if self.row_indices[key] == 0 {
            self.rows.push(OpenRow::default());
            self.row_indices[key] = u16::try_from(self.rows.len()).unwrap_or(u16::MAX);
        }
        &mut self.rows[usize::from(self.row_indices[key]) - 1]
    }

    /// Adds an interval. Exceptions stay individual if they are distinguishable from each other.
    fn push(&mut self, key: RowKey, (from, until): (VirtualTime, VirtualTime), is_exception: bool) {
        let Viewport { from: start, to, now, us_per_pixel: pixel_us } = self.viewport;
        let index = self.is_single.len();
        self.is_single.push(false);
        if from > to.min(now) || until < start {
            return;
        }
        let spacing_us = pixel_us * MERGE_DISTANCE_PX;
        let is_close =
            |from: VirtualTime, to: VirtualTime| !is_at_least_apart(from, to, spacing_us);
        let open_row = self.row(key);
        let is_shown_alone =
            is_exception && advance_if_apart(&mut open_row.last_exception, until, spacing_us);
        // An interval that has not ended stays individual: its expected end is drawn.
        let is_small = is_close(from, until) && until <= now && !is_shown_alone;
        if let Some((aggregate, _)) = &mut open_row.aggregate
            && is_small
            && is_close(aggregate.until, from)
        {
            aggregate.until = aggregate.until.max(until);
            aggregate.count += 1;
            return;
        }
        let (lock, client) = key;
        let new_aggregate =
            is_small.then_some((Aggregate { lock, client, from, until, count: 1 }, index));
        let finished = std::mem::replace(&mut open_row.aggregate, new_aggregate);
        self.is_single[index] = !is_small;
        self.finish_aggregate(finished);
    }

    fn finish_aggregate(&mut self, finished: Option<(Aggregate, usize)>) {
        match finished {
            Some((aggregate, first_index)) if aggregate.count == 1 => {
                self.is_single[first_index] = true;
            }
            Some((aggregate, _)) => self.aggregates.push(aggregate),
            None => {}
        }
    }

    fn finish(mut self) -> (Vec<bool>, Vec<Aggregate>) {
        for mut open_row in std::mem::take(&mut self.rows) {
            self.finish_aggregate(open_row.aggregate.take());
        }
        (self.is_single, self.aggregates)
    }
}

fn select<'a, T>(items: &'a [T], selected: &'a [bool]) -> impl Iterator<Item = &'a T> {
    items.iter().zip(selected).filter(|(_, is_selected)| **is_selected).map(|(item, _)| item)
}

/// Returns the latest end of a belief that may be drawn.
fn visible_until(belief: &Belief) -> VirtualTime {
    belief.ended_at.or(belief.extensions.last().map(|(_, until)| *until)).unwrap_or(belief.from)
}

/// Returns whether a time is far enough after the last one, and if so, makes it the last.
fn advance_if_apart(last: &mut Option<VirtualTime>, at: VirtualTime, spacing_us: u64) -> bool {
    let is_apart = last.is_none_or(|last| is_at_least_apart(last, at, spacing_us));
    if is_apart {
        *last = Some(at);
    }
    is_apart
}

const fn is_at_least_apart(from: VirtualTime, to: VirtualTime, spacing_us: u64) -> bool {
    to.as_micros().saturating_sub(from.as_micros()) >= spacing_us
}

fn keep_spaced(times: impl Iterator<Item = VirtualTime>, spacing_us: u64) -> Vec<VirtualTime> {
    let mut last = None;
    times.filter(|at| advance_if_apart(&mut last, *at, spacing_us)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Number, Scenario};

    const ZOOMED_IN: Viewport = Viewport {
        from: VirtualTime::START,
        to: VirtualTime::NEVER,
        now: VirtualTime::NEVER,
        us_per_pixel: 1,
    };
    const ZOOMED_OUT: Viewport = Viewport { us_per_pixel: 100_000_000, ..ZOOMED_IN };

    fn intervals_of(scenario: &str) -> Intervals {
        let mut intervals = Intervals::default();
        intervals
            .extend_from(&Scenario::from_name(scenario).unwrap().resolve_run().execute().trace);
        intervals
    }

    fn server_aggregates(aggregated: &AggregatedIntervals) -> impl Iterator<Item = &Aggregate> {
        aggregated.aggregates.iter().filter(|it| it.client.is_none())
    }

    #[test]
    fn distinguishable_intervals_are_unchanged() {
        let intervals = intervals_of("five-clients");
        let zoomed_in = intervals.aggregated(ZOOMED_IN, &[]);
        assert_eq!(
            (&zoomed_in.intervals.tenures, &zoomed_in.intervals.beliefs),
            (&intervals.tenures, &intervals.beliefs)
        );
        assert_eq!(
            (zoomed_in.intervals.marks.len(), zoomed_in.aggregates),
            (intervals.marks.len(), Vec::new())
        );
        let first = intervals.tenures[0].until.unwrap();
        let first_part = intervals.aggregated(Viewport { to: first, ..ZOOMED_IN }, &[]).intervals;
        assert!(first_part.tenures.len() < intervals.tenures.len());
        assert!(first_part.tenures.iter().all(|it| it.from <= first));
    }

    #[test]
    fn indistinguishable_intervals_are_aggregated_and_counted() {
        let intervals = intervals_of("five-clients");
        let zoomed_out = intervals.aggregated(ZOOMED_OUT, &[]);
        let aggregated_count: usize = server_aggregates(&zoomed_out).map(|it| it.count).sum();
        assert_eq!(aggregated_count + zoomed_out.intervals.tenures.len(), intervals.tenures.len());
        let first = server_aggregates(&zoomed_out).next().unwrap();
        let of_lock = || intervals.tenures.iter().filter(|it| it.lock == first.lock);
        assert_eq!((first.from, first.count), (of_lock().next().unwrap().from, of_lock().count()));
        assert_eq!(Some(first.until), of_lock().next_back().unwrap().until);
        let appended_records = |intervals: &Intervals| -> Vec<RecordId> {
            let marks = intervals.marks.iter().filter(|it| it.lock == first.lock);
            marks.filter(|it| it.kind == MarkKind::Appended).map(|it| it.record).collect()
        };
        let all = appended_records(&intervals);
        assert_eq!((all.is_empty(), appended_records(&zoomed_out.intervals)), (false, Vec::new()));
        assert_eq!(
            appended_records(&intervals.aggregated(ZOOMED_OUT, &all[..1]).intervals),
            all[..1],
            "a witness stays visible"
        );
    }

    #[test]
    fn open_tenures_stay_single_and_later_ones_are_omitted() {
        let intervals = intervals_of("five-clients");
        for index in 0..intervals.tenures.len() {
            let now = intervals.tenures[index].from + 1;
            let zoomed_out = intervals.aggregated(Viewport { now, ..ZOOMED_OUT }, &[]);
            let started = intervals.tenures.iter().filter(|it| it.from <= now);
            let (ended, lasting): (Vec<&Tenure>, Vec<_>) =
                started.partition(|it| it.until.is_some_and(|until| until <= now));
            let is_shown = |it: &Tenure| {
                zoomed_out.intervals.tenures.iter().any(|other| other.from == it.from)
            };
            assert!(lasting.iter().all(|it| is_shown(it)), "{now}");
            let single_count = ended.iter().filter(|it| is_shown(it)).count();
            let aggregated_count: usize = server_aggregates(&zoomed_out).map(|it| it.count).sum();
            assert_eq!(
                (single_count + aggregated_count, zoomed_out.intervals.tenures.len()),
                (ended.len(), single_count + lasting.len())
            );
        }
    }

    #[test]
    fn expired_tenures_are_never_aggregated() {
        let gc_pause = intervals_of("gc-pause");
        let expired_count = |intervals: &Intervals| {
            intervals.tenures.iter().filter(|it| it.end == Some(TenureEnd::Expired)).count()
        };
        assert_eq!(
            (
                expired_count(&gc_pause),
                expired_count(&gc_pause.aggregated(ZOOMED_OUT, &[]).intervals)
            ),
            (1, 1)
        );
    }

    #[test]
    fn overlapping_beliefs_are_never_aggregated() {
        let mut intervals = Intervals::default();
        let ms = VirtualTime::from_millis;
        for number in 0..50_u8 {
            let client = NodeId(1 + u8::from(number % 2 == 1));
            let token = Number::from(1 + u32::from(number));
            let (from, key) = (ms(100 * u64::from(number)), (LockId(0), client, token));
            // One belief continues while the next one has begun.
            intervals.extend_belief(from, key, from + if number == 20 { 150_000 } else { 50_000 });
        }
        let aggregated = intervals.aggregated(ZOOMED_OUT, &[]).intervals;
        let tokens: Vec<Number> = aggregated.beliefs.iter().map(|it| it.token).collect();
        assert_eq!(tokens, [21_u32, 22].map(Number::from));
    }
}
