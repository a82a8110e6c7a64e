//! The script of a simulated client, step by step, and the steps that it performs under the enabled
//! protections.

use std::collections::BTreeSet;

use serde::Serialize;

use leasehold_core::deserialize_from_fields;
use leasehold_core::fields::{Error, Fields, FromFields, unknown_variant};
use leasehold_core::id::Name;

use super::protection::Protection;

/// One step of a script. Durations are in milliseconds of virtual time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum ScriptStep {
    /// Acquires a lock, and retries until it is granted.
    Acquire {
        /// The lock.
        lock: Name,
        /// How long a request may wait in the queue. With 0 the request never waits: it is refused
        /// if the lock is held, and the client retries later.
        wait_ms: u64,
        /// The hold limit that the client requests.
        #[serde(skip_serializing_if = "Option::is_none")]
        hold_ms: Option<u64>,
        /// After how long the client cancels its wait and continues after the step that releases
        /// this lock.
        #[serde(skip_serializing_if = "Option::is_none")]
        give_up_ms: Option<u64>,
        /// The lock that the client releases if this one is held. It then retries from the step
        /// that acquires that lock.
        #[serde(skip_serializing_if = "Option::is_none")]
        or_release: Option<Name>,
    },
    /// Does unrelated work, with or without holding a lock.
    Work {
        /// The duration.
        ms: u64,
    },
    /// Appends a line to a file.
    Append {
        /// The file, by the name of its lock.
        file: Name,
        /// Whether the client first checks that it still holds the lock. If it does not, the client
        /// returns to the step that acquires the lock.
        check: bool,
        /// How much time passes between the check and the request.
        gap_ms: u64,
    },
    /// Releases a lock.
    Release {
        /// The lock.
        lock: Name,
    },
    /// Reads a file. The protocol has no request for this: clients read the published file.
    Read {
        /// The file, by the name of its lock.
        file: Name,
        /// The number of lines that a writer appends during one tenure. A read that sees fewer of
        /// the last tenure's lines is torn.
        update_lines: u32,
    },
    /// Closes the session.
    Close,
    /// Restarts the script at its first step.
    Repeat {
        /// How many times.
        times: u32,
    },
}

impl ScriptStep {
    /// Returns the locks that the step names, by themselves or by their files.
    pub fn locks(&self) -> impl Iterator<Item = &Name> {
        let (first, second) = match self {
            Self::Acquire { lock, or_release, .. } => (Some(lock), or_release.as_ref()),
            Self::Append { file: lock, .. }
            | Self::Release { lock }
            | Self::Read { file: lock, .. } => (Some(lock), None),
            Self::Work { .. } | Self::Close | Self::Repeat { .. } => (None, None),
        };
        first.into_iter().chain(second)
    }
}

deserialize_from_fields!(ScriptStep);

impl FromFields for ScriptStep {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("do")?;
        Ok(match &*tag {
            "acquire" => Self::Acquire {
                lock: fields.take("lock")?,
                wait_ms: fields.take_or("wait_ms", 0)?,
                hold_ms: fields.take_optional("hold_ms")?,
                give_up_ms: fields.take_optional("give_up_ms")?,
                or_release: fields.take_optional("or_release")?,
            },
            "work" => Self::Work { ms: fields.take("ms")? },
            "append" => Self::Append {
                file: fields.take("file")?,
                check: fields.take_or("check", true)?,
                gap_ms: fields.take_or("gap_ms", 0)?,
            },
            "release" => Self::Release { lock: fields.take("lock")? },
            "read" => Self::Read {
                file: fields.take("file")?,
                update_lines: fields.take_or("update_lines", 1)?,
            },
            "close" => Self::Close,
            "repeat" => Self::Repeat { times: fields.take("times")? },
            _ => return Err(unknown_variant(&tag)),
        })
    }
}

/// How long a client waits for the lock of a file that it reads, in milliseconds.
const READ_WAIT_MS: u64 = 60_000;

/// Returns the steps that a client with this script performs. `locks` are all locks, in their
/// global order.
///
/// - With `lock-order`, acquires that only work separates are performed in the global order. A
///   client that releases what it holds instead of waiting cannot deadlock: it keeps its order.
/// - With `read-lock`, a client acquires the lock of a file before it reads the file, and releases
///   it afterwards, unless it holds the lock anyway.
pub(super) fn performed_steps(
    script: &[ScriptStep],
    locks: &[Name],
    without: &BTreeSet<Protection>,
) -> Vec<ScriptStep> {
    let mut steps = script.to_vec();
    if !without.contains(&Protection::LockOrder) {
        sort_acquires(&mut steps, locks);
    }
    if !without.contains(&Protection::ReadLock) {
        steps = with_read_locks(steps);
    }
    steps
}

