//! The client with the real server, over a network that the test controls.

mod common;

use std::collections::BTreeMap;

use common::*;
use leasehold_core::client::{CallId, CallOutcome, Config, LockClient, Notification};
use leasehold_core::data::Data;
use leasehold_core::id::Token;
use leasehold_core::limits::DRIFT_PPM;
use leasehold_core::refusal::{Limit, Refusal};
use leasehold_core::rng::Rng;
use leasehold_core::time::{Millis, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

/// Decides the latency of each copy of a packet. No copy means that the packet is lost.
type Delivery = Box<dyn FnMut(&Packet) -> Vec<Millis>>;

#[derive(Clone, Debug)]
enum Packet {
    Request(Request),
    Reply(Reply),
}

/// Clients and a server, with a link between them. Its default latency is 10 ms each way.
struct Link {
    harness: Harness,
    clients: Vec<LockClient>,
    in_flight: BTreeMap<(Time, u64), (usize, Packet)>,
    packet_count: u64,
    delivery: Delivery,
    notifications: Vec<(usize, Time, Notification)>,
}

impl Link {
    fn new(names: &[&str]) -> Self {
        let clients = names
            .iter()
            .enumerate()
            .map(|(n, it)| LockClient::new(Config::new(name(it)), n as u64))
            .collect();
        let delivery: Delivery = Box::new(|_| vec![millis(10)]);
        let (in_flight, notifications) = (BTreeMap::new(), Vec::new());
        Self {
            harness: Harness::new(),
            clients,
            in_flight,
            packet_count: 0,
            delivery,
            notifications,
        }
    }

    fn transmit(&mut self, client: usize, packet: &Packet) {
        for latency in (self.delivery)(packet) {
            self.packet_count += 1;
            self.in_flight
                .insert((self.harness.now + latency, self.packet_count), (client, packet.clone()));
        }
    }

    fn drain(&mut self) {
        for client in 0..self.clients.len() {
            while let Some(request) = self.clients[client].poll_request() {
                self.transmit(client, &Packet::Request(request));
            }
            while let Some(notification) = self.clients[client].poll_notification() {
                self.notifications.push((client, self.harness.now, notification));
            }
        }
        for datagram in std::mem::take(&mut self.harness.replies) {
            let client = usize::from(datagram.to.address.port());
            self.transmit(client, &Packet::Reply(datagram.reply));
        }
    }

    fn advance(&mut self, duration: Millis) {
        let end = self.harness.now + duration;
        self.drain();
        loop {
            let client_deadline = self.clients.iter().filter_map(LockClient::next_deadline).min();
            let server_deadline = self.harness.server.next_deadline().map(|(at, _)| at);
            let arrival = self.in_flight.keys().next().map(|(at, _)| *at);
            let next = [client_deadline, server_deadline, arrival].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            let duration = self.harness.now.until(next);
            self.harness.advance(duration);
            while let Some(entry) = self.in_flight.first_entry().filter(|it| it.key().0 <= next) {
                let (client, packet) = entry.remove();
                match packet {
                    Packet::Request(request) => {
                        self.harness.send(peer(u16::try_from(client).unwrap()), &request);
                    }
                    Packet::Reply(reply) => self.clients[client].receive(next, reply),
                }
            }
            for client in &mut self.clients {
                if client.next_deadline().is_some_and(|at| at <= next) {
                    client.handle_timers(next);
                }
            }
            self.drain();
        }
        self.harness.advance(self.harness.now.until(end));
        self.drain();
    }

    fn now(&self) -> Time {
        self.harness.now
    }

    fn acquire(&mut self, client: usize, lock: &str, wait_ms: u64) -> CallId {
        let (now, deadline) = (self.now(), self.now() + millis(wait_ms + 5_000));
        self.clients[client].acquire(now, name(lock), millis(wait_ms), None, deadline)
    }

    fn append(&mut self, client: usize, file: &str, token: Token, text: &str) -> CallId {
        let (now, deadline) = (self.now(), self.now() + millis(20_000));
        let data = Data::new(text.as_bytes());
        self.clients[client].append(now, name(file), token, data, deadline)
    }

    fn outcome(&self, client: usize, call: CallId) -> Option<&CallOutcome> {
        self.notifications.iter().find_map(|(owner, _, notification)| {
            let Notification::Completed { call: completed, outcome } = notification else {
                return None;
            };
            (*owner == client && *completed == call).then_some(outcome)
        })
    }

    fn granted_token(&self, client: usize, call: CallId) -> Token {
        match self.outcome(client, call) {
            Some(CallOutcome::Granted { token, .. }) => *token,
            other => panic!("not granted: {other:?}"),
        }
    }

    fn lost_at(&self, client: usize) -> Option<Time> {
        self.notifications.iter().find_map(|(owner, at, notification)| {
            (*owner == client && matches!(notification, Notification::LockLost { .. }))
                .then_some(*at)
        })
    }

    fn holder_token(&self, lock: &str) -> Option<Token> {
        self.harness.server.state().tenure(&name(lock)).map(|tenure| tenure.token)
    }
}

fn is_op(packet: &Packet, wanted: fn(&Operation) -> bool) -> bool {
    matches!(packet, Packet::Request(request) if wanted(&request.operation))
}

#[test]
fn heartbeats_keep_the_lock_held() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.advance(millis(60_000));
    let token = link.granted_token(0, call);
    assert!(link.clients[0].believes(link.now(), &name("a"), token));
    assert_eq!(link.holder_token("a"), Some(token));
    assert_eq!(link.lost_at(0), None);
    let heartbeats =
        link.harness.events.iter().filter(|e| e.kind.code() == "lease_renewed").count();
    assert!(
        (35..=42).contains(&heartbeats),
        "{heartbeats} heartbeats in a minute at a third of 5 s"
    );
}

