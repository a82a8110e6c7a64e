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

use fixtures::{BenchClient, BenchServer, IncomingDatagram, line, name};

#[global_allocator]
static ALLOCATOR: AllocProfiler = AllocProfiler::system();

/// How many stand in the line of the lock that is handed on.
const WAITERS: usize = 10_000;

/// How often a thing is done for one figure: what a session keeps of it has grown by then.
const SAMPLE_SIZE: u32 = 100;

fn main() {
    divan::main();
}

fn random_client<'a>(clients: &'a mut [BenchClient], rng: &mut Rng) -> &'a mut BenchClient {
    let index = rng.below(clients.len() as u64);
    &mut clients[usize::try_from(index).expect("it is below a length")]
}

/// Each takes a lock of its own and gives it back.
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

/// A holder appends line after line.
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

/// The same request again: its kept answer is found and given again.
#[divan::bench(sample_size = SAMPLE_SIZE)]
fn duplicate_request(bencher: Bencher<'_, '_>) {
    let (mut server, mut clients) = BenchServer::with_clients(1);
    let datagram = clients[0].acquire();
    server.serve_discarding_events(&datagram);
    bencher
        .counter(ItemsCount::new(1usize))
        .bench_local(|| server.serve_discarding_events(black_box(&datagram)));
}

/// Ten thousand stand in line for one lock. Its holder gives it back, and the first in line gets
/// it; whoever had it stands in line again before the next go.
#[divan::bench(sample_size = 1, sample_count = 2_000)]
fn grant_to_next_waiter(bencher: Bencher<'_, '_>) {
    let contended_lock = RefCell::new(ContendedLock::new());
    bencher
        .counter(ItemsCount::new(1usize))
        .with_inputs(|| contended_lock.borrow_mut().next_release())
        .bench_local_values(|datagram| {
            contended_lock.borrow_mut().server.serve_discarding_events(&datagram)
        });
}

/// All of them hold or wait for the same lock.
struct ContendedLock {
    server: BenchServer,
    clients: Vec<BenchClient>,
    /// Who holds it. They get it in their order, again and again.
    holder: usize,
    token: Token,
}

impl ContendedLock {
    fn new() -> Self {
        let (mut server, mut clients) = BenchServer::with_clients(WAITERS + 1);
        for client in &mut clients {
            client.lock = name("wanted");
            server.serve_discarding_events(&client.acquire());
        }
        Self { server, clients, holder: 0, token: Token::new(1) }
    }

    /// The one who had it last stands in line again, and who has it now is about to give it back.
    fn next_release(&mut self) -> IncomingDatagram {
        if self.token > Token::new(1) {
            let granted = self.server.sent.last().map(|it| &it.reply.status);
            assert!(
                matches!(granted, Some(Status::Granted { token, .. }) if *token == self.token),
                "handed on: {granted:?}"
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
