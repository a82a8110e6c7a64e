//! Events survive being written down, and no bytes make a reader stumble.

use leasehold_core::data::Data;
use leasehold_core::digest::Digest;
use leasehold_core::event::{Asked, Event, Fact, ReleaseCause, WaitEndCause};
use leasehold_core::id::{Attempt, Index, Name, Nonce, Seq, SessionId, SessionNo, Token};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::refusal::{Bound, Refusal};
use leasehold_core::secret::Secret;
use leasehold_core::time::{Span, Time};
use leasehold_server::journal::{RecordError, decode_batch, encode_batch};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::run::Run;

fn name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}".prop_map(|text| Name::new(&text).unwrap())
}

fn span() -> impl Strategy<Value = Span> {
    any::<u64>().prop_map(Span::from_millis)
}

fn token() -> impl Strategy<Value = Token> {
    any::<u64>().prop_map(Token::new)
}

fn asked() -> impl Strategy<Value = Asked> {
    any::<(u64, u64, u64)>().prop_map(|(seq, attempt, digest)| Asked {
        seq: Seq::new(seq),
        attempt: Attempt::new(attempt),
        digest: Digest(digest),
    })
}

fn refusal() -> impl Strategy<Value = Refusal> {
    let bounds = vec![Bound::Sessions, Bound::Locks, Bound::Waiters, Bound::Files];
    prop_oneof![
        ".{0,80}".prop_map(|why| Refusal::BadRequest { why }),
        any::<u64>().prop_map(|limit| Refusal::TooLarge { limit }),
        any::<u32>().prop_map(|window| Refusal::WindowFull { window: window as usize }),
        select(bounds).prop_map(|bound| Refusal::Overloaded { bound }),
        span().prop_map(|retry_after| Refusal::RateLimited { retry_after }),
        span().prop_map(|retry_after| Refusal::LockHeld { retry_after }),
        token().prop_map(|token| Refusal::AlreadyHeld { token }),
        token().prop_map(|current| Refusal::StaleToken { current }),
        select(vec![
            Refusal::BadName,
            Refusal::UnknownSession,
            Refusal::StaleSeq,
            Refusal::SeqReused,
            Refusal::StorageFailed,
            Refusal::WaitTimeout,
            Refusal::NotWaiting,
            Refusal::NotHolder,
        ]),
    ]
}

fn whose() -> impl Strategy<Value = (SessionNo, Name)> {
    (any::<u64>().prop_map(SessionNo::new), name())
}

fn fact_of_session() -> impl Strategy<Value = Fact> {
    prop_oneof![
        (whose(), span(), option::of(any::<u128>()), option::of(any::<u64>())).prop_map(
            |((session_no, client), lease, id, nonce)| Fact::SessionOpened {
                session_no,
                client,
                lease,
                id: id.map(|id| Secret::new(SessionId::from_entropy(id))),
                nonce: nonce.map(|nonce| Secret::new(Nonce::new(nonce))),
            }
        ),
        whose().prop_map(|(session_no, client)| Fact::SessionExpired { session_no, client }),
        (whose(), asked()).prop_map(|((session_no, client), asked)| Fact::SessionClosed {
            session_no,
            client,
            asked
        }),
    ]
}

fn fact_of_lock() -> impl Strategy<Value = Fact> {
    let releases = vec![
        ReleaseCause::Released,
        ReleaseCause::LeaseExpired,
        ReleaseCause::HoldExpired,
        ReleaseCause::Closed,
    ];
    let ends = vec![WaitEndCause::Cancelled, WaitEndCause::Timeout, WaitEndCause::SessionEnded];
    prop_oneof![
        (whose(), name(), asked(), span(), option::of(span())).prop_map(
            |((session_no, client), lock, asked, wait, hold)| Fact::LockQueued {
                lock,
                session_no,
                client,
                asked,
                wait,
                hold
            }
        ),
        (whose(), name(), token(), asked(), option::of(span()), any::<bool>()).prop_map(
            |((session_no, client), lock, token, asked, hold, from_queue)| Fact::LockGranted {
                lock,
                session_no,
                client,
                token,
                asked,
                hold,
                from_queue
            }
        ),
        (whose(), name(), token(), select(releases), option::of(asked())).prop_map(
            |((session_no, client), lock, token, cause, asked)| Fact::LockReleased {
                lock,
                session_no,
                client,
                token,
                cause,
                asked
            }
        ),
        (whose(), name(), any::<u64>(), select(ends), option::of(asked())).prop_map(
            |((session_no, client), lock, waited, cause, asked)| Fact::WaitEnded {
                lock,
                session_no,
                client,
                waited: Seq::new(waited),
                cause,
                asked
            }
        ),
        (whose(), name(), token(), any::<u64>(), vec(any::<u8>(), 0..300), asked()).prop_map(
            |((session_no, client), file, token, offset, data, asked)| Fact::FileAppended {
                file,
                session_no,
                client,
                token,
                offset,
                data: Data::new(&data),
                asked
            }
        ),
    ]
}

