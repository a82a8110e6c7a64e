//! What the page does all the time, natively: takes in what a server says, goes to places of a long
//! run, and makes the stage's and the bars' shapes. `cargo bench -p leasehold-web --bench page`.
//!
//! The page is a program and no library, so its pure parts are taken in here as they are. How fast
//! all of it is in a browser, `cargo xtask measure-page` tells.

#![allow(dead_code, unused_imports, reason = "what isn't measured is here all the same")]

#[path = "../../sim/benches/fixtures/busy.rs"]
mod busy;
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
use model::link::Link;
use model::timeline::Timeline;
use model::workspace::Workspace;
use picture::gantt::{Names, Subject, gantt};
use picture::shape::Place;
use picture::stage::{Look, stage};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many nodes there are on the stage: in a lecture's herd, and nearly as many as there may be.
const NODES: [usize; 2] = [30, 200];

/// How many records a long run has.
const LONG_RUN_RECORDS: usize = 100_000;

/// The place for pictures on a laptop's screen.
const AREA: Place = Place { width: 1_264.0, height: 330.0, em: 14.0 };

fn main() {
    divan::main();
}

/// What a server's stream says of some events.
fn message(events: &[Event]) -> String {
    let events = serde_json::to_string(events).expect("events are JSON");
    format!(r#"{{"type":"events","at_ms":0,"events":{events}}}"#)
}

/// Each message is read and folded, and what is shown of it is written down.
#[divan::bench(args = [1, 64])]
fn apply_messages(bencher: Bencher<'_, '_>, events: usize) {
    let mut turns = LockCycles::new();
    let mut workspace = Workspace::open(&Link::parse("")).of_server();
    let state = serde_json::to_string(&State::default()).expect("a state is JSON");
    let snapshot = format!(
        r#"{{"type":"snapshot","index":0,"at_ms":0,"missed":0,"recovered":0,"state":{state}}}"#
    );
    workspace.hear(&snapshot, VirtualTime::START).expect("it is a snapshot");
    workspace.hear(&message(&turns.next(2_000)), VirtualTime::START).expect("these are events");
    bencher
        .counter(ItemsCount::new(events))
        .with_inputs(|| message(&turns.next(events)))
        .bench_local_refs(|message| {
            workspace.hear(message, VirtualTime::START).expect("these are the next events")
        });
}

/// To any place of the middle third of a long run, and what everybody is like there.
#[divan::bench]
fn seek_long_run(bencher: Bencher<'_, '_>) {
    let mut workspace = Workspace::open(&Link::parse(""));
    workspace.choose(Scenario::from_run("busy", &busy(5, 3)));
    while workspace.film().trace().len() < LONG_RUN_RECORDS {
        workspace.tick(0.0);
    }
    let third = u64::from(workspace.film().last_place()) / 3;
    let mut rng = Rng::new(7);
    bencher
        .with_inputs(|| u32::try_from(rng.between(third, 2 * third)).expect("a place of the run"))
        .bench_local_values(|position| workspace.peek(|timeline| timeline.go_to_place(position)));
}

/// So many nodes, one of them the server, half a minute after they began.
fn timeline_with_nodes(nodes: usize) -> Film {
    let mut timeline = Timeline::new(busy(nodes - 1, 10));
    timeline.go_to(VirtualTime::from_millis(30_000));
    assert_eq!(timeline.now(), VirtualTime::from_millis(30_000), "the run goes on until then");
    timeline
}

#[divan::bench(args = NODES)]
fn draw_stage(bencher: Bencher<'_, '_>, nodes: usize) {
    let timeline = timeline_with_nodes(nodes);
    let scene = timeline.scene();
    let picture = || stage(black_box(&scene), timeline.now(), AREA, Look::default());
    bencher.counter(ItemsCount::new(picture().shapes.len())).bench_local(picture);
}

#[divan::bench(args = NODES)]
fn draw_gantt(bencher: Bencher<'_, '_>, nodes: usize) {
    let timeline = timeline_with_nodes(nodes);
    let (intervals, config) = (timeline.bars(), &timeline.run().config);
    let locks: Vec<String> = config.locks.iter().map(ToString::to_string).collect();
    let mut names = vec!["server".to_owned()];
    names.extend(config.clients.iter().map(|client| client.name.to_string()));
    let input = Subject {
        bars: &intervals,
        names: Names { locks: &locks, nodes: &names },
        now: timeline.now(),
        lease_us: 10_000_000,
        violations: &[],
        is_inferred: false,
        ghost: None,
        must_fit: false,
    };
    let visible_range = (VirtualTime::START, timeline.now());
    let picture = || gantt(black_box(&input), visible_range, AREA, None);
    bencher.counter(ItemsCount::new(picture().shapes.len())).bench_local(picture);
}
