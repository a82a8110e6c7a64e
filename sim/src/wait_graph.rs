//! The wait-for graph: which client waits for which lock, and which client holds that lock.
//!
//! A cycle in it is a deadlock: no client of the cycle gets its lock before another one gives up.

use std::collections::BTreeMap;

use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::State;

use super::trace::{LockId, NodeId, RecordKind};

/// Holders and waiters, of clients `C` and locks `L`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WaitGraph<C, L> {
    /// A lock that was released stays, without a holder.
    holders: BTreeMap<L, Option<C>>,
    /// The locks that each client waits for.
    waits: BTreeMap<C, Vec<L>>,
}

/// One edge of a cycle: the client waits for the lock, and the client of the next edge holds it.
/// The client of the first edge holds the lock of the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitEdge<C, L> {
    /// The client that waits.
    pub waiter: C,
    /// The lock that it waits for.
    pub lock: L,
}

/// A client on the path of the depth-first search.
struct PathNode<'a, C, L> {
    client: C,
    /// The lock that leads to the next client of the path.
    lock: Option<L>,
    /// The other locks that it waits for.
    unexplored: &'a [L],
}

impl<C, L> Default for WaitGraph<C, L> {
    fn default() -> Self {
        Self { holders: BTreeMap::new(), waits: BTreeMap::new() }
    }
}

impl<C: Copy + Ord, L: Copy + Ord> WaitGraph<C, L> {
    /// Sets the holder of a lock.
    pub fn set_holder(&mut self, lock: L, holder: Option<C>) {
        if holder.is_some() || self.holders.contains_key(&lock) {
            self.holders.insert(lock, holder);
        }
    }

    /// Adds a client to the waiters of a lock.
    pub fn add_wait(&mut self, waiter: C, lock: L) {
        let locks = self.waits.entry(waiter).or_default();
        if !locks.contains(&lock) {
            locks.push(lock);
        }
    }

    /// Removes a client from the waiters of a lock.
    pub fn remove_wait(&mut self, waiter: C, lock: L) {
        if let Some(locks) = self.waits.get_mut(&waiter) {
            locks.retain(|it| *it != lock);
        }
    }

    /// Returns cycles such that every client that is part of a deadlock can reach one of them. Each
    /// cycle begins with its smallest client.
    pub fn cycles(&self) -> Vec<Vec<WaitEdge<C, L>>> {
        let (mut explored, mut cycles) = (BTreeMap::new(), Vec::new());
        for start in self.waits.keys() {
            if !explored.contains_key(start) {
                self.explore(*start, &mut explored, &mut cycles);
            }
        }
        cycles
    }

    /// Searches depth-first from a client. Iterative, because a chain of waits can be long.
    /// `explored` has each visited client, with its position while it is on the path.
    fn explore(
        &self,
        start: C,
        explored: &mut BTreeMap<C, Option<usize>>,
        cycles: &mut Vec<Vec<WaitEdge<C, L>>>,
    ) {
        let node = |client: C| {
            let unexplored = self.waits.get(&client).map_or(&[][..], Vec::as_slice);
            PathNode { client, lock: None, unexplored }
        };
        explored.insert(start, Some(0));
        let mut path = vec![node(start)];
        while let Some(last) = path.last_mut() {
            let Some((lock, unexplored)) = last.unexplored.split_first() else {
                explored.insert(last.client, None);
                path.pop();
                continue;
            };
            (last.lock, last.unexplored) = (Some(*lock), unexplored);
            let Some(holder) = self.holders.get(lock).copied().flatten() else { continue };
            match explored.get(&holder) {
                Some(Some(first)) => cycles.push(cycle(&path[*first..])),
                Some(None) => {}
                None => {
                    explored.insert(holder, Some(path.len()));
                    path.push(node(holder));
                }
            }
        }
    }
}

