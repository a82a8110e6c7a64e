//! Stories of viewers: what they are told, and what it costs the others.

use leasehold_core::digest::Digest;
use leasehold_core::event::{Asked, Fact};
use leasehold_core::id::{Attempt, Name, Seq, SessionNo, Token};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::refusal::Refusal;

use super::batch::BATCH_MAX;
use super::recent::{LAG_MAX, RING};
use super::*;

fn dropped(index: u64) -> Event {
    let fact = Fact::DatagramDropped { reason: DropReason::IsReply };
    Event { index: Index::new(index), at: Time::from_millis(index), fact }
}

fn publish(published: &Published, indices: impl Iterator<Item = u64>) {
    published.publish(indices.map(dropped).collect());
}

async fn settled(published: &Published) {
    published.look(|_| ()).await.unwrap();
}

/// The news as text: `5-7` for events, `=9 missed 4` where it was lost and begins with a snapshot,
/// `-` for nothing.
async fn told(viewer: &mut Viewer) -> String {
    match viewer.news() {
        News::Nothing => "-".to_owned(),
        News::Lost => match viewer.begin().await.unwrap() {
            (snapshot, 0) => format!("={}", snapshot.index()),
            (snapshot, missed) => format!("={} missed {missed}", snapshot.index()),
        },
        News::Events { batch, from, .. } => {
            format!("{}-{}", batch.events()[from].index, batch.last())
        }
    }
}

/// Reads on until there is nothing more. Gives back the indices, which follow each other.
fn told_to_the_end(viewer: &mut Viewer) -> std::ops::RangeInclusive<u64> {
    let (mut first, mut last) = (None, 0);
    while let News::Events { batch, from, is_all } = viewer.news() {
        assert!(batch.events().len() <= BATCH_MAX);
        for event in &batch.events()[from..] {
            let index = event.index.number();
            assert!(first.is_none() || index == last + 1, "{index} follows {last}");
            (first, last) = (first.or(Some(index)), index);
        }
        assert_eq!(is_all, viewer.seen == Some(viewer.published.now().0));
    }
    first.unwrap()..=last
}

#[tokio::test]
async fn a_viewer_gets_a_snapshot_and_then_every_event_once() {
    let published = Published::start(State::default());
    publish(&published, 1..=3);
    let mut viewer = published.follow(None);
    assert_eq!(told(&mut viewer).await, "=3");
    assert_eq!(told(&mut viewer).await, "-");
    let full = BATCH_MAX as u64;
    publish(&published, 4..=10);
    publish(&published, 11..=full + 30);
    settled(&published).await;
    viewer.changed().await.unwrap();
    // The first three were told in a snapshot, so nobody has read their batch.
    for expected in [format!("4-{full}"), format!("{}-{}", full + 1, full + 30), "-".to_owned()] {
        assert_eq!(told(&mut viewer).await, expected);
    }
}

#[tokio::test]
async fn who_comes_back_may_have_as_far_to_go_as_the_ring_is_long() {
    let published = Published::start(State::default());
    let end = RING as u64 + 100;
    publish(&published, 1..=end);
    settled(&published).await;
    let mut back = published.follow(Some(Index::new(100)));
    assert_eq!(told_to_the_end(&mut back), 101..=end);
    // What is forgotten is forgotten by whole batches.
    publish(&published, end + 1..=end + BATCH_MAX as u64);
    settled(&published).await;
    let end = end + BATCH_MAX as u64;
    let mut too_late = published.follow(Some(Index::new(99)));
    assert_eq!(told(&mut too_late).await, format!("={end} missed {}", end - 99));
    let mut up_to_date = published.follow(Some(Index::new(end)));
    assert_eq!(told(&mut up_to_date).await, "-");
    let mut from_elsewhere = published.follow(Some(Index::new(end + 1)));
    assert_eq!(told(&mut from_elsewhere).await, format!("={end}"));
    let kept: usize = published.shared.lock().ring().iter().map(|it| it.events().len()).sum();
    assert!((RING..RING + BATCH_MAX).contains(&kept), "{kept}");
}

