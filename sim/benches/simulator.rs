//! How fast the simulator is: events a second with the full trace, going to any place of a long
//! run, and what an event weighs. `cargo bench -p leasehold-sim --bench simulator`, natively and,
//! with a runner, on wasm.
//!
//! An event is a record of the trace. Every figure is the median of several goes. The library by
//! which the other benches are measured can't be had on wasm, and has no word for the worst seek.

#![allow(clippy::disallowed_types, reason = "what is measured here is real time")]

#[path = "fixtures/busy.rs"]
mod busy;

use std::hint::black_box;
use std::time::Instant;

use leasehold_core::rng::Rng;
use leasehold_sim::{History, Record, Run, World};

use busy::busy;

/// How often each thing is measured.
const GOES: usize = 7;

/// How many events a run has when its speed is measured.
const EVENTS: u32 = 300_000;

/// How long the run is in which places are gone to.
const LONG: u32 = 100_000;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Millions of events, and of steps, a second.
fn speed(run: &Run) -> (f64, f64) {
    let (mut records, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..GOES {
        let mut world = World::new(run.clone());
        let mut trace = Vec::with_capacity(EVENTS as usize + 100);
        let begun = Instant::now();
        while world.record_count() < EVENTS && world.step(&mut trace) {}
        let took = begun.elapsed().as_secs_f64() * 1e6;
        black_box(&trace);
        records.push(f64::from(world.record_count()) / took);
        steps.push(f64::from(world.steps()) / took);
    }
    (median(records), median(steps))
}

/// Milliseconds of going to a place drawn by luck: the median, and the worst.
fn seeking(run: &Run) -> (f64, f64) {
    let mut history = History::new(run.clone());
    while history.head().record_count() < LONG {
        history.simulate(1_000);
    }
    let mut rng = Rng::new(7);
    let last = u64::from(history.last_position());
    let mut times = Vec::new();
    for _ in 0..300 {
        let place = u32::try_from(rng.below(last)).expect("a place of the run");
        let begun = Instant::now();
        history.seek(black_box(place));
        times.push(begun.elapsed().as_secs_f64() * 1e3);
    }
    let worst = times.iter().copied().fold(0.0, f64::max);
    (median(times), worst)
}

fn main() {
    println!("{:<26} {:>14} {:>14} {:>12} {:>12}", "", "events/s", "steps/s", "seek", "worst");
    for (clients, locks) in [(5, 3), (50, 10)] {
        let run = busy(clients, locks);
        let (events, steps) = speed(&run);
        let (seek, worst) = seeking(&run);
        println!(
            "{:<26} {:>12.2} M {:>12.2} M {:>9.2} ms {:>9.2} ms",
            format!("{clients} clients on {locks} locks"),
            events,
            steps,
            seek,
            worst,
        );
    }
    let bytes = size_of::<Record>();
    let bytes_f = f64::from(u32::try_from(bytes).expect("a record is small"));
    let mebibytes = 1e6 * bytes_f / f64::from(1 << 20);
    println!("an event is {bytes} bytes: {mebibytes:.1} MiB for a million of them");
}
