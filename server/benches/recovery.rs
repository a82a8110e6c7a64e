//! How long it takes to come back: a journal of many events is opened, which reads and folds all
//! of them. It is in memory, as in the caches of a machine whose server was started again.
//! `cargo bench -p leasehold-server --bench recovery`; the fold alone is `state` of the core.

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

/// How many events there are in each batch of the journal.
const BATCH_LEN: usize = 256;

fn main() {
    divan::main();
}

/// A journal of so many events, and of no snapshot.
fn journal_with_events(count: usize) -> TempDir {
    let dir = temp_dirs::in_memory();
    let (mut log, _) = RedbJournal::open(dir.path()).expect("a journal is begun");
    let mut workload = LockCycles::new();
    let mut remaining = count;
    while remaining > 0 {
        let batch = workload.next(remaining.min(BATCH_LEN));
        remaining -= batch.len();
        log.append(&batch).expect("there is room for it");
    }
    dir
}

#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 5)]
fn open(bencher: Bencher<'_, '_>, count: usize) {
    let dir = journal_with_events(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let opened = RedbJournal::open(dir.path()).expect("it was closed in good order");
        assert_eq!(opened.1.event_count, count, "all of them are read");
        opened
    });
}
