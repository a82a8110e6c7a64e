//! A full disk: refused requests are not final, and leave nothing behind.

use std::env;
use std::net::{SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use leasehold_tests::client::{RawClient, expect_code, expect_status, number};
use leasehold_tests::http;
use leasehold_tests::log::log;
use leasehold_tests::server::Server;
use leasehold_tests::small_disk::SmallDisk;
use leasehold_tests::wait::wait_for;
use serde_json::{Value, json};
use socket2::SockRef;

/// The number of refused acquires that more than fill the space that the log has allocated.
const LOG_LEN_MAX: u64 = 1_000_000;

/// The space that the log needs to store more events after it was full.
const SPACE_TO_RESUME: u64 = 24 << 20;

/// The number of requests that a client sends before it reads the replies.
const BURST: usize = 250;

const LONG_LEASE_MS: u64 = 60_000;

/// The number of requests that are refused while memory is observed. The variable
/// `LEASEHOLD_REFUSED_REQUESTS` changes it.
const REFUSED_REQUESTS: u64 = 20_000;

/// The growth of memory that these requests may cause, however many there are: for the buffers of
/// one batch.
const GROWTH_MAX_KB: u64 = 24_000;

/// Starts a server on a small disk, with a client that holds the lock `f`.
fn server_on(disk: &SmallDisk) -> (Server, RawClient, u64) {
    let server = Server::start_in(&disk.path().join("data"), &["--max-sessions", "100"]);
    let mut client = RawClient::connect_with_lease("C1", server.udp(), LONG_LEASE_MS);
    let held = client.acquire("f");
    (server, client, held)
}

/// Fills the disk, and then the space that the log has allocated before. Returns the clients that
/// have done this, each with a lock of its own.
fn fill_disk_and_log(disk: &SmallDisk, server: &Server, client: &mut RawClient) -> Vec<Flooder> {
    let flooders: Vec<_> = (0..8).map(|n| Flooder::connect(n, server.udp())).collect();
    disk.fill();
    // Each refusal of an acquire is an event in the log.
    let acquire = |flooder: &Flooder| {
        flooder.send_until(LOG_LEN_MAX, json!({"op": "acquire_lock", "lock": flooder.lock}));
    };
    thread::scope(|scope| flooders.iter().for_each(|it| drop(scope.spawn(move || acquire(it)))));
    // The last bytes have space for small batches.
    while client.call("acquire_lock", &json!({"lock": "f"}))["code"] != "storage_failed" {}
    flooders
}

/// A server that is killed on a full disk forgets what it has refused there. The requests are
/// executed at most once nevertheless, whatever copies of them arrive later.
#[test]
fn a_request_that_a_full_disk_has_refused_is_executed_at_most_once() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (mut server, mut client, held) = server_on(&disk);
    client.append_ok("f", held, "before\n");
    let mut contents = "before\n".to_owned();
    fill_disk_and_log(&disk, &server, &mut client);
    let refused = client.append_request("f", held, "refused\n");
    expect_code(&client.exchange(&refused), "storage_failed");
    let abandoned = client.append_request("f", held, "abandoned\n");
    expect_code(&client.exchange(&abandoned), "storage_failed");
    server.kill();
    disk.free();
    server.restart();

    // The client retransmits the first request, and gives the second one up.
    let retransmission = |attempt: u64| {
        let mut request = refused.clone();
        request["attempt"] = json!(attempt);
        request
    };
    let appended = client.exchange(&retransmission(1));
    assert_eq!(number(&appended, "offset"), contents.len() as u64);
    contents.push_str(refused["data"].as_str().unwrap());
    client.append_ok("f", held, "newer\n");
    contents.push_str("newer\n");
    server.data_dir().expect_contents("f", &contents);

    // A late copy gets the reply of the request.
    let late = client.exchange(&refused);
    assert_eq!((&late["status"], &late["offset"]), (&json!("appended"), &appended["offset"]));
    server.kill_and_restart();
    let late = client.exchange(&refused);
    assert_eq!((&late["status"], &late["offset"]), (&json!("appended"), &appended["offset"]));

    // While the client holds the lock, a copy of the other one may still arrive and be applied.
    let query = json!({"of": abandoned["seq"]});
    expect_status(&client.call("append_outcome", &query), "forgotten");
    client.release("f", held);
    expect_status(&client.call("append_outcome", &query), "not_applied");
    expect_code(&client.exchange(&abandoned), "stale_token");
    let next = client.acquire("f");
    client.append_ok("f", next, "abandoned\n");
    expect_code(&client.exchange(&abandoned), "stale_token");
    contents.push_str("abandoned\n");
    server.data_dir().expect_contents("f", &contents);
    server.kill();
}

