//! Replays a run that was exported from the page, and checks which invariants it violates.

use leasehold_sim::{InvariantStatus, Run};

#[test]
fn replays_gc_pause() {
    let run: Run = serde_json::from_str(RUN).unwrap();
    let mut violated = Vec::new();
    for (invariant, status) in run.execute().statuses {
        if matches!(status, InvariantStatus::Violated { .. }) {
            violated.push(invariant.to_string());
        }
    }
    let expected: &[&str] = &["S2", "S4"];
    assert_eq!(violated, expected);
}

const RUN: &str = r#"{
  "config": {
    "locks": [
      "file_0"
    ],
    "clients": [
      {
        "name": "client_1",
        "script": [
          {
            "do": "acquire",
            "lock": "file_0",
            "wait_ms": 60000
          },
          {
            "do": "work",
            "ms": 2000
          },
          {
            "do": "append",
            "file": "file_0",
            "check": false,
            "gap_ms": 0
          },
          {
            "do": "work",
            "ms": 500
          },
          {
            "do": "release",
            "lock": "file_0"
          }
        ],
        "starts_ms": 0,
        "rate_ppm": 0
      },
      {
        "name": "client_2",
        "script": [
          {
            "do": "acquire",
            "lock": "file_0",
            "wait_ms": 60000
          },
          {
            "do": "work",
            "ms": 2000
          },
          {
            "do": "append",
            "file": "file_0",
            "check": true,
            "gap_ms": 0
          },
          {
            "do": "work",
            "ms": 6000
          },
          {
            "do": "release",
            "lock": "file_0"
          }
        ],
        "starts_ms": 1000,
        "rate_ppm": 0
      }
    ],
    "lease_ms": 10000,
    "drift_ppm": 10000,
    "retransmit_ms": 1000,
    "network": {
      "latency_min_us": 100000,
      "latency_max_us": 200000,
      "loss_ppm": 0,
      "duplicate_ppm": 0,
      "late_ppm": 0,
      "late_max_us": 0
    },
    "disk": {
      "flush_min_us": 5000,
      "flush_max_us": 15000,
      "write_back_ms": 1000
    },
    "server_rate_ppm": 0,
    "sessions_max": 1000,
    "locks_max": 1000,
    "waiters_max": 1000,
    "file_len_max": 1048576,
    "cookies": false,
    "ends_ms": 25000
  },
  "seed": 7,
  "without": [
    "fencing"
  ],
  "interventions": [
    {
      "at_ms": 2000,
      "action": "pause",
      "node": 1,
      "ms": 14000
    }
  ]
}"#;
