//! How an invariant was violated, in the words of the case at hand.

#![allow(clippy::wildcard_enum_match_arm, reason = "each looks for a few kinds among all")]

use std::collections::BTreeMap;

use leasehold_core::event::ReleaseCause;

use super::Teller;
use crate::check::Invariant;
use crate::moment::Moment;
use crate::trace::{Kind, LockNo, NodeNo, Record, RecordNo};

/// What is wrong at a witness.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// What, as a sentence without the stop at its end.
    pub text: String,
    /// The records that it rests on, besides the witness.
    pub rests_on: Vec<RecordNo>,
}

/// A belief: whose, in which lock, and until when.
type Belief = (NodeNo, LockNo, Moment);

impl Teller<'_> {
    /// How this record violates this invariant; nothing where there is no such record.
    pub fn violation(&self, invariant: Invariant, witness: RecordNo) -> Option<Violation> {
        let record = self.record(witness)?;
        let before = &self.trace[..witness.place()?];
        let special = match invariant {
            Invariant::S1 | Invariant::S6 | Invariant::L1 => None,
            Invariant::S2 => tokens_decrease(record, before),
            Invariant::S3 => self.not_once_for_all(record, before),
            Invariant::S4 => self.not_the_holder(record, before),
            Invariant::S5 => self.forgotten_promise(record, before),
            Invariant::S7 => self.false_belief(record, before),
            Invariant::S8 => {
                self.passed_over(record, before).or_else(|| self.left_lying(record, before))
            }
            Invariant::L2 => Some(self.stuck(before)),
        };
        let plain = || Violation { text: self.plain(invariant, record), rests_on: Vec::new() };
        Some(special.unwrap_or_else(plain))
    }

    fn plain(&self, invariant: Invariant, record: &Record) -> String {
        match (invariant, record.kind) {
            (Invariant::S1, Kind::LockGranted { lock, .. }) => {
                format!("{} is granted while another tenure is live", self.lock(lock))
            }
            (Invariant::S6, Kind::LockReleased { client, by, .. }) => {
                format!("{} ends what {} holds", self.node(by), self.node(client))
            }
            (Invariant::L1, _) => "a lease is over, and its lock is still held".to_owned(),
            (other, _) => other.sentence().to_owned(),
        }
    }

    fn not_the_holder(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let Kind::FileAppended { lock, client, token, .. } = record.kind else { return None };
        let (writer, name) = (self.node(client), self.lock(lock));
        let tenure = last(before, |it| match it.kind {
            Kind::LockGranted { lock: of, client, token, .. } if of == lock => {
                Some(Some((client, token)))
            }
            Kind::LockReleased { lock: of, .. } if of == lock => Some(None),
            _ => None,
        });
        let Some((place, holder, at)) = tenure else {
            let text = format!("{writer} writes, and nobody has ever held {name}");
            return Some(Violation { text, rests_on: Vec::new() });
        };
        let text = match holder {
            Some((holder, held)) if (holder, held) != (client, token) => {
                let holder = self.node(holder);
                format!(
                    "{writer} writes under token {token}, while {holder} holds {name} (token {held})"
                )
            }
            Some(_) => format!("{writer}'s lease was over when its line was written"),
            None => format!("{writer} writes, and nobody has held {name} since {at}"),
        };
        Some(Violation { text, rests_on: vec![place] })
    }

    fn forgotten_promise(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let Kind::Recovered { through, .. } = record.kind else { return None };
        let (place, client, _) = last(before, |it| match it.kind {
            Kind::SessionOpened { client, index, .. }
            | Kind::SessionClosed { client, index, .. }
            | Kind::SessionExpired { client, index, .. }
            | Kind::LockQueued { client, index, .. }
            | Kind::LockGranted { client, index, .. }
            | Kind::LockReleased { client, index, .. }
            | Kind::WaitEnded { client, index, .. }
            | Kind::FileAppended { client, index, .. } => (index > through).then_some(client),
            _ => None,
        })?;
        let client = self.node(client);
        let text = format!("the server has forgotten what it had told {client} already");
        Some(Violation { text, rests_on: vec![place] })
    }

    fn false_belief(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let lock = match record.kind {
            Kind::LockReleased { lock, .. } | Kind::Believed { lock, .. } => Some(lock),
            _ => None,
        };
        let (rests_on, (client, lock, until)) = believer(record, before, lock)?;
        let (client, name) = (self.node(client), self.lock(lock));
        let text = match record.kind {
            Kind::LockReleased { cause: ReleaseCause::LeaseExpired, .. } => {
                format!("the server takes {name} from {client}, which counts on it until {until}")
            }
            _ => format!("{client} believes until {until} that it holds {name}, and it does not"),
        };
        Some(Violation { text, rests_on })
    }

    fn passed_over(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let Kind::LockGranted { lock, client, .. } = record.kind else { return None };
        let mut line: Vec<(NodeNo, u32, RecordNo)> = Vec::new();
        for (place, it) in (0_u32..).zip(before) {
            match it.kind {
                Kind::LockQueued { lock: of, client, session, .. } if of == lock => {
                    line.push((client, session, RecordNo(place)));
                }
                Kind::WaitEnded { lock: of, session, .. }
                | Kind::LockGranted { lock: of, session, .. }
                    if of == lock =>
                {
                    line.retain(|(_, waiting, _)| *waiting != session);
                }
                _ => {}
            }
        }
        let (first, _, place) = line.into_iter().find(|(first, _, _)| *first != client)?;
        let text = format!("{} came before {}", self.node(first), self.node(client));
        Some(Violation { text, rests_on: vec![place] })
    }

    /// A lock that is free, and somebody who waits for it.
    fn left_lying(&self, record: &Record, before: &[Record]) -> Option<Violation> {
        let mut free: BTreeMap<LockNo, RecordNo> = BTreeMap::new();
        let mut heard: Vec<(LockNo, NodeNo, u32, RecordNo)> = Vec::new();
        for (place, it) in (0_u32..).zip(before.iter().filter(|it| it.at < record.at)) {
            let place = RecordNo(place);
            match it.kind {
                Kind::LockReleased { lock, .. } => drop(free.insert(lock, place)),
                Kind::Kept { lock, .. } => drop(free.remove(&lock)),
                Kind::Recovered { .. } => {
                    heard.clear();
                    let locks = (0_u8..).map(LockNo).take(self.run.config.locks.len());
                    free = locks.map(|lock| (lock, place)).collect();
                }
                Kind::LockQueued { lock, client, session, .. }
                | Kind::KeptWait { lock, client, session, .. } => {
                    heard.push((lock, client, session, place));
                }
                Kind::DuplicateAnswered { session, .. } => {
                    let asks = heard.iter_mut().filter(|waiter| waiter.2 == session);
                    asks.for_each(|waiter| waiter.3 = place);
                }
                Kind::LockGranted { lock, session, .. } => {
                    free.remove(&lock);
                    heard.retain(|waiter| (waiter.0, waiter.2) != (lock, session));
                }
                Kind::WaitEnded { lock, session, .. } => {
                    heard.retain(|waiter| (waiter.0, waiter.2) != (lock, session));
                }
                _ => {}
            }
        }
        heard.retain(|waiter| free.contains_key(&waiter.0));
        let (lock, client, _, asked) = heard.into_iter().max_by_key(|waiter| waiter.3)?;
        let (name, client, since) = (self.lock(lock), self.node(client), *free.get(&lock)?);
        let text = format!("{name} is left lying, though {client} waits for it and is heard");
        Some(Violation { text, rests_on: vec![since, asked] })
    }

    fn stuck(&self, before: &[Record]) -> Violation {
        let clients = (1_u8..).take(self.run.config.clients.len()).map(NodeNo);
        let finished =
            |node| before.iter().any(|it| it.node == node && matches!(it.kind, Kind::Finished));
        let stuck: Vec<String> =
            clients.filter(|node| !finished(*node)).map(|node| self.node(node)).collect();
        let text = format!("nothing fails any more, and {} can't go on", stuck.join(", "));
        Violation { text, rests_on: Vec::new() }
    }
}