#[test]
fn isolated_client_stops_believing_before_the_lock_is_regranted() {
    let mut link = Link::new(&["ann", "bob"]);
    let call = link.acquire(0, "a", 0);
    link.advance(millis(12_345));
    let token = link.granted_token(0, call);
    let ann = link.harness.server.state().sessions().values().next().unwrap().key();
    assert!(ann.is_some());
    link.delivery = Box::new(move |packet| {
        let from_ann = matches!(packet, Packet::Request(it) if it.session_key == ann);
        if from_ann { vec![] } else { vec![millis(10)] }
    });
    link.advance(millis(1));
    let waiting = link.acquire(1, "a", 30_000);
    link.advance(millis(20_000));
    // The client and the server have the same clock here.
    let lost = link.lost_at(0).expect("the client has lost the lock");
    let freed = link.harness.events.iter().find(|e| e.kind.code() == "lock_released").unwrap().at;
    assert!(lost < freed, "lost at {lost}, freed at {freed}");
    assert!(lost.until(freed) < millis(100), "lost too early: {}", lost.until(freed));
    assert!(!link.clients[0].believes(lost, &name("a"), token));
    let notification = link.notifications.iter().find(|(owner, _, notification)| {
        *owner == 1
            && matches!(notification, Notification::Completed { call, .. } if *call == waiting)
    });
    assert!(notification.is_some_and(|(_, at, _)| *at > lost), "{notification:?}");
}

#[test]
fn belief_starts_at_the_send_time_and_is_shortened_by_the_drift_bound() {
    let mut link = Link::new(&["ann"]);
    link.delivery = Box::new(|packet| {
        let grant = matches!(packet, Packet::Reply(Reply { status: Status::Granted { .. }, .. }));
        vec![millis(if grant { 150 } else { 10 })]
    });
    let call = link.acquire(0, "a", 0);
    link.advance(millis(185));
    let token = link.granted_token(0, call);
    // Sent at 20 ms, after the welcome. 5 s, less 1% of drift, less 2 ms of rounding.
    let until = Time::from_millis(20) + Millis::from_millis(5_000).shortened_by(DRIFT_PPM);
    let until = Time::from_millis(until.as_millis() - 2);
    assert_eq!(link.clients[0].believed_until(&name("a"), token), Some(until));
}

