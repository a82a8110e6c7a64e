//! Encoding of events: it round-trips, and the decoder never panics.

use leasehold_core::data::Data;
use leasehold_core::digest::Digest;
use leasehold_core::event::{Event, EventKind, ReleaseCause, RequestId, WaitEndCause};
use leasehold_core::id::{Attempt, LogIndex, Name, Nonce, Seq, SessionId, SessionKey, Token};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::refusal::{Limit, Refusal};
use leasehold_core::secret::Secret;
use leasehold_core::time::{Millis, Time};
use leasehold_server::log::{RecordError, decode_batch, encode_batch};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::workload::Workload;

fn any_name() -> impl Strategy<Value = Name> {
    "[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}".prop_map(|text| Name::new(&text).unwrap())
}

fn any_duration() -> impl Strategy<Value = Millis> {
    any::<u64>().prop_map(Millis::from_millis)
}

fn any_token() -> impl Strategy<Value = Token> {
    any::<u64>().prop_map(Token::new)
}

fn any_request_id() -> impl Strategy<Value = RequestId> {
    any::<(u64, u64, u64)>().prop_map(|(seq, attempt, digest)| RequestId {
        seq: Seq::new(seq),
        attempt: Attempt::new(attempt),
        digest: Digest(digest),
    })
}

