//! What a client does and believes, against the real server, over a link that the test can cut.

#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks at one kind of packet")]

mod common;

use std::collections::BTreeMap;

use common::*;
use leasehold_core::client::{CallId, Config, LockClient, Notice, Verdict};
use leasehold_core::data::Data;
use leasehold_core::id::{SessionId, Token};
use leasehold_core::limits::DRIFT_PPM;
use leasehold_core::refusal::{Bound, Refusal};
use leasehold_core::rng::Rng;
use leasehold_core::secret::Secret;
use leasehold_core::time::{Span, Time};
use leasehold_core::wire::{Operation, Reply, Request, Status};

/// What happens to a packet: how long it takes, or that it is lost. Twice makes a copy.
type Fate = Box<dyn FnMut(&Packet) -> Vec<Span>>;

#[derive(Clone, Debug)]
enum Packet {
    Up(Request),
    Down(Reply),
}

/// Clients and a server with a link between them that takes 10 ms each way unless told otherwise.
struct Link {
    world: World,
    clients: Vec<LockClient>,
    flying: BTreeMap<(Time, u64), (usize, Packet)>,
    count: u64,
    fate: Fate,
    notices: Vec<(usize, Time, Notice)>,
}

impl Link {
    fn new(names: &[&str]) -> Self {
        let clients = names
            .iter()
            .enumerate()
            .map(|(n, it)| LockClient::new(Config::new(name(it)), n as u64))
            .collect();
        let fate: Fate = Box::new(|_| vec![millis(10)]);
        let (flying, notices) = (BTreeMap::new(), Vec::new());
        Self { world: World::new(), clients, flying, count: 0, fate, notices }
    }

    fn fly(&mut self, client: usize, packet: &Packet) {
        for latency in (self.fate)(packet) {
            self.count += 1;
            self.flying.insert((self.world.now + latency, self.count), (client, packet.clone()));
        }
    }

    fn drain(&mut self) {
        for client in 0..self.clients.len() {
            while let Some(request) = self.clients[client].request() {
                self.fly(client, &Packet::Up(request));
            }
            while let Some(notice) = self.clients[client].notice() {
                self.notices.push((client, self.world.now, notice));
            }
        }
        for datagram in std::mem::take(&mut self.world.sent) {
            let client = usize::from(datagram.to.0.port());
            self.fly(client, &Packet::Down(datagram.reply));
        }
    }

    fn pass(&mut self, span: Span) {
        let end = self.world.now + span;
        self.drain();
        loop {
            let wake = self.clients.iter().filter_map(LockClient::next_wake).min();
            let server = self.world.server.next_wake().map(|(at, _)| at);
            let packet = self.flying.keys().next().map(|(at, _)| *at);
            let next = [wake, server, packet].into_iter().flatten().min();
            let Some(next) = next.filter(|next| *next <= end) else { break };
            let span = self.world.now.until(next);
            self.world.pass(span);
            while let Some(entry) = self.flying.first_entry().filter(|it| it.key().0 <= next) {
                let (client, packet) = entry.remove();
                match packet {
                    Packet::Up(request) => {
                        self.world.send(peer(u16::try_from(client).unwrap()), &request);
                    }
                    Packet::Down(reply) => self.clients[client].receive(next, reply),
                }
            }
            for client in &mut self.clients {
                if client.next_wake().is_some_and(|at| at <= next) {
                    client.wake(next);
                }
            }
            self.drain();
        }
        self.world.pass(self.world.now.until(end));
        self.drain();
    }

    fn now(&self) -> Time {
        self.world.now
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

    fn verdict(&self, client: usize, call: CallId) -> Option<&Verdict> {
        self.notices.iter().find_map(|(of, _, notice)| match notice {
            Notice::Answered { call: answered, verdict } if *of == client && *answered == call => {
                Some(verdict)
            }
            _ => None,
        })
    }

    fn granted(&self, client: usize, call: CallId) -> Token {
        match self.verdict(client, call) {
            Some(Verdict::Granted { token, .. }) => *token,
            other => panic!("not granted: {other:?}"),
        }
    }

    fn lost_at(&self, client: usize) -> Option<Time> {
        self.notices.iter().find_map(|(of, at, notice)| {
            (*of == client && matches!(notice, Notice::Lost { .. })).then_some(*at)
        })
    }

    fn holder(&self, lock: &str) -> Option<Token> {
        self.world.server.state().tenure(&name(lock)).map(|tenure| tenure.token)
    }
}

fn is_op(packet: &Packet, wanted: fn(&Operation) -> bool) -> bool {
    matches!(packet, Packet::Up(request) if wanted(&request.operation))
}

#[test]
fn a_lock_is_kept_for_as_long_as_the_heartbeats_get_through() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.pass(millis(60_000));
    let token = link.granted(0, call);
    assert!(link.clients[0].believes(link.now(), &name("a"), token));
    assert_eq!(link.holder("a"), Some(token));
    assert_eq!(link.lost_at(0), None);
    let beats = link.world.events.iter().filter(|e| e.fact.word() == "lease_renewed").count();
    assert!((35..=42).contains(&beats), "{beats} heartbeats in a minute at a third of 5 s");
}

