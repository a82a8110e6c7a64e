//! A client process for tests that pause and kill clients: `e2e-client NAME SERVER LEASE_MS`.
//!
//! It opens a session, sends heartbeats by itself, and reads commands from standard input. It
//! answers each with one line on standard output:
//!
//! | command | answer |
//! | --- | --- |
//! | `acquire LOCK` | `granted`, after any wait |
//! | `append FILE TEXT` | `appended` |
//! | `release LOCK` | `released` |
//! | `hello` | `welcome`, with a new session |
//!
//! The answer to a refused command is the code of the refusal. Packets are logged to standard
//! error.

use std::collections::BTreeMap;
use std::env;
use std::io::{self, BufRead, Write};

use leasehold_tests::client::RawClient;
use leasehold_tests::log::log_to_standard_error;
use serde_json::{Value, json};

fn main() {
    log_to_standard_error();
    let mut arguments = env::args().skip(1);
    let mut next = || arguments.next().expect("usage: e2e-client NAME SERVER LEASE_MS");
    let (name, server, lease_ms) = (next(), next(), next());
    let server = server.parse().expect("SERVER is an address");
    let lease_ms = lease_ms.parse().expect("LEASE_MS is a number");

    let mut client = RawClient::new(&name, server);
    let mut tokens = BTreeMap::new();
    print_answer("hello", &open_session(&mut client, lease_ms));
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        let mut words = line.splitn(3, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (command, lock, data) = (word(), word(), word());
        let token = tokens.get(&lock).copied().unwrap_or(0);
        let reply = match command.as_str() {
            "acquire" => {
                let request = client.send_acquire(&lock);
                let reply = client.wait_while_queued(&request);
                tokens.insert(lock, reply["token"].as_u64().unwrap_or(0));
                reply
            }
            "append" => client.append(&lock, token, &data),
            "release" => client.call("release_lock", &json!({"lock": lock, "token": token})),
            "hello" => open_session(&mut client, lease_ms),
            other => panic!("unknown command: {other}"),
        };
        print_answer(&command, &reply);
    }
}

fn open_session(client: &mut RawClient, lease_ms: u64) -> Value {
    let welcome = client.open_session(lease_ms);
    client.start_heartbeats();
    welcome
}

/// Prints the status of a reply, or the code of a refusal.
fn print_answer(command: &str, reply: &Value) {
    let answer = if reply["status"] == "error" { &reply["code"] } else { &reply["status"] };
    let answer = answer.as_str().unwrap_or_else(|| panic!("{command} was answered by {reply}"));
    let mut output = io::stdout().lock();
    writeln!(output, "{answer}").and_then(|()| output.flush()).expect("the test reads answers");
}
