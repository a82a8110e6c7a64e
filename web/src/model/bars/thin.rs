//! The part of it that one looks at, without what is too close together to be told apart: a busy
//! server does thousands of things in the width of a screen.

use leasehold_core::ordered::Map;

use leasehold_core::sim::Moment;

use super::{Bars, Belief, Tenure};

/// So many pixels apart two marks can be told from each other, and two bars.
const MARKS_APART: u64 = 4;
/// See [`MARKS_APART`]. A bar is at least two pixels wide.
const BARS_APART: u64 = 3;

impl Bars {
    /// What is to be seen of it from the one moment to the other, where a pixel is so many
    /// microseconds.
    pub(crate) fn thinned(&self, from: Moment, to: Moment, pixel_us: u64) -> Self {
        let is_near = |at: Moment| from <= at && at <= to;
        let bars_apart = pixel_us * BARS_APART;
        let mut ends = Map::new();
        let tenures = self.tenures.iter().filter(|it| {
            let until = it.until.unwrap_or(Moment::NEVER);
            it.from <= to && until >= from && is_apart(&mut ends, it.lock.0, until, bars_apart)
        });
        let tenures = tenures.map(|it| Tenure {
            renewals: spread(it.renewals.iter().copied().filter(|at| is_near(*at)), pixel_us),
            ..it.clone()
        });
        let mut ends = Map::new();
        let beliefs = self.beliefs.iter().filter(|it| {
            let until = lasts(it);
            let row = (it.lock.0, it.client.0);
            it.from <= to && until >= from && is_apart(&mut ends, row, until, bars_apart)
        });
        let mut last = Map::new();
        let marks = self.marks.iter().filter(|it| {
            let row = (it.lock.0, it.what as u8);
            is_near(it.at) && is_apart(&mut last, row, it.at, pixel_us * MARKS_APART)
        });
        Self {
            tenures: tenures.collect(),
            beliefs: beliefs.cloned().collect(),
            marks: marks.copied().collect(),
            outages: self.outages.clone(),
            taken: self.taken,
        }
    }
}

/// Until when a belief is seen at most.
fn lasts(belief: &Belief) -> Moment {
    belief.ended.or(belief.steps.last().map(|(_, until)| *until)).unwrap_or(belief.from)
}

/// Whether something in a row is far enough behind the last that is shown there.
fn is_apart<K: Ord + Clone>(last: &mut Map<K, u64>, row: K, at: Moment, apart_us: u64) -> bool {
    let at = at.as_micros();
    let is_apart = last.get(&row).is_none_or(|last| at.saturating_sub(*last) >= apart_us);
    if is_apart {
        last.insert(row, at);
    }
    is_apart
}

fn spread(moments: impl Iterator<Item = Moment>, pixel_us: u64) -> Vec<Moment> {
    let mut last = Map::new();
    moments.filter(|at| is_apart(&mut last, (), *at, pixel_us * MARKS_APART)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_core::sim::Scenario;

    #[test]
    fn what_can_be_told_apart_stays_and_the_rest_is_drawn_once() {
        let mut bars = Bars::default();
        bars.take(&Scenario::named("five-clients").unwrap().run().go().trace);
        let all = bars.thinned(Moment::START, Moment::NEVER, 1);
        assert_eq!((&all.tenures, &all.beliefs), (&bars.tenures, &bars.beliefs));
        let far = bars.thinned(Moment::START, Moment::NEVER, 100_000_000);
        assert_eq!(far.tenures.len(), 3, "one for each lock");
        assert!(far.marks.len() < bars.marks.len());
        let first = bars.tenures[0].until.unwrap();
        let early = bars.thinned(Moment::START, first, 1);
        assert!(early.tenures.len() < bars.tenures.len());
        assert!(early.tenures.iter().all(|it| it.from <= first));
    }
}
