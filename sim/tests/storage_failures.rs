//! `storage_failed` in storms: a request that was refused because the disk was full is executed at
//! most once, whatever follows.

mod common;

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::*;

/// How far a request has come on the way to a late copy that the server does not remember.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Progress {
    Sent,
    Refused,
    ServerKilled,
    HasSpace,
    NewerRequestExecuted,
    LateCopyArrived,
}

/// Returns how many appends have come how far in a run: refused on a full disk, then the server is
/// killed, then a write succeeds, then a newer request of the same client is executed, then a late
/// copy of the append arrives.
#[allow(clippy::wildcard_enum_match_arm, reason = "the progress depends on few records")]
fn count_progress(trace: &[Record]) -> BTreeMap<Progress, u32> {
    let mut appends: BTreeMap<(NodeId, Number), Progress> = BTreeMap::new();
    for record in trace {
        let mut advance =
            |from: Progress, to: Progress, matches: &dyn Fn(NodeId, Number) -> bool| {
                for ((client, seq), progress) in &mut appends {
                    if *progress == from && matches(*client, *seq) {
                        *progress = to;
                    }
                }
            };
        let server = record.node == NodeId::SERVER;
        match record.kind {
            RecordKind::Sent(packet) if !server && packet.message == Message::AppendFile => {
                appends.entry((record.node, packet.seq)).or_insert(Progress::Sent);
            }
            RecordKind::Sent(packet) if packet.refusal == Some(RefusalCode::StorageFailed) => {
                let is_it = |client, seq| (client, seq) == (packet.peer, packet.seq);
                advance(Progress::Sent, Progress::Refused, &is_it);
            }
            RecordKind::Crashed { .. } if server => {
                advance(Progress::Refused, Progress::ServerKilled, &|_, _| true);
            }
            RecordKind::Durable { .. } => {
                advance(Progress::ServerKilled, Progress::HasSpace, &|_, _| true);
            }
            RecordKind::FileAppended { client: author, seq: newer, .. }
            | RecordKind::LockGranted { client: author, seq: newer, .. } => {
                let is_older = |client, seq| client == author && seq < newer;
                advance(Progress::HasSpace, Progress::NewerRequestExecuted, &is_older);
            }
            RecordKind::Arrived(packet) if server && packet.message == Message::AppendFile => {
                let is_it = |client, seq| (client, seq) == (packet.peer, packet.seq);
                advance(Progress::NewerRequestExecuted, Progress::LateCopyArrived, &is_it);
            }
            _ => {}
        }
    }
    let mut counts = BTreeMap::new();
    appends.into_values().for_each(|progress| *counts.entry(progress).or_default() += 1);
    counts
}

#[test]
fn storms_deliver_late_copies_of_requests_that_a_full_disk_has_refused() {
    let (mut totals, mut storms) = (BTreeMap::<Progress, u32>::new(), Vec::new());
    for seed in 0..300 {
        let outcome = storm(seed, &BTreeSet::new()).execute();
        assert_eq!(outcome.first_violation, None, "seed {seed}");
        let counts = count_progress(&outcome.trace);
        if counts.contains_key(&Progress::LateCopyArrived) {
            storms.push(seed);
        }
        counts.into_iter().for_each(|(progress, count)| {
            *totals.entry(progress).or_default() += count;
        });
    }
    println!("{totals:?} in storms {storms:?}");
    assert!(storms.len() >= 10, "{totals:?} in storms {storms:?}");
}
