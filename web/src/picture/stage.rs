//! The stage: clients around their server, the packets between them, and around each client two
//! arcs that run down: what the server still gives it, and what it believes to have.

use std::f64::consts::PI;

use leasehold_sim::{Moment, NodeNo};

use super::glyph::Sign;
use super::shape::{
    Anchor, Class, Group, Picture, Place, Shape, Target, arc, circle, drawn, fitted, float, line,
    path, rect, rounded, text, text_width,
};
use super::stage_layout::{COUNT_ROW, Layout};
use super::stage_packets::{Signs, packet};
use crate::model::files::lines_text;
use crate::model::scene::{Client, Condition, Lock, Scene, Server};

/// How one looks at it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Look {
    pub(crate) selected: Option<Target>,
    /// Packets that will be lost are marked.
    pub(crate) shows_fates: bool,
    /// Packets go by quarters of their way, since somebody wants no motion.
    pub(crate) is_still: bool,
}

/// Everything on the stage at this moment.
pub(crate) fn stage(scene: &Scene, now: Moment, place: Place, look: Look) -> Picture {
    let selected = look.selected;
    let nodes = scene.clients.iter().map(|client| client.node).collect();
    let layout = Layout::new(place, nodes, scene.locks.len());
    let mut shapes = Vec::new();
    for (no, client) in scene.clients.iter().enumerate() {
        shapes.push(link(&layout, no, client, selected));
    }
    shapes.push(server(scene, &layout, selected));
    if layout.files.is_some() {
        shapes.extend(scene.locks.iter().enumerate().filter_map(|(no, it)| sheet(&layout, no, it)));
    }
    for (no, it) in scene.clients.iter().enumerate() {
        shapes.push(client(&layout, no, it, now, selected));
    }
    for loss in &scene.losses {
        let (from, to, share) =
            (loss.link.from, loss.link.to, if loss.is_late { 1.0 } else { 0.5 });
        if let Some(at) = layout.on_way(from, to, share) {
            shapes.extend(Sign::Reject.shapes(at, layout.packet_r * 0.8));
        }
    }
    for it in &scene.decisions {
        // Where the link comes to the server: it has decided, whoever knows of it.
        if let Some(at) = layout.on_way(it.client, NodeNo::SERVER, 0.94) {
            let sign = it.sign.shapes((0.0, 0.0), layout.packet_r);
            shapes.push(Shape::Group(Group {
                class: "decision".into(),
                at,
                target: None,
                label: String::new(),
                shapes: sign,
            }));
        }
    }
    if scene.more_clients > 0 {
        let more = format!("and {} more clients", scene.more_clients);
        let at = (place.em * 0.6, place.height - place.em * 0.6);
        shapes.push(text("small", at, Anchor::Start, place.em * 0.85, more));
    }
    let mut signs = Signs::default();
    for it in &scene.packets {
        shapes.extend(packet(&layout, it, scene, now, look, &mut signs));
    }
    Picture { width: place.width, height: place.height, label: label(scene), shapes }
}

fn label(scene: &Scene) -> String {
    let packets = scene.packets.len();
    format!("the server, {} clients, {packets} packets on their way", scene.clients.len())
}

pub(super) fn class(base: &'static str, target: Target, selected: Option<Target>) -> Class {
    if selected == Some(target) { format!("{base} selected").into() } else { base.into() }
}

