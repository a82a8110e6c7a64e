//! Who appears: the clients of a server under the numbers that records name them by.
//!
//! A client is known by its name. One that has several sessions at a time appears as often.

use std::collections::BTreeMap;

use leasehold_core::id::{Name, SessionNo};
use leasehold_core::state::Session;
use leasehold_sim::{ClientConfig, Config, NodeNo};

/// So many can be told apart. Who comes later is somebody.
pub(super) const CLIENTS_MAX: usize = 240;

/// The clients by their numbers, and which session each of them has.
#[derive(Clone, Debug, Default)]
pub(super) struct Cast {
    live: BTreeMap<SessionNo, NodeNo>,
}

impl Cast {
    /// These sessions are here, and no others. Whoever was here before stays who it was.
    pub(super) fn keep(&mut self, here: &BTreeMap<SessionNo, Box<Session>>, config: &Config) {
        self.live.retain(|session_no, node| {
            let known = usize::from(node.0).checked_sub(1).and_then(|it| config.clients.get(it));
            let session = here.get(session_no);
            known.zip(session).is_some_and(|(known, session)| known.name == session.client)
        });
    }

    /// A session begins: says who has it.
    pub(super) fn enter(
        &mut self,
        session_no: SessionNo,
        client: &Name,
        config: &mut Config,
    ) -> NodeNo {
        if let Some(known) = self.live.get(&session_no) {
            return *known;
        }
        let free = self.free(client, config);
        let node = free.unwrap_or_else(|| add(client, config));
        if node != NodeNo::UNKNOWN {
            self.live.insert(session_no, node);
        }
        node
    }

    pub(super) fn leave(&mut self, session_no: SessionNo) {
        self.live.remove(&session_no);
    }

    /// The client of this name that was here first.
    pub(super) fn named(client: &Name, config: &Config) -> NodeNo {
        let place = config.clients.iter().position(|it| it.name == *client);
        place.and_then(node_at).unwrap_or(NodeNo::UNKNOWN)
    }

    /// One of this name that has no session.
    fn free(&self, client: &Name, config: &Config) -> Option<NodeNo> {
        let mut named = (0..).zip(&config.clients).filter(|(_, it)| it.name == *client);
        named.find_map(|(place, _)| {
            node_at(place).filter(|node| !self.live.values().any(|live| live == node))
        })
    }
}

fn node_at(place: usize) -> Option<NodeNo> {
    u8::try_from(place + 1).ok().map(NodeNo)
}

fn add(client: &Name, config: &mut Config) -> NodeNo {
    if config.clients.len() == CLIENTS_MAX {
        return NodeNo::UNKNOWN;
    }
    let name = client.clone();
    config.clients.push(ClientConfig { name, script: Vec::new(), starts_ms: 0, rate_ppm: 0 });
    node_at(config.clients.len() - 1).unwrap_or(NodeNo::UNKNOWN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_client_unless_it_is_here_twice() {
        let (mut cast, mut config) = (Cast::default(), Config::default());
        config.clients.clear();
        let ann = Name::new("ann").unwrap();
        let session = SessionNo::new;
        assert_eq!(cast.enter(session(1), &ann, &mut config), NodeNo(1));
        assert_eq!(cast.enter(session(2), &ann, &mut config), NodeNo(2));
        cast.leave(session(1));
        assert_eq!(cast.enter(session(3), &ann, &mut config), NodeNo(1));
        assert_eq!(Cast::named(&ann, &config), NodeNo(1));
        assert_eq!(config.clients.len(), 2);
    }

    #[test]
    fn a_crowd_has_no_end_of_numbers() {
        let (mut cast, mut config) = (Cast::default(), Config::default());
        config.clients.clear();
        for no in 0..500 {
            let name = Name::new(&format!("c{no}")).unwrap();
            cast.enter(SessionNo::new(no), &name, &mut config);
        }
        assert_eq!(config.clients.len(), CLIENTS_MAX);
        let late = Name::new("late").unwrap();
        assert_eq!(cast.enter(SessionNo::new(999), &late, &mut config), NodeNo::UNKNOWN);
    }
}
