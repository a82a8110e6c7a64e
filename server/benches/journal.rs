//! The speed of encoding, decoding and appending batches: in memory, which measures the journal's
//! own work, and on disk, which includes flushes. `cargo bench -p leasehold-server --bench
//! journal`.

#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
mod temp_dirs;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::event::Event;
use leasehold_server::journal::{Log as _, RedbJournal, decode_batch, encode_batch};
use tempfile::TempDir;

use fixtures::LockCycles;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of events in a batch: from one client, from a few, and from very many.
const BATCH_LENS: [usize; 3] = [1, 16, 256];

fn main() {
    divan::main();
}

/// Returns this many events of a steady workload. Skips the initial ones, which are different.
fn batch(count: usize) -> Vec<Event> {
    let mut workload = LockCycles::new();
    workload.next_events(2_000);
    workload.next_events(count)
}

#[divan::bench(args = BATCH_LENS)]
fn encode(bencher: Bencher<'_, '_>, count: usize) {
    let batch = batch(count);
    let bytes = encode_batch(&batch);
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| encode_batch(black_box(&batch)));
}

#[divan::bench(args = BATCH_LENS)]
fn decode(bencher: Bencher<'_, '_>, count: usize) {
    let bytes = encode_batch(&batch(count));
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::of_slice(&bytes))
        .bench(|| decode_batch(black_box(&bytes)));
}

#[divan::bench(args = BATCH_LENS)]
fn append_in_memory(bencher: Bencher<'_, '_>, count: usize) {
    append(bencher, count, &temp_dirs::in_memory());
}

#[divan::bench(args = BATCH_LENS)]
fn append_on_disk(bencher: Bencher<'_, '_>, count: usize) {
    append(bencher, count, &temp_dirs::on_disk());
}

fn append(bencher: Bencher<'_, '_>, count: usize, dir: &TempDir) {
    let (mut log, _) = RedbJournal::open(dir.path()).expect("cannot create the journal");
    let mut workload = LockCycles::new();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| workload.next_events(count))
        .bench_local_refs(|batch| log.append(batch).expect("cannot append"));
}
