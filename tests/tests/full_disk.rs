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

/// Appends lines until one is refused. Returns the contents of the file, and the refused append.
fn append_until_refused(client: &mut RawClient, held: u64) -> (String, Value) {
    let mut contents = String::new();
    for line in 0..20_000 {
        let line = format!("{line:0900}\n");
        let append = client.append_request("f", held, &line);
        let reply = client.exchange(&append);
        if reply["status"] != "appended" {
            expect_code(&reply, "storage_failed");
            return (contents, append);
        }
        assert_eq!(number(&reply, "offset"), contents.len() as u64);
        contents.push_str(&line);
    }
    panic!("18 MB were written although the disk was full");
}

/// A server that is killed on a full disk forgets what it has refused there. The requests are
/// executed at most once nevertheless, whatever copies of them arrive later.
#[test]
fn a_request_that_a_full_disk_has_refused_is_executed_at_most_once() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (mut server, mut client, held) = server_on(&disk);
    disk.fill();
    let (mut contents, refused) = append_until_refused(&mut client, held);
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
fn refused_requests_leave_memory_flat_and_service_resumes_with_little_space() {
    let Some(disk) = SmallDisk::mount() else { return };
    let (mut server, mut client, held) = server_on(&disk);
    let mut others: Vec<_> = (0..8)
        .map(|n| RawClient::connect_with_lease(&format!("O{n}"), server.udp(), LONG_LEASE_MS))
        .collect();
    let locks: Vec<_> = (0..).map(|n| format!("o{n}")).take(others.len()).collect();
    let tokens: Vec<u64> =
        others.iter_mut().zip(&locks).map(|(other, lock)| other.acquire(lock)).collect();
    disk.fill();
    let (contents, refused) = append_until_refused(&mut client, held);
    let total = env::var("LEASEHOLD_REFUSED_REQUESTS")
        .map_or(REFUSED_REQUESTS, |text| text.parse().expect("a number of requests"));
    let flood = |count: u64| {
        let (left, address) = (AtomicU64::new(count), server.udp());
        thread::scope(|scope| {
            for ((other, lock), token) in others.iter().zip(&locks).zip(&tokens) {
                let left = &left;
                scope.spawn(move || flood(address, (other.session(), lock, *token), left));
            }
        });
    };
    // The first ones allocate the buffers.
    flood(4_000);
    let before = server.process().resident_kb();
    flood(total);
    let after = server.process().resident_kb();
    log("disk", format_args!("{total} refused requests: {before} KiB before, {after} KiB after"));
    assert!(after < before + GROWTH_MAX_KB, "{before} KiB before, {after} KiB after");

    // The disk has space for one segment of the log.
    disk.free_bytes(5 << 20);
    let freed = Instant::now();
    let appended = wait_for("the service to resume", || {
        let reply = client.exchange(&refused);
        (reply["status"] == "appended").then_some(reply)
    });
    log("disk", format_args!("the service resumed after {:?}", freed.elapsed()));
    assert_eq!(number(&appended, "offset"), contents.len() as u64);
    let metrics = http::get(server.http(), "/metrics").text().to_owned();
    let failures = metrics.lines().find(|it| it.starts_with("leasehold_log_write_failures_total"));
    assert!(failures.is_some_and(|line| !line.ends_with(" 0")), "{failures:?}");
    let contents = contents + refused["data"].as_str().unwrap();
    server.kill_and_restart();
    server.data_dir().expect_contents("f", &contents);
    expect_status(&client.exchange(&refused), "appended");
    server.kill();
}

/// Sends appends under new sequence numbers until `left` of them have been refused, in all threads
/// together.
fn flood(server: SocketAddr, (session, file, token): (&str, &str, u64), left: &AtomicU64) {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    SockRef::from(&socket).set_recv_buffer_size(1 << 20).expect("a larger buffer");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a timeout");
    let data = "x".repeat(100);
    let mut buffer = [0; 1_200];
    for burst in 1_000_u64.. {
        for n in 0..200 {
            let seq = burst * 200 + n;
            let request = json!({
                "v": 1, "op": "append_file", "session": session, "seq": seq,
                "file": file, "token": token, "data": data,
            });
            socket.send_to(request.to_string().as_bytes(), server).expect("a sent request");
        }
        for _ in 0..200 {
            let Ok(len) = socket.recv(&mut buffer) else { break };
            let reply = String::from_utf8_lossy(&buffer[..len]);
            assert!(reply.contains("storage_failed"), "{reply}");
            if left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |it| it.checked_sub(1))
                .is_err()
            {
                return;
            }
        }
    }
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
