//! Viewers: the updates that they get, and the work that they cause.

use leasehold_core::digest::Digest;
use leasehold_core::event::{EventKind, RequestId};
use leasehold_core::id::{Attempt, Name, Seq, SessionId, Token};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::refusal::Refusal;

use super::batch::BATCH_LEN_MAX;
use super::recent_events::{LAG_MAX, RING_LEN_MIN};
use super::*;

fn datagram_dropped(index: u64) -> Event {
    let kind = EventKind::DatagramDropped { reason: DropReason::IsReply };
    Event { index: LogIndex::new(index), at: Time::from_millis(index), kind }
}

fn publish(published: &Published, indices: impl Iterator<Item = u64>) {
    published.publish(indices.map(datagram_dropped).collect(), LogPosition::default());
}

async fn wait_until_published(published: &Published) {
    published.inspect(|_| ()).await.unwrap();
}

/// Returns the next update as text: `5-7` for events, `=9 missed 4` for a snapshot after missed
/// events, `-` for none.
async fn next_update_text(viewer: &mut Viewer) -> String {
    match viewer.next_update() {
        ViewerUpdate::UpToDate => "-".to_owned(),
        ViewerUpdate::SnapshotRequired => match viewer.start_from_snapshot().await.unwrap() {
            (snapshot, 0) => format!("={}", snapshot.index()),
            (snapshot, missed) => format!("={} missed {missed}", snapshot.index()),
        },
        ViewerUpdate::Events { batch, first_unseen, .. } => {
            format!("{}-{}", batch.events()[first_unseen].index, batch.last_index())
        }
    }
}

/// Reads until the viewer is up to date. Returns the indices, which have no gaps.
fn read_to_end(viewer: &mut Viewer) -> std::ops::RangeInclusive<u64> {
    let (mut first, mut last) = (None, 0);
    while let ViewerUpdate::Events { batch, first_unseen, is_last } = viewer.next_update() {
        assert!(batch.events().len() <= BATCH_LEN_MAX);
        for event in &batch.events()[first_unseen..] {
            let index = event.index.number();
            assert!(first.is_none() || index == last + 1, "event {index} follows event {last}");
            (first, last) = (first.or(Some(index)), index);
        }
        assert_eq!(is_last, viewer.last_seen == Some(viewer.published.latest().0));
    }
    first.unwrap()..=last
}

#[tokio::test]
async fn viewer_gets_a_snapshot_and_then_every_event_once() {
    let published = Published::start(State::default(), LogPosition::default());
    publish(&published, 1..=3);
    let mut viewer = published.subscribe(None);
    assert_eq!(next_update_text(&mut viewer).await, "=3");
    assert_eq!(next_update_text(&mut viewer).await, "-");
    let full = BATCH_LEN_MAX as u64;
    publish(&published, 4..=10);
    publish(&published, 11..=full + 30);
    wait_until_published(&published).await;
    viewer.changed().await.unwrap();
    // The first three events were part of the snapshot, so their batch is unread and still grows.
    for expected in [format!("4-{full}"), format!("{}-{}", full + 1, full + 30), "-".to_owned()] {
        assert_eq!(next_update_text(&mut viewer).await, expected);
    }
}

#[tokio::test]
async fn returning_viewer_may_catch_up_over_the_whole_ring() {
    let published = Published::start(State::default(), LogPosition::default());
    let end = RING_LEN_MIN as u64 + 100;
    publish(&published, 1..=end);
    wait_until_published(&published).await;
    let mut returning = published.subscribe(Some(LogIndex::new(100)));
    assert_eq!(read_to_end(&mut returning), 101..=end);
    // The ring drops whole batches.
    publish(&published, end + 1..=end + BATCH_LEN_MAX as u64);
    wait_until_published(&published).await;
    let end = end + BATCH_LEN_MAX as u64;
    let mut too_late = published.subscribe(Some(LogIndex::new(99)));
    assert_eq!(next_update_text(&mut too_late).await, format!("={end} missed {}", end - 99));
    let mut up_to_date = published.subscribe(Some(LogIndex::new(end)));
    assert_eq!(next_update_text(&mut up_to_date).await, "-");
    let mut from_elsewhere = published.subscribe(Some(LogIndex::new(end + 1)));
    assert_eq!(next_update_text(&mut from_elsewhere).await, format!("={end}"));
    let retained: usize = published.shared.lock().ring().iter().map(|it| it.events().len()).sum();
    assert!((RING_LEN_MIN..RING_LEN_MIN + BATCH_LEN_MAX).contains(&retained), "{retained}");
}