#[test]
fn waiter_claims_its_grant_and_keeps_the_lock() {
    let mut link = Link::new(&["ann", "bob", "cid"]);
    let first = link.acquire(0, "a", 0);
    link.advance(millis(100));
    let second = link.acquire(1, "a", 60_000);
    link.advance(millis(100));
    link.acquire(2, "a", 60_000);
    link.advance(millis(3_000));
    let (now, token) = (link.now(), link.granted_token(0, first));
    link.clients[0].release(now, name("a"), token, now + millis(5_000));
    link.advance(millis(10_000));
    let token = link.granted_token(1, second);
    assert_eq!(link.holder_token("a"), Some(token), "bob has claimed the lock that cid waits for");
    assert_eq!(link.lost_at(1), None);
}

#[test]
fn append_is_applied_once_despite_loss_and_duplicates() {
    let mut link = Link::new(&["ann"]);
    let mut rng = Rng::new(5);
    link.delivery = Box::new(move |_| {
        let copies = if rng.chance(300_000) { 0 } else { 1 + u64::from(rng.chance(300_000)) };
        (0..copies).map(|_| millis(rng.between(1, 80))).collect()
    });
    let call = link.acquire(0, "a", 0);
    link.advance(millis(5_000));
    let token = link.granted_token(0, call);
    for n in 0..50 {
        let call = link.append(0, "a", token, "x");
        while link.outcome(0, call).is_none() {
            link.advance(millis(50));
        }
        assert_eq!(link.outcome(0, call), Some(&CallOutcome::Appended { offset: n, len: 1 }));
    }
    assert_eq!(link.harness.server.state().files()[&name("a")].len(), 50);
}

#[test]
fn client_queries_the_outcome_of_an_append_after_session_loss() {
    for (applied, outcome) in [
        (true, CallOutcome::Appended { offset: 0, len: 1 }),
        (false, CallOutcome::Refused(Refusal::StaleToken { current: Token::new(0) })),
    ] {
        let mut link = Link::new(&["ann"]);
        let call = link.acquire(0, "a", 0);
        link.advance(millis(100));
        let token = link.granted_token(0, call);
        let end = link.now() + millis(8_000);
        let call = link.append(0, "a", token, "x");
        let mut first = true;
        let mut sent = 0;
        link.delivery = Box::new(move |packet| {
            sent += 1;
            // At most one append arrives, and no reply and no heartbeat, until the link recovers.
            let append = is_op(packet, |it| matches!(it, Operation::AppendFile { .. }));
            if append && applied && std::mem::take(&mut first) {
                return vec![millis(10)];
            }
            if sent > 24 { vec![millis(10)] } else { vec![] }
        });
        link.advance(link.now().until(end));
        link.advance(millis(12_000));
        assert_eq!(link.outcome(0, call), Some(&outcome), "applied: {applied}");
        assert!(link.lost_at(0).is_some());
    }
}

#[test]
fn append_without_any_reply_is_reported_as_unknown() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.advance(millis(100));
    let token = link.granted_token(0, call);
    link.delivery = Box::new(|_| vec![]);
    let call = link.append(0, "a", token, "x");
    link.advance(millis(30_000));
    assert_eq!(link.outcome(0, call), Some(&CallOutcome::Unknown));
}

#[test]
fn cancel_that_crosses_the_grant_leaves_no_orphaned_lock() {
    for at in 0..80 {
        let mut link = Link::new(&["ann", "bob"]);
        let call = link.acquire(0, "a", 0);
        link.advance(millis(200));
        let token = link.granted_token(0, call);
        let waiting = link.acquire(1, "a", 60_000);
        link.advance(millis(at));
        let now = link.now();
        link.clients[1].cancel(now, waiting);
        link.clients[0].release(now, name("a"), token, now + millis(5_000));
        link.advance(millis(2_000));
        assert_eq!(link.holder_token("a"), None, "cancelled after {at} ms");
        assert!(link.clients[1].is_idle(), "cancelled after {at} ms");
        assert_eq!(link.harness.server.state().waiter_count(), 0);
    }
}