#[tokio::test]
async fn who_falls_behind_begins_again_and_is_told_what_it_missed() {
    let published = Published::start(State::default());
    let mut viewer = published.follow(None);
    assert_eq!(told(&mut viewer).await, "=0");
    publish(&published, 1..=LAG_MAX);
    settled(&published).await;
    let first = format!("1-{BATCH_MAX}");
    assert_eq!(told(&mut viewer).await, first, "just not too far behind");
    let end = LAG_MAX + BATCH_MAX as u64 + 1;
    publish(&published, LAG_MAX + 1..=end);
    settled(&published).await;
    assert_eq!(told(&mut viewer).await, format!("={end} missed {}", LAG_MAX + 1));
    assert_eq!(told(&mut viewer).await, "-");
}

#[tokio::test]
async fn nobody_reads_across_events_that_could_not_be_stored() {
    let published = Published::start(State::default());
    publish(&published, 1..=3);
    settled(&published).await;
    let mut viewer = published.follow(Some(Index::new(2)));
    publish(&published, 10..=12);
    settled(&published).await;
    assert_eq!(told(&mut viewer).await, "3-3", "and not further");
    assert_eq!(told(&mut viewer).await, "=12 missed 9");
    let mut in_the_gap = published.follow(Some(Index::new(5)));
    assert_eq!(told(&mut in_the_gap).await, "=12 missed 7");
    let mut beyond = published.follow(Some(Index::new(10)));
    assert_eq!(told(&mut beyond).await, "11-12");
}

#[tokio::test]
async fn nobody_is_given_a_snapshot_from_before_such_events() {
    let published = Published::start(State::default());
    publish(&published, 1..=3);
    let (old, _) = published.follow(None).begin().await.unwrap();
    publish(&published, 10..=12);
    settled(&published).await;
    let mut viewer = published.follow(Some(Index::new(3)));
    assert_eq!(told(&mut viewer).await, "=12 missed 9", "not {}", old.index());
}

#[tokio::test]
async fn viewers_share_a_snapshot_that_is_not_too_old_and_read_on_from_it() {
    let published = Published::start(State::default());
    let (mut ann, mut bob, mut eve) =
        (published.follow(None), published.follow(None), published.follow(None));
    let (of_ann, _) = ann.begin().await.unwrap();
    publish(&published, 1..=SNAPSHOT_AGE_MAX);
    let (of_bob, _) = bob.begin().await.unwrap();
    assert!(Arc::ptr_eq(&of_ann, &of_bob));
    assert_eq!(told(&mut bob).await, format!("1-{BATCH_MAX}"));
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 1));
    let (of_eve, _) = eve.begin().await.unwrap();
    assert_eq!(of_eve.index(), Index::new(SNAPSHOT_AGE_MAX + 1));
    drop((of_ann, of_bob, of_eve));
    let mut last = published.follow(None);
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 2));
    assert_eq!(told(&mut last).await, format!("={}", SNAPSHOT_AGE_MAX + 2), "nobody held it");
}

#[tokio::test]
async fn what_is_told_together_becomes_text_once_for_all_and_only_when_somebody_watches() {
    let published = Published::start(State::default());
    let (mut ann, mut bob) =
        (published.follow(Some(Index::new(0))), published.follow(Some(Index::new(0))));
    publish(&published, 1..=1);
    publish(&published, 2..=2);
    settled(&published).await;
    let News::Events { batch, from: 0, .. } = ann.news() else { panic!() };
    assert_eq!(batch.text(|events| format!("{} events", events.len())), "2 events");
    drop(batch);
    // What comes now doesn't belong to what was told.
    publish(&published, 3..=3);
    settled(&published).await;
    let News::Events { batch, from: 0, .. } = bob.news() else { panic!() };
    assert_eq!(batch.text(|_| panic!("it is there")), "2 events");
    drop(batch);
    assert_eq!((told(&mut bob).await, told(&mut ann).await), ("3-3".into(), "3-3".into()));
}

