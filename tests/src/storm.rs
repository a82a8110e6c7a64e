//! Storms: several clients at once, each with a list of mishaps drawn from a seed, and the account
//! that each keeps of what it was told.
//!
//! Each append is a line `TOKEN NAME NUMBER`, so that the file alone shows whose it was, under
//! which tenure, and whether it is there twice.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{RawClient, expect_status, number};
use crate::data_dir::Folder;
use crate::log::{PATIENCE, tell, wait_for};
use crate::relay::{Relay, Way, Weather, op};
use crate::rng::Rng;

/// Some heavy weather: about a third of all packets is lost, as many are doubled or late.
pub const HEAVY: Weather =
    Weather { loss_ppm: 300_000, duplicate_ppm: 300_000, late_ppm: 300_000, late_ms: 150 };
/// Weather that happens.
pub const MILD: Weather =
    Weather { loss_ppm: 50_000, duplicate_ppm: 100_000, late_ppm: 100_000, late_ms: 50 };

/// What blows, and for how long.
#[derive(Clone, Debug)]
pub struct Storm {
    /// What all chance is drawn from.
    pub seed: u64,
    /// How many clients there are.
    pub clients: u64,
    /// How many turns each of them takes.
    pub turns: u64,
    /// The lease of each.
    pub lease_ms: u64,
    /// What the network does to all packets, both ways.
    pub weather: Weather,
    /// The mishaps that a turn may meet with.
    pub mishaps: Vec<Mishap>,
}

/// What goes wrong in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// Nothing does.
    Nothing,
    /// The client stalls past its lease, then appends.
    StallBeforeAppend,
    /// The client appends, stalls past its lease, then appends again.
    StallAfterAppend,
    /// The network holds the append back past the client's lease.
    LateAppend,
    /// The append is done, and its reply lost.
    LostReply,
    /// The append is lost.
    LostRequest,
    /// The append and the release arrive twice, the release's copy a little later.
    Duplicates,
    /// The client leaves without a word.
    Desertion,
}

impl Mishap {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::StallBeforeAppend,
        Self::StallAfterAppend,
        Self::LateAppend,
        Self::LostReply,
        Self::LostRequest,
        Self::Duplicates,
        Self::Desertion,
    ];
}

/// What one client knows of its appends.
#[derive(Clone, Debug, Default)]
pub struct Account {
    /// Acknowledged, and where each begins.
    pub applied: BTreeMap<String, u64>,
    /// Refused, or said never to have been applied.
    pub refused: Vec<String>,
    /// Of which the client never learned what became.
    pub unknown: Vec<String>,
}

