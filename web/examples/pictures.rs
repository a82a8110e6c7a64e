//! Writes pictures of runs as SVG files with their style, to look at them without the page.
//!
//! Run with `cargo run -p leasehold-web --example pictures -- FOLDER [NAME]`: only pictures whose
//! name contains NAME are written. The page is a binary without a library, so its pure modules are
//! included by path.

#![allow(dead_code, unused_imports, reason = "the included modules have more than is drawn")]

#[path = "../src/feed/mod.rs"]
mod feed;
#[path = "../src/model/mod.rs"]
mod model;
#[path = "../src/picture/mod.rs"]
mod picture;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs};

use leasehold_core::id::Name;
use leasehold_sim::{Protection, Scenario, ScriptStep, VirtualTime, library};

use model::lease_view::LeaseView;
use model::scene::{Holder, Lock, Scene};
use model::timeline::Timeline;
use picture::gantt::{GanttInput, gantt};
use picture::icon::Icon;
use picture::load::load;
use picture::shape::{Area, Group, Picture, Shape};
use picture::spacetime::{SpacetimeInput, spacetime};
use picture::stage::{StageInput, stage};
use picture::tape::{TapeInput, tape};
use picture::thumbnail::{THUMBNAIL_AREA, thumbnail};

const STYLE: &str = concat!(
    include_str!("../style/tokens.css"),
    include_str!("../style/picture.css"),
    include_str!("../style/timeline.css"),
);

/// The areas of a panel on screens of several sizes, and whether it presents.
const AREAS: [(&str, (f64, f64), bool); 5] = [
    ("laptop", (824.0, 238.0), false),
    ("full-hd", (1_236.0, 400.0), false),
    ("phone", (360.0, 250.0), false),
    ("presenting", (1_232.0, 280.0), true),
    ("small-presenting", (790.0, 267.0), true),
];

/// A run to draw: scenario, whether its first protection is off, and the time in milliseconds.
const RUNS: &[(&str, bool, u64)] = &[
    ("five-clients", false, 5_000),
    ("five-clients", false, 12_000),
    ("gc-pause", true, 9_000),
    ("gc-pause", true, 16_200),
    ("gc-pause", false, 17_200),
    ("client-crash", false, 14_000),
    ("slow-clock", true, 20_000),
    ("partition", true, 26_000),
    ("one-way-partition", false, 20_000),
    ("amnesia", true, 12_000),
    ("no-grace", true, 14_000),
    ("lost-reply", true, 3_200),
    ("thundering-herd", false, 4_000),
    ("thundering-herd", true, 14_000),
    ("fair-waiting", true, 20_000),
    ("late-release", true, 20_000),
    ("deadlock", true, 9_000),
    ("livelock", true, 9_000),
    ("heartbeat-burst", false, 14_000),
    ("read-without-lock", true, 5_000),
];

struct Writer {
    folder: PathBuf,
    filter: String,
}

