//! The content of packets: the bytes that a real network would carry.
//!
//! - Requests and replies are encoded when they are sent and decoded when they arrive, so every run
//!   also tests the encoding and its length limits.
//! - In an authenticated run, each datagram has an authentication trailer, which the receiver
//!   verifies.
//! - The search skips the encoding: it needs the time for more runs, and its results are the same.

use leasehold_core::limits::DATAGRAM_LEN_MAX;
use leasehold_core::service::Datagram;
use leasehold_core::wire::{MacKey, Reply, Request, append_mac, verify_mac};

use crate::run::Run;

/// The usual length of an encoded message with its trailer, in bytes.
const ENCODED_LEN_USUAL: usize = 256;

/// A request or a reply that a node sends.
#[derive(Debug)]
pub(super) enum Outgoing {
    Request(Request),
    Reply(Datagram),
}

/// The content of a packet in flight.
#[derive(Clone, Debug)]
pub(super) enum Payload {
    Encoded(Vec<u8>),
    Request(Request),
    Reply(Reply),
}

/// How the nodes of a run encode messages.
#[derive(Debug)]
pub(super) struct Encoding {
    /// Whether messages are encoded at all.
    enabled: bool,
    /// The key that all nodes of an authenticated run share.
    mac_key: Option<MacKey>,
}

impl Encoding {
    pub(super) fn new(run: &Run, enabled: bool) -> Self {
        let key_bytes = [b"datagrams".as_slice(), &run.seed.to_le_bytes()].concat();
        let mac_key = run.config.authenticated.then(|| MacKey::new(&key_bytes));
        Self { enabled, mac_key }
    }

    pub(super) const fn is_enabled(&self) -> bool {
        self.enabled
    }

    pub(super) fn encode(&self, message: Outgoing) -> Payload {
        if !self.enabled {
            return match message {
                Outgoing::Request(request) => Payload::Request(request),
                Outgoing::Reply(datagram) => Payload::Reply(datagram.reply),
            };
        }
        let mut bytes = Vec::with_capacity(ENCODED_LEN_USUAL);
        match message {
            Outgoing::Request(request) => request.encode(&mut bytes),
            Outgoing::Reply(datagram) => datagram.encode(&mut bytes),
        }
        assert!(bytes.len() <= DATAGRAM_LEN_MAX, "a message exceeds the limit of a datagram");
        if let Some(key) = &self.mac_key {
            append_mac(key, &mut bytes);
        }
        Payload::Encoded(bytes)
    }

    /// Returns the bytes without the trailer, or `None` if the trailer is not valid.
    pub(super) fn verify<'a>(&self, bytes: &'a [u8]) -> Option<&'a [u8]> {
        match &self.mac_key {
            Some(key) => verify_mac(key, bytes),
            None => Some(bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::storm;
    use crate::world::World;

    #[test]
    fn encoding_does_not_change_a_run() {
        let mut authenticated = 0;
        for seed in 0..20 {
            let run = storm(seed, &BTreeSet::new());
            authenticated += usize::from(run.config.authenticated);
            let mut plain = World::without_encoding(run.clone());
            let mut records = Vec::new();
            while plain.step(&mut records) {}
            assert_eq!(plain.fingerprint(), run.execute().fingerprint, "storm {seed}");
        }
        assert!((1..20).contains(&authenticated), "{authenticated} authenticated storms");
    }
}
