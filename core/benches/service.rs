//! What a request costs the server: read, decided, applied, its reply kept back and written; all
//! but the socket and the disk. `cargo bench -p leasehold-core --bench service`.
//!
//! Callers are drawn by luck, as they come: with many sessions, what is needed isn't near.

mod fixtures;

use std::cell::RefCell;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::id::Token;
use leasehold_core::rng::Rng;
use leasehold_core::wire::{Operation, Status};

use fixtures::{Caller, House, Letter, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many stand in the line of the lock that is handed on.
const WAITERS: usize = 10_000;

/// How often a thing is done for one figure: what a session keeps of it has grown by then.
const GOES: u32 = 100;

fn main() {
    divan::main();
}

fn drawn<'a>(callers: &'a mut [Caller], luck: &mut Rng) -> &'a mut Caller {
    let no = luck.below(callers.len() as u64);
    &mut callers[usize::try_from(no).expect("it is below a length")]
}

/// Each takes a lock of its own and gives it back.
#[divan::bench(args = [1, 1_000, 100_000], sample_size = GOES)]
fn acquire_and_release(bencher: Bencher<'_, '_>, sessions: usize) {
    let (mut house, mut callers) = House::with_callers(sessions);
    let (mut luck, mut token) = (Rng::new(2), Token::default());
    bencher
        .counter(ItemsCount::new(2usize))
        .with_inputs(|| {
            token = token.next();
            let caller = drawn(&mut callers, &mut luck);
            [caller.acquires(), caller.releases(token)]
        })
        .bench_local_refs(|letters| {
            letters.iter().for_each(|letter| house.serve_and_forget(letter));
        });
}

#[divan::bench(args = [100, 100_000], sample_size = GOES)]
fn heartbeat(bencher: Bencher<'_, '_>, sessions: usize) {
    let (mut house, mut callers) = House::with_callers(sessions);
    let mut luck = Rng::new(2);
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| drawn(&mut callers, &mut luck).asks(Operation::Heartbeat))
        .bench_local_refs(|letter| house.serve_and_forget(letter));
}

/// A holder appends line after line.
#[divan::bench(sample_size = GOES)]
fn append(bencher: Bencher<'_, '_>) {
    let (mut house, mut callers) = House::with_callers(1);
    let (caller, token, line) = (&mut callers[0], Token::new(1), line());
    house.serve_and_forget(&caller.acquires());
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| caller.appends(token, &line))
        .bench_local_refs(|letter| house.serve_and_forget(letter));
}

/// The same request again: its kept answer is found and given again.
#[divan::bench(sample_size = GOES)]
fn copy(bencher: Bencher<'_, '_>) {
    let (mut house, mut callers) = House::with_callers(1);
    let letter = callers[0].acquires();
    house.serve_and_forget(&letter);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| house.serve_and_forget(black_box(&letter)));
}

/// Ten thousand stand in line for one lock. Its holder gives it back, and the first in line gets
/// it; whoever had it stands in line again before the next go.
#[divan::bench(sample_size = 1, sample_count = 2_000)]
fn hand_off(bencher: Bencher<'_, '_>) {
    let line = RefCell::new(Line::new());
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| line.borrow_mut().release())
        .bench_local_values(|letter| line.borrow_mut().house.serve_and_forget(&letter));
}

/// All of them hold or wait for the same lock.
struct Line {
    house: House,
    callers: Vec<Caller>,
    /// Who holds it. They get it in their order, again and again.
    at: usize,
    token: Token,
}

impl Line {
    fn new() -> Self {
        let (mut house, mut callers) = House::with_callers(WAITERS + 1);
        for caller in &mut callers {
            caller.lock = name("wanted");
            house.serve_and_forget(&caller.acquires());
        }
        Self { house, callers, at: 0, token: Token::new(1) }
    }

    /// The one who had it last stands in line again, and who has it now is about to give it back.
    fn release(&mut self) -> Letter {
        if self.token > Token::new(1) {
            let granted = self.house.sent.last().map(|it| &it.reply.status);
            assert!(
                matches!(granted, Some(Status::Granted { token, .. }) if *token == self.token),
                "handed on: {granted:?}"
            );
            let had_it = (self.at + WAITERS) % (WAITERS + 1);
            let letter = self.callers[had_it].acquires();
            self.house.serve_and_forget(&letter);
        }
        let letter = self.callers[self.at].releases(self.token);
        self.at = (self.at + 1) % (WAITERS + 1);
        self.token = self.token.next();
        letter
    }
}