#[tokio::test]
async fn who_comes_back_is_told_in_few_pieces_what_was_told_in_many() {
    let published = Published::start(State::default());
    let mut along = published.follow(Some(Index::new(0)));
    for index in 1..=2_000 {
        publish(&published, index..=index);
        settled(&published).await;
        let News::Events { batch, from, is_all: true } = along.news() else { panic!() };
        assert_eq!((batch.last(), from), (Index::new(index), batch.events().len() - 1));
        batch.text(|_| String::new());
    }
    // Nothing holds more room than it needs, whatever came at once.
    publish(&published, 2_001..=RING as u64);
    settled(&published).await;
    let room: usize = published.shared.lock().ring().iter().map(|it| it.room()).sum();
    assert!(room < RING * 2, "{room}");
    let mut back = published.follow(Some(Index::new(0)));
    let mut pieces = 0;
    while let News::Events { batch, from, .. } = back.news() {
        pieces += 1;
        assert_eq!((from, batch.text(|_| "told".to_owned()).as_str()), (0, "told"));
    }
    assert!(pieces <= RING / BATCH_MAX + 3, "{pieces}");
}

#[tokio::test]
async fn who_begins_within_what_is_told_together_is_told_the_rest_of_it() {
    let published = Published::start(State::default());
    publish(&published, 1..=5);
    settled(&published).await;
    let mut back = published.follow(Some(Index::new(2)));
    assert_eq!(told(&mut back).await, "3-5");
    publish(&published, 6..=6);
    settled(&published).await;
    assert_eq!(told(&mut back).await, "6-6");
}

#[tokio::test]
async fn what_is_counted_is_what_happened() {
    let published = Published::start(State::default());
    let (lock, ann) = (Name::new("f").unwrap(), Name::new("ann").unwrap());
    let asked = |seq| Asked { seq: Seq::new(seq), attempt: Attempt::new(0), digest: Digest(0) };
    let session_no = SessionNo::new(1);
    let lease = leasehold_core::time::Span::from_secs(5);
    let facts = [
        Fact::SessionOpened { session_no, client: ann.clone(), lease, id: None, nonce: None },
        Fact::LockGranted {
            lock: lock.clone(),
            session_no,
            client: ann.clone(),
            token: Token::new(9),
            asked: asked(1),
            hold: None,
            from_queue: false,
        },
        Fact::FileAppended {
            file: lock.clone(),
            session_no,
            client: ann.clone(),
            token: Token::new(9),
            offset: 0,
            data: leasehold_core::data::Data::new(b"four"),
            asked: asked(2),
        },
        Fact::RequestRefused {
            session_no: Some(session_no),
            client: Some(ann.clone()),
            op: Op::CancelAcquire,
            name: Some(lock.clone()),
            token: None,
            refusal: Refusal::NotWaiting,
            asked: asked(3),
        },
        Fact::DatagramDropped { reason: DropReason::BadKey },
    ];
    let event = |(index, fact)| Event { index: Index::new(index), at: Time::ZERO, fact };
    published.publish((1..).zip(facts).map(event).collect());
    settled(&published).await;
    let (counts, gauges) = published.counts();
    assert_eq!(counts.events["lock_granted"], 1);
    assert_eq!((counts.refusals["not_waiting"], counts.drops["bad_key"]), (1, 1));
    assert_eq!((gauges.sessions, gauges.locks_held, gauges.waiters), (1, 1, 0));
    assert_eq!((gauges.files, gauges.file_bytes, counts.appended_bytes), (1, 4, 4));
    assert_eq!(gauges.last_token, Token::new(9));
    // Who begins with this state counts the same.
    assert_eq!(Gauges::of(&published.state()), gauges);

    let cause = leasehold_core::event::ReleaseCause::Released;
    let (token, asked) = (Token::new(9), Some(asked(4)));
    let released = Fact::LockReleased { lock, session_no, client: ann, token, cause, asked };
    published.publish(vec![event((6, released))]);
    settled(&published).await;
    let (counts, gauges) = published.counts();
    assert_eq!((counts.releases["released"], gauges.locks_held), (1, 0));
}

#[tokio::test]
async fn the_viewers_clock_goes_on_where_nothing_happens() {
    let published = Published::start(State::default());
    publish(&published, std::iter::once(1_000));
    settled(&published).await;
    let (index, first) = published.now();
    assert_eq!(index, Index::new(1_000));
    assert!(first >= Time::from_millis(1_000), "{first}");
    thread::sleep(std::time::Duration::from_millis(30));
    assert!(published.now().1.as_millis() >= first.as_millis() + 29);
}
