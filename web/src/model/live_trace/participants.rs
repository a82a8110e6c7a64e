//! The clients of a live server, and the node ids that records use for them. A client is identified
//! by its name. A client with several open sessions has a node for each.

use std::collections::BTreeMap;

use leasehold_core::id::{Name, SessionId};
use leasehold_core::state::Session;
use leasehold_sim::{ClientConfig, Config, NodeId};

/// The number of clients with a node id. Further clients are [`NodeId::UNKNOWN`].
pub(super) const CLIENTS_MAX: usize = 240;

/// The node of each open session.
#[derive(Clone, Debug, Default)]
pub(super) struct Participants {
    node_by_session: BTreeMap<SessionId, NodeId>,
}

impl Participants {
    /// Removes sessions that are no longer open. Sessions that are still open keep their nodes.
    pub(super) fn retain(
        &mut self,
        open_sessions: &BTreeMap<SessionId, Box<Session>>,
        config: &Config,
    ) {
        self.node_by_session.retain(|session_id, node| {
            let client_config =
                usize::from(node.0).checked_sub(1).and_then(|it| config.clients.get(it));
            let session = open_sessions.get(session_id);
            client_config.zip(session).is_some_and(|(known, session)| known.name == session.client)
        });
    }

    /// Returns the node of a session. A new session gets a node of its client that has no session,
    /// or a new one.
    pub(super) fn assign_node(
        &mut self,
        session_id: SessionId,
        client: &Name,
        config: &mut Config,
    ) -> NodeId {
        if let Some(assigned) = self.node_by_session.get(&session_id) {
            return *assigned;
        }
        let reusable = self.find_without_session(client, config);
        let node = reusable.unwrap_or_else(|| add_client(client, config));
        if node != NodeId::UNKNOWN {
            self.node_by_session.insert(session_id, node);
        }
        node
    }

    pub(super) fn remove_session(&mut self, session_id: SessionId) {
        self.node_by_session.remove(&session_id);
    }

    /// Returns the first node of a client.
    pub(super) fn find_by_name(client: &Name, config: &Config) -> NodeId {
        let index = config.clients.iter().position(|it| it.name == *client);
        index.and_then(node_of_index).unwrap_or(NodeId::UNKNOWN)
    }

    /// Returns a node of this client that has no open session.
    fn find_without_session(&self, client: &Name, config: &Config) -> Option<NodeId> {
        let mut same_name = (0..).zip(&config.clients).filter(|(_, it)| it.name == *client);
        same_name.find_map(|(index, _)| {
            node_of_index(index)
                .filter(|node| !self.node_by_session.values().any(|used| used == node))
        })
    }
}

fn node_of_index(index: usize) -> Option<NodeId> {
    u8::try_from(index + 1).ok().map(NodeId)
}

fn add_client(client: &Name, config: &mut Config) -> NodeId {
    if config.clients.len() == CLIENTS_MAX {
        return NodeId::UNKNOWN;
    }
    let name = client.clone();
    config.clients.push(ClientConfig { name, script: Vec::new(), starts_ms: 0, rate_ppm: 0 });
    node_of_index(config.clients.len() - 1).unwrap_or(NodeId::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sessions_of_one_name_are_two_clients() {
        let (mut participants, mut config) = (Participants::default(), Config::default());
        config.clients.clear();
        let ann = Name::new("ann").unwrap();
        let session = SessionId::new;
        assert_eq!(participants.assign_node(session(1), &ann, &mut config), NodeId(1));
        assert_eq!(participants.assign_node(session(2), &ann, &mut config), NodeId(2));
        participants.remove_session(session(1));
        assert_eq!(participants.assign_node(session(3), &ann, &mut config), NodeId(1));
        assert_eq!(Participants::find_by_name(&ann, &config), NodeId(1));
        assert_eq!(config.clients.len(), 2);
    }

    #[test]
    fn clients_beyond_the_limit_are_unknown() {
        let (mut participants, mut config) = (Participants::default(), Config::default());
        config.clients.clear();
        for number in 0..500 {
            let name = Name::new(&format!("c{number}")).unwrap();
            participants.assign_node(SessionId::new(number), &name, &mut config);
        }
        assert_eq!(config.clients.len(), CLIENTS_MAX);
        let late = Name::new("late").unwrap();
        assert_eq!(
            participants.assign_node(SessionId::new(999), &late, &mut config),
            NodeId::UNKNOWN
        );
    }
}
