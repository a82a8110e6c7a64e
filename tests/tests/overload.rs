//! A flood of requests for sessions: the server refuses them without using more memory.

use std::net::UdpSocket;
use std::ops::Range;
use std::time::Duration;

use leasehold_tests::client::RawClient;
use leasehold_tests::log::log;
use leasehold_tests::server::Server;

/// The flood is sent in batches of 64, so that no buffer of a socket overflows.
#[test]
fn a_flood_of_hellos_does_not_exceed_the_memory_limit() {
    let server = Server::start_with(&["--max-sessions", "1000"]);
    let mut client = RawClient::connect("C1", server.udp());
    let held = client.acquire("f");
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    // A lost datagram must not stop the test.
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    let (welcome, overloaded) = flood(&socket, &server, 0..5_000);
    assert!((900..=999).contains(&welcome), "{welcome} welcomes, {overloaded} refusals");
    let before = server.process().resident_kb();
    let (welcome, overloaded) = flood(&socket, &server, 5_000..200_000);
    let after = server.process().resident_kb();
    log("flood", format_args!("{before} kB, then {after} kB; {overloaded} were refused"));
    assert_eq!(welcome, 0, "the limit on sessions is reached");
    assert!(overloaded > 190_000, "only {overloaded} were refused");
    // If the server retained 200 bytes for each of 195,000 hellos, that would be 39 MB.
    assert!(after < before + 32_768, "from {before} kB to {after} kB");
    client.append_ok("f", held, "A");
    server.data_dir().expect_contents("f", "A");
}

/// Sends different hellos, and returns how many were accepted and how many were refused.
fn flood(socket: &UdpSocket, server: &Server, nonces: Range<u64>) -> (usize, usize) {
    let (mut welcome, mut overloaded) = (0, 0);
    let mut buffer = [0; 2_000];
    for start in nonces.clone().step_by(64) {
        let end = nonces.end.min(start + 64);
        for nonce in start..end {
            let hello = format!(
                "{{\"v\":1,\"op\":\"hello\",\"client\":\"flood\",\"nonce\":\"{nonce:016x}\",\"lease_ms\":60000}}"
            );
            socket.send_to(hello.as_bytes(), server.udp()).unwrap();
        }
        for _ in start..end {
            let Ok(len) = socket.recv(&mut buffer) else { break };
            let reply = String::from_utf8_lossy(&buffer[..len]);
            welcome += usize::from(reply.contains("\"welcome\""));
            overloaded += usize::from(reply.contains("\"overloaded\""));
        }
    }
    (welcome, overloaded)
}