fn link(layout: &Layout, no: usize, client: &Client, selected: Option<Target>) -> Shape {
    let target = Target::Link(client.node);
    let mut shapes = Vec::new();
    let lanes = [(NodeNo::SERVER, client.cut.0), (client.node, client.cut.1)];
    for (to, is_cut) in lanes {
        let from = if to.is_server() { client.node } else { NodeNo::SERVER };
        let (Some(a), Some(b)) = (layout.on_way(from, to, 0.0), layout.on_way(from, to, 1.0))
        else {
            continue;
        };
        shapes.push(line("reach", a, b));
        shapes.push(line(if is_cut { "lane cut" } else { "lane" }, a, b));
        if is_cut && let Some(middle) = layout.on_way(from, to, 0.5) {
            shapes.extend(Sign::Reject.shapes(middle, layout.packet_r * 0.55));
        }
    }
    let how = match client.cut {
        (false, false) => "whole".to_owned(),
        (true, true) => "cut both ways".to_owned(),
        (true, false) => "cut towards the server".to_owned(),
        (false, true) => "cut towards the client".to_owned(),
    };
    let _ = no;
    Shape::Group(Group {
        class: class("link", target, selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("link between {} and the server: {how}", client.name),
        shapes,
    })
}

fn server(scene: &Scene, layout: &Layout, selected: Option<Target>) -> Shape {
    let Server { condition, clock, unflushed, .. } = scene.server;
    let (em, (width, height)) = (layout.em, layout.server_size);
    let (left, top) = (layout.server.0 - width / 2.0, layout.server.1 - height / 2.0);
    let body = match condition {
        Condition::Dead => "server dead",
        Condition::NotStarted => "server absent",
        Condition::Paused => "server paused",
        Condition::Up | Condition::Finished => "server",
    };
    let mut shapes = vec![rounded(body, (left, top), (width, height), 8.0)];
    let inside = left + em * 0.8;
    let mut y = top + em * 1.45;
    shapes.push(text("title", (inside, y), Anchor::Start, em, "server"));
    let state = match condition {
        Condition::Dead => "crashed".to_owned(),
        Condition::NotStarted => "not started yet".to_owned(),
        Condition::Paused => "stands still".to_owned(),
        Condition::Up | Condition::Finished => {
            let waits = if unflushed == 0 { String::new() } else { "flushing …".to_owned() };
            clock_text(clock.ahead_ms, clock.rate_ppm).unwrap_or(waits)
        }
    };
    let right = left + width - em * 0.8;
    shapes.push(text("small", (right, y), Anchor::End, em * 0.85, state.clone()));
    let rows = layout.server_rows.min(scene.locks.len());
    for lock in &scene.locks[..rows] {
        y += em * 1.55;
        shapes.push(line("rule", (left, y - em * 1.1), (left + width, y - em * 1.1)));
        shapes.extend(lock_row(lock, (inside, right), y, em));
        if layout.has_names_below {
            // Where there are no sheets, how much is in the file is told here.
            y += em * COUNT_ROW;
            let count = lines_text(lock.lines, lock.is_since);
            shapes.push(text("small", (right, y), Anchor::End, em * 0.8, count));
        }
    }
    if rows < scene.locks.len() {
        let more = format!("and {} more locks", scene.locks.len() - rows);
        y += em * 1.4;
        shapes.push(text("small", (inside, y), Anchor::Start, em * 0.85, more));
    }
    if condition == Condition::Dead {
        shapes.extend(Sign::Reject.shapes((left + width - em, top + em * 0.2), em * 0.6));
    }
    let target = Target::Node(NodeNo::SERVER);
    let held = scene.locks.iter().filter(|lock| lock.holder.is_some()).count();
    Shape::Group(Group {
        class: class("node", target, selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("server {state}; {held} of {} locks are held", scene.locks.len()),
        shapes,
    })
}

fn lock_row(lock: &Lock, (left, right): (f64, f64), y: f64, em: f64) -> Vec<Shape> {
    // The holder has what the name leaves.
    let name_width = (text_width(lock.name.as_str(), em * 0.9) + em).min((right - left) * 0.5);
    let name = fitted(lock.name.as_str(), em * 0.9, name_width);
    let mut shapes = vec![text("name", (left, y), Anchor::Start, em * 0.9, name)];
    let waiting =
        if lock.line.is_empty() { String::new() } else { format!(" +{}", lock.line.len()) };
    let (class, holder) = match &lock.holder {
        Some(holder) => ("held", format!("#{} {}{waiting}", holder.token, holder.client)),
        None => ("small", format!("free{waiting}")),
    };
    let holder = fitted(&holder, em * 0.9, right - left - name_width);
    shapes.push(text(class, (right, y), Anchor::End, em * 0.9, holder));
    shapes
}

/// A file beside the server: its last lines, each with its token.
fn sheet(layout: &Layout, no: usize, lock: &Lock) -> Option<Shape> {
    let (x, width) = layout.files?;
    let em = layout.em;
    let rows = layout.sheet_rows;
    let height = layout.sheet_height();
    let top = layout.sheet_top(no, height)?;
    let fold = em * 0.7;
    let (right, bottom) = (x + width, top + height);
    let outline = drawn("M_ _H_L_ _V_H_Z", &[x, top, right - fold, right, top + fold, bottom, x]);
    let mut shapes = vec![path("sheet", outline)];
    let inside = x + em * 0.6;
    let mut y = top + em * 1.2;
    let title = fitted(lock.name.as_str(), em * 0.9, width * 0.6);
    shapes.push(text("name", (inside, y), Anchor::Start, em * 0.9, title));
    let plus = if lock.is_since { "+" } else { "" };
    let count = format!("{plus}{}", lock.lines);
    shapes.push(text("small", (right - em * 1.1, y), Anchor::End, em * 0.8, count));
    let skip = lock.last.len().saturating_sub(rows);
    for (token, client) in &lock.last[skip..] {
        y += em * 1.15;
        let written = fitted(&format!("#{token} {client}"), em * 0.8, width - em);
        shapes.push(text("written", (inside, y), Anchor::Start, em * 0.8, written));
    }
    let target = Target::Lock(lock.no);
    Some(Shape::Group(Group {
        class: "file".into(),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("file {}: {}", lock.name, lines_text(lock.lines, lock.is_since)),
        shapes,
    }))
}

fn client(
    layout: &Layout,
    no: usize,
    client: &Client,
    now: Moment,
    selected: Option<Target>,
) -> Shape {
    let r = layout.r;
    let target = Target::Node(client.node);
    let body = match client.condition {
        Condition::NotStarted => "client absent",
        Condition::Dead => "client dead",
        Condition::Paused => "client paused",
        Condition::Finished => "client finished",
        Condition::Up if client.holds => "client holds",
        Condition::Up => "client",
    };
    let mut shapes = vec![circle("reach", (0.0, 0.0), r + 8.0), circle(body, (0.0, 0.0), r)];
    shapes.extend(arcs(client, r, now));
    shapes.extend(face(client, r));
    let wrong = clock_text(client.clock.ahead_ms, client.clock.rate_ppm);
    let doing = wrong.map_or_else(|| client.doing.clone(), |it| format!("{} · {it}", client.doing));
    let em = layout.em_names;
    if layout.has_names {
        let x = -r - 14.0;
        let width = layout.name_width;
        shapes.push(rect("reach", (x - width, -em * 1.1), (width + 14.0, em * 2.4)));
        let name = fitted(client.name.as_str(), em, width);
        shapes.push(text("name", (x, -em * 0.15), Anchor::End, em, name));
        let doing = fitted(&doing, em * 0.85, width);
        shapes.push(text("small", (x, em * 0.95), Anchor::End, em * 0.85, doing));
    } else if layout.has_names_below {
        // Below it, from the edge: its name, and what it is about.
        let (left, y) = (4.0 - layout.clients[no].0, r + em * 1.5);
        let name = fitted(client.name.as_str(), em * 0.85, layout.name_width);
        let behind = left + text_width(&name, em * 0.85) * 1.12 + em * 0.4;
        shapes.push(text("name over", (left, y), Anchor::Start, em * 0.85, name));
        let doing = fitted(&doing, em * 0.85, layout.server.0 - layout.server_size.0 / 2.0 - 60.0);
        shapes.push(text("small over", (behind, y), Anchor::Start, em * 0.85, doing));
    }
    Shape::Group(Group {
        class: class("node", target, selected),
        at: layout.clients[no],
        target: Some(target),
        label: client_label(client, now),
        shapes,
    })
}

/// The truth outside, the belief inside; where the belief is longer, the gap is marked.
fn arcs(client: &Client, r: f64, now: Moment) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let (outer, inner) = (r + 6.5, r + 2.5);
    let truth = client.truth.map_or(0.0, |term| term.left(now));
    let belief = client.belief.map_or(0.0, |belief| belief.term.left(now));
    let center = (0.0, 0.0);
    if truth > 0.0 {
        let class = if client.holds { "arc truth" } else { "arc truth idle" };
        shapes.push(path(class, arc(center, outer, 0.0, in_steps(truth, outer))));
    }
    if belief > 0.0 {
        let inferred = client.belief.is_some_and(|belief| belief.is_inferred);
        let class = if inferred { "arc belief inferred" } else { "arc belief" };
        shapes.push(path(class, arc(center, inner, 0.0, in_steps(belief, inner))));
        if belief > truth + 0.002 {
            let (from, to) = (in_steps(truth, outer), in_steps(belief, outer));
            shapes.push(path("arc gap", arc(center, outer, from, to - from)));
        }
    }
    shapes
}

/// A share of a circle, in steps of half a pixel: more often nobody sees it move.
fn in_steps(share: f64, r: f64) -> f64 {
    let steps = r * 4.0 * PI;
    (share * steps).ceil() / steps
}

/// What is in the circle: a number by which the client is told, or what is the matter with it.
fn face(client: &Client, r: f64) -> Vec<Shape> {
    if r < 7.0 {
        return Vec::new();
    }
    match client.condition {
        Condition::Dead => Sign::Reject.shapes((0.0, 0.0), r * 0.5),
        Condition::Paused => {
            let (width, height) = (r * 0.24, r * 0.9);
            [-r * 0.34, r * 0.1].map(|x| rect("pause", (x, -height / 2.0), (width, height))).into()
        }
        Condition::NotStarted | Condition::Up | Condition::Finished => {
            let short = short_name(client.name.as_str());
            let size = if short.len() > 2 { r * 0.7 } else { r * 0.95 };
            vec![text("face", (0.0, size * 0.36), Anchor::Middle, size, short)]
        }
    }
}

/// The number at the end of a name, or its first letters.
pub(crate) fn short_name(name: &str) -> String {
    let digits = name.chars().rev().take_while(char::is_ascii_digit).count();
    if (1..=3).contains(&digits) {
        name[name.len() - digits..].to_owned()
    } else {
        name.chars().take(2).collect()
    }
}

/// What is wrong with a clock; nothing where nothing is.
pub(crate) fn clock_text(ahead_ms: i64, rate_ppm: i64) -> Option<String> {
    if rate_ppm.unsigned_abs() >= 1_000 {
        let way = if rate_ppm < 0 { "slow" } else { "fast" };
        let tenths = (rate_ppm.unsigned_abs() + 500) / 1_000;
        let percent = if tenths.is_multiple_of(10) {
            (tenths / 10).to_string()
        } else {
            format!("{}.{}", tenths / 10, tenths % 10)
        };
        return Some(format!("clock {percent} % {way}"));
    }
    if ahead_ms.unsigned_abs() >= 500 {
        let sign = if ahead_ms < 0 { '−' } else { '+' };
        let tenths = ahead_ms.unsigned_abs() / 100;
        return Some(format!("clock {sign}{}.{} s", tenths / 10, tenths % 10));
    }
    None
}

fn client_label(client: &Client, now: Moment) -> String {
    let truth = client.truth.map(|term| term.left_text(now));
    let belief = client.belief.map(|belief| belief.term.left_text(now));
    let lease = match (truth, belief) {
        (truth, Some(belief)) => {
            let truth = truth.unwrap_or_else(|| "nothing".to_owned());
            Some(format!("the server still gives it {truth}, it counts on {belief}"))
        }
        (Some(truth), None) => Some(format!("{truth} of its lease left")),
        (None, None) => None,
    };
    let cut = (client.cut != (false, false)).then(|| "cut off".to_owned());
    let clock = clock_text(client.clock.ahead_ms, client.clock.rate_ppm);
    let mut label = format!("{}, {}", client.name, client.doing);
    for more in [lease, cut, clock].into_iter().flatten() {
        label.push_str("; ");
        label.push_str(&more);
    }
    label
}

/// How many clients there are to draw, and so how crowded it is.
pub(crate) const fn is_crowd(clients: usize) -> bool {
    clients > 9
}

/// The place of each of `count` along a length, in the middle of its share.
pub(crate) fn spread(no: usize, count: usize, length: f64) -> f64 {
    length * (float(no) + 0.5) / float(count.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    const PLACE: Place = Place { width: 760.0, height: 300.0, em: 13.0 };

    fn picture(scenario: &str, at_ms: u64, selected: Option<Target>) -> Picture {
        let mut film = Film::new(Scenario::named(scenario).unwrap().run());
        film.go_to(Moment::from_millis(at_ms));
        let scene = film.scene();
        stage(&scene, film.now(), PLACE, Look { selected, shows_fates: true, is_still: false })
    }

    #[test]
    fn everybody_and_everything_on_its_way_is_there_and_has_a_name() {
        let picture = picture("five-clients", 650, None);
        let labels = picture.labels();
        for name in ["client_1, ", "client_5, ", "server ", "file file_3", "link between client_2"]
        {
            assert!(labels.iter().any(|label| label.starts_with(name)), "{name}: {labels:#?}");
        }
        assert!(labels.iter().any(|label| label.starts_with("packet ")), "{labels:#?}");
    }

    #[test]
    fn what_is_drawn_is_within_the_picture() {
        for (scenario, at_ms) in [("five-clients", 900), ("thundering-herd", 4_000)] {
            for place in [
                PLACE,
                Place { width: 340.0, height: 250.0, em: 12.0 },
                Place { width: 1_264.0, height: 330.0, em: 27.0 },
            ] {
                let mut film = Film::new(Scenario::named(scenario).unwrap().run());
                film.go_to(Moment::from_millis(at_ms));
                let scene = film.scene();
                let picture = stage(&scene, film.now(), place, Look::default());
                for shape in &picture.shapes {
                    if let Shape::Group(group) = shape {
                        let (x, y) = group.at;
                        assert!((0.0..=place.width).contains(&x), "{scenario} {place:?} {x}");
                        assert!((0.0..=place.height).contains(&y), "{scenario} {place:?} {y}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_belief_that_is_longer_than_the_truth_is_marked() {
        let has = |picture: &Picture, class: &str| format!("{picture:?}").contains(class);
        assert!(!has(&picture("gc-pause", 5_000, None), "arc gap"));
        let scenario = Scenario::named("slow-clock").unwrap();
        let without = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
        let mut film = Film::new(scenario.run_without(&without.without));
        let mut marked = false;
        for ms in (0..film.end().as_millis()).step_by(50) {
            film.go_to(Moment::from_millis(ms));
            let scene = film.scene();
            marked |= has(&stage(&scene, film.now(), PLACE, Look::default()), "arc gap");
        }
        assert!(marked);
    }

    #[test]
    fn names_are_short_and_clocks_are_told() {
        assert_eq!((short_name("client_12"), short_name("ann")), ("12".into(), "an".into()));
        assert_eq!(clock_text(0, -200_000).unwrap(), "clock 20 % slow");
        assert_eq!(clock_text(30_000, 0).unwrap(), "clock +30.0 s");
        assert_eq!(clock_text(3, 5), None);
    }
}