#[test]
fn a_client_that_is_cut_off_stops_believing_before_the_server_gives_the_lock_away() {
    let mut link = Link::new(&["ann", "bob"]);
    let call = link.acquire(0, "a", 0);
    link.pass(millis(12_345));
    let token = link.granted(0, call);
    let ann = link.world.server.state().sessions().values().next().and_then(|session| session.id());
    let cut = move |packet: &Packet| match packet {
        Packet::Up(request) if request.session.is_some() && request.session == ann => vec![],
        _ => vec![millis(10)],
    };
    link.fate = Box::new(cut);
    link.pass(millis(1));
    let waiting = link.acquire(1, "a", 30_000);
    link.pass(millis(20_000));
    // Both run on the same clock here.
    let lost = link.lost_at(0).expect("it says so");
    let freed = link.world.events.iter().find(|e| e.fact.word() == "lock_released").unwrap().at;
    assert!(lost < freed, "lost at {lost}, freed at {freed}");
    assert!(lost.until(freed) < millis(100), "and not long before: {}", lost.until(freed));
    assert!(!link.clients[0].believes(lost, &name("a"), token));
    let told = link.notices.iter().find(|(of, _, notice)| {
        *of == 1 && matches!(notice, Notice::Answered { call, .. } if *call == waiting)
    });
    assert!(told.is_some_and(|(_, at, _)| *at > lost), "{told:?}");
}

#[test]
fn the_belief_counts_from_the_sending_and_is_cut_by_the_bound_on_clocks() {
    let mut link = Link::new(&["ann"]);
    link.fate = Box::new(|packet| match packet {
        Packet::Down(Reply { status: Status::Granted { .. }, .. }) => vec![millis(150)],
        _ => vec![millis(10)],
    });
    let call = link.acquire(0, "a", 0);
    link.pass(millis(185));
    let token = link.granted(0, call);
    // Sent at 20 ms, after the welcome; 5 s less 1% less 2 ms of rounding.
    let until = Time::from_millis(20) + Span::from_millis(5_000).shortened_by(DRIFT_PPM);
    let until = Time::from_millis(until.as_millis() - 2);
    assert_eq!(link.clients[0].until(&name("a"), token), Some(until));
}

#[test]
fn a_waiter_out_of_the_line_claims_its_grant_and_keeps_it() {
    let mut link = Link::new(&["ann", "bob", "cid"]);
    let first = link.acquire(0, "a", 0);
    link.pass(millis(100));
    let second = link.acquire(1, "a", 60_000);
    link.pass(millis(100));
    link.acquire(2, "a", 60_000);
    link.pass(millis(3_000));
    let (now, token) = (link.now(), link.granted(0, first));
    link.clients[0].release(now, name("a"), token, now + millis(5_000));
    link.pass(millis(10_000));
    let token = link.granted(1, second);
    assert_eq!(link.holder("a"), Some(token), "cid waits, and bob has said that he is there");
    assert_eq!(link.lost_at(1), None);
}

#[test]
fn an_append_survives_loss_and_copies_and_is_in_the_file_once() {
    let mut link = Link::new(&["ann"]);
    let mut rng = Rng::new(5);
    link.fate = Box::new(move |_| {
        let copies = if rng.happens(300_000) { 0 } else { 1 + u64::from(rng.happens(300_000)) };
        (0..copies).map(|_| millis(rng.between(1, 80))).collect()
    });
    let call = link.acquire(0, "a", 0);
    link.pass(millis(5_000));
    let token = link.granted(0, call);
    for n in 0..50 {
        let call = link.append(0, "a", token, "x");
        while link.verdict(0, call).is_none() {
            link.pass(millis(50));
        }
        assert_eq!(link.verdict(0, call), Some(&Verdict::Appended { offset: n, len: 1 }));
    }
    assert_eq!(link.world.server.state().files()[&name("a")].len(), 50);
}

