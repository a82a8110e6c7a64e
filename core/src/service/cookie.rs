//! Cookies: whoever sends one back can be reached at the address that it came from, and the
//! server has remembered nothing for it (as in DTLS, RFC 6347, 4.2.1).

use crate::id::Peer;
use crate::limits::COOKIE_PERIOD;
use crate::time::Time;
use crate::wire::{Cookie, Key};

/// The cookie for this peer in this period.
pub(super) fn bake(key: &Key, peer: Peer, now: Time) -> Cookie {
    cookie_of(key, peer, period(now))
}

/// Whether this is the peer's cookie of this period or of the one before.
pub(super) fn is_good(key: &Key, peer: Peer, now: Time, cookie: Cookie) -> bool {
    let period = period(now);
    key.verify(&text(peer, period), &cookie.0)
        || period > 0 && key.verify(&text(peer, period - 1), &cookie.0)
}

fn cookie_of(key: &Key, peer: Peer, period: u64) -> Cookie {
    Cookie(key.mac(&text(peer, period)))
}

fn period(now: Time) -> u64 {
    now.as_millis() / COOKIE_PERIOD.as_millis()
}

fn text(peer: Peer, period: u64) -> Vec<u8> {
    format!("{} {period}", peer.0).into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> Peer {
        Peer(text.parse().unwrap())
    }

    #[test]
    fn a_cookie_is_good_for_its_peer_and_for_a_while() {
        let key = Key::new(b"server");
        let (here, there) = (peer("10.0.0.1:5000"), peer("10.0.0.2:5000"));
        let cookie = bake(&key, here, Time::from_millis(25_000));
        assert!(is_good(&key, here, Time::from_millis(25_000), cookie));
        assert!(is_good(&key, here, Time::from_millis(39_999), cookie));
        assert!(!is_good(&key, here, Time::from_millis(40_000), cookie), "two periods later");
        assert!(!is_good(&key, there, Time::from_millis(25_000), cookie), "from elsewhere");
        assert!(!is_good(&Key::new(b"other"), here, Time::from_millis(25_000), cookie));
    }
}
