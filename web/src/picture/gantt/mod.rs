//! Who holds a lock and who believes so, over time: for each lock the tenures as the server has
//! them, below them the beliefs of each client, on both what was written and what was refused.
//!
//! Only what has happened by now is drawn; what is promised from now on has an outline.

mod crowd;
mod ghost;
mod marks;
mod rows;

use leasehold_sim::{Invariant, LockNo, Moment, NodeNo, RecordNo};

use crate::model::bars::{Bars, Belief, Crowd, OutageKind, Tenure, TenureEnd, Thinned, Window};
use crate::picture::axis::Axis;
use crate::picture::shape::{
    Anchor, Group, Picture, Place, Shape, Target, fitted, float, line, rect, rounded, text,
    text_width, within,
};
use rows::{BELIEF_ROW, Rows, SERVER_ROW, height, rows};

/// What the bars are called.
#[derive(Clone, Copy)]
pub(crate) struct Names<'a> {
    pub(crate) locks: &'a [String],
    /// The first is the server.
    pub(crate) nodes: &'a [String],
}

impl Names<'_> {
    pub(crate) fn lock(&self, lock: LockNo) -> &str {
        self.locks.get(usize::from(lock.0)).map_or("", String::as_str)
    }

    pub(crate) fn node(&self, node: NodeNo) -> &str {
        self.nodes.get(usize::from(node.0)).map_or("", String::as_str)
    }
}

/// What there is to draw.
pub(crate) struct Subject<'a> {
    pub(crate) bars: &'a Bars,
    pub(crate) names: Names<'a>,
    pub(crate) now: Moment,
    pub(crate) lease_us: u64,
    /// What is violated by now, and when that showed.
    pub(crate) violations: &'a [(Invariant, Moment, RecordNo)],
    /// Beliefs are inferred from what clients were told, and not told by them.
    pub(crate) is_inferred: bool,
    /// Nobody can look at what is below: all of it has to be in its place.
    pub(crate) must_fit: bool,
    /// Another run of the same luck, to be seen over this one.
    pub(crate) ghost: Option<&'a Bars>,
}

struct Drawing<'a> {
    subject: &'a Subject<'a>,
    /// What is too close together to be drawn one by one.
    crowds: &'a [Crowd],
    axis: Axis,
    /// What rows and what is on them are measured by, and what all other letters are.
    em: f64,
    em_text: f64,
    shapes: Vec<Shape>,
}

/// The picture, at least as high as its place.
pub(crate) fn gantt(
    subject: &Subject<'_>,
    (from, to): (Moment, Moment),
    place: Place,
    selected: Option<Target>,
) -> Picture {
    let em = place.em;
    let axis = Axis { from, to, left: label_width(place), right: place.width - em };
    let label = label(subject);
    // Of a real server, or of a long run, there can be more than a picture has room for.
    let is_much = subject.is_inferred || subject.bars.tenures.len() > TENURES_MUCH;
    let window = Window { from, to, now: subject.now, pixel_us: axis.pixel_us() };
    let witnesses = subject.violations.iter().map(|(.., witness)| *witness);
    let thinned = is_much.then(|| subject.bars.thinned(window, &witnesses.collect::<Vec<_>>()));
    let (bars, crowds) = match &thinned {
        Some(Thinned { bars, crowds }) => (bars, &**crowds),
        None => (subject.bars, &[][..]),
    };
    let subject = &Subject { bars, ..*subject };
    let room = place.height - em * 1.7;
    let needed = |believe| height(&rows((subject, crowds), &axis, em, believe), em);
    // What is inferred says little that the tenures don't.
    let believe = !(subject.must_fit && subject.is_inferred && needed(true) > room);
    // Where there is room the rows are higher, and so are their letters.
    let em_min = if subject.must_fit { 0.5 } else { 1.0 };
    let em_row = em * within(room / needed(believe), em_min, 1.6);
    let em_text = em.min(em_row * 1.35);
    let rows = rows((subject, crowds), &axis, em_row, believe);
    let bottom = height(&rows, em_row).max(room);
    let mut drawing = Drawing { subject, crowds, axis, em: em_row, em_text, shapes: Vec::new() };
    drawing.shapes.extend(axis.ticks(em * 0.4, bottom, em));
    // Below what is drawn: what happens now would be half hidden.
    let x = axis.x(subject.now);
    drawing.shapes.push(line("now", (x, 0.0), (x, bottom)));
    for (no, it) in rows.iter().enumerate() {
        if no > 0 {
            let y = it.top - em * 0.25;
            drawing.shapes.push(line("rule", (0.0, y), (place.width, y)));
        }
        drawing.lock(it, selected);
    }
    drawing.gaps(bottom);
    drawing.violations(bottom);
    Picture { width: place.width, height: bottom + em * 1.7, label, shapes: drawing.shapes }
}

