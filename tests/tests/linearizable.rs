//! A file and its lock are linearizable in storms, as seen by the clients. The check uses only
//! calls and replies, and the linearizability tester of an independent library.

#![allow(clippy::wildcard_enum_match_arm, reason = "most records are irrelevant here")]

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::{
    CallResult, Lines, LockId, Message, NodeId, Number, Protection, Record, RecordKind, Run, World,
    storm,
};
use stateright::semantics::{ConsistencyTester as _, LinearizabilityTester, SequentialSpec};

/// A line: its client, its number among the lines of that client, and its token.
type Line = (NodeId, u32, Number);

/// The sequential specification: a lock and its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Guarded {
    /// The token of the last grant.
    token: Number,
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
    Granted(Number),
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
            // Tokens increase, but not by one: a client may miss its grant.
            (Op::Acquire, Ret::Granted(token)) => {
                let increases = *token > self.token;
                self.token = *token;
                increases
            }
            (op, ret) => self.invoke(op) == *ret,
        }
    }
}

/// A call as its client saw it: the indexes of the records in which it began and, if it ended,
/// ended.
#[derive(Debug)]
struct Call {
    node: NodeId,
    op: Op,
    begun: usize,
    end: Option<(usize, Ret)>,
}

/// Returns the relevant calls for one lock: acquires that were granted, appends that were
/// acknowledged, and appends whose line is in the file. Returns `None` if the server reported an
/// append as not applied although its line is in the file.
fn calls(trace: &[Record], lock: LockId, lines: &[Line]) -> Option<Vec<Call>> {
    let mut calls: Vec<Call> = Vec::new();
    let mut appends: BTreeMap<NodeId, u32> = BTreeMap::new();
    let mut open: BTreeMap<NodeId, Call> = BTreeMap::new();
    for (index, record) in trace.iter().enumerate() {
        let node = record.node;
        match record.kind {
            RecordKind::CallStarted { message, lock: of, token } => {
                // A client that makes a new call has abandoned the previous one.
                calls.extend(open.remove(&node));
                let op = match message {
                    Message::AcquireLock => Op::Acquire,
                    Message::AppendFile => {
                        let number = appends.entry(node).or_default();
                        *number += 1;
                        Op::Append((node, *number, token))
                    }
                    _ => continue,
                };
                if of == lock {
                    open.insert(node, Call { node, op, begun: index, end: None });
                }
            }
            RecordKind::CallEnded { lock: of, token, outcome: end, .. } if of == lock => {
                let Some(mut call) = open.remove(&node) else { continue };
                call.end = match (&call.op, end) {
                    (Op::Acquire, CallResult::Succeeded) => Some((index, Ret::Granted(token))),
                    (Op::Append(_), CallResult::Succeeded) => Some((index, Ret::Written)),
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
    // A call without an end has taken effect if its line is in the file, and otherwise has not.
    calls.retain(|call| match &call.op {
        Op::Append(line) => call.end.is_some() || lines.contains(line),
        Op::Acquire | Op::Read => call.end.is_some(),
    });
    Some(calls)
}

/// Returns whether the calls and the final lines are those of some sequential execution.
fn is_linearizable_at(trace: &[Record], lock: LockId, lines: Vec<Line>) -> bool {
    let Some(calls) = calls(trace, lock, &lines) else { return false };
    let mut boundaries: Vec<(usize, bool, usize)> = Vec::new();
    for (number, call) in calls.iter().enumerate() {
        boundaries.push((call.begun, false, number));
        boundaries.extend(call.end.as_ref().map(|(index, _)| (*index, true, number)));
    }
    boundaries.sort_unstable();
    let mut tester = LinearizabilityTester::new(Guarded::default());
    // A call without an end may take effect at any time, so it has its own thread.
    let thread = |number: usize| match &calls[number].end {
        Some(_) => (calls[number].node, usize::MAX),
        None => (calls[number].node, number),
    };
    for (_, is_end, number) in boundaries {
        let call = &calls[number];
        let result = match &call.end {
            Some((_, ret)) if is_end => tester.on_return(thread(number), ret.clone()),
            _ => tester.on_invoke(thread(number), call.op.clone()),
        };
        result.expect("each thread makes one call at a time");
    }
    let reader = (NodeId(u8::MAX), 0);
    tester.on_invoke(reader, Op::Read).expect("the reader is idle");
    tester.on_return(reader, Ret::Lines(lines)).expect("the reader has called");
    tester.is_consistent()
}

/// Returns the number of a line among those of its client: the last word of its text.
fn line_number(text: &str) -> u32 {
    let number = text.rsplit(' ').next().and_then(|word| word.parse().ok());
    number.unwrap_or_else(|| panic!("no number in {text}"))
}

fn is_linearizable(run: &Run) -> bool {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    let locks = u8::try_from(run.config.locks.len()).unwrap();
    (0..locks).map(LockId).all(|lock| {
        let lines = world.file(lock).into_iter().flat_map(Lines::iter);
        let lines = lines
            .map(|line| (line.client, line_number(&line.text), Number::from(line.token)))
            .collect();
        is_linearizable_at(&trace, lock, lines)
    })
}

#[test]
fn storms_are_linearizable() {
    for seed in 0..300 {
        assert!(is_linearizable(&storm(seed, &BTreeSet::new())), "storm {seed}");
    }
}

/// The tester detects violations, and the project's own checkers detect the same ones.
#[test]
fn storms_without_a_protection_are_not_linearizable() {
    for protection in [Protection::Fencing, Protection::Dedupe, Protection::DurableReplies] {
        let without = BTreeSet::from([protection]);
        let violations: Vec<u64> =
            (0..100).filter(|seed| !is_linearizable(&storm(*seed, &without))).collect();
        println!("without {protection}: {} of 100 storms", violations.len());
        assert!(!violations.is_empty(), "without {protection}");
        for seed in violations {
            let violated = storm(seed, &without).execute().first_violation;
            assert!(violated.is_some(), "storm {seed} without {protection}");
        }
    }
}