fn tokens_decrease(record: &Record, before: &[Record]) -> Option<Violation> {
    let Kind::FileAppended { lock, token, .. } = record.kind else { return None };
    let (place, higher, at) = last(before, |it| match it.kind {
        Kind::FileAppended { lock: file, token, .. } if file == lock => Some(token),
        _ => None,
    })?;
    let text = format!("token {token} comes after token {higher}, written at {at}");
    Some(Violation { text, rests_on: vec![place] })
}

/// Somebody who believes, and the record that tells of it.
fn believer(
    record: &Record,
    before: &[Record],
    of: Option<LockNo>,
) -> Option<(Vec<RecordNo>, Belief)> {
    if let Kind::Believed { lock, until, .. } = record.kind {
        return Some((Vec::new(), (record.node, lock, until)));
    }
    let (place, belief, _) = last(before, |it| match it.kind {
        Kind::Believed { lock, until, .. }
            if until > record.at && of.is_none_or(|of| of == lock) =>
        {
            Some((it.node, lock, until))
        }
        _ => None,
    })?;
    Some((vec![place], belief))
}

/// The last record of which this is so, what it says, and when it was.
pub(super) fn last<T>(
    records: &[Record],
    look: impl Fn(&Record) -> Option<T>,
) -> Option<(RecordNo, T, Moment)> {
    let mut places = records.iter().enumerate().rev();
    places.find_map(|(place, record)| {
        let no = RecordNo(u32::try_from(place).ok()?);
        Some((no, look(record)?, record.at))
    })
}