#[test]
fn an_append_whose_answer_and_session_are_lost_is_found_out() {
    for (applied, verdict) in [
        (true, Verdict::Appended { offset: 0, len: 1 }),
        (false, Verdict::Refused(Refusal::StaleToken { current: Token::new(0) })),
    ] {
        let mut link = Link::new(&["ann"]);
        let call = link.acquire(0, "a", 0);
        link.pass(millis(100));
        let token = link.granted(0, call);
        let end = link.now() + millis(8_000);
        let call = link.append(0, "a", token, "x");
        let mut first = true;
        let mut sent = 0;
        link.fate = Box::new(move |packet| {
            sent += 1;
            // One append gets through or none, no answer, no heartbeat; then all is well again.
            let append = is_op(packet, |it| matches!(it, Operation::AppendFile { .. }));
            if append && applied && std::mem::take(&mut first) {
                return vec![millis(10)];
            }
            if sent > 24 { vec![millis(10)] } else { vec![] }
        });
        link.pass(link.now().until(end));
        link.pass(millis(12_000));
        assert_eq!(link.verdict(0, call), Some(&verdict), "applied: {applied}");
        assert!(link.lost_at(0).is_some());
    }
}

#[test]
fn an_append_that_nobody_can_tell_of_is_unknown() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.pass(millis(100));
    let token = link.granted(0, call);
    link.fate = Box::new(|_| vec![]);
    let call = link.append(0, "a", token, "x");
    link.pass(millis(30_000));
    assert_eq!(link.verdict(0, call), Some(&Verdict::Unknown));
}

#[test]
fn cancelling_while_the_grant_is_on_its_way_leaves_no_orphan() {
    for at in 0..80 {
        let mut link = Link::new(&["ann", "bob"]);
        let call = link.acquire(0, "a", 0);
        link.pass(millis(200));
        let token = link.granted(0, call);
        let waiting = link.acquire(1, "a", 60_000);
        link.pass(millis(at));
        let now = link.now();
        link.clients[1].cancel(now, waiting);
        link.clients[0].release(now, name("a"), token, now + millis(5_000));
        link.pass(millis(2_000));
        assert_eq!(link.holder("a"), None, "cancelled after {at} ms");
        assert!(link.clients[1].is_settled(), "cancelled after {at} ms");
        assert_eq!(link.world.server.state().waiters(), 0);
    }
}

#[test]
fn a_cancel_that_overtakes_its_acquire_leaves_no_orphan() {
    let mut link = Link::new(&["ann"]);
    link.clients[0].open(Time::ZERO);
    link.pass(millis(100));
    let slow = |packet: &Packet| {
        let slow = is_op(packet, |it| matches!(it, Operation::AcquireLock { .. }));
        vec![millis(if slow { 150 } else { 5 })]
    };
    link.fate = Box::new(slow);
    let call = link.acquire(0, "a", 60_000);
    link.pass(millis(1));
    let now = link.now();
    link.clients[0].cancel(now, call);
    link.pass(millis(5_000));
    assert_eq!(link.holder("a"), None);
    assert!(link.clients[0].is_settled());
}

#[test]
fn a_late_cancel_takes_no_later_wait_back() {
    let mut link = Link::new(&["ann", "bob"]);
    let call = link.acquire(0, "a", 0);
    link.pass(millis(200));
    let token = link.granted(0, call);
    let first = link.acquire(1, "a", 60_000);
    link.pass(millis(100));
    let mut cancels = 0;
    link.fate = Box::new(move |packet| {
        if is_op(packet, |it| matches!(it, Operation::CancelAcquire { .. })) {
            cancels += 1;
            return vec![millis(if cancels == 1 { 700 } else { 900 })];
        }
        vec![millis(10)]
    });
    let now = link.now();
    link.clients[1].cancel(now, first);
    let second = link.acquire(1, "a", 60_000);
    link.pass(millis(3_000));
    let now = link.now();
    link.clients[0].release(now, name("a"), token, now + millis(5_000));
    link.pass(millis(200));
    assert!(link.granted(1, second) > token);
}

/// Answers what a client asks with a welcome, and gives back the next request after it.
fn welcomed(client: &mut LockClient, session: u128) -> Request {
    let hello = client.request().expect("a hello");
    let session = Secret::new(SessionId::from_entropy(session));
    let (lease, window) = (millis(9_000), 32);
    let (heartbeat, poll) = (millis(3_000), millis(500));
    let status = Status::Welcome { session, lease, heartbeat, poll, window };
    client.receive(Time::ZERO, Reply { re: hello.seq, attempt: hello.attempt, status });
    client.request().expect("a request of the session")
}