/// Returns the edges of a closed path, beginning with the smallest client.
fn cycle<C: Copy + Ord, L: Copy>(path: &[PathNode<'_, C, L>]) -> Vec<WaitEdge<C, L>> {
    let edges = path.iter().filter_map(|node| {
        let lock = node.lock?;
        Some(WaitEdge { waiter: node.client, lock })
    });
    let mut edges: Vec<WaitEdge<C, L>> = edges.collect();
    let smallest = (0..edges.len()).min_by_key(|index| edges[*index].waiter).unwrap_or(0);
    edges.rotate_left(smallest);
    edges
}

impl<'a> WaitGraph<SessionId, &'a Name> {
    /// Returns the graph of a server's state.
    pub fn from_state(state: &'a State) -> Self {
        let mut graph = Self::default();
        let mut sessions = state.sessions().values();
        // Without a session that holds one lock and waits for another there is no cycle.
        if !sessions.any(|session| !session.held.is_empty() && !session.waits.is_empty()) {
            return graph;
        }
        for (name, lock) in state.locks() {
            graph.set_holder(name, lock.tenure().map(|tenure| tenure.session_id));
            lock.wait_queue().iter().for_each(|it| graph.add_wait(it.session_id, name));
        }
        graph
    }
}

impl WaitGraph<NodeId, LockId> {
    /// Applies a record of a trace.
    pub fn observe(&mut self, kind: &RecordKind) {
        if let RecordKind::LockGranted { lock, client, .. }
        | RecordKind::TenureRecovered { lock, client, .. } = *kind
        {
            self.set_holder(lock, Some(client));
            self.remove_wait(client, lock);
        }
        if let RecordKind::LockQueued { lock, client, .. }
        | RecordKind::WaitRecovered { lock, client, .. } = *kind
        {
            self.add_wait(client, lock);
        }
        if let RecordKind::LockReleased { lock, .. } = *kind {
            self.set_holder(lock, None);
        }
        if let RecordKind::WaitEnded { lock, client, .. } = *kind {
            self.remove_wait(client, lock);
        }
        if matches!(kind, RecordKind::Recovered { .. }) {
            *self = Self::default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(holders: &[(char, u32)], waits: &[(u32, char)]) -> WaitGraph<u32, char> {
        let mut graph = WaitGraph::default();
        holders.iter().for_each(|(lock, client)| graph.set_holder(*lock, Some(*client)));
        waits.iter().for_each(|(client, lock)| graph.add_wait(*client, *lock));
        graph
    }

    fn cycles(graph: &WaitGraph<u32, char>) -> Vec<String> {
        let text = |cycle: Vec<WaitEdge<u32, char>>| {
            cycle
                .iter()
                .fold(String::new(), |text, edge| format!("{text}{}{}", edge.waiter, edge.lock))
        };
        graph.cycles().into_iter().map(text).collect()
    }

    #[test]
    fn cycle_is_found_until_one_of_its_edges_is_removed() {
        let mut graph = graph(&[('a', 1), ('b', 2), ('c', 3)], &[(2, 'c'), (3, 'a'), (1, 'b')]);
        assert_eq!(cycles(&graph), ["1b2c3a"]);
        graph.remove_wait(3, 'a');
        assert_eq!(cycles(&graph), [""; 0]);
        graph.add_wait(3, 'a');
        graph.set_holder('b', None);
        assert_eq!(cycles(&graph), [""; 0]);
    }

    #[test]
    fn waiters_behind_a_cycle_are_not_part_of_it() {
        let graph =
            graph(&[('a', 1), ('b', 2), ('c', 4)], &[(9, 'c'), (4, 'a'), (2, 'a'), (1, 'b')]);
        assert_eq!(cycles(&graph), ["1b2a"]);
    }

    #[test]
    fn client_that_waits_for_several_locks_can_be_in_several_cycles() {
        let graph =
            graph(&[('a', 1), ('b', 2), ('c', 3)], &[(1, 'b'), (1, 'c'), (2, 'a'), (3, 'a')]);
        assert_eq!(cycles(&graph), ["1b2a", "1c3a"]);
    }

    #[test]
    fn long_chains_are_explored_without_recursion() {
        let mut graph = WaitGraph::default();
        for client in 0..100_000_u32 {
            graph.set_holder(client, Some(client));
            graph.add_wait(client, client + 1);
        }
        assert!(graph.cycles().is_empty());
        graph.add_wait(99_999, 0);
        assert_eq!(graph.cycles().len(), 1);
    }
}
