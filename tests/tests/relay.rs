//! The network of the tests, tested against an echo: what it loses, doubles, delays and holds back
//! is what it was told to.

use std::collections::BTreeSet;
use std::net::{SocketAddr, UdpSocket};
use std::thread;
use std::time::Duration;

use leasehold_tests::client::RawClient;
use leasehold_tests::relay::{Relay, Way, Weather, op, status};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_millis(800);

/// Answers each `{"op":…,"seq":n}` by `{"status":"heard","re":n}`, until the test ends.
fn echo() -> SocketAddr {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).unwrap();
    let address = socket.local_addr().unwrap();
    thread::spawn(move || {
        let mut buffer = [0; 2_000];
        while let Ok((len, from)) = socket.recv_from(&mut buffer) {
            let request: Value = serde_json::from_slice(&buffer[..len]).unwrap();
            let reply = json!({"status": "heard", "re": request["seq"]});
            socket.send_to(reply.to_string().as_bytes(), from).unwrap();
        }
    });
    address
}

fn ping(seq: u64) -> Value {
    json!({"op": "ping", "seq": seq})
}

/// The numbers of the replies that come until there is silence.
fn replies(client: &mut RawClient) -> Vec<u64> {
    let mut heard = Vec::new();
    while let Some(reply) = client.receive(SOON) {
        heard.push(reply["re"].as_u64().unwrap());
    }
    heard
}

#[test]
fn without_faults_every_client_gets_its_own_replies() {
    let relay = Relay::to(echo());
    let mut ann = RawClient::new("ann", relay.address());
    let mut bob = RawClient::new("bob", relay.address());
    for seq in 1..=50 {
        ann.send(&ping(seq));
        bob.send(&ping(1_000 + seq));
    }
    assert_eq!(replies(&mut ann), (1..=50).collect::<Vec<_>>());
    assert_eq!(replies(&mut bob), (1_001..=1_050).collect::<Vec<_>>());
    assert_eq!(relay.tally().packets, 200);
    assert_eq!((relay.tally().lost, relay.tally().duplicated, relay.tally().late), (0, 0, 0));
}

#[test]
fn rules_catch_the_packets_that_they_name_and_no_others() {
    let relay = Relay::to(echo());
    let mut client = RawClient::new("client", relay.address());
    let lost = relay.drop_next(Way::Up, |json| json["seq"] == 2);
    let doubled = relay.duplicate_next(Way::Up, |json| json["seq"] == 3);
    let never = relay.drop_next(Way::Up, op("pong"));
    (1..=3).for_each(|seq| client.send(&ping(seq)));
    assert_eq!(replies(&mut client), [1, 3, 3]);
    client.send(&ping(2));
    assert_eq!(replies(&mut client), [2], "only the next one is dropped");
    assert_eq!((lost.count(), doubled.count(), never.count()), (1, 1, 0));
}

#[test]
fn what_is_held_back_arrives_when_it_is_released() {
    let relay = Relay::to(echo());
    let mut client = RawClient::new("client", relay.address());
    let held = relay.hold_next(Way::Down, status("heard"));
    client.send(&ping(1));
    held.wait();
    client.send(&ping(2));
    assert_eq!(replies(&mut client), [2]);
    held.release();
    held.release();
    assert_eq!(replies(&mut client), [1]);

    let copy = relay.copy_next(Way::Up, op("ping"));
    client.send(&ping(3));
    assert_eq!(replies(&mut client), [3]);
    copy.release();
    assert_eq!(replies(&mut client), [3]);
}

#[test]
fn a_cut_lets_nothing_through_until_it_is_healed() {
    let relay = Relay::to(echo());
    let mut client = RawClient::new("client", relay.address());
    for way in [Way::Up, Way::Down] {
        relay.cut(way);
        client.send(&ping(1));
        assert!(replies(&mut client).is_empty(), "{way:?}");
        relay.heal();
        client.send(&ping(2));
        assert_eq!(replies(&mut client), [2], "{way:?}");
    }
    let all = relay.drop_every(Way::Up, op("ping"));
    (1..=3).for_each(|seq| client.send(&ping(seq)));
    assert!(replies(&mut client).is_empty());
    assert_eq!(all.count(), 3);
    relay.heal();
    client.send(&ping(4));
    assert_eq!(replies(&mut client), [4]);
}

#[test]
fn chance_loses_doubles_and_delays_about_as_many_as_it_should() {
    let relay = Relay::seeded(echo(), 1);
    let weather =
        Weather { loss_ppm: 300_000, duplicate_ppm: 300_000, late_ppm: 300_000, late_ms: 50 };
    relay.set_weather(Way::Up, weather);
    let mut client = RawClient::new("client", relay.address());
    let mut heard = Vec::new();
    for batch in 0..20 {
        // In batches, since a socket's buffer is not endless.
        (1..=50).for_each(|seq| client.send(&ping(batch * 50 + seq)));
        heard.extend(replies(&mut client));
    }
    // 1,000 draws at 30%: less than 14 from 300 in two runs of three; 100 is far outside.
    let lost = 1_000 - heard.iter().collect::<BTreeSet<_>>().len();
    let tally = relay.tally();
    assert_eq!(u64::try_from(lost).unwrap(), tally.lost);
    assert!((200..400).contains(&lost), "{tally:?}");
    let doubled = u64::try_from(heard.len() + lost).unwrap() - 1_000;
    assert_eq!(doubled, tally.duplicated);
    assert!((120..300).contains(&doubled), "{tally:?}");
    assert!(tally.late > 200, "{tally:?}");
    assert!(!heard.is_sorted(), "something is out of order");
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    let lost = |seed| {
        let relay = Relay::seeded(echo(), seed);
        relay.set_weather(Way::Up, Weather { loss_ppm: 500_000, ..Weather::default() });
        let mut client = RawClient::new("client", relay.address());
        (1..=50).for_each(|seq| client.send(&ping(seq)));
        replies(&mut client)
    };
    assert_eq!(lost(3), lost(3));
    assert_ne!(lost(3), lost(4));
}
