//! The tenures that clients believe to hold (S7).

use crate::trace::{LockId, NodeId, Number};
use crate::virtual_time::VirtualTime;

/// A belief: lock, token, and the end of the belief.
type Belief = (LockId, Number, VirtualTime);

#[derive(Clone, Debug)]
pub(super) struct Beliefs(Vec<Vec<Belief>>);

impl Beliefs {
    pub(super) fn new(clients: usize) -> Self {
        Self(vec![Vec::new(); clients + 1])
    }

    pub(super) fn insert(&mut self, client: NodeId, belief: Belief) {
        self.remove(client, belief.0, belief.1);
        if let Some(beliefs) = self.0.get_mut(usize::from(client.0)) {
            beliefs.push(belief);
        }
    }

    pub(super) fn remove(&mut self, client: NodeId, lock: LockId, token: Number) {
        if let Some(beliefs) = self.0.get_mut(usize::from(client.0)) {
            beliefs.retain(|it| (it.0, it.1) != (lock, token));
        }
    }

    /// Returns the beliefs that are active at this time.
    pub(super) fn active_at(&self, time: VirtualTime) -> impl Iterator<Item = &Belief> {
        self.0.iter().flatten().filter(move |(_, _, until)| *until > time)
    }
}
