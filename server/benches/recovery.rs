//! The speed of recovery: opening a journal reads and applies all of its events. The journal is in
//! memory, as in the page cache of a machine whose server has restarted. `cargo bench -p
//! leasehold-server --bench recovery`; applying alone is the bench `state` of the core.

#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
mod temp_dirs;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_server::journal::{Log as _, RedbJournal};
use tempfile::TempDir;

use fixtures::LockCycles;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of events in each batch.
const BATCH_LEN: usize = 256;

fn main() {
    divan::main();
}

/// Returns a journal with this many events and no snapshot.
fn journal_with_events(count: usize) -> TempDir {
    let dir = temp_dirs::in_memory();
    let (mut log, _) = RedbJournal::open(dir.path()).expect("cannot create the journal");
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
    let dir = journal_with_events(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let opened = RedbJournal::open(dir.path()).expect("cannot open the journal");
        assert_eq!(opened.1.event_count, count, "all of them are read");
        opened
    });
}