#[tokio::test]
async fn lagging_viewer_restarts_from_a_snapshot_with_the_number_of_missed_events() {
    let published = Published::start(State::default(), LogPosition::default());
    let mut viewer = published.subscribe(None);
    assert_eq!(next_update_text(&mut viewer).await, "=0");
    publish(&published, 1..=LAG_MAX);
    wait_until_published(&published).await;
    let first = format!("1-{BATCH_LEN_MAX}");
    assert_eq!(next_update_text(&mut viewer).await, first, "the viewer is exactly at the limit");
    let end = LAG_MAX + BATCH_LEN_MAX as u64 + 1;
    publish(&published, LAG_MAX + 1..=end);
    wait_until_published(&published).await;
    assert_eq!(next_update_text(&mut viewer).await, format!("={end} missed {}", LAG_MAX + 1));
    assert_eq!(next_update_text(&mut viewer).await, "-");
}

#[tokio::test]
async fn no_viewer_reads_across_a_gap_of_failed_events() {
    let published = Published::start(State::default(), LogPosition::default());
    publish(&published, 1..=3);
    wait_until_published(&published).await;
    let mut viewer = published.subscribe(Some(LogIndex::new(2)));
    publish(&published, 10..=12);
    wait_until_published(&published).await;
    assert_eq!(next_update_text(&mut viewer).await, "3-3", "the batch ends at the gap");
    assert_eq!(next_update_text(&mut viewer).await, "=12 missed 9");
    let mut in_the_gap = published.subscribe(Some(LogIndex::new(5)));
    assert_eq!(next_update_text(&mut in_the_gap).await, "=12 missed 7");
    let mut beyond = published.subscribe(Some(LogIndex::new(10)));
    assert_eq!(next_update_text(&mut beyond).await, "11-12");
}

#[tokio::test]
async fn no_viewer_gets_a_snapshot_from_before_a_gap() {
    let published = Published::start(State::default(), LogPosition::default());
    publish(&published, 1..=3);
    let (old, _) = published.subscribe(None).start_from_snapshot().await.unwrap();
    publish(&published, 10..=12);
    wait_until_published(&published).await;
    let mut viewer = published.subscribe(Some(LogIndex::new(3)));
    assert_eq!(
        next_update_text(&mut viewer).await,
        "=12 missed 9",
        "not the snapshot at {}",
        old.index()
    );
}

#[tokio::test]
async fn viewers_share_a_recent_snapshot_and_continue_from_it() {
    let published = Published::start(State::default(), LogPosition::default());
    let (mut ann, mut bob, mut eve) =
        (published.subscribe(None), published.subscribe(None), published.subscribe(None));
    let (ann_snapshot, _) = ann.start_from_snapshot().await.unwrap();
    publish(&published, 1..=SNAPSHOT_AGE_MAX);
    let (bob_snapshot, _) = bob.start_from_snapshot().await.unwrap();
    assert!(Arc::ptr_eq(&ann_snapshot, &bob_snapshot));
    assert_eq!(next_update_text(&mut bob).await, format!("1-{BATCH_LEN_MAX}"));
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 1));
    let (eve_snapshot, _) = eve.start_from_snapshot().await.unwrap();
    assert_eq!(eve_snapshot.index(), LogIndex::new(SNAPSHOT_AGE_MAX + 1));
    drop((ann_snapshot, bob_snapshot, eve_snapshot));
    let mut last = published.subscribe(None);
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 2));
    assert_eq!(
        next_update_text(&mut last).await,
        format!("={}", SNAPSHOT_AGE_MAX + 2),
        "no viewer held the previous snapshot"
    );
}

#[tokio::test]
async fn batch_is_encoded_once_for_all_viewers_and_only_on_demand() {
    let published = Published::start(State::default(), LogPosition::default());
    let (mut ann, mut bob) =
        (published.subscribe(Some(LogIndex::new(0))), published.subscribe(Some(LogIndex::new(0))));
    publish(&published, 1..=1);
    publish(&published, 2..=2);
    wait_until_published(&published).await;
    let ViewerUpdate::Events { batch, first_unseen: 0, .. } = ann.next_update() else { panic!() };
    assert_eq!(batch.encoded(|events| format!("{} events", events.len())), "2 events");
    drop(batch);
    // Later events do not join a batch that was encoded.
    publish(&published, 3..=3);
    wait_until_published(&published).await;
    let ViewerUpdate::Events { batch, first_unseen: 0, .. } = bob.next_update() else { panic!() };
    assert_eq!(batch.encoded(|_| panic!("the batch is encoded already")), "2 events");
    drop(batch);
    assert_eq!(
        (next_update_text(&mut bob).await, next_update_text(&mut ann).await),
        ("3-3".into(), "3-3".into())
    );
}