/// Sorts the acquires of each block: a sequence of steps that only acquire and work.
fn sort_acquires(steps: &mut [ScriptStep], locks: &[Name]) {
    let in_block =
        |step: &ScriptStep| matches!(step, ScriptStep::Acquire { .. } | ScriptStep::Work { .. });
    for block in steps.chunk_by_mut(|a, b| in_block(a) == in_block(b)) {
        let backs_off =
            |step: &ScriptStep| matches!(step, ScriptStep::Acquire { or_release: Some(_), .. });
        if block.iter().any(backs_off) {
            continue;
        }
        let acquires = block.iter().filter(|it| matches!(it, ScriptStep::Acquire { .. }));
        let mut sorted: Vec<ScriptStep> = acquires.cloned().collect();
        sorted.sort_by_cached_key(|step| lock_position(step, locks).map_or(0, |it| it as u64 + 1));
        let slots = block.iter_mut().filter(|it| matches!(it, ScriptStep::Acquire { .. }));
        for (slot, step) in slots.zip(sorted) {
            *slot = step;
        }
    }
}

fn lock_position(step: &ScriptStep, locks: &[Name]) -> Option<usize> {
    let ScriptStep::Acquire { lock, .. } = step else { return None };
    locks.iter().position(|it| it == lock)
}

fn with_read_locks(steps: Vec<ScriptStep>) -> Vec<ScriptStep> {
    let (mut locked_steps, mut held) = (Vec::with_capacity(steps.len()), BTreeSet::new());
    for step in steps {
        match &step {
            ScriptStep::Acquire { lock, .. } => {
                held.insert(lock.clone());
            }
            ScriptStep::Release { lock } => {
                held.remove(lock);
            }
            ScriptStep::Close => held.clear(),
            ScriptStep::Read { file, .. } if !held.contains(file) => {
                let lock = file.clone();
                locked_steps.push(ScriptStep::Acquire {
                    lock: lock.clone(),
                    wait_ms: READ_WAIT_MS,
                    hold_ms: None,
                    give_up_ms: None,
                    or_release: None,
                });
                locked_steps.extend([step, ScriptStep::Release { lock }]);
                continue;
            }
            ScriptStep::Read { .. }
            | ScriptStep::Work { .. }
            | ScriptStep::Append { .. }
            | ScriptStep::Repeat { .. } => {}
        }
        locked_steps.push(step);
    }
    locked_steps
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(json: &str) -> Vec<ScriptStep> {
        serde_json::from_str(json).unwrap()
    }

    #[track_caller]
    fn check(given: &str, without: &[Protection], performed: &str) {
        let locks = ["a", "b", "c"].map(|name| Name::new(name).unwrap());
        let without = without.iter().copied().collect();
        assert_eq!(performed_steps(&script(given), &locks, &without), script(performed));
    }

    #[test]
    fn acquires_of_a_block_are_sorted_with_lock_order() {
        let given = r#"[{"do":"acquire","lock":"c"},{"do":"work","ms":5},
            {"do":"acquire","lock":"a"},{"do":"append","file":"a"},{"do":"acquire","lock":"b"}]"#;
        let sorted = r#"[{"do":"acquire","lock":"a"},{"do":"work","ms":5},
            {"do":"acquire","lock":"c"},{"do":"append","file":"a"},{"do":"acquire","lock":"b"}]"#;
        check(given, &[], sorted);
        check(given, &[Protection::LockOrder], given);
        let backs_off = r#"[{"do":"acquire","lock":"c"},
            {"do":"acquire","lock":"a","or_release":"c"}]"#;
        check(backs_off, &[], backs_off);
    }

    #[test]
    fn reads_are_enclosed_in_a_tenure_with_read_lock() {
        let given = r#"[{"do":"read","file":"a"},{"do":"acquire","lock":"b"},
            {"do":"read","file":"b"}]"#;
        let locked = r#"[{"do":"acquire","lock":"a","wait_ms":60000},{"do":"read","file":"a"},
            {"do":"release","lock":"a"},{"do":"acquire","lock":"b"},{"do":"read","file":"b"}]"#;
        check(given, &[], locked);
        check(given, &[Protection::ReadLock], given);
    }
}
