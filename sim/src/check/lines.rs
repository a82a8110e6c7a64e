//! Who stands in line for each lock, as the records tell, and which locks are free although
//! somebody waits.

use leasehold_core::limits::SILENCE_MAX;

use crate::moment::Moment;
use crate::trace::LockNo;

#[derive(Clone, Debug)]
pub(super) struct Lines {
    waiting: Vec<Vec<Waiter>>,
    /// Locks that are free although somebody who is heard waits. Each goes to one of those before
    /// any time has passed.
    idle: Vec<LockNo>,
    idle_since: Moment,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    session: u32,
    seq: u32,
    heard_ms: u32,
    /// Whether it has said a word to this life of the server. One that has not can't be told from
    /// one that died, whatever its time.
    spoke: bool,
}

impl Waiter {
    const fn is_silent(self, local_ms: u32) -> bool {
        local_ms.saturating_sub(self.heard_ms) as u64 >= SILENCE_MAX.as_millis()
    }
}

impl Lines {
    pub(super) fn new(locks: usize) -> Self {
        Self { waiting: vec![Vec::new(); locks], idle: Vec::new(), idle_since: Moment::START }
    }

    pub(super) fn stand(&mut self, lock: LockNo, (session, seq): (u32, u32), heard_ms: u32) {
        if let Some(line) = self.waiting.get_mut(usize::from(lock.0)) {
            line.push(Waiter { session, seq, heard_ms, spoke: true });
        }
    }

    /// What the journal holds of a line. Who is in it is taken as heard, and has said nothing.
    pub(super) fn keep(&mut self, lock: LockNo, (session, seq): (u32, u32), heard_ms: u32) {
        if let Some(line) = self.waiting.get_mut(usize::from(lock.0)) {
            line.push(Waiter { session, seq, heard_ms, spoke: false });
        }
    }

    pub(super) fn leave(&mut self, lock: LockNo, (session, seq): (u32, u32)) {
        let Some(line) = self.waiting.get_mut(usize::from(lock.0)) else { return };
        line.retain(|it| (it.session, it.seq) != (session, seq));
        if line.is_empty() {
            self.idle.retain(|idle| *idle != lock);
        }
    }

    /// Somebody asks again for what it waits for. Says for which lock.
    pub(super) fn hear(&mut self, session: u32, seq: u32, local_ms: u32) -> Option<LockNo> {
        for (no, line) in (0_u8..).zip(&mut self.waiting) {
            let mut waiters = line.iter_mut();
            if let Some(waiter) = waiters.find(|it| (it.session, it.seq) == (session, seq)) {
                (waiter.heard_ms, waiter.spoke) = (local_ms, true);
                return Some(LockNo(no));
            }
        }
        None
    }

    /// Whether a grant passes over somebody who is heard; nothing where nobody waits.
    pub(super) fn passes_over(
        &self,
        lock: LockNo,
        (session, seq): (u32, u32),
        local_ms: u32,
    ) -> Option<bool> {
        let line = self.waiting.get(usize::from(lock.0)).filter(|line| !line.is_empty())?;
        let place = line.iter().position(|it| (it.session, it.seq) == (session, seq));
        let before = &line[..place.unwrap_or(line.len())];
        Some(before.iter().any(|it| it.session != session && !it.is_silent(local_ms)))
    }

    /// The lock is free at this moment. Whoever waits for it, and is heard, is owed it.
    pub(super) fn free(&mut self, lock: LockNo, at: Moment, local_ms: u32) {
        let Some(line) = self.waiting.get(usize::from(lock.0)) else { return };
        if line.iter().any(|it| it.spoke && !it.is_silent(local_ms)) && !self.idle.contains(&lock) {
            self.idle.push(lock);
            self.idle_since = at;
        }
    }

    pub(super) fn take(&mut self, lock: LockNo) {
        self.idle.retain(|idle| *idle != lock);
    }

    /// Whether a lock that is owed to somebody was left lying until now.
    pub(super) fn is_late(&self, at: Moment) -> bool {
        !self.idle.is_empty() && self.idle_since < at
    }

    /// The server's memory is gone: it owes nothing until it has heard somebody.
    pub(super) fn owe_nothing(&mut self) {
        self.idle.clear();
    }

    pub(super) fn clear(&mut self) {
        self.waiting.iter_mut().for_each(Vec::clear);
        self.idle.clear();
    }
}
