//! The relay, tested against an echo server: it loses, duplicates, delays and holds the packets
//! that it is configured to.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::thread;

use leasehold_tests::client::RawClient;
use leasehold_tests::relay::{Direction, NetworkConditions, Relay, op, status};
use leasehold_tests::wait::WAIT_LIMIT;
use serde_json::{Value, json};

/// The sequence number of the ping that marks the end of the replies.
const MARKER: u64 = u64::MAX;

/// Starts a server that answers each `{"op":…,"seq":n}` with `{"status":"echo","re":n}` until the
/// test process exits.
fn echo_server() -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let request: Value = serde_json::from_slice(&buffer[..len]).unwrap();
            let reply = json!({"status": "echo", "re": request["seq"]});
            socket.send_to(reply.to_string().as_bytes(), from).unwrap();
        }
    });
    address
}

fn ping(seq: u64) -> Value {
    json!({"op": "ping", "seq": seq})
}

/// Returns the sequence number of the next reply.
fn next_reply(client: &mut RawClient) -> u64 {
    client.receive(WAIT_LIMIT).expect("a reply")["re"].as_u64().expect("a sequence number")
}

/// Returns the sequence numbers of all replies so far. A last ping, which no rule matches, shows
/// that there are no others: without delays, packets arrive in order.
fn replies(client: &mut RawClient) -> Vec<u64> {
    client.send(&json!({"op": "marker", "seq": MARKER}));
    std::iter::repeat_with(|| next_reply(client)).take_while(|&seq| seq != MARKER).collect()
}

#[test]
fn without_faults_each_client_receives_its_own_replies() {
    let relay = Relay::to(echo_server());
    let mut ann = RawClient::new("ann", relay.address());
    let mut bob = RawClient::new("bob", relay.address());
    for seq in 1..=50 {
        ann.send(&ping(seq));
        bob.send(&ping(1_000 + seq));
    }
    assert_eq!(replies(&mut ann), (1..=50).collect::<Vec<_>>());
    assert_eq!(replies(&mut bob), (1_001..=1_050).collect::<Vec<_>>());
    let stats = relay.stats();
    assert_eq!(stats.packets, 2 * 2 * 51, "pings and replies of two clients");
    assert_eq!((stats.lost, stats.duplicated, stats.delayed), (0, 0, 0));
}

#[test]
fn a_rule_affects_only_the_packets_that_match() {
    let relay = Relay::to(echo_server());
    let mut client = RawClient::new("client", relay.address());
    let lost = relay.drop_next(Direction::ToServer, |json| json["seq"] == 2);
    let duplicated = relay.duplicate_next(Direction::ToServer, |json| json["seq"] == 3);
    let unused = relay.drop_next(Direction::ToServer, op("pong"));
    (1..=3).for_each(|seq| client.send(&ping(seq)));
    assert_eq!(replies(&mut client), [1, 3, 3]);
    client.send(&ping(2));
    assert_eq!(replies(&mut client), [2], "only the next packet that matches is dropped");
    let counts = [lost, duplicated, unused].map(|rule| rule.match_count());
    assert_eq!(counts, [1, 1, 0]);
}

#[test]
fn a_held_packet_arrives_once_when_it_is_released() {
    let relay = Relay::to(echo_server());
    let mut client = RawClient::new("client", relay.address());
    let held = relay.hold_next(Direction::ToClient, status("echo"));
    client.send(&ping(1));
    held.wait_for_match();
    client.send(&ping(2));
    assert_eq!(replies(&mut client), [2]);
    held.release();
    held.release();
    assert_eq!(replies(&mut client), [1]);

    let copy = relay.copy_next(Direction::ToServer, op("ping"));
    client.send(&ping(3));
    assert_eq!(replies(&mut client), [3]);
    copy.release();
    assert_eq!(replies(&mut client), [3]);
}

#[test]
fn a_partition_drops_every_packet_until_it_is_healed() {
    let relay = Relay::to(echo_server());
    let mut client = RawClient::new("client", relay.address());
    for direction in [Direction::ToServer, Direction::ToClient] {
        let before = relay.direction_stats(direction).packets;
        relay.partition(direction);
        client.send(&ping(1));
        relay.wait_for_packets(direction, before + 1);
        relay.heal();
        client.send(&ping(2));
        assert_eq!(replies(&mut client), [2], "{direction:?}");
    }
    let dropped = relay.drop_every(Direction::ToServer, op("ping"));
    (1..=3).for_each(|seq| client.send(&ping(seq)));
    assert!(replies(&mut client).is_empty());
    assert_eq!(dropped.match_count(), 3);
    relay.heal();
    client.send(&ping(4));
    assert_eq!(replies(&mut client), [4]);
}

/// Sends pings to the server and returns the sequence numbers of their replies. The relay's
/// statistics show how many there are.
fn replies_to(client: &mut RawClient, relay: &Relay, pings: std::ops::Range<u64>) -> Vec<u64> {
    let before = relay.direction_stats(Direction::ToServer);
    let count = pings.end - pings.start;
    pings.for_each(|seq| client.send(&ping(seq)));
    relay.wait_for_packets(Direction::ToServer, before.packets + count);
    let after = relay.direction_stats(Direction::ToServer);
    let expected = count + (after.duplicated - before.duplicated) - (after.lost - before.lost);
    (0..expected).map(|_| next_reply(client)).collect()
}

#[test]
fn random_faults_occur_about_as_often_as_configured() {
    let relay = Relay::with_seed(echo_server(), 1);
    let conditions = NetworkConditions {
        loss_ppm: 300_000,
        duplicate_ppm: 300_000,
        delay_ppm: 300_000,
        delay_max_ms: 50,
    };
    relay.set_conditions(Direction::ToServer, conditions);
    let mut client = RawClient::new("client", relay.address());
    let mut received = Vec::new();
    for batch in 0..20 {
        // In batches, because the buffer of a socket is limited.
        received.extend(replies_to(&mut client, &relay, batch * 50..(batch + 1) * 50));
    }
    let stats = relay.direction_stats(Direction::ToServer);
    relay.heal();
    assert!(replies(&mut client).is_empty(), "every reply was expected");
    // Of 1,000 packets with a probability of 30%, 300 are affected; the standard deviation is 14.
    let lost = 1_000 - received.iter().collect::<BTreeSet<_>>().len();
    assert_eq!(u64::try_from(lost).unwrap(), stats.lost);
    assert!((200..400).contains(&lost), "{stats:?}");
    let duplicated = u64::try_from(received.len() + lost).unwrap() - 1_000;
    assert_eq!(duplicated, stats.duplicated);
    assert!((120..300).contains(&duplicated), "{stats:?}");
    assert!(stats.delayed > 200, "{stats:?}");
    assert!(!received.is_sorted(), "some packets are reordered");
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    let received = |seed| {
        let relay = Relay::with_seed(echo_server(), seed);
        let conditions = NetworkConditions { loss_ppm: 500_000, ..NetworkConditions::default() };
        relay.set_conditions(Direction::ToServer, conditions);
        let mut client = RawClient::new("client", relay.address());
        replies_to(&mut client, &relay, 1..51)
    };
    assert_eq!(received(3), received(3));
    assert_ne!(received(3), received(4));
}