impl Writer {
    fn write(&self, name: &str, picture: impl FnOnce() -> Picture) {
        if !name.contains(&self.filter) {
            return;
        }
        let svg = picture().to_svg(STYLE);
        for theme in ["light", "dark"] {
            let svg = svg.replacen("<svg ", &format!("<svg data-theme=\"{theme}\" "), 1);
            let path = self.folder.join(format!("{name}-{theme}.svg"));
            fs::write(&path, svg).expect("the folder is writable");
        }
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    let folder = arguments.next().expect("usage: pictures FOLDER [NAME]");
    let folder = Path::new(&folder).to_owned();
    fs::create_dir_all(&folder).expect("the folder can be created");
    let writer = Writer { folder, filter: arguments.next().unwrap_or_default() };
    for (scenario, is_off, at_ms) in RUNS {
        write_run(&writer, scenario, *is_off, *at_ms);
    }
    for clients in [2, 8, 30, 60, 120, 250] {
        write_crowd(&writer, clients);
    }
    writer.write("icons", icons);
    writer.write("thumbnails", thumbnails);
}

fn write_run(writer: &Writer, name: &str, is_off: bool, at_ms: u64) {
    let scenario = Scenario::from_name(name).expect("a scenario of the library");
    let mut without = scenario.without.clone();
    if is_off {
        without.extend(scenario.switches.first());
    }
    let mut timeline = Timeline::new(scenario.run_without(&without));
    timeline.go_to(VirtualTime::from_millis(at_ms));
    let scene = timeline.scene();
    let view = LeaseView::new(&timeline);
    let range = (VirtualTime::START, timeline.end());
    let off = if is_off { "-off" } else { "" };
    for (area_name, size, is_presenting) in AREAS {
        let area = Area::new(size, is_presenting);
        let name = |kind: &str| format!("{name}{off}-{at_ms}-{kind}-{area_name}");
        writer.write(&name("stage"), || stage(&StageInput::new(&scene, timeline.now()), area));
        writer.write(&name("leases"), || {
            let input = GanttInput { must_fit: is_presenting, ..GanttInput::new(&view) };
            gantt(&input, range, area, None)
        });
        writer.write(&name("load"), || load(&view, range, area));
        let hidden_lanes = BTreeSet::new();
        writer.write(&name("spacetime"), || {
            let input = SpacetimeInput {
                past: timeline.past(),
                view: &view,
                is_to_scale: false,
                selected_record: None,
                selected_node: None,
                hidden_lanes: &hidden_lanes,
                shows_heartbeats: false,
            };
            spacetime(&input, area)
        });
        writer.write(&name("tape"), || {
            let input = TapeInput {
                intervals: &timeline.intervals(),
                locks: view.locks.len(),
                start: timeline.start(),
                end: timeline.end(),
                now: timeline.now(),
                hidden_after: Some(timeline.now()),
                violations: &timeline.violations(),
                stops: &[VirtualTime::from_millis(2_000)],
            };
            tape(&input, Area { width: size.0, height: 44.0, em: 12.0 })
        });
    }
}

fn write_crowd(writer: &Writer, clients: u8) {
    let scenario = Scenario::from_name("thundering-herd").expect("a scenario of the library");
    let mut config = scenario.config.clone();
    let template = config.clients[1].clone();
    config.locks =
        ["file_0", "file_1", "file_2"].map(|name| Name::new(name).expect("a valid name")).to_vec();
    config.clients = (1..=clients)
        .map(|number| {
            let mut client = template.clone();
            client.name = Name::new(&format!("client_{number}")).expect("a valid name");
            client.starts_ms = u64::from(number) * 40;
            let name = config.locks[usize::from(number.wrapping_mul(number) % 7 % 3)].clone();
            for step in &mut client.script {
                if let ScriptStep::Acquire { lock, wait_ms, .. } = step {
                    *lock = name.clone();
                    *wait_ms = if number % 5 == 0 { 0 } else { 60_000 };
                }
                if let ScriptStep::Append { file: lock, .. } | ScriptStep::Release { lock } = step {
                    *lock = name.clone();
                }
            }
            client
        })
        .collect();
    let mut run = scenario.resolve_run();
    run.config = config;
    run.interventions.clear();
    let mut timeline = Timeline::new(run);
    timeline.go_to(VirtualTime::from_millis(u64::from(clients) * 40 + 2_000));
    while timeline.is_catching_up() && timeline.simulate_while(&mut || true) {}
    let scene = timeline.scene();
    let view = LeaseView::new(&timeline);
    for (area_name, size, is_presenting) in AREAS {
        let area = Area::new(size, is_presenting);
        writer.write(&format!("crowd-{clients}-stage-{area_name}"), || {
            stage(&StageInput::new(&scene, timeline.now()), area)
        });
        writer.write(&format!("crowd-{clients}-leases-{area_name}"), || {
            let input = GanttInput { must_fit: is_presenting, ..GanttInput::new(&view) };
            gantt(&input, (VirtualTime::START, timeline.end()), area, None)
        });
        writer.write(&format!("crowd-{clients}-load-{area_name}"), || {
            load(&view, (VirtualTime::START, timeline.end()), area)
        });
    }
}

/// Arranges pictures in a table.
fn sheet(cells: Vec<(String, Vec<Shape>)>, (width, height): (f64, f64), columns: usize) -> Picture {
    let mut shapes = Vec::new();
    let rows = cells.len().div_ceil(columns);
    for (index, (title, cell)) in cells.into_iter().enumerate() {
        let x = picture::shape::to_f64(index % columns) * (width + 10.0) + 10.0;
        let y = picture::shape::to_f64(index / columns) * (height + 26.0) + 10.0;
        let label = (x, y + height + 12.0);
        shapes.push(picture::shape::text(
            "small",
            label,
            picture::shape::Anchor::Start,
            9.0,
            title,
        ));
        shapes.push(Shape::Group(Group {
            class: "who-other".into(),
            at: (x, y),
            target: None,
            label: String::new(),
            shapes: cell,
        }));
    }
    Picture {
        width: picture::shape::to_f64(columns) * (width + 10.0) + 10.0,
        height: picture::shape::to_f64(rows) * (height + 26.0) + 10.0,
        label: String::new(),
        shapes,
    }
}

fn icons() -> Picture {
    let cells = Icon::ALL.iter().map(|icon| (format!("{icon:?}"), vec![icon.shape()]));
    sheet(cells.collect(), (64.0, 24.0), 10)
}

fn thumbnails() -> Picture {
    let cells = library()
        .into_iter()
        .map(|scenario| (scenario.name.clone(), thumbnail(&scenario, THUMBNAIL_AREA).shapes));
    sheet(cells.collect(), (230.0, 60.0), 4)
}
