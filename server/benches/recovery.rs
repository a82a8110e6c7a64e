//! The speed of recovery: opening a log reads and applies all of its events. The log is in
//! memory, as in the page cache of a machine whose server has restarted. `cargo bench -p
//! leasehold-server --bench recovery`; applying alone is the bench `state` of the core.

#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
mod temp_dirs;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_core::id::LogIndex;
use leasehold_core::state::State;
use leasehold_server::log::{self, FileChecksums, Genesis, Log as _};
use tempfile::TempDir;

use fixtures::LockCycles;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of events in each batch.
const BATCH_LEN: usize = 256;

fn main() {
    divan::main();
}

/// Returns a log with this many events and no snapshot.
fn log_with_events(count: usize) -> TempDir {
    let dir = temp_dirs::in_memory();
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
    let mut remaining = count;
    while remaining > 0 {
        let batch = workload.next_events(remaining.min(BATCH_LEN));
        remaining -= batch.len();
        log.append(&batch).expect("cannot append");
    }
    dir
}

#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 5)]
fn open(bencher: Bencher<'_, '_>, count: usize) {
    let dir = log_with_events(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let loaded = log::read(dir.path(), &[]).expect("cannot read the log");
        assert_eq!(loaded.recovered.event_count, count, "all of them are read");
        loaded
    });
}
