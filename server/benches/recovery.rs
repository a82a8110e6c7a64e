//! How long it takes to come back: a journal of many events is opened, which reads and folds all
//! of them. It is in memory, as in the caches of a machine whose server was started again.
//! `cargo bench -p leasehold-server --bench recovery`; the fold alone is `state` of the core.

#[path = "../../core/benches/fixtures/mod.rs"]
mod fixtures;
mod folder;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_server::journal::{Journal as _, RedbJournal};
use tempfile::TempDir;

use fixtures::Turns;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many events there are in each batch of the journal.
const BATCH: usize = 256;

fn main() {
    divan::main();
}

/// A journal of so many events, and of no snapshot.
fn written(count: usize) -> TempDir {
    let folder = folder::in_memory();
    let (mut journal, _) = RedbJournal::open(folder.path()).expect("a journal is begun");
    let mut turns = Turns::new();
    let mut left = count;
    while left > 0 {
        let batch = turns.next(left.min(BATCH));
        left -= batch.len();
        journal.append(&batch).expect("there is room for it");
    }
    folder
}

#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 5)]
fn open(bencher: Bencher<'_, '_>, count: usize) {
    let folder = written(count);
    bencher.counter(ItemsCount::new(count)).bench_local(|| {
        let opened = RedbJournal::open(folder.path()).expect("it was closed in good order");
        assert_eq!(opened.1.events, count, "all of them are read");
        opened
    });
}
