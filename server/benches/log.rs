//! The speed of encoding, decoding and appending batches: in memory, which measures the log's
//! own work, and on disk, which includes flushes. `cargo bench -p leasehold-server --bench
//! log`.

#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
mod temp_dirs;

use divan::counter::{BytesCount, ItemsCount};
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::event::Event;
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_server::log::{self, FileChecksums, Genesis, Log as _, decode_batch, encode_batch};
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
    let (state, last_index) = (&State::default(), LogIndex::default());
    let genesis = Genesis {
        state,
        file_checksums: &FileChecksums::new(),
        last_index,
        follows_data_loss: false,
    };
    log::create(dir.path(), &genesis).expect("cannot create the log");
    let loaded = log::read(dir.path(), &[]).expect("cannot read the log");
    let (mut log, _) = log::resume(dir.path(), loaded).expect("cannot open the log");
    let mut workload = LockCycles::new();
    bencher
        .counter(ItemsCount::new(count))
        .with_inputs(|| workload.next_events(count))
        .bench_local_refs(|batch| log.append(batch).expect("cannot append"));
}
