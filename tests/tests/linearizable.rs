//! What clients see of a file and its lock, in storms, is what they would see of one that does one
//! thing at a time. Judged by the linearizability tester of others, by calls and answers alone.

#![allow(clippy::wildcard_enum_match_arm, reason = "most of what happens is of no account here")]

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::{
    CallResult, Lines, LockId, Message, NodeId, Protection, Record, RecordKind, Run, World, storm,
};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

/// A line: whose, which of that client's, and under which token.
type Line = (NodeId, u32, u32);

/// A lock and its file, with nobody else around.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Guarded {
    /// The token of the last grant.
    token: u32,
    lines: Vec<Line>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Op {
    Acquire,
    Append(Line),
    Read,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Ret {
    Granted(u32),
    Written,
    Refused,
    Lines(Vec<Line>),
}

impl SequentialSpec for Guarded {
    type Op = Op;
    type Ret = Ret;

    fn invoke(&mut self, op: &Op) -> Ret {
        match op {
            Op::Append(line) if line.2 == self.token => {
                self.lines.push(*line);
                Ret::Written
            }
            Op::Acquire | Op::Append(_) => Ret::Refused,
            Op::Read => Ret::Lines(self.lines.clone()),
        }
    }

    fn is_valid_step(&mut self, op: &Op, ret: &Ret) -> bool {
        match (op, ret) {
            // Tokens grow; some go to those who never learn of it.
            (Op::Acquire, Ret::Granted(token)) => {
                let grows = *token > self.token;
                self.token = *token;
                grows
            }
            (op, ret) => self.invoke(op) == *ret,
        }
    }
}

/// A call as its client saw it: from which record to which, if it ever came to an end.
#[derive(Debug)]
struct Call {
    node: NodeId,
    op: Op,
    begun: usize,
    end: Option<(usize, Ret)>,
}

/// The calls about one lock that are of account: a grant, a line that is in the file, and a line
/// that its writer was told to be in the file. Nothing where a writer was told of a line that is in
/// the file that it is not.
fn calls(trace: &[Record], lock: LockId, lines: &[Line]) -> Option<Vec<Call>> {
    let mut calls: Vec<Call> = Vec::new();
    let mut entries: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut open: BTreeMap<NodeId, Call> = BTreeMap::new();
    for (place, record) in trace.iter().enumerate() {
        let node = record.node;
        match record.kind {
            RecordKind::CallStarted { message, lock: of, token } => {
                // Whoever calls again has given up on what was before.
                calls.extend(open.remove(&node));
                let op = match message {
                    Message::AcquireLock => Op::Acquire,
                    Message::AppendFile => {
                        let entry = entries.entry(node).or_default();
                        *entry += 1;
                        Op::Append((node, *entry, token))
                    }
                    _ => continue,
                };
                if of == lock {
                    open.insert(node, Call { node, op, begun: place, end: None });
                }
            }
            RecordKind::CallEnded { lock: of, token, outcome: end, .. } if of == lock => {
                let Some(mut call) = open.remove(&node) else { continue };
                call.end = match (&call.op, end) {
                    (Op::Acquire, CallResult::Succeeded) => Some((place, Ret::Granted(token))),
                    (Op::Append(_), CallResult::Succeeded) => Some((place, Ret::Written)),
                    (Op::Append(line), CallResult::Refused | CallResult::LockLost)
                        if lines.contains(line) =>
                    {
                        return None;
                    }
                    _ => None,
                };
                calls.push(call);
            }
            RecordKind::Crashed { .. } => calls.extend(open.remove(&node)),
            _ => {}
        }
    }
    calls.extend(open.into_values());
    // What nobody heard of again has happened where the file shows it, and else it has not.
    calls.retain(|call| match &call.op {
        Op::Append(line) => call.end.is_some() || lines.contains(line),
        Op::Acquire | Op::Read => call.end.is_some(),
    });
    Some(calls)
}

/// Whether a lock and its file could have been used like this by one call after the other.
fn is_linearizable_at(trace: &[Record], lock: LockId, lines: Vec<Line>) -> bool {
    let Some(calls) = calls(trace, lock, &lines) else { return false };
    let mut moments: Vec<(usize, bool, usize)> = Vec::new();
    for (no, call) in calls.iter().enumerate() {
        moments.push((call.begun, false, no));
        moments.extend(call.end.as_ref().map(|(place, _)| (*place, true, no)));
    }
    moments.sort_unstable();
    let mut tester = LinearizabilityTester::new(Guarded::default());
    // A call that may still take effect keeps its thread for itself.
    let thread = |no: usize| match &calls[no].end {
        Some(_) => (calls[no].node, usize::MAX),
        None => (calls[no].node, no),
    };
    for (_, is_end, no) in moments {
        let call = &calls[no];
        let told = match &call.end {
            Some((_, ret)) if is_end => tester.on_return(thread(no), ret.clone()),
            _ => tester.on_invoke(thread(no), call.op.clone()),
        };
        told.expect("one call after the other");
    }
    let reader = (NodeId(u8::MAX), 0);
    tester.on_invoke(reader, Op::Read).expect("nobody else reads");
    tester.on_return(reader, Ret::Lines(lines)).expect("it has asked");
    tester.is_consistent()
}

/// Which line of its author's this is: the last word of its text.
fn entry(text: &str) -> u32 {
    let number = text.rsplit(' ').next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no entry: {text}"))
}

fn is_linearizable(run: &Run) -> bool {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    let locks = u8::try_from(run.config.locks.len()).unwrap();
    (0..locks).map(LockId).all(|lock| {
        let lines = world.file(lock).into_iter().flat_map(Lines::iter);
        let lines = lines.map(|line| (line.client, entry(&line.text), line.token)).collect();
        is_linearizable_at(&trace, lock, lines)
    })
}

#[test]
fn storms_are_linearizable() {
    for seed in 0..300 {
        assert!(is_linearizable(&storm(seed, &BTreeSet::new())), "storm {seed}");
    }
}

/// The tester sees what is wrong, and our checkers see it too.
#[test]
fn without_protections_they_are_not() {
    for protection in [Protection::Fencing, Protection::Dedupe, Protection::DurableReplies] {
        let without = BTreeSet::from([protection]);
        let wrong: Vec<u64> =
            (0..100).filter(|seed| !is_linearizable(&storm(*seed, &without))).collect();
        println!("without {protection}: {} of 100 storms", wrong.len());
        assert!(!wrong.is_empty(), "without {protection}");
        for seed in wrong {
            let violated = storm(seed, &without).execute().first_violation;
            assert!(violated.is_some(), "storm {seed} without {protection}");
        }
    }
}
