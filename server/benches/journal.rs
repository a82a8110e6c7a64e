//! Batches of events: written down and read again, and appended to a journal, on a file system in
//! memory, where only the journal's own work counts, and on the disk, where a flush does.
//! `cargo bench -p leasehold-server --bench journal`.

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

/// How many events a batch has: of one client, of a few, and of very many.
const BATCH_LENS: [usize; 3] = [1, 16, 256];

fn main() {
    divan::main();
}

/// So many of the events that clients lead to all the time. The first ones are not among them.
fn batch(count: usize) -> Vec<Event> {
    let mut workload = LockCycles::new();
    workload.next(2_000);
    workload.next(count)
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
    let (mut log, _) = RedbJournal::open(dir.path()).expect("a journal is begun");
    let mut workload = LockCycles::new();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| workload.next(count))
        .bench_local_refs(|batch| log.append(batch).expect("there is room for it"));
}
