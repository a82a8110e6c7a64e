//! Benchmarks the frequent operations of the page natively: applying stream messages, seeking in a
//! long run, and drawing the stage and the lease diagram.
//!
//! Run with `cargo bench -p leasehold-web --bench visualizer`. The page is a binary without a
//! library, so its pure modules are included by path. `cargo xtask measure-page` measures the whole
//! page in a browser.

#![allow(dead_code, unused_imports, reason = "the included modules have more than is measured")]

#[path = "../../sim/benches/fixtures/busy.rs"]
mod busy;
#[path = "../src/feed/mod.rs"]
mod feed;
#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
#[path = "../src/model/mod.rs"]
mod model;
#[path = "../src/picture/mod.rs"]
mod picture;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::event::Event;
use leasehold_core::rng::Rng;
use leasehold_core::state::State;
use leasehold_sim::{Scenario, VirtualTime};

use busy::busy;
use fixtures::LockCycles;
use model::lease_view::LeaseView;
use model::link::Link;
use model::timeline::Timeline;
use model::workspace::Workspace;
use picture::gantt::{GanttInput, gantt};
use picture::shape::Area;
use picture::stage::{StageInput, stage};
use picture::thumbnail::{THUMBNAIL_AREA, thumbnail};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of nodes: that of the largest lecture scenario, and almost the maximum.
const NODES: [usize; 2] = [30, 200];

const LONG_RUN_RECORDS: usize = 100_000;

/// The area of a picture on a laptop's screen.
const AREA: Area = Area { width: 1_264.0, height: 330.0, em: 14.0 };

fn main() {
    divan::main();
}

/// Recycles a stream message with these events.
fn message(events: &[Event]) -> String {
    let events = serde_json::to_string(events).expect("events serialize");
    format!(r#"{{"type":"events","at_ms":0,"events":{events}}}"#)
}

/// Parses and applies a message, and extends the records and intervals.
#[divan::bench(args = [1, 64])]
fn apply_messages(bencher: Bencher<'_, '_>, events: usize) {
    let mut cycles = LockCycles::new();
    let mut workspace = Workspace::from_link(&Link::parse("")).for_server();
    let state = serde_json::to_string(&State::default()).expect("a state serializes");
    let snapshot = format!(
        r#"{{"type":"snapshot","index":0,"at_ms":0,"missed":0,"recovered":0,"state":{state}}}"#
    );
    workspace.apply_message(&snapshot, VirtualTime::START).expect("valid snapshot");
    workspace
        .apply_message(&message(&cycles.next_events(2_000)), VirtualTime::START)
        .expect("valid events");
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| message(&cycles.next_events(events)))
        .bench_local_refs(|message| {
            workspace.apply_message(message, VirtualTime::START).expect("consecutive events")
        });
}

/// Collects what the leases show of a run, as each frame does.
#[divan::bench(args = NODES)]
fn view_leases(bencher: Bencher<'_, '_>, nodes: usize) {
    let timeline = timeline_with_nodes(nodes);
    bencher.bench_local(|| LeaseView::new(black_box(&timeline)));
}

/// Draws the thumbnails of all scenarios, as the start screen does once.
#[divan::bench]
fn draw_thumbnails(bencher: Bencher<'_, '_>) {
    let scenarios = leasehold_sim::library();
    bencher.bench_local(|| {
        let pictures = scenarios.iter().map(|it| thumbnail(it, THUMBNAIL_AREA));
        pictures.map(|picture| picture.shapes.len()).sum::<usize>()
    });
}

/// Goes to a random position in the middle third of a long run, and builds the scene.
#[divan::bench]
fn seek_long_run(bencher: Bencher<'_, '_>) {
    let mut workspace = Workspace::from_link(&Link::parse(""));
    workspace.open_scenario(Scenario::from_run("busy", &busy(5, 3)));
    while workspace.timeline().trace().len() < LONG_RUN_RECORDS {
        workspace.advance_frame(0.0);
    }
    let third = u64::from(workspace.timeline().last_position()) / 3;
    let mut rng = Rng::new(7);
    bencher
        .with_inputs(|| {
            u32::try_from(rng.between(third, 2 * third)).expect("a position of the run")
        })
        .bench_local_values(|position| {
            workspace.move_timeline(|timeline| timeline.go_to_position(position));
        });
}

/// Returns a run of a server and `nodes - 1` clients, at 30 s.
fn timeline_with_nodes(nodes: usize) -> Timeline {
    let mut timeline = Timeline::new(busy(nodes - 1, 10));
    timeline.go_to(VirtualTime::from_millis(30_000));
    while timeline.is_catching_up() && timeline.simulate_while(&mut || true) {}
    assert_eq!(timeline.now(), VirtualTime::from_millis(30_000), "the run lasts at least 30 s");
    timeline
}

#[divan::bench(args = NODES)]
fn draw_stage(bencher: Bencher<'_, '_>, nodes: usize) {
    let timeline = timeline_with_nodes(nodes);
    let scene = timeline.scene();
    let picture = || stage(&StageInput::new(black_box(&scene), timeline.now()), AREA);
    bencher.counter(ItemsCount::new(picture().shapes.len())).bench_local(picture);
}

#[divan::bench(args = NODES)]
fn draw_gantt(bencher: Bencher<'_, '_>, nodes: usize) {
    let timeline = timeline_with_nodes(nodes);
    let view = LeaseView::new(&timeline);
    let input = GanttInput::new(&view);
    let visible_range = (VirtualTime::START, timeline.now());
    let picture = || gantt(black_box(&input), visible_range, AREA, None);
    bencher.counter(ItemsCount::new(picture().shapes.len())).bench_local(picture);
}
