//! The wait queue of each lock, derived from the records, and the locks that are free although an
//! active client waits (S8).

use leasehold_core::limits::SILENCE_MAX;

use crate::trace::{LockId, Number};
use crate::virtual_time::VirtualTime;

#[derive(Clone, Debug)]
pub(super) struct WaitQueues {
    queues: Vec<Vec<Waiter>>,
    /// Free locks with an active waiter. Each must be granted before virtual time advances.
    idle_locks: Vec<LockId>,
    idle_since: VirtualTime,
}

#[derive(Clone, Copy, Debug)]
struct Waiter {
    session: Number,
    seq: Number,
    /// When the server last received its request; `None` if that was before the observer began.
    last_seen_ms: Option<u64>,
    /// Whether it has sent a request since the last start of the server. Until then the server
    /// cannot distinguish it from a crashed client.
    seen_since_restart: bool,
}

impl Waiter {
    /// Whether the server may pass over it. A waiter about which too little is known may be silent.
    fn may_be_silent(self, local_ms: u64) -> bool {
        self.last_seen_ms
            .is_none_or(|seen_ms| local_ms.saturating_sub(seen_ms) >= SILENCE_MAX.as_millis())
    }
}

impl WaitQueues {
    pub(super) fn new(locks: usize) -> Self {
        Self {
            queues: vec![Vec::new(); locks],
            idle_locks: Vec::new(),
            idle_since: VirtualTime::START,
        }
    }

    pub(super) fn enqueue(
        &mut self,
        lock: LockId,
        (session, seq): (Number, Number),
        last_seen_ms: u64,
    ) {
        if let Some(queue) = self.queues.get_mut(usize::from(lock.0)) {
            queue.push(Waiter {
                session,
                seq,
                last_seen_ms: Some(last_seen_ms),
                seen_since_restart: true,
            });
        }
    }

    /// Restores a waiter: from the log of a server that starts at `last_seen_ms` and measures its
    /// silence from then on, or from the state of a running server.
    pub(super) fn restore(
        &mut self,
        lock: LockId,
        (session, seq): (Number, Number),
        last_seen_ms: Option<u64>,
    ) {
        if let Some(queue) = self.queues.get_mut(usize::from(lock.0)) {
            queue.push(Waiter { session, seq, last_seen_ms, seen_since_restart: false });
        }
    }

    pub(super) fn dequeue(&mut self, lock: LockId, (session, seq): (Number, Number)) {
        let Some(queue) = self.queues.get_mut(usize::from(lock.0)) else { return };
        queue.retain(|it| (it.session, it.seq) != (session, seq));
        if queue.is_empty() {
            self.idle_locks.retain(|idle| *idle != lock);
        }
    }

    /// Records a retry of a waiting request, and returns its lock.
    pub(super) fn observe_retry(
        &mut self,
        session: Number,
        seq: Number,
        local_ms: u64,
    ) -> Option<LockId> {
        for (id, queue) in (0_u8..).zip(&mut self.queues) {
            let mut waiters = queue.iter_mut();
            if let Some(waiter) = waiters.find(|it| (it.session, it.seq) == (session, seq)) {
                (waiter.last_seen_ms, waiter.seen_since_restart) = (Some(local_ms), true);
                return Some(LockId(id));
            }
        }
        None
    }

    /// Whether a grant passes over an active waiter; `None` if the queue is empty.
    pub(super) fn would_pass_over(
        &self,
        lock: LockId,
        (session, seq): (Number, Number),
        local_ms: u64,
    ) -> Option<bool> {
        let queue = self.queues.get(usize::from(lock.0)).filter(|queue| !queue.is_empty())?;
        let position = queue.iter().position(|it| (it.session, it.seq) == (session, seq));
        let before = &queue[..position.unwrap_or(queue.len())];
        Some(before.iter().any(|it| it.session != session && !it.may_be_silent(local_ms)))
    }

    /// Records that a lock is free, if an active client waits for it.
    pub(super) fn mark_idle(&mut self, lock: LockId, at: VirtualTime, local_ms: u64) {
        let Some(queue) = self.queues.get(usize::from(lock.0)) else { return };
        if queue.iter().any(|it| it.seen_since_restart && !it.may_be_silent(local_ms))
            && !self.idle_locks.contains(&lock)
        {
            self.idle_locks.push(lock);
            self.idle_since = at;
        }
    }

    pub(super) fn mark_taken(&mut self, lock: LockId) {
        self.idle_locks.retain(|idle| *idle != lock);
    }

    /// Whether time has advanced while a lock was free although an active client waited for it.
    pub(super) fn has_overdue_lock(&self, at: VirtualTime) -> bool {
        !self.idle_locks.is_empty() && self.idle_since < at
    }

    /// Discards the free locks: after a crash the server cannot grant before clients contact it,
    /// and after a gap the grant may not have been observed.
    pub(super) fn clear_idle(&mut self) {
        self.idle_locks.clear();
    }

    pub(super) fn clear(&mut self) {
        self.queues.iter_mut().for_each(Vec::clear);
        self.idle_locks.clear();
    }
}