impl Storm {
    /// Lets it blow against a server, on one file; gives the clients' accounts.
    pub fn blow(&self, server: SocketAddr, file: &str) -> Vec<Account> {
        tell("storm", format_args!("{self:?}"));
        let run = |number| StormClient::new(self, server, file, number).take_turns(self);
        thread::scope(|scope| {
            let threads: Vec<_> =
                (1..=self.clients).map(|number| scope.spawn(move || run(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no client panics")).collect()
        })
    }
}

/// Panics unless a file holds every acknowledged append once, at its place, none that was refused
/// and none that nobody sent, in the order of their tokens.
#[track_caller]
pub fn check(folder: &Folder, file: &str, accounts: &[Account]) {
    let applied = accounts.iter().flat_map(|account| &account.applied);
    let end = applied.map(|(line, offset)| offset + line.len() as u64).max().unwrap_or(0);
    // What is acknowledged is in the journal, and a moment later in the file.
    let contents = wait_for("what was acknowledged to be in the file", || {
        let contents = folder.contents(file);
        (contents.len() as u64 >= end).then_some(contents)
    });
    let mut left: Vec<&str> = contents.split_inclusive('\n').collect();
    let tokens: Vec<u64> = left.iter().map(|line| token_of(line)).collect();
    assert!(tokens.is_sorted(), "tokens went back in\n{contents}");
    for account in accounts {
        for (line, &offset) in &account.applied {
            let offset = usize::try_from(offset).expect("a file that fits into memory");
            let found = contents.get(offset..offset + line.len());
            assert_eq!(found, Some(line.as_str()), "at {offset} in\n{contents}");
            let index = left.iter().position(|&other| other == line).expect("seen just now");
            left.remove(index);
        }
        for line in &account.unknown {
            if let Some(index) = left.iter().position(|&other| other == line) {
                left.remove(index);
            }
        }
    }
    assert!(left.is_empty(), "twice, refused, or nobody's: {left:?} in\n{contents}");
}

/// How many appends were acknowledged, over all accounts.
pub fn applied(accounts: &[Account]) -> usize {
    accounts.iter().map(|account| account.applied.len()).sum()
}

fn token_of(line: &str) -> u64 {
    let token = line.split(' ').next().and_then(|word| word.parse().ok());
    token.unwrap_or_else(|| panic!("no append of ours: {line:?}"))
}

/// One client of a storm, behind a network of its own.
struct StormClient {
    name: String,
    file: String,
    network: Relay,
    client: RawClient,
    lease_ms: u64,
    rng: Rng,
    account: Account,
    written: u64,
}

impl StormClient {
    fn new(storm: &Storm, server: SocketAddr, file: &str, number: u64) -> Self {
        let name = format!("c{number}");
        let mut rng = Rng::new(storm.seed.wrapping_mul(1_000).wrapping_add(number));
        let network = Relay::seeded(server, rng.draw());
        network.set_weather_both_ways(storm.weather);
        let mut client = RawClient::connect_for(&name, network.address(), storm.lease_ms);
        client.beat();
        Self {
            name,
            file: file.to_owned(),
            network,
            client,
            lease_ms: storm.lease_ms,
            rng,
            account: Account::default(),
            written: 0,
        }
    }

    fn take_turns(mut self, storm: &Storm) -> Account {
        for _ in 0..storm.turns {
            let mishap = self.rng.pick(&storm.mishaps);
            tell(&self.name, format_args!("its turn: {mishap:?}"));
            self.turn(mishap);
        }
        self.network.heal();
        self.client.fall_silent();
        self.account
    }

    fn turn(&mut self, mishap: Mishap) {
        let Some(token) = self.acquire() else { return };
        match mishap {
            Mishap::Nothing => self.append(token),
            Mishap::StallBeforeAppend => {
                self.stall();
                self.append(token);
            }
            Mishap::StallAfterAppend => {
                self.append(token);
                self.stall();
                self.append(token);
            }
            Mishap::LateAppend => self.append_late(token),
            Mishap::LostReply => {
                self.network.drop_next(Way::Down, |json| json["status"] == "appended");
                self.append(token);
            }
            Mishap::LostRequest => {
                self.network.drop_next(Way::Up, op("append_file"));
                self.append(token);
            }
            Mishap::Duplicates => {
                self.network.duplicate_next(Way::Up, op("append_file"));
                self.append(token);
                let copy = self.network.copy_next(Way::Up, op("release_lock"));
                self.release(token);
                thread::sleep(Duration::from_millis(self.rng.below(50)));
                copy.release();
                return;
            }
            Mishap::Desertion => {
                self.append(token);
                self.open();
                return;
            }
        }
        self.release(token);
    }

    /// The token of a grant; nothing where the session ended before there was one.
    fn acquire(&mut self) -> Option<u64> {
        let request = self.client.queue(&self.file);
        let reply = self.client.wait_out(&request);
        if reply["status"] == "granted" {
            return Some(number(&reply, "token"));
        }
        self.expect_gone(&reply);
        self.open();
        None
    }

    fn append(&mut self, token: u64) {
        let (line, request) = self.new_append(token);
        let reply = self.client.insist_within(&request, PATIENCE);
        self.enter(line, &request, reply);
    }

    fn append_late(&mut self, token: u64) {
        let (line, request) = self.new_append(token);
        let held = self.network.hold_next(Way::Up, op("append_file"));
        self.client.send(&request);
        self.stall();
        held.release();
        // The weather may still lose it or its reply; nobody sends it again.
        let reply = self.client.reply_within(&request, Duration::from_millis(self.lease_ms));
        self.enter(line, &request, reply);
    }

    fn new_append(&mut self, token: u64) -> (String, Value) {
        self.written += 1;
        let line = format!("{token} {} {}\n", self.name, self.written);
        let request = self.client.append_request(&self.file, token, &line);
        (line, request)
    }

    /// Enters what is known of an append into the account.
    fn enter(&mut self, line: String, request: &Value, reply: Option<Value>) {
        let reply = reply
            .unwrap_or_else(|| self.client.ask("append_outcome", &json!({"of": request["seq"]})));
        match reply["status"].as_str() {
            Some("appended" | "applied") => {
                assert_eq!(number(&reply, "len"), line.len() as u64, "{reply}");
                self.account.applied.insert(line, number(&reply, "offset"));
            }
            Some("not_applied") => self.account.refused.push(line),
            Some("forgotten") => self.account.unknown.push(line),
            Some(_) | None => {
                self.expect_gone(&reply);
                self.account.refused.push(line);
            }
        }
    }

    fn release(&mut self, token: u64) {
        let fields = json!({"lock": self.file, "token": token});
        let reply = self.client.ask("release_lock", &fields);
        if reply["status"] != "released" {
            self.expect_gone(&reply);
            self.open();
        }
    }

    /// Does nothing, not even beat, for longer than its lease.
    fn stall(&mut self) {
        self.client.fall_silent();
        // Past the lease by enough for the server to have noticed, mostly; either way is right.
        thread::sleep(Duration::from_millis(self.lease_ms + 100));
    }

    fn open(&mut self) {
        self.client.hello(self.lease_ms);
        self.client.beat();
    }

    /// A refusal is fair where the session may have ended; nothing else is.
    #[track_caller]
    fn expect_gone(&self, reply: &Value) {
        expect_status(reply, "error");
        let code = reply["code"].as_str().unwrap_or_default();
        let fair = ["unknown_session", "stale_token", "not_holder"];
        assert!(fair.contains(&code), "{} was told {reply}", self.name);
    }
}