fn fact() -> impl Strategy<Value = Fact> {
    let session_no = || option::of(any::<u64>().prop_map(SessionNo::new));
    let who = (session_no(), option::of(name()));
    let what = (select(&Op::ALL[..]), option::of(name()), option::of(token()));
    prop_oneof![
        1 => (any::<u64>(), token())
            .prop_map(|(unix_ms, token_floor)| Fact::ServerStarted { unix_ms, token_floor }),
        3 => fact_of_session(),
        5 => fact_of_lock(),
        3 => (who, what, refusal(), asked()).prop_map(
            |((session_no, client), (op, name, token), refusal, asked)| Fact::RequestRefused {
                session_no,
                client,
                op,
                name,
                token,
                refusal,
                asked
            }
        ),
        1 => select(&DropReason::ALL[..]).prop_map(|reason| Fact::DatagramDropped { reason }),
        1 => Just(Fact::ServerStopped),
    ]
}

fn event() -> impl Strategy<Value = Event> {
    (any::<u64>(), any::<u64>(), fact()).prop_map(|(index, at, fact)| Event {
        index: Index::new(index),
        at: Time::from_millis(at),
        fact,
    })
}

fn durable(events: &[Event]) -> Vec<Event> {
    events.iter().filter(|event| event.fact.is_durable()).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn durable_events_are_read_as_they_were_written(events in vec(event(), 0..20)) {
        prop_assert_eq!(decode_batch(&encode_batch(&events)), Ok(durable(&events)));
    }

    #[test]
    fn a_batch_that_was_changed_anywhere_is_refused(
        events in vec(event(), 1..6), place in any::<usize>(), change in 1_u8..=255
    ) {
        let mut bytes = encode_batch(&events);
        let place = place % bytes.len();
        bytes[place] ^= change;
        prop_assert!(decode_batch(&bytes).is_err());
        bytes[place] ^= change;
        prop_assert!(decode_batch(&bytes[..place]).is_err());
    }

    /// With a checksum that is right: it guards against accidents, not against mistakes.
    #[test]
    fn no_bytes_make_the_reader_stumble(
        body in vec(any::<u8>(), 0..200), events in vec(event(), 1..6),
        place in any::<usize>(), change in any::<u8>()
    ) {
        drop(decode_batch(&body));
        drop(decode_batch(&with_checksum(&body)));
        let mut bytes = encode_batch(&events);
        let place = 5 + place % (bytes.len() - 4);
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= change;
        }
        drop(decode_batch(&with_checksum(&bytes[5..])));
        drop(decode_batch(&with_checksum(&bytes[5..place.min(bytes.len())])));
    }
}

fn with_checksum(body: &[u8]) -> Vec<u8> {
    [&[1], &crc32fast::hash(body).to_le_bytes()[..], body].concat()
}

#[test]
fn a_whole_run_survives_and_so_do_its_secrets() {
    let run = Run::new(2, 200, 6);
    for batch in &run.batches {
        let read = decode_batch(&encode_batch(batch)).unwrap();
        // An event is equal only where its secrets are.
        assert_eq!(read, durable(batch));
    }
}

#[test]
fn what_is_not_a_batch_is_told() {
    assert_eq!(decode_batch(&[]), Err(RecordError::CutOff));
    assert_eq!(decode_batch(&[2, 0, 0, 0, 0]), Err(RecordError::Version(2)));
    assert_eq!(decode_batch(&[1, 9, 9, 9, 9]), Err(RecordError::Checksum));
    assert_eq!(decode_batch(&[1, 0, 0, 0, 0]), Ok(Vec::new()));
    let unknown = with_checksum(&[1, 1, 99, 1, 1, b'a']);
    assert!(matches!(decode_batch(&unknown), Err(RecordError::Malformed(_))));
}

/// The bytes of version 1, so that a journal of today can be read tomorrow.
#[test]
fn the_format_stays_what_it_is() {
    let event = Event {
        index: Index::new(300),
        at: Time::from_millis(5),
        fact: Fact::LockGranted {
            lock: Name::new("a").unwrap(),
            session_no: SessionNo::new(3),
            client: Name::new("me").unwrap(),
            token: Token::new(7),
            asked: Asked { seq: Seq::new(4), attempt: Attempt::new(1), digest: Digest(0x0102) },
            hold: Some(Span::from_millis(9)),
            from_queue: true,
        },
    };
    let body = b"\xac\x02\x05\x06\x03\x02me\x01a\x07\x04\x01\x02\x01\0\0\0\0\0\0\x01\x09\x01";
    assert_eq!(encode_batch(&[event]), with_checksum(body));
}
