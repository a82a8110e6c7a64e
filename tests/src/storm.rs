//! Storms: several clients at once, each with a sequence of faults that is generated from a seed,
//! and a record of the outcome of each append.
//!
//! Each append is a line `TOKEN NAME NUMBER`, so that the file alone shows which client wrote it,
//! in which tenure, and whether it is duplicated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{RawClient, expect_status, number};
use crate::data_dir::DataDir;
use crate::log::log;
use crate::relay::{Direction, NetworkConditions, Relay, op};
use crate::rng::Rng;
use crate::wait::{WAIT_LIMIT, wait_for};

/// About a third of all packets is lost, and as many are duplicated or delayed.
pub const HARSH_NETWORK: NetworkConditions = NetworkConditions {
    loss_ppm: 300_000,
    duplicate_ppm: 300_000,
    delay_ppm: 300_000,
    delay_max_ms: 150,
};
/// A twentieth of all packets is lost, and twice as many are duplicated or delayed.
pub const MILD_NETWORK: NetworkConditions = NetworkConditions {
    loss_ppm: 50_000,
    duplicate_ppm: 100_000,
    delay_ppm: 100_000,
    delay_max_ms: 50,
};

/// The longest time between a release and its late copy.
const LATE_COPY_MAX_MS: u64 = 50;

/// The parameters of a storm.
#[derive(Clone, Debug)]
pub struct Storm {
    /// The seed of all random choices.
    pub seed: u64,
    /// The number of clients.
    pub clients: u64,
    /// How many turns each client takes. In a turn a client acquires the lock, appends, and
    /// releases the lock.
    pub turns: u64,
    /// The lease of each client.
    pub lease_ms: u64,
    /// The conditions of the network, in both directions.
    pub conditions: NetworkConditions,
    /// The faults from which that of a turn is chosen.
    pub faults: Vec<Fault>,
}

/// A fault in one turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No fault.
    Nothing,
    /// The client pauses for longer than its lease, then appends.
    PauseBeforeAppend,
    /// The client appends, pauses for longer than its lease, then appends again.
    PauseAfterAppend,
    /// The network delays the append for longer than the client's lease.
    DelayedAppend,
    /// The append is done, but its reply is lost.
    LostReply,
    /// The append is lost.
    LostRequest,
    /// The append and the release arrive twice, the release's copy a little later.
    DuplicatedPackets,
    /// The client abandons its session without releasing the lock.
    AbandonedSession,
}

impl Fault {
    /// All faults.
    pub const ALL: [Self; 8] = [
        Self::Nothing,
        Self::PauseBeforeAppend,
        Self::PauseAfterAppend,
        Self::DelayedAppend,
        Self::LostReply,
        Self::LostRequest,
        Self::DuplicatedPackets,
        Self::AbandonedSession,
    ];
}

/// The outcomes of one client's appends, as far as the client knows them.
#[derive(Clone, Debug, Default)]
pub struct AppendOutcomes {
    /// The lines that were acknowledged, with their offsets.
    pub applied: BTreeMap<String, u64>,
    /// The lines that the server refused, or reported as not applied.
    pub refused: Vec<String>,
    /// The lines whose outcome the client could not learn.
    pub unknown: Vec<String>,
}

impl Storm {
    /// Runs the storm against a server, on one file, and returns the outcomes for each client.
    pub fn run(&self, server: SocketAddr, file: &str) -> Vec<AppendOutcomes> {
        log("storm", format_args!("{self:?}"));
        let run = |number| StormClient::new(self, server, file, number).run_turns(self);
        thread::scope(|scope| {
            let threads: Vec<_> =
                (1..=self.clients).map(|number| scope.spawn(move || run(number))).collect();
            threads.into_iter().map(|thread| thread.join().expect("no client panics")).collect()
        })
    }
}