#[test]
fn cancel_that_overtakes_its_acquire_leaves_no_orphaned_lock() {
    let mut link = Link::new(&["ann"]);
    link.clients[0].open(Time::ZERO);
    link.advance(millis(100));
    let slow = |packet: &Packet| {
        let slow = is_op(packet, |it| matches!(it, Operation::AcquireLock { .. }));
        vec![millis(if slow { 150 } else { 5 })]
    };
    link.delivery = Box::new(slow);
    let call = link.acquire(0, "a", 60_000);
    link.advance(millis(1));
    let now = link.now();
    link.clients[0].cancel(now, call);
    link.advance(millis(5_000));
    assert_eq!(link.holder_token("a"), None);
    assert!(link.clients[0].is_idle());
}

#[test]
fn late_cancel_does_not_cancel_a_later_wait() {
    let mut link = Link::new(&["ann", "bob"]);
    let call = link.acquire(0, "a", 0);
    link.advance(millis(200));
    let token = link.granted_token(0, call);
    let first = link.acquire(1, "a", 60_000);
    link.advance(millis(100));
    let mut cancels = 0;
    link.delivery = Box::new(move |packet| {
        if is_op(packet, |it| matches!(it, Operation::CancelAcquire { .. })) {
            cancels += 1;
            return vec![millis(if cancels == 1 { 700 } else { 900 })];
        }
        vec![millis(10)]
    });
    let now = link.now();
    link.clients[1].cancel(now, first);
    let second = link.acquire(1, "a", 60_000);
    link.advance(millis(3_000));
    let now = link.now();
    link.clients[0].release(now, name("a"), token, now + millis(5_000));
    link.advance(millis(200));
    assert!(link.granted_token(1, second) > token);
}

#[test]
fn reply_to_an_earlier_client_instance_is_ignored() {
    let mut first = LockClient::new(Config::new(name("ann")), 1);
    let mut second = LockClient::new(Config::new(name("ann")), 2);
    let begin_acquire = |client: &mut LockClient| {
        client.acquire(Time::ZERO, name("a"), Millis::ZERO, None, Time::from_millis(9_000));
        answer_hello(client, 7)
    };
    let (earlier, _) = (begin_acquire(&mut first), begin_acquire(&mut second));
    let (token, lease) = (Token::new(5), millis(9_000));
    let status = Status::Granted { lock: name("a"), token, lease, hold: None };
    let late = Reply { request_seq: earlier.seq, attempt: earlier.attempt, status };
    second.receive(Time::from_millis(10), late);
    assert!(!second.believes(Time::from_millis(10), &name("a"), token));
}

#[test]
fn refused_session_is_reported() {
    let mut link = Link::new(&["ann"]);
    link.clients[0].open(Time::ZERO);
    let hello = link.clients[0].poll_request().unwrap();
    let refusal = Refusal::Overloaded { limit: Limit::Sessions };
    let status = Status::Refused(refusal.clone());
    let reply = Reply { request_seq: hello.seq, attempt: hello.attempt, status };
    link.clients[0].receive(Time::from_millis(10), reply);
    assert_eq!(link.clients[0].poll_notification(), Some(Notification::SessionRefused { refusal }));
    assert!(!link.clients[0].is_open());
}

#[test]
fn lost_lock_is_released_when_the_server_is_reachable_again() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.advance(millis(100));
    let token = link.granted_token(0, call);
    // Only the replies are lost, so the server keeps the lease alive.
    link.delivery = Box::new(|packet| match packet {
        Packet::Request(_) => vec![millis(10)],
        Packet::Reply(_) => vec![],
    });
    link.advance(millis(6_000));
    assert!(link.lost_at(0).is_some());
    assert!(!link.clients[0].believes(link.now(), &name("a"), token));
    link.delivery = Box::new(|_| vec![millis(10)]);
    link.advance(millis(3_000));
    assert_eq!(link.holder_token("a"), None, "the client releases a lock that it has lost");
}

#[test]
fn close_ends_the_session_and_releases_its_locks() {
    let mut link = Link::new(&["ann"]);
    link.acquire(0, "a", 0);
    link.advance(millis(100));
    let now = link.now();
    let call = link.clients[0].close(now, now + millis(5_000));
    link.advance(millis(100));
    assert_eq!(link.outcome(0, call), Some(&CallOutcome::Closed));
    assert!(link.harness.server.state().sessions().is_empty());
    assert_eq!(link.clients[0].next_deadline(), None, "a closed session has no timers");
}