#[test]
fn refused_requests_leave_memory_flat_and_service_resumes_with_some_space() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (mut server, mut client, held) = server_on(&disk);
    client.append_ok("f", held, "before\n");
    let flooders = fill_disk_and_log(&disk, &server, &mut client);
    let refused = client.append_request("f", held, "after\n");
    expect_code(&client.exchange(&refused), "storage_failed");
    let total = env::var("LEASEHOLD_REFUSED_REQUESTS")
        .map_or(REFUSED_REQUESTS, |text| text.parse().expect("a number of requests"));
    let flood = |count: u64| {
        let append = |it: &Flooder| {
            let data = "x".repeat(100);
            let request = json!({
                "op": "append_file", "file": it.lock, "token": it.token, "data": data,
            });
            let refused = it.send_until(count / 8, request);
            assert_eq!(refused, count / 8, "every request is refused");
        };
        thread::scope(|scope| flooders.iter().for_each(|it| drop(scope.spawn(move || append(it)))));
    };
    // The first ones allocate the buffers.
    flood(4_000);
    let before = server.process().resident_kb();
    flood(total);
    let after = server.process().resident_kb();
    log("disk", format_args!("{total} refused requests: {before} KiB before, {after} KiB after"));
    assert!(after < before + GROWTH_MAX_KB, "{before} KiB before, {after} KiB after");

    disk.free_bytes(SPACE_TO_RESUME);
    let freed = Instant::now();
    let appended = wait_for("the service to resume", || {
        let reply = client.exchange(&refused);
        (reply["status"] == "appended").then_some(reply)
    });
    log("disk", format_args!("the service resumed after {:?}", freed.elapsed()));
    assert_eq!(number(&appended, "offset"), "before\n".len() as u64);
    let metrics = http::get(server.http(), "/metrics").text().clone();
    let failures = metrics.lines().find(|it| it.starts_with("leasehold_log_write_failures_total"));
    assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{failures:?}");
    server.kill_and_restart();
    server.data_dir().expect_contents("f", "before\nafter\n");
    expect_status(&client.exchange(&refused), "appended");
    server.kill();
}

/// The server writes its state file now and then, and must not leave a part of it behind, which
/// would occupy the space that the log needs.
#[test]
fn an_incomplete_state_file_is_removed() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (mut server, mut client, held) = server_on(&disk);
    client.append_ok("f", held, "before\n");
    let incomplete = disk.path().join("data").join("server_state.json.new");
    server.kill();
    std::fs::write(&incomplete, vec![b'x'; 1 << 20]).unwrap();
    disk.fill();
    server.restart();
    wait_for("the incomplete file to be removed", || (!incomplete.exists()).then_some(()));
    // At the stop the server writes the file again, for which there is no space.
    disk.fill();
    client.call("heartbeat", &json!({}));
    http::get(server.http(), "/metrics");
    server.terminate();
    assert!(!incomplete.exists());
    server.restart();
    wait_for("the service to resume", || {
        disk.path().join("ballast").exists().then(|| disk.free());
        let reply = client.append("f", held, "after\n");
        (reply["status"] == "appended").then_some(())
    });
    server.kill();
}

/// A client that sends many requests at a time.
struct Flooder {
    socket: UdpSocket,
    server: SocketAddr,
    session: String,
    lock: String,
    token: u64,
    last_seq: AtomicU64,
}

impl Flooder {
    /// Opens a session and acquires a lock.
    fn connect(number: usize, server: SocketAddr) -> Self {
        let mut client =
            RawClient::connect_with_lease(&format!("flooder_{number}"), server, LONG_LEASE_MS);
        let lock = format!("{number:_>60}");
        let token = client.acquire(&lock);
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
        SockRef::from(&socket).set_recv_buffer_size(1 << 20).expect("a larger buffer");
        socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
        let (session, last_seq) = (client.session().to_owned(), AtomicU64::new(1_000));
        Self { socket, server, session, lock, token, last_seq }
    }

    /// Sends this request under new sequence numbers until `count` of them get the answer
    /// `storage_failed`, or until the first one if others are answered before. Returns how many
    /// get this answer.
    fn send_until(&self, count: u64, mut request: Value) -> u64 {
        request["v"] = json!(1);
        request["session"] = json!(self.session);
        let (mut refused, mut executed) = (0, false);
        let mut buffer = [0; 1_200];
        while refused < count && !(executed && refused > 0) {
            for _ in 0..BURST {
                let seq = self.last_seq.fetch_add(1, Ordering::Relaxed);
                request["seq"] = json!(seq);
                let bytes = request.to_string();
                self.socket.send_to(bytes.as_bytes(), self.server).expect("a sent request");
            }
            for _ in 0..BURST {
                let Ok(len) = self.socket.recv(&mut buffer) else { break };
                let is_refused = String::from_utf8_lossy(&buffer[..len]).contains("storage_failed");
                refused += u64::from(is_refused);
                executed |= !is_refused;
            }
        }
        refused.min(count)
    }
}