/// Checks that a file contains every acknowledged line once, at its offset; no line that was
/// refused or that no client sent; and that tokens never decrease.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn check_file(data: &DataDir, file: &str, outcomes: &[AppendOutcomes]) {
    let applied = outcomes.iter().flat_map(|outcomes| &outcomes.applied);
    let end = applied.map(|(line, offset)| offset + line.len() as u64).max().unwrap_or(0);
    // An append is acknowledged when it is in the log, shortly before it is in the file.
    let contents = wait_for("the acknowledged lines to be in the file", || {
        let contents = data.contents(file);
        (contents.len() as u64 >= end).then_some(contents)
    });
    let mut unexplained: Vec<&str> = contents.split_inclusive('\n').collect();
    let tokens: Vec<u64> = unexplained.iter().map(|line| token_of(line)).collect();
    assert!(tokens.is_sorted(), "tokens decrease in\n{contents}");
    for outcomes in outcomes {
        for (line, &offset) in &outcomes.applied {
            let offset = usize::try_from(offset).expect("a file that fits into memory");
            let found = contents.get(offset..offset + line.len());
            assert_eq!(found, Some(line.as_str()), "at {offset} in\n{contents}");
            let index = unexplained.iter().position(|&other| other == line).expect("just found");
            unexplained.remove(index);
        }
        for line in &outcomes.unknown {
            if let Some(index) = unexplained.iter().position(|&other| other == line) {
                unexplained.remove(index);
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "lines that are duplicated, refused or unknown: {unexplained:?} in\n{contents}"
    );
}

/// Returns how many appends were acknowledged, over all clients.
pub fn applied_count(outcomes: &[AppendOutcomes]) -> usize {
    outcomes.iter().map(|outcomes| outcomes.applied.len()).sum()
}

fn token_of(line: &str) -> u64 {
    let token = line.split(' ').next().and_then(|word| word.parse().ok());
    token.unwrap_or_else(|| panic!("not a line of a storm: {line:?}"))
}

/// One client of a storm, behind its own relay.
struct StormClient {
    name: String,
    file: String,
    network: Relay,
    client: RawClient,
    lease_ms: u64,
    rng: Rng,
    outcomes: AppendOutcomes,
    lines: u64,
}

impl StormClient {
    fn new(storm: &Storm, server: SocketAddr, file: &str, number: u64) -> Self {
        let name = format!("c{number}");
        let mut rng = Rng::new(storm.seed.wrapping_mul(1_000).wrapping_add(number));
        let network = Relay::with_seed(server, rng.next_u64());
        network.set_conditions_both_ways(storm.conditions);
        let mut client = RawClient::connect_with_lease(&name, network.address(), storm.lease_ms);
        client.start_heartbeats();
        Self {
            name,
            file: file.to_owned(),
            network,
            client,
            lease_ms: storm.lease_ms,
            rng,
            outcomes: AppendOutcomes::default(),
            lines: 0,
        }
    }

    fn run_turns(mut self, storm: &Storm) -> AppendOutcomes {
        for _ in 0..storm.turns {
            let fault = self.rng.choose(&storm.faults);
            log(&self.name, format_args!("turn with fault {fault:?}"));
            self.run_turn(fault);
        }
        self.network.heal();
        self.client.stop_heartbeats();
        self.outcomes
    }

    fn run_turn(&mut self, fault: Fault) {
        let Some(token) = self.acquire() else { return };
        match fault {
            Fault::Nothing => self.append(token),
            Fault::PauseBeforeAppend => {
                self.pause();
                self.append(token);
            }
            Fault::PauseAfterAppend => {
                self.append(token);
                self.pause();
                self.append(token);
            }
            Fault::DelayedAppend => self.append_delayed(token),
            Fault::LostReply => {
                self.network.drop_next(Direction::ToClient, |json| json["status"] == "appended");
                self.append(token);
            }
            Fault::LostRequest => {
                self.network.drop_next(Direction::ToServer, op("append_file"));
                self.append(token);
            }
            Fault::DuplicatedPackets => {
                self.network.duplicate_next(Direction::ToServer, op("append_file"));
                self.append(token);
                let copy = self.network.copy_next(Direction::ToServer, op("release_lock"));
                self.release(token);
                // The delay is part of the fault: other clients proceed in the meantime.
                thread::sleep(Duration::from_millis(self.rng.below(LATE_COPY_MAX_MS)));
                copy.release();
                return;
            }
            Fault::AbandonedSession => {
                self.append(token);
                self.open_session();
                return;
            }
        }
        self.release(token);
    }

    /// Acquires the lock. Returns `None` if the session has ended; then a new one is open.
    fn acquire(&mut self) -> Option<u64> {
        let request = self.client.send_acquire(&self.file);
        let reply = self.client.wait_while_queued(&request);
        if reply["status"] == "granted" {
            return Some(number(&reply, "token"));
        }
        self.expect_tenure_over(&reply);
        self.open_session();
        None
    }

    fn append(&mut self, token: u64) {
        let (line, request) = self.new_append(token);
        let reply = self.client.exchange_within(&request, WAIT_LIMIT);
        self.record_outcome(line, &request, reply);
    }

    fn append_delayed(&mut self, token: u64) {
        let (line, request) = self.new_append(token);
        let held = self.network.hold_next(Direction::ToServer, op("append_file"));
        self.client.send(&request);
        self.pause();
        held.release();
        // The request is not sent again, so it or its reply may still be lost. After the limit the
        // client queries the outcome, so the limit decides only which of two correct paths it
        // takes.
        let reply = self.client.reply_within(&request, Duration::from_millis(self.lease_ms));
        self.record_outcome(line, &request, reply);
    }

    fn new_append(&mut self, token: u64) -> (String, Value) {
        self.lines += 1;
        let line = format!("{token} {} {}\n", self.name, self.lines);
        let request = self.client.append_request(&self.file, token, &line);
        (line, request)
    }

    /// Records the outcome of an append. Queries it if there is no reply.
    fn record_outcome(&mut self, line: String, request: &Value, reply: Option<Value>) {
        let reply = reply
            .unwrap_or_else(|| self.client.call("append_outcome", &json!({"of": request["seq"]})));
        match reply["status"].as_str() {
            Some("appended" | "applied") => {
                assert_eq!(number(&reply, "len"), line.len() as u64, "{reply}");
                self.outcomes.applied.insert(line, number(&reply, "offset"));
            }
            Some("not_applied") => self.outcomes.refused.push(line),
            Some("forgotten") => self.outcomes.unknown.push(line),
            Some(_) | None => {
                self.expect_tenure_over(&reply);
                self.outcomes.refused.push(line);
            }
        }
    }

    fn release(&mut self, token: u64) {
        let fields = json!({"lock": self.file, "token": token});
        let reply = self.client.call("release_lock", &fields);
        if reply["status"] != "released" {
            self.expect_tenure_over(&reply);
            self.open_session();
        }
    }

    /// Sends nothing, not even heartbeats, for longer than the lease. The sleep is the fault; the
    /// server usually ends the session meanwhile, but it need not.
    fn pause(&mut self) {
        self.client.stop_heartbeats();
        thread::sleep(Duration::from_millis(self.lease_ms + 100));
    }

    fn open_session(&mut self) {
        self.client.open_session(self.lease_ms);
        self.client.start_heartbeats();
    }

    /// Checks that a reply is a refusal that the end of a session or a tenure explains.
    #[track_caller]
    fn expect_tenure_over(&self, reply: &Value) {
        expect_status(reply, "error");
        let code = reply["code"].as_str().unwrap_or_default();
        let allowed = ["unknown_session", "stale_token", "not_holder"];
        assert!(allowed.contains(&code), "{} received {reply}", self.name);
    }
}