fn label(subject: &Subject<'_>) -> String {
    let held = subject.bars.tenures.iter().filter(|it| it.until.is_none()).count();
    format!(
        "tenures and beliefs over time: {} tenures so far, {held} live at the end of the run",
        subject.bars.tenures.iter().filter(|it| it.from <= subject.now).count()
    )
}

/// How wide the names before the bars are.
pub(crate) fn label_width(place: Place) -> f64 {
    if place.width < place.em * 34.0 { place.em * 5.2 } else { place.em * 8.5 }
}

/// More tenures than this are not all drawn: not every one of them has a pixel of its own.
const TENURES_MUCH: usize = 500;

impl Drawing<'_> {
    fn lock(&mut self, rows: &Rows, selected: Option<Target>) {
        let (em, now) = (self.em, self.subject.now);
        let name = self.subject.names.lock(rows.lock).to_owned();
        let target = Target::Lock(rows.lock);
        let class = if selected == Some(target) { "row-label selected" } else { "row-label" };
        let size = self.em_text;
        let title = fitted(&name, size, self.axis.left - size * 0.6);
        let baseline = rows.top + em * 1.2;
        self.shapes.push(Shape::Group(Group {
            class: class.into(),
            at: (0.0, 0.0),
            target: Some(target),
            label: format!("lock {name}"),
            shapes: vec![
                rect("reach", (0.0, rows.top), (self.axis.left, em * SERVER_ROW)),
                text("name", (size * 0.4, baseline), Anchor::Start, size, title),
            ],
        }));
        let (subject, axis) = (self.subject, self.axis);
        let tenures = subject.bars.tenures.iter().filter(|it| {
            it.lock == rows.lock
                && it.from <= now
                && axis.has(it.from, it.until.unwrap_or(now).max(it.from))
        });
        for tenure in tenures {
            self.tenure(tenure, rows.top);
        }
        self.crowds(rows.lock, None, (rows.top, em * 1.35));
        for (no, client) in rows.believers.iter().enumerate() {
            let y = rows.top + em * (SERVER_ROW + BELIEF_ROW * float(no));
            let width = self.axis.left - size * 1.1;
            let label = fitted(self.subject.names.node(*client), size * 0.9, width);
            let at = (size * 0.8, y + em * 0.4 + size * 0.3);
            self.shapes.push(text("small", at, Anchor::Start, size * 0.9, label));
            self.outages(*client, y);
            let beliefs = subject.bars.beliefs.iter();
            for belief in beliefs.filter(|it| (it.lock, it.client) == (rows.lock, *client)) {
                self.belief(belief, y);
            }
            self.crowds(rows.lock, Some(*client), (y, em * 0.8));
        }
        self.ghosts(rows);
        self.overlaps(rows);
        self.marks(rows);
    }

    fn tenure(&mut self, tenure: &Tenure, top: f64) {
        let (em, now) = (self.em, self.subject.now);
        let height = em * 1.35;
        let until = tenure.until.filter(|until| *until <= now);
        let (x1, x2) = (self.axis.x(tenure.from), self.axis.x(until.unwrap_or(now)));
        // Where the next one follows at once, there is a line between them.
        let gap = if until.is_some() { 1.5 } else { 0.0 };
        let width = (x2 - x1 - gap).max(2.0);
        let mut shapes = vec![rounded("tenure", (x1, top), (width, height), 2.0)];
        if until.is_none() {
            let end = self.axis.x(self.promised(tenure)).max(x2);
            shapes.push(rounded("promise", (x2, top), (end - x2, height), 2.0));
        }
        for at in tenure.renewals.iter().filter(|at| **at <= now) {
            let x = self.axis.x(*at);
            shapes.push(line("renewal", (x, top + height * 0.72), (x, top + height)));
        }
        let end = tenure.end.filter(|_| until.is_some());
        if matches!(end, Some(TenureEnd::Expired | TenureEnd::Forgotten)) {
            shapes.push(line("expiry-edge", (x2, top - em * 0.15), (x2, top + height + em * 0.15)));
        }
        let client = self.subject.names.node(tenure.client);
        let full = format!("#{} {client}", tenure.token);
        let short = format!("#{}", tenure.token);
        let room = x2 - x1 - em * 0.4;
        let size = (em * 0.85).min(self.em_text * 1.15);
        let shown = [&full, &short].into_iter().find(|it| text_width(it, size) <= room);
        if let Some(shown) = shown {
            let at = (x1 + em * 0.3, top + em * 0.55 + size * 0.35);
            shapes.push(text("on-tenure", at, Anchor::Start, size, shown.clone()));
        }
        let how = match end {
            None => "and still does".to_owned(),
            Some(TenureEnd::Given) => format!("until {}", tenure.until.unwrap_or(now)),
            Some(TenureEnd::Expired) => {
                format!("until its lease was over at {}", tenure.until.unwrap_or(now))
            }
            Some(TenureEnd::Forgotten) => "until the server forgot it".to_owned(),
        };
        let label =
            format!("{client} holds it under token {} from {} {how}", tenure.token, tenure.from);
        self.shapes.push(Shape::Group(Group {
            class: "tenure-bar".into(),
            at: (0.0, 0.0),
            target: Some(Target::Record(tenure.record)),
            label,
            shapes,
        }));
    }

    /// Until when a live tenure lasts, if nothing more is heard.
    fn promised(&self, tenure: &Tenure) -> Moment {
        let (subject, now) = (self.subject, self.subject.now);
        if subject.is_inferred {
            // What a client may believe is what the server grants it.
            let key = (tenure.lock, tenure.client, tenure.token);
            let mut beliefs = subject.bars.beliefs.iter().rev();
            let belief = beliefs.find(|it| (it.lock, it.client, it.token) == key);
            return belief.and_then(|it| it.until(now)).unwrap_or(now);
        }
        let heard = tenure.renewals.iter().rev().find(|at| **at <= now).copied();
        heard.unwrap_or(tenure.from) + subject.lease_us
    }

    fn belief(&mut self, belief: &Belief, y: f64) {
        let (em, now) = (self.em, self.subject.now);
        let Some(until) = belief.until(now) else { return };
        if !self.axis.has(belief.from, until) {
            return;
        }
        let height = em * 0.8;
        let class = if self.subject.is_inferred { "belief inferred" } else { "belief" };
        let (x1, x2) = (self.axis.x(belief.from), self.axis.x(until.min(now)));
        self.shapes.push(rounded(class, (x1, y), ((x2 - x1).max(2.0), height), 2.0));
        if until > now {
            let end = self.axis.x(until);
            self.shapes.push(rounded("promise", (x2, y), (end - x2, height), 2.0));
        }
    }

    fn outages(&mut self, node: NodeNo, y: f64) {
        let now = self.subject.now;
        for outage in self.subject.bars.outages.iter().filter(|it| it.node == node) {
            let until = outage.until.unwrap_or(now).min(now);
            if outage.from > now || !self.axis.has(outage.from, until) {
                continue;
            }
            let class = match outage.what {
                OutageKind::Dead => "outage dead",
                OutageKind::Paused => "outage paused",
                OutageKind::Cut(_) => "outage cut",
                OutageKind::Unseen => continue,
            };
            let (x1, x2) = (self.axis.x(outage.from), self.axis.x(until));
            let top = y - self.em * 0.2;
            self.shapes.push(rect(class, (x1, top), (x2 - x1, self.em * 1.2)));
        }
    }

    /// Where more than one client believes that it holds the lock.
    fn overlaps(&mut self, rows: &Rows) {
        let (em, now) = (self.em, self.subject.now);
        if rows.believers.is_empty() {
            return;
        }
        let beliefs = self.subject.bars.beliefs.iter();
        let held: Vec<(Moment, Moment, NodeNo)> = beliefs
            .filter(|it| it.lock == rows.lock && it.from <= now)
            .filter_map(|it| Some((it.from, it.until(now)?.min(now), it.client)))
            .collect();
        for (no, (from, until, client)) in held.iter().enumerate() {
            for (other_from, other_until, other) in &held[no + 1..] {
                let (start, end) = (*from.max(other_from), *until.min(other_until));
                if client == other || start >= end || !self.axis.has(start, end) {
                    continue;
                }
                let (x1, x2) = (self.axis.x(start), self.axis.x(end));
                let top = rows.top + em * SERVER_ROW - em * 0.25;
                let height = em * BELIEF_ROW * float(rows.believers.len());
                self.shapes.push(rect("overlap", (x1, top), ((x2 - x1).max(3.0), height)));
                let size = self.em_text * 0.95;
                let at = (x2 + em * 0.3, top + height - em * 0.3);
                self.shapes.push(text("alarm", at, Anchor::Start, size, "2 believers"));
            }
        }
    }

    /// What nobody saw.
    fn gaps(&mut self, bottom: f64) {
        let outages = self.subject.bars.outages.iter();
        for gap in outages.filter(|it| it.what == OutageKind::Unseen) {
            let until = gap.until.unwrap_or(self.subject.now).min(self.subject.now);
            if gap.from > self.subject.now || !self.axis.has(gap.from, until) {
                continue;
            }
            let (x1, x2) = (self.axis.x(gap.from), self.axis.x(until));
            self.shapes.push(rect("unseen", (x1, 0.0), ((x2 - x1).max(2.0), bottom)));
            let size = self.em_text * 0.85;
            if x2 - x1 > text_width("not seen", size) {
                let at = (x1.midpoint(x2), bottom - size * 0.4);
                self.shapes.push(text("small", at, Anchor::Middle, size, "not seen"));
            }
        }
    }

    fn violations(&mut self, bottom: f64) {
        let em = self.em_text;
        let mut moments: Vec<(Moment, RecordNo, String)> = Vec::new();
        for (invariant, at, record) in self.subject.violations {
            if *at > self.subject.now || !self.axis.has(*at, *at) {
                continue;
            }
            match moments.last_mut().filter(|(last, ..)| last == at) {
                Some((.., names)) => *names = format!("{names} {invariant}"),
                None => moments.push((*at, *record, invariant.to_string())),
            }
        }
        for (at, record, names) in moments {
            let x = self.axis.x(at);
            let near_end = x > self.axis.right - em * 4.0;
            let (anchor, off) =
                if near_end { (Anchor::End, -em * 0.4) } else { (Anchor::Start, em * 0.4) };
            self.shapes.push(Shape::Group(Group {
                class: "violation".into(),
                at: (0.0, 0.0),
                target: Some(Target::Record(record)),
                label: format!("{names} is violated at {at}"),
                shapes: vec![
                    line("violation-line", (x, 0.0), (x, bottom)),
                    text("alarm", (x + off, bottom - em * 0.3), anchor, em * 0.9, names),
                ],
            }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::{Protection, Scenario};

    fn picture(scenario: &str, without: &[Protection], at_ms: u64) -> Picture {
        in_place(scenario, without, at_ms, |_, place| place)
    }

    fn in_place(
        scenario: &str,
        without: &[Protection],
        at_ms: u64,
        change: impl FnOnce(&mut Subject<'_>, Place) -> Place,
    ) -> Picture {
        let scenario = Scenario::named(scenario).unwrap();
        let mut film = Film::new(scenario.run_without(&without.iter().copied().collect()));
        film.go_to(Moment::from_millis(at_ms));
        let config = &film.run().config;
        let locks: Vec<String> = config.locks.iter().map(ToString::to_string).collect();
        let mut nodes = vec!["server".to_owned()];
        nodes.extend(config.clients.iter().map(|client| client.name.to_string()));
        let mut subject = Subject {
            bars: &film.bars(),
            names: Names { locks: &locks, nodes: &nodes },
            now: film.now(),
            lease_us: 10_000_000,
            violations: &film.violations(),
            is_inferred: false,
            must_fit: false,
            ghost: None,
        };
        let place = Place { width: 760.0, height: 200.0, em: 12.0 };
        let place = change(&mut subject, place);
        gantt(&subject, (Moment::START, film.end()), place, None)
    }

    #[test]
    fn tenures_carry_their_tokens_and_the_future_is_not_told() {
        let early = picture("gc-pause", &[], 5_000);
        assert!(early.labels().iter().any(|it| it.starts_with("client_1 holds it under token 1")));
        assert!(!early.labels().iter().any(|it| it.contains("client_2")), "{:?}", early.labels());
        let late = picture("gc-pause", &[], 30_000);
        assert!(late.labels().iter().any(|it| it.starts_with("client_1 is refused under token 1")));
    }

    #[test]
    fn a_violation_goes_through_all_rows() {
        let off = picture("gc-pause", &[Protection::Fencing], 30_000);
        assert!(
            off.labels().iter().any(|it| it.starts_with("S2 S4 is violated")),
            "{:?}",
            off.labels()
        );
        let before = picture("gc-pause", &[Protection::Fencing], 10_000);
        assert!(!before.labels().iter().any(|it| it.contains("violated")));
    }

    /// What one run has and the other hasn't is outlined over it, and nothing else.
    #[test]
    fn another_run_is_seen_over_this_one() {
        let scenario = Scenario::named("gc-pause").unwrap();
        let mut film = Film::new(scenario.run());
        film.go_to(Moment::from_millis(30_000));
        let mut other = film.other(scenario.run_without(&[Protection::Fencing].into()));
        other.go_to(film.now());
        let (own, others) = (film.bars(), other.bars());
        let locks = ["file_0".to_owned()];
        let nodes = ["server", "client_1", "client_2"].map(str::to_owned);
        let over = |ghost| {
            let names = Names { locks: &locks, nodes: &nodes };
            let subject = Subject {
                bars: &own,
                names,
                now: film.now(),
                lease_us: 10_000_000,
                violations: &[],
                is_inferred: false,
                must_fit: false,
                ghost: Some(ghost),
            };
            let place = Place { width: 760.0, height: 200.0, em: 12.0 };
            format!("{:?}", gantt(&subject, (Moment::START, film.end()), place, None))
        };
        assert!(over(&others).contains("ghost-mark"), "the line that fencing refuses");
        assert!(!over(&own).contains("ghost"), "nothing is otherwise");
    }

    #[test]
    fn all_rows_are_in_their_place_while_somebody_presents() {
        for is_inferred in [false, true] {
            let height = |must_fit| {
                let place = Place { width: 1_264.0, height: 280.0, em: 27.0 };
                let all = in_place("five-clients", &[], 40_000, |subject, _| {
                    (subject.is_inferred, subject.must_fit) = (is_inferred, must_fit);
                    place
                });
                all.height
            };
            assert!(height(false) > 281.0 && height(true) <= 281.0, "{is_inferred}");
        }
    }

    #[test]
    fn two_believers_are_counted() {
        let scenario = Scenario::named("slow-clock").unwrap();
        let expected = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
        let without: Vec<Protection> = expected.without.iter().copied().collect();
        let end = scenario.config.ends_ms;
        let text = format!("{:?}", picture("slow-clock", &without, end));
        assert!(text.contains("2 believers"));
    }
}