fn refuse(client: &mut LockClient, now: Time, request: &Request, refusal: Refusal) {
    let status = Status::Refused(refusal);
    client.receive(now, Reply { re: request.seq, attempt: request.attempt, status });
}

#[test]
fn an_answer_to_a_former_life_of_the_program_is_not_taken_for_one_in_this() {
    let mut first = LockClient::new(Config::new(name("ann")), 1);
    let mut second = LockClient::new(Config::new(name("ann")), 2);
    let ask = |client: &mut LockClient| {
        client.acquire(Time::ZERO, name("a"), Span::ZERO, None, Time::from_millis(9_000));
        welcomed(client, 7)
    };
    let (before, _) = (ask(&mut first), ask(&mut second));
    let (token, lease) = (Token::new(5), millis(9_000));
    let status = Status::Granted { lock: name("a"), token, lease, hold: None };
    let late = Reply { re: before.seq, attempt: before.attempt, status };
    second.receive(Time::from_millis(10), late);
    assert!(!second.believes(Time::from_millis(10), &name("a"), token));
}

#[test]
fn a_release_that_could_not_be_made_durable_is_asked_again() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    let never = Time::from_millis(90_000);
    client.release(Time::ZERO, name("a"), Token::new(3), never);
    let release = welcomed(&mut client, 7);
    let now = Time::from_millis(10);
    refuse(&mut client, now, &release, Refusal::StorageFailed);
    assert_eq!(client.request(), None, "not at once");
    client.wake(Time::from_millis(600));
    let again = client.request().expect("it has to come about");
    assert_eq!(again.operation, release.operation);
    assert!(again.seq > release.seq, "the first one is answered");
}

#[test]
fn a_session_that_is_to_end_is_kept_alive_by_nothing() {
    let mut client = LockClient::new(Config::new(name("ann")), 1);
    client.close(Time::ZERO, Time::from_millis(90_000));
    let close = welcomed(&mut client, 7);
    refuse(&mut client, Time::from_millis(10), &close, Refusal::StorageFailed);
    client.wake(Time::from_millis(600));
    let again = client.request().expect("it is asked again");
    assert_eq!(again.operation, Operation::Close);
    refuse(&mut client, Time::from_millis(610), &again, Refusal::SeqReused);
    client.wake(Time::from_millis(60_000));
    assert_eq!(client.request(), None, "no heartbeat");
}

#[test]
fn a_session_that_is_not_given_is_told() {
    let mut link = Link::new(&["ann"]);
    link.clients[0].open(Time::ZERO);
    let hello = link.clients[0].request().unwrap();
    let refusal = Refusal::Overloaded { bound: Bound::Sessions };
    let status = Status::Refused(refusal.clone());
    let reply = Reply { re: hello.seq, attempt: hello.attempt, status };
    link.clients[0].receive(Time::from_millis(10), reply);
    assert_eq!(link.clients[0].notice(), Some(Notice::NotOpened { refusal }));
    assert!(!link.clients[0].is_open());
}

#[test]
fn a_lock_that_was_lost_is_given_back_when_the_server_is_heard_again() {
    let mut link = Link::new(&["ann"]);
    let call = link.acquire(0, "a", 0);
    link.pass(millis(100));
    let token = link.granted(0, call);
    // Only the answers are lost: the server thinks that all is well.
    link.fate = Box::new(|packet| match packet {
        Packet::Up(_) => vec![millis(10)],
        Packet::Down(_) => vec![],
    });
    link.pass(millis(6_000));
    assert!(link.lost_at(0).is_some());
    assert!(!link.clients[0].believes(link.now(), &name("a"), token));
    link.fate = Box::new(|_| vec![millis(10)]);
    link.pass(millis(3_000));
    assert_eq!(link.holder("a"), None, "nobody uses it, so somebody else may");
}

#[test]
fn closing_ends_the_session_and_frees_what_it_held() {
    let mut link = Link::new(&["ann"]);
    link.acquire(0, "a", 0);
    link.pass(millis(100));
    let now = link.now();
    let call = link.clients[0].close(now, now + millis(5_000));
    link.pass(millis(100));
    assert_eq!(link.verdict(0, call), Some(&Verdict::Closed));
    assert!(link.world.server.state().sessions().is_empty());
    assert_eq!(link.clients[0].next_wake(), None, "no heartbeat goes on");
}