#[tokio::test]
async fn returning_viewer_reads_small_batches_merged_into_few() {
    let published = Published::start(State::default(), LogPosition::default());
    let mut live = published.subscribe(Some(LogIndex::new(0)));
    for index in 1..=2_000 {
        publish(&published, index..=index);
        wait_until_published(&published).await;
        let ViewerUpdate::Events { batch, first_unseen, is_last: true } = live.next_update() else {
            panic!()
        };
        assert_eq!(
            (batch.last_index(), first_unseen),
            (LogIndex::new(index), batch.events().len() - 1)
        );
        batch.encoded(|_| String::new());
    }
    // No batch retains more memory than it needs, however many events arrive at once.
    publish(&published, 2_001..=RING_LEN_MIN as u64);
    wait_until_published(&published).await;
    let capacity: usize = published.shared.lock().ring().iter().map(|it| it.capacity()).sum();
    assert!(capacity < RING_LEN_MIN * 2, "{capacity}");
    let mut returning = published.subscribe(Some(LogIndex::new(0)));
    let mut batches = 0;
    while let ViewerUpdate::Events { batch, first_unseen, .. } = returning.next_update() {
        batches += 1;
        assert_eq!((first_unseen, batch.encoded(|_| "text".to_owned()).as_str()), (0, "text"));
    }
    assert!(batches <= RING_LEN_MIN / BATCH_LEN_MAX + 3, "{batches}");
}

#[tokio::test]
async fn viewer_that_starts_inside_a_batch_gets_the_rest_of_it() {
    let published = Published::start(State::default(), LogPosition::default());
    publish(&published, 1..=5);
    wait_until_published(&published).await;
    let mut returning = published.subscribe(Some(LogIndex::new(2)));
    assert_eq!(next_update_text(&mut returning).await, "3-5");
    publish(&published, 6..=6);
    wait_until_published(&published).await;
    assert_eq!(next_update_text(&mut returning).await, "6-6");
}

#[tokio::test]
async fn metrics_match_the_published_events() {
    let published = Published::start(State::default(), LogPosition::default());
    let (lock, ann) = (Name::new("f").unwrap(), Name::new("ann").unwrap());
    let request_id =
        |seq| RequestId { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) };
    let session_id = SessionId::new(1);
    let lease = leasehold_core::time::Millis::from_secs(5);
    let kinds = [
        EventKind::SessionOpened { session_id, client: ann.clone(), lease, key: None, nonce: None },
        EventKind::LockGranted {
            lock: lock.clone(),
            session_id,
            client: ann.clone(),
            token: Token::new(9),
            request_id: request_id(1),
            hold: None,
            from_queue: false,
        },
        EventKind::FileAppended {
            file: lock.clone(),
            session_id,
            client: ann.clone(),
            token: Token::new(9),
            offset: 0,
            data: leasehold_core::data::Data::new(b"four"),
            request_id: request_id(2),
        },
        EventKind::RequestRefused {
            session_id: Some(session_id),
            client: Some(ann.clone()),
            op: Op::CancelAcquire,
            resource_name: Some(lock.clone()),
            token: None,
            refusal: Refusal::NotWaiting,
            request_id: request_id(3),
        },
        EventKind::DatagramDropped { reason: DropReason::BadKey },
    ];
    let event = |(index, kind)| Event { index: LogIndex::new(index), at: Time::ZERO, kind };
    published.publish((1..).zip(kinds).map(event).collect(), LogPosition::default());
    wait_until_published(&published).await;
    let (counters, gauges) = published.metrics();
    assert_eq!(counters.events["lock_granted"], 1);
    assert_eq!((counters.refusals["not_waiting"], counters.drops["bad_key"]), (1, 1));
    assert_eq!((gauges.sessions, gauges.locks_held, gauges.waiters), (1, 1, 0));
    assert_eq!((gauges.files, gauges.file_bytes, counters.appended_bytes), (1, 4, 4));
    assert_eq!(gauges.last_token, Token::new(9));
    // Gauges that start from this state are equal.
    assert_eq!(Gauges::from_state(&published.state()), gauges);

    let cause = leasehold_core::event::ReleaseCause::Released;
    let (token, request_id) = (Token::new(9), Some(request_id(4)));
    let released =
        EventKind::LockReleased { lock, session_id, client: ann, token, cause, request_id };
    published.publish(vec![event((6, released))], LogPosition::default());
    wait_until_published(&published).await;
    let (counters, gauges) = published.metrics();
    assert_eq!((counters.releases["released"], gauges.locks_held), (1, 0));
}

#[tokio::test]
async fn published_clock_advances_without_events() {
    let published = Published::start(State::default(), LogPosition::default());
    publish(&published, std::iter::once(1_000));
    wait_until_published(&published).await;
    let (index, first) = published.latest();
    assert_eq!(index, LogIndex::new(1_000));
    assert!(first >= Time::from_millis(1_000), "{first}");
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while published.latest().1 <= first {
        assert!(std::time::Instant::now() < deadline, "the clock does not advance");
        thread::yield_now();
    }
}
