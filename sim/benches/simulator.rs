//! Measures the simulator: records per second with the full trace, seeks in a long run, and the
//! size of a record. Run it with `cargo bench -p leasehold-sim --bench simulator`, natively or,
//! with a runner, on wasm.
//!
//! Each figure is a median of several measurements. The library of the other benchmarks does not
//! support wasm and cannot report the slowest seek.

#![allow(clippy::disallowed_types, reason = "benchmarks measure real time")]

#[path = "fixtures/busy.rs"]
mod busy;

use std::hint::black_box;
use std::time::Instant;

use leasehold_core::rng::Rng;
use leasehold_sim::{History, Record, Run, World};

use busy::busy;

/// The number of measurements of each speed.
const REPETITIONS: usize = 7;

/// The number of records in the run whose speed is measured.
const SPEED_RECORDS: u32 = 300_000;

/// The number of records in the run in which seeks are measured.
const SEEK_RECORDS: u32 = 100_000;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns millions of records and of steps per second of a world that encodes and decodes each
/// datagram, as storms do.
fn measure_speed(run: &Run) -> (f64, f64) {
    let (mut records, mut steps) = (Vec::new(), Vec::new());
    for _ in 0..REPETITIONS {
        let mut world = World::new(run.clone());
        let mut trace = Vec::with_capacity(SPEED_RECORDS as usize + 100);
        let started_at = Instant::now();
        while world.record_count() < SPEED_RECORDS && world.step(&mut trace) {}
        let elapsed_us = started_at.elapsed().as_secs_f64() * 1e6;
        black_box(&trace);
        records.push(f64::from(world.record_count()) / elapsed_us);
        steps.push(f64::from(world.steps()) / elapsed_us);
    }
    (median(records), median(steps))
}

/// Returns millions of records per second of a history, which does not encode datagrams: the page
/// and the search run it.
fn measure_history_speed(run: &Run) -> f64 {
    let speeds = (0..REPETITIONS).map(|_| {
        let mut history = History::new(run.clone());
        let started_at = Instant::now();
        while history.head().record_count() < SPEED_RECORDS {
            history.simulate(1_000);
        }
        let elapsed_us = started_at.elapsed().as_secs_f64() * 1e6;
        f64::from(black_box(history.head().record_count())) / elapsed_us
    });
    median(speeds.collect())
}

/// Returns the milliseconds of a seek to a random position: the median and the maximum.
fn measure_seeks(run: &Run) -> (f64, f64) {
    let mut history = History::new(run.clone());
    while history.head().record_count() < SEEK_RECORDS {
        history.simulate(1_000);
    }
    let mut rng = Rng::new(7);
    let last = u64::from(history.last_position());
    let mut times = Vec::new();
    for _ in 0..300 {
        let position = u32::try_from(rng.below(last)).expect("positions are 32-bit integers");
        let started_at = Instant::now();
        history.seek(black_box(position));
        times.push(started_at.elapsed().as_secs_f64() * 1e3);
    }
    let slowest = times.iter().copied().fold(0.0, f64::max);
    (median(times), slowest)
}

fn main() {
    println!(
        "{:<26} {:>14} {:>14} {:>14} {:>12} {:>12}",
        "", "records/s", "steps/s", "in a history", "seek", "slowest"
    );
    for (clients, locks) in [(5, 3), (50, 10)] {
        let run = busy(clients, locks);
        let (records, steps) = measure_speed(&run);
        let in_history = measure_history_speed(&run);
        let (seek, slowest) = measure_seeks(&run);
        println!(
            "{:<26} {:>12.2} M {:>12.2} M {:>12.2} M {:>9.2} ms {:>9.2} ms",
            format!("{clients} clients on {locks} locks"),
            records,
            steps,
            in_history,
            seek,
            slowest,
        );
    }
    let bytes = size_of::<Record>();
    let bytes_f64 = f64::from(u32::try_from(bytes).expect("a record has a few dozen bytes"));
    let mebibytes = 1e6 * bytes_f64 / f64::from(1 << 20);
    println!("a record has {bytes} bytes: {mebibytes:.1} MiB per million records");
}
