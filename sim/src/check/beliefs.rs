//! What clients believe to hold, and until when (S7).

use crate::moment::Moment;
use crate::trace::{LockNo, NodeNo};

/// A belief: in which lock, under which token, and until when.
type Belief = (LockNo, u32, Moment);

#[derive(Clone, Debug)]
pub(super) struct Beliefs(Vec<Vec<Belief>>);

impl Beliefs {
    pub(super) fn new(clients: usize) -> Self {
        Self(vec![Vec::new(); clients + 1])
    }

    pub(super) fn believe(&mut self, client: NodeNo, belief: Belief) {
        self.disbelieve(client, belief.0, belief.1);
        if let Some(beliefs) = self.0.get_mut(usize::from(client.0)) {
            beliefs.push(belief);
        }
    }

    pub(super) fn disbelieve(&mut self, client: NodeNo, lock: LockNo, token: u32) {
        if let Some(beliefs) = self.0.get_mut(usize::from(client.0)) {
            beliefs.retain(|it| (it.0, it.1) != (lock, token));
        }
    }

    /// All that is believed at this moment.
    pub(super) fn at(&self, at: Moment) -> impl Iterator<Item = &Belief> {
        self.0.iter().flatten().filter(move |(_, _, until)| *until > at)
    }
}
