//! The speed of `State::apply`, for the events of a thousand clients that acquire their locks,
//! append a line and release them. `cargo bench -p leasehold-core --bench state`.

mod fixtures;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher};
use leasehold_core::event::Event;
use leasehold_core::state::State;

use fixtures::LockCycles;

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

fn main() {
    divan::main();
}

#[divan::bench(args = [100_000, 1_000_000], sample_size = 1, sample_count = 10)]
fn apply(bencher: Bencher<'_, '_>, count: usize) {
    let events: Vec<Event> = LockCycles::new().next_events(count);
    bencher.counter(ItemsCount::new(count)).bench(|| {
        let mut state = State::default();
        events.iter().for_each(|event| state.apply(event));
        state
    });
}
