//! Which rows there are: one for each lock as the server has it, and below it one for each client
//! that has believed to hold it.

use std::collections::BTreeSet;

use leasehold_sim::{LockNo, NodeNo};

use super::Subject;
use crate::model::bars::Crowd;
use crate::picture::axis::Axis;
use crate::picture::shape::float;

/// The rows of one lock.
pub(super) struct Rows {
    pub(super) lock: LockNo,
    pub(super) top: f64,
    /// The clients that have a row, in the order of their numbers.
    pub(super) believers: Vec<NodeNo>,
}

/// Where there are more locks than this, those on which nothing happens have no rows.
const LOCKS_ALWAYS_SHOWN: usize = 12;

/// Whether a lock is held, or written under, in the part of time that is shown.
fn happens((subject, crowds): Seen<'_>, axis: &Axis, lock: LockNo) -> bool {
    let mut tenures = subject.bars.tenures.iter().rev();
    tenures.any(|it| {
        it.lock == lock
            && it.from <= subject.now
            && axis.has(it.from, it.until.unwrap_or(subject.now).max(it.from))
    }) || crowds.iter().any(|it| it.lock == lock && it.from <= subject.now)
}

/// What is drawn one by one, and what is not.
type Seen<'a> = (&'a Subject<'a>, &'a [Crowd]);

pub(super) const SERVER_ROW: f64 = 1.75;
pub(super) const BELIEF_ROW: f64 = 1.3;

fn height_of(rows: &Rows, em: f64) -> f64 {
    em * (SERVER_ROW + BELIEF_ROW * float(rows.believers.len()) + 0.55)
}

/// How high they are together.
pub(super) fn height(rows: &[Rows], em: f64) -> f64 {
    rows.last().map_or(em * 2.0, |last| last.top + height_of(last, em))
}

/// The rows that there are, with those for the believers where they are wanted.
pub(super) fn rows(seen: Seen<'_>, axis: &Axis, em: f64, believe: bool) -> Vec<Rows> {
    let (subject, crowds) = seen;
    let mut top = em * 0.5;
    let locks = (0..).map(LockNo).take(subject.names.locks.len());
    let has_many = subject.names.locks.len() > LOCKS_ALWAYS_SHOWN;
    let is_shown = |lock: &LockNo| !has_many || happens(seen, axis, *lock);
    let rows = locks.filter(is_shown).map(|lock| {
        let ghosts = subject.ghost.into_iter().flat_map(|ghost| &ghost.beliefs);
        let beliefs = subject.bars.beliefs.iter().chain(ghosts);
        let seen = beliefs.filter(|it| {
            let until = it.until(subject.now).unwrap_or(it.from);
            // Of a real server there are ever more; in a run a row stays when one zooms in, as long
            // as all of it is drawn one by one.
            let is_seen = !subject.is_inferred || axis.has(it.from, until);
            believe && it.lock == lock && it.from <= subject.now && is_seen
        });
        let crowds = crowds.iter();
        let crowds = crowds.filter(|it| believe && it.lock == lock && it.from <= subject.now);
        let mut believers: BTreeSet<NodeNo> = seen.map(|it| it.client).collect();
        believers.extend(crowds.filter_map(|it| it.client));
        let believers: Vec<NodeNo> = believers.iter().copied().collect();
        let rows = Rows { lock, top, believers };
        top += height_of(&rows, em);
        rows
    });
    rows.collect()
}
