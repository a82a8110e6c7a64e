//! Stateless cookies: a client that sends one back has proved that it can receive at its address,
//! and the server has stored nothing for it (as in DTLS, RFC 6347, 4.2.1).

use crate::id::Peer;
use crate::limits::COOKIE_PERIOD;
use crate::time::Time;
use crate::wire::{Cookie, MacKey};

/// Returns the cookie for this peer in the current period.
pub(super) fn generate(key: &MacKey, peer: Peer, now: Time) -> Cookie {
    cookie_for_period(key, peer, period_at(now))
}

/// Returns whether this is the peer's cookie of the current or the previous period.
pub(super) fn is_valid(key: &MacKey, peer: Peer, now: Time, cookie: Cookie) -> bool {
    let period = period_at(now);
    key.verify(&mac_input(peer, period), &cookie.0)
        || period > 0 && key.verify(&mac_input(peer, period - 1), &cookie.0)
}

fn cookie_for_period(key: &MacKey, peer: Peer, period: u64) -> Cookie {
    Cookie(key.mac(&mac_input(peer, period)))
}

fn period_at(now: Time) -> u64 {
    now.as_millis() / COOKIE_PERIOD.as_millis()
}

fn mac_input(peer: Peer, period: u64) -> Vec<u8> {
    format!("{} {period}", peer.address).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer::new(text.parse().unwrap())
    }

    #[test]
    fn cookie_is_valid_only_for_its_peer_and_for_two_periods() {
        let key = MacKey::new(b"server");
        let (ann, bob) = (peer("10.0.0.1:5000"), peer("10.0.0.2:5000"));
        let cookie = generate(&key, ann, Time::from_millis(25_000));
        assert!(is_valid(&key, ann, Time::from_millis(25_000), cookie));
        assert!(is_valid(&key, ann, Time::from_millis(39_999), cookie));
        assert!(!is_valid(&key, ann, Time::from_millis(40_000), cookie), "two periods later");
        assert!(!is_valid(&key, bob, Time::from_millis(25_000), cookie), "from another peer");
        assert!(!is_valid(&MacKey::new(b"other"), ann, Time::from_millis(25_000), cookie));
    }
}
