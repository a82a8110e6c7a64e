//! The text of a flag: how a record violates an invariant, in a few words.

use super::Explainer;
use super::exactly_once::Repetition;
use super::violation::{believer, find_last, first_waiter};
use crate::check::Invariant;
use crate::trace::{NodeId, Record, RecordId, RecordKind};

/// The maximum length of a flag, in characters.
const FLAG_LEN_MAX: usize = 40;

impl Explainer<'_> {
    /// Returns how a record violates an invariant, in at most 40 characters, such as
    /// `S2 · token went backwards: 1 after 2`.
    pub fn flag(&self, invariant: Invariant, witness: RecordId) -> String {
        let before = witness.index().and_then(|index| self.trace.get(..index));
        let detailed = self.record(witness).zip(before).and_then(|(record, before)| {
            let words = self.flag_words(invariant, record, before)?;
            let flag = format!("{invariant} · {words}");
            (flag.chars().count() <= FLAG_LEN_MAX).then_some(flag)
        });
        detailed.unwrap_or_else(|| format!("{invariant} · {}", short_words(invariant)))
    }

    /// Returns the words with the names and numbers of the record.
    fn flag_words(
        &self,
        invariant: Invariant,
        record: &Record,
        before: &[Record],
    ) -> Option<String> {
        match (invariant, record.kind) {
            (Invariant::S1, RecordKind::LockGranted { lock, .. }) => {
                Some(format!("{} granted twice", self.lock_name(lock)))
            }
            (Invariant::S2, RecordKind::FileAppended { lock, token, .. }) => {
                let (_, higher, _) = find_last(before, |it| {
                    let RecordKind::FileAppended { lock: file, token, .. } = it.kind else {
                        return None;
                    };
                    (file == lock).then_some(token)
                })?;
                Some(format!("token went backwards: {token} after {higher}"))
            }
            (Invariant::S3, _) => self.repetition(record, before).map(|it| match it {
                Repetition::Request => "request executed twice".to_owned(),
                Repetition::Line => "line written twice".to_owned(),
                Repetition::Rejected => "rejected request executed".to_owned(),
                Repetition::Reply => "reply contradicts an earlier one".to_owned(),
                Repetition::Outcome => "client learns a false outcome".to_owned(),
            }),
            (Invariant::S4, RecordKind::FileAppended { client, .. }) => {
                Some(format!("{} writes without the lock", self.node_name(client)))
            }
            (Invariant::S6, RecordKind::LockReleased { client, origin, .. }) => {
                let (origin, client) = (self.node_name(origin), self.node_name(client));
                Some(format!("{origin} released {client}'s lock"))
            }
            (Invariant::S7, _) => {
                let client = believer(record, before)?;
                Some(format!("{} wrongly believes", self.node_name(client)))
            }
            (Invariant::S8, RecordKind::LockGranted { lock, client, .. }) => {
                let first = first_waiter(lock, client, before)?;
                let (first, client) = (self.node_name(first.client), self.node_name(client));
                Some(format!("{client} before {first}"))
            }
            (Invariant::L2, _) => {
                let unserved: Vec<NodeId> = self.unfinished(before).collect();
                let names: Vec<String> = unserved.iter().map(|it| self.node_name(*it)).collect();
                Some(format!("not served: {}", names.join(", ")))
            }
            (
                Invariant::S1
                | Invariant::S2
                | Invariant::S4
                | Invariant::S5
                | Invariant::S6
                | Invariant::S8
                | Invariant::L1,
                _,
            ) => None,
        }
    }
}

/// Returns words that fit whatever the names are.
const fn short_words(invariant: Invariant) -> &'static str {
    match invariant {
        Invariant::S1 => "lock granted twice",
        Invariant::S2 => "token went backwards",
        Invariant::S3 => "not executed exactly once",
        Invariant::S4 => "append without the lock",
        Invariant::S5 => "acknowledged state was lost",
        Invariant::S6 => "another client's lock released",
        Invariant::S7 => "belief without a tenure",
        Invariant::S8 => "free lock not given to the first",
        Invariant::L1 => "lease expired, lock still held",
        Invariant::L2 => "not every client was served",
    }
}
