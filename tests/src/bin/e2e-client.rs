//! A client as a process, for tests that stop and kill it: `e2e-client NAME SERVER LEASE_MS`.
//!
//! It opens a session, sends heartbeats by itself, and obeys commands on standard input, one a
//! line, each answered by one line on standard output:
//!
//! | command | answer |
//! | --- | --- |
//! | `acquire LOCK` | `granted`, after any wait |
//! | `append FILE TEXT` | `appended` |
//! | `release LOCK` | `released` |
//! | `hello` | `welcome`, with a new session |
//!
//! A refusal is answered by its code. The story of its packets is told on standard error.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, Write};

use leasehold_tests::client::RawClient;
use leasehold_tests::log::tell_on_standard_error;
use serde_json::{Value, json};

fn main() {
    tell_on_standard_error();
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().expect("usage: e2e-client NAME SERVER LEASE_MS");
    let (name, server, lease_ms) = (next(), next(), next());
    let server = server.parse().expect("an address");
    let lease_ms = lease_ms.parse().expect("a number of milliseconds");

    let mut client = RawClient::new(&name, server);
    let mut tokens = BTreeMap::new();
    say("hello", &open(&mut client, lease_ms));
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (command, subject, data) = (word(), word(), word());
        let token = tokens.get(&subject).copied().unwrap_or(0);
        let reply = match command.as_str() {
            "acquire" => {
                let request = client.queue(&subject);
                let reply = client.wait_out(&request);
                tokens.insert(subject, reply["token"].as_u64().unwrap_or(0));
                reply
            }
            "append" => client.append(&subject, token, &data),
            "release" => client.ask("release_lock", &json!({"lock": subject, "token": token})),
            "hello" => open(&mut client, lease_ms),
            other => panic!("no such command: {other}"),
        };
        say(&command, &reply);
    }
}

fn open(client: &mut RawClient, lease_ms: u64) -> Value {
    let welcome = client.hello(lease_ms);
    client.beat();
    welcome
}

/// Answers a command by the status of the reply, or by the code of the refusal.
fn say(command: &str, reply: &Value) {
    let answer = if reply["status"] == "error" { &reply["code"] } else { &reply["status"] };
    let answer = answer.as_str().unwrap_or_else(|| panic!("{command} got {reply}"));
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("somebody listens");
}
