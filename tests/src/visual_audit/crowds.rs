//! Runs with many clients, as links that the page can open.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

/// The number of locks in a crowd: one for every five clients, but no more than this.
const LOCKS_MAX: usize = 20;

/// Returns the query of a run in which this many clients append all the time, each to one of a few
/// files, as the page encodes a run that is not in its library.
pub fn crowd_query(clients: usize) -> String {
    let locks = (clients / 5).clamp(1, LOCKS_MAX);
    let lock_name = |index: usize| format!("file_{}", index % locks);
    let client = |index: usize| -> Value {
        let lock = lock_name(index);
        json!({
            "name": format!("client_{}", index + 1),
            "starts_ms": 20 * index,
            "script": [
                {"do": "acquire", "lock": lock, "wait_ms": 60_000},
                {"do": "work", "ms": 800},
                {"do": "append", "file": lock},
                {"do": "release", "lock": lock},
                {"do": "repeat", "times": 100},
            ],
        })
    };
    let run = json!({
        "config": {
            "locks": (0..locks).map(lock_name).collect::<Vec<_>>(),
            "clients": (0..clients).map(client).collect::<Vec<_>>(),
            "ends_ms": 20_000,
        },
        "interventions": [],
    });
    let run = URL_SAFE_NO_PAD.encode(run.to_string());
    format!("scenario=five-clients&seed=1&without=&run={run}")
}
