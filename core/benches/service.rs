//! The cost of a request at the server: decode, decide, apply, hold and encode the reply. The
//! socket and the disk are not included. `cargo bench -p leasehold-core --bench service`.
//!
//! Clients are chosen at random, so with many sessions their state is not in the CPU caches.

mod fixtures;

use std::cell::RefCell;

use divan::counter::ItemsCount;
use divan::{AllocProfiler, Bencher, black_box};
use leasehold_core::id::Token;
use leasehold_core::rng::Rng;
use leasehold_core::wire::{Operation, Status};

use fixtures::{BenchClient, BenchServer, IncomingDatagram, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// The number of waiters for the contended lock.
const WAITERS: usize = 10_000;

/// The iterations per sample. Enough to fill the reply cache of a session.
const SAMPLE_SIZE: u32 = 100;

fn main() {
    divan::main();
}

fn random_client<'a>(clients: &'a mut [BenchClient], rng: &mut Rng) -> &'a mut BenchClient {
    let index = rng.below(clients.len() as u64);
    &mut clients[usize::try_from(index).expect("the index is less than a length")]
}

/// Each client acquires a lock of its own and releases it.
#[divan::bench(args = [1, 1_000, 100_000], sample_size = SAMPLE_SIZE)]
fn acquire_and_release(bencher: Bencher<'_, '_>, sessions: usize) {
    let (mut server, mut clients) = BenchServer::with_clients(sessions);
    let (mut rng, mut token) = (Rng::new(2), Token::default());
    bencher
        .counter(ItemsCount::new(2usize))
        .with_inputs(|| {
            token = token.next();
            let client = random_client(&mut clients, &mut rng);
            [client.acquire(), client.release(token)]
        })
        .bench_local_refs(|datagrams| {
            datagrams.iter().for_each(|datagram| server.serve_discarding_events(datagram));
        });
}

#[divan::bench(args = [100, 100_000], sample_size = SAMPLE_SIZE)]
fn heartbeat(bencher: Bencher<'_, '_>, sessions: usize) {
    let (mut server, mut clients) = BenchServer::with_clients(sessions);
    let mut rng = Rng::new(2);
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| random_client(&mut clients, &mut rng).request(Operation::Heartbeat))
        .bench_local_refs(|datagram| server.serve_discarding_events(datagram));
}

/// The holder of a lock appends line after line.
#[divan::bench(sample_size = SAMPLE_SIZE)]
fn append(bencher: Bencher<'_, '_>) {
    let (mut server, mut clients) = BenchServer::with_clients(1);
    let (client, token, line) = (&mut clients[0], Token::new(1), line());
    server.serve_discarding_events(&client.acquire());
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| client.append(token, &line))
        .bench_local_refs(|datagram| server.serve_discarding_events(datagram));
}

/// A duplicate of a request, which gets its cached reply.
#[divan::bench(sample_size = SAMPLE_SIZE)]
fn duplicate_request(bencher: Bencher<'_, '_>) {
    let (mut server, mut clients) = BenchServer::with_clients(1);
    let datagram = clients[0].acquire();
    server.serve_discarding_events(&datagram);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| server.serve_discarding_events(black_box(&datagram)));
}

/// Ten thousand clients wait for one lock. Its holder releases it, and the first in the wait queue
/// gets it. The previous holder is queued again before the next iteration.
#[divan::bench(sample_size = 1, sample_count = 2_000)]
fn grant_to_next_waiter(bencher: Bencher<'_, '_>) {
    let contended_lock = RefCell::new(ContendedLock::new());
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| contended_lock.borrow_mut().next_release())
        .bench_local_values(|datagram| {
            contended_lock.borrow_mut().server.serve_discarding_events(&datagram);
        });
}

/// A lock for which all clients but one wait.
struct ContendedLock {
    server: BenchServer,
    clients: Vec<BenchClient>,
    /// The index of the holder. The clients get the lock in turn.
    holder: usize,
    token: Token,
}

impl ContendedLock {
    fn new() -> Self {
        let (mut server, mut clients) = BenchServer::with_clients(WAITERS + 1);
        for client in &mut clients {
            client.lock = name("contended");
            server.serve_discarding_events(&client.acquire());
        }
        Self { server, clients, holder: 0, token: Token::new(1) }
    }

    /// Queues the previous holder again. Returns the request with which the holder releases the
    /// lock.
    fn next_release(&mut self) -> IncomingDatagram {
        if self.token > Token::new(1) {
            let granted = self.server.sent.last().map(|it| &it.reply.status);
            assert!(
                matches!(granted, Some(Status::Granted { token, .. }) if *token == self.token),
                "not granted to the next waiter: {granted:?}"
            );
            let previous_holder = (self.holder + WAITERS) % (WAITERS + 1);
            let datagram = self.clients[previous_holder].acquire();
            self.server.serve_discarding_events(&datagram);
        }
        let datagram = self.clients[self.holder].release(self.token);
        self.holder = (self.holder + 1) % (WAITERS + 1);
        self.token = self.token.next();
        datagram
    }
}