fn any_refusal() -> impl Strategy<Value = Refusal> {
    let limits = vec![Limit::Sessions, Limit::Locks, Limit::Waiters, Limit::Files];
    prop_oneof![
        ".{0,80}".prop_map(|reason| Refusal::BadRequest { reason }),
        any::<u64>().prop_map(|limit| Refusal::TooLarge { limit }),
        any::<u32>().prop_map(|window| Refusal::WindowFull { window: window as usize }),
        select(limits).prop_map(|limit| Refusal::Overloaded { limit }),
        any_duration().prop_map(|retry_after| Refusal::RateLimited { retry_after }),
        any_duration().prop_map(|retry_after| Refusal::LockHeld { retry_after }),
        any_token().prop_map(|token| Refusal::AlreadyHeld { token }),
        any_token().prop_map(|current| Refusal::StaleToken { current }),
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

fn any_session() -> impl Strategy<Value = (SessionId, Name)> {
    (any::<u64>().prop_map(SessionId::new), any_name())
}

fn any_session_event() -> impl Strategy<Value = EventKind> {
    prop_oneof![
        (any_session(), any_duration(), option::of(any::<u128>()), option::of(any::<u64>()))
            .prop_map(|((session_id, client), lease, id, nonce)| EventKind::SessionOpened {
                session_id,
                client,
                lease,
                key: id.map(|id| Secret::new(SessionKey::from_entropy(id))),
                nonce: nonce.map(|nonce| Secret::new(Nonce::new(nonce))),
            }),
        any_session()
            .prop_map(|(session_id, client)| EventKind::SessionExpired { session_id, client }),
        (any_session(), any_request_id()).prop_map(|((session_id, client), request_id)| {
            EventKind::SessionClosed { session_id, client, request_id }
        }),
    ]
}

fn any_lock_event() -> impl Strategy<Value = EventKind> {
    let releases = vec![
        ReleaseCause::Released,
        ReleaseCause::LeaseExpired,
        ReleaseCause::HoldExpired,
        ReleaseCause::Closed,
    ];
    let ends = vec![WaitEndCause::Cancelled, WaitEndCause::Timeout, WaitEndCause::SessionEnded];
    prop_oneof![
        (any_session(), any_name(), any_request_id(), any_duration(), option::of(any_duration()))
            .prop_map(|((session_id, client), lock, request_id, wait, hold)| {
                EventKind::LockQueued { lock, session_id, client, request_id, wait, hold }
            }),
        (
            any_session(),
            any_name(),
            any_token(),
            any_request_id(),
            option::of(any_duration()),
            any::<bool>()
        )
            .prop_map(
                |((session_id, client), lock, token, request_id, hold, from_queue)| {
                    EventKind::LockGranted {
                        lock,
                        session_id,
                        client,
                        token,
                        request_id,
                        hold,
                        from_queue,
                    }
                }
            ),
        (any_session(), any_name(), any_token(), select(releases), option::of(any_request_id()))
            .prop_map(|((session_id, client), lock, token, cause, request_id)| {
                EventKind::LockReleased { lock, session_id, client, token, cause, request_id }
            }),
        (any_session(), any_name(), any::<u64>(), select(ends), option::of(any_request_id()))
            .prop_map(|((session_id, client), lock, waited, cause, request_id)| {
                EventKind::WaitEnded {
                    lock,
                    session_id,
                    client,
                    wait_seq: Seq::new(waited),
                    cause,
                    request_id,
                }
            }),
        (
            any_session(),
            any_name(),
            any_token(),
            any::<u64>(),
            vec(any::<u8>(), 0..300),
            any_request_id()
        )
            .prop_map(|((session_id, client), file, token, offset, data, request_id)| {
                EventKind::FileAppended {
                    file,
                    session_id,
                    client,
                    token,
                    offset,
                    data: Data::new(&data),
                    request_id,
                }
            }),
    ]
}

fn any_event_kind() -> impl Strategy<Value = EventKind> {
    let any_session_id = || option::of(any::<u64>().prop_map(SessionId::new));
    let session = (any_session_id(), option::of(any_name()));
    let request = (select(&Op::ALL[..]), option::of(any_name()), option::of(any_token()));
    prop_oneof![
        1 => (any::<u64>(), any_token())
            .prop_map(|(unix_ms, token_floor)| EventKind::ServerStarted { unix_ms, token_floor }),
        3 => any_session_event(),
        5 => any_lock_event(),
        3 => (session, request, any_refusal(), any_request_id()).prop_map(
            |((session_id, client), (op, resource_name, token), refusal, request_id)| {
                EventKind::RequestRefused {
                    session_id,
                    client,
                    op,
                    resource_name,
                    token,
                    refusal,
                    request_id,
                }
            }
        ),
        1 => select(&DropReason::ALL[..]).prop_map(|reason| EventKind::DatagramDropped { reason }),
        1 => Just(EventKind::ServerStopped),
    ]
}

fn any_event() -> impl Strategy<Value = Event> {
    (any::<u64>(), any::<u64>(), any_event_kind()).prop_map(|(index, at, kind)| Event {
        index: LogIndex::new(index),
        at: Time::from_millis(at),
        kind,
    })
}

fn durable_events(events: &[Event]) -> Vec<Event> {
    events.iter().filter(|event| event.kind.is_durable()).cloned().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn durable_events_round_trip(events in vec(any_event(), 0..20)) {
        prop_assert_eq!(decode_batch(&encode_batch(&events)), Ok(durable_events(&events)));
    }

    #[test]
    fn changed_batch_is_rejected(
        events in vec(any_event(), 1..6), offset in any::<usize>(), change in 1_u8..=255
    ) {
        let mut bytes = encode_batch(&events);
        let offset = offset % bytes.len();
        bytes[offset] ^= change;
        prop_assert!(decode_batch(&bytes).is_err());
        bytes[offset] ^= change;
        prop_assert!(decode_batch(&bytes[..offset]).is_err());
    }

    /// The checksum is valid: it protects against accidents, not against malformed input.
    #[test]
    fn decoder_never_panics(
        body in vec(any::<u8>(), 0..200), events in vec(any_event(), 1..6),
        offset in any::<usize>(), change in any::<u8>()
    ) {
        drop(decode_batch(&body));
        drop(decode_batch(&with_checksum(&body)));
        let mut bytes = encode_batch(&events);
        let offset = 5 + offset % (bytes.len() - 4);
        if let Some(byte) = bytes.get_mut(offset) {
            *byte ^= change;
        }
        drop(decode_batch(&with_checksum(&bytes[5..])));
        drop(decode_batch(&with_checksum(&bytes[5..offset.min(bytes.len())])));
    }
}

fn with_checksum(body: &[u8]) -> Vec<u8> {
    [&[1], &crc32fast::hash(body).to_le_bytes()[..], body].concat()
}

#[test]
fn whole_workload_round_trips_with_its_secrets() {
    let workload = Workload::new(2, 200, 6);
    for batch in &workload.batches {
        let decoded = decode_batch(&encode_batch(batch)).unwrap();
        // Events are equal only if their secrets are.
        assert_eq!(decoded, durable_events(batch));
    }
}

#[test]
fn invalid_batches_are_rejected_with_a_reason() {
    assert_eq!(decode_batch(&[]), Err(RecordError::CutOff));
    assert_eq!(decode_batch(&[2, 0, 0, 0, 0]), Err(RecordError::Version(2)));
    assert_eq!(decode_batch(&[1, 9, 9, 9, 9]), Err(RecordError::Checksum));
    assert_eq!(decode_batch(&[1, 0, 0, 0, 0]), Ok(Vec::new()));
    let unknown = with_checksum(&[1, 1, 99, 1, 1, b'a']);
    assert!(matches!(decode_batch(&unknown), Err(RecordError::Malformed(_))));
}

/// The encoding of version 1, which later versions must be able to decode.
#[test]
fn batch_format_is_unchanged() {
    let event = Event {
        index: LogIndex::new(300),
        at: Time::from_millis(5),
        kind: EventKind::LockGranted {
            lock: Name::new("a").unwrap(),
            session_id: SessionId::new(3),
            client: Name::new("me").unwrap(),
            token: Token::new(7),
            request_id: RequestId {
                seq: Seq::new(4),
                attempt: Attempt::new(1),
                digest: Digest(0x0102),
            },
            hold: Some(Millis::from_millis(9)),
            from_queue: true,
        },
    };
    let body = b"\xac\x02\x05\x06\x03\x02me\x01a\x07\x04\x01\x02\x01\0\0\0\0\0\0\x01\x09\x01";
    assert_eq!(encode_batch(&[event]), with_checksum(body));
}

/// Version 0.1.0 logged `storage_failed` as the final answer to a request. Such a log is read.
#[test]
fn logged_storage_failure_of_an_older_version_is_read() {
    let kind = |refusal| EventKind::RequestRefused {
        session_id: Some(SessionId::new(1)),
        client: Some(Name::new("ann").unwrap()),
        op: Op::CancelAcquire,
        resource_name: Some(Name::new("a").unwrap()),
        token: None,
        refusal,
        request_id: RequestId { seq: Seq::new(4), attempt: Attempt::new(0), digest: Digest(7) },
    };
    let event = |refusal| Event { index: LogIndex::new(9), at: Time::ZERO, kind: kind(refusal) };
    let bytes = encode_batch(&[event(Refusal::NotWaiting)]);
    let (from, to): (&[u8], &[u8]) = (b"\x0bnot_waiting", b"\x0estorage_failed");
    let position = bytes.windows(from.len()).position(|window| window == from).unwrap();
    let mut older = [&bytes[..position], to, &bytes[position + from.len()..]].concat();
    let checksum = crc32fast::hash(&older[5..]);
    older[1..5].copy_from_slice(&checksum.to_le_bytes());
    assert_eq!(decode_batch(&older).unwrap(), [event(Refusal::StorageFailed)]);
}
