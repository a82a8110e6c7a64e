//! Stories of viewers: what they are told, and what it costs the others.

use leasehold_core::digest::Digest;
use leasehold_core::event::{Asked, Fact};
use leasehold_core::id::{Attempt, Name, Seq, SessionNo, Token};
use leasehold_core::op::{DropReason, Op};
use leasehold_core::refusal::Refusal;

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

/// The news as text: `5-7` for events, `=9 missed 4` for a snapshot, `-` for nothing.
async fn told(viewer: &mut Viewer, limit: usize) -> String {
    match viewer.news(limit).await.unwrap() {
        News::Nothing => "-".to_owned(),
        News::Snapshot { snapshot, missed: 0 } => format!("={}", snapshot.index()),
        News::Snapshot { snapshot, missed } => format!("={} missed {missed}", snapshot.index()),
        News::Events { events, .. } => {
            let index = |shown: Option<&Arc<Shown>>| shown.unwrap().event.index;
            format!("{}-{}", index(events.first()), index(events.last()))
        }
    }
}

#[tokio::test]
async fn a_viewer_gets_a_snapshot_and_then_every_event_once() {
    let published = Published::start(State::default());
    publish(&published, 1..=3);
    let mut viewer = published.follow(None);
    assert_eq!(told(&mut viewer, 10).await, "=3");
    assert_eq!(told(&mut viewer, 10).await, "-");
    publish(&published, 4..=30);
    settled(&published).await;
    viewer.changed().await.unwrap();
    for expected in ["4-13", "14-23", "24-30", "-"] {
        assert_eq!(told(&mut viewer, 10).await, expected);
    }
}

#[tokio::test]
async fn who_comes_back_may_have_as_far_to_go_as_the_ring_is_long() {
    let published = Published::start(State::default());
    let end = RING as u64 + 100;
    publish(&published, 1..=end);
    settled(&published).await;
    let mut back = published.follow(Some(Index::new(100)));
    assert_eq!(told(&mut back, 1).await, "101-101");
    assert_eq!(told(&mut back, RING).await, format!("102-{end}"));
    let mut too_late = published.follow(Some(Index::new(99)));
    assert_eq!(told(&mut too_late, 1).await, format!("={end} missed {}", end - 99));
    let mut up_to_date = published.follow(Some(Index::new(end)));
    assert_eq!(told(&mut up_to_date, 1).await, "-");
    let mut from_elsewhere = published.follow(Some(Index::new(end + 1)));
    assert_eq!(told(&mut from_elsewhere, 1).await, format!("={end}"));
}

#[tokio::test]
async fn who_falls_behind_begins_again_and_is_told_what_it_missed() {
    let published = Published::start(State::default());
    let mut viewer = published.follow(None);
    assert_eq!(told(&mut viewer, 1).await, "=0");
    let lag = LAG_MAX as u64;
    publish(&published, 1..=lag);
    settled(&published).await;
    assert_eq!(told(&mut viewer, 1).await, "1-1", "just not too far behind");
    publish(&published, lag + 1..=lag + 2);
    settled(&published).await;
    assert_eq!(told(&mut viewer, 1).await, format!("={} missed {}", lag + 2, lag + 1));
    assert_eq!(told(&mut viewer, 1).await, "-");
}

#[tokio::test]
async fn nobody_reads_across_events_that_could_not_be_stored() {
    let published = Published::start(State::default());
    publish(&published, 1..=3);
    settled(&published).await;
    let mut viewer = published.follow(Some(Index::new(2)));
    publish(&published, 10..=12);
    settled(&published).await;
    assert_eq!(told(&mut viewer, 10).await, "3-3", "and not further");
    assert_eq!(told(&mut viewer, 10).await, "=12 missed 9");
    let mut in_the_gap = published.follow(Some(Index::new(5)));
    assert_eq!(told(&mut in_the_gap, 10).await, "=12 missed 7");
    let mut beyond = published.follow(Some(Index::new(10)));
    assert_eq!(told(&mut beyond, 10).await, "11-12");
}

#[tokio::test]
async fn viewers_share_a_snapshot_that_is_not_too_old_and_read_on_from_it() {
    let published = Published::start(State::default());
    let (mut ann, mut bob, mut eve) =
        (published.follow(None), published.follow(None), published.follow(None));
    let News::Snapshot { snapshot: of_ann, .. } = ann.news(1).await.unwrap() else { panic!() };
    publish(&published, 1..=SNAPSHOT_AGE_MAX);
    let News::Snapshot { snapshot: of_bob, .. } = bob.news(1).await.unwrap() else { panic!() };
    assert!(Arc::ptr_eq(&of_ann, &of_bob));
    assert_eq!(told(&mut bob, 1).await, "1-1");
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 1));
    let News::Snapshot { snapshot: of_eve, .. } = eve.news(1).await.unwrap() else { panic!() };
    assert_eq!(of_eve.index(), Index::new(SNAPSHOT_AGE_MAX + 1));
    drop((of_ann, of_bob, of_eve));
    let mut last = published.follow(None);
    publish(&published, std::iter::once(SNAPSHOT_AGE_MAX + 2));
    assert_eq!(told(&mut last, 1).await, format!("={}", SNAPSHOT_AGE_MAX + 2), "nobody held it");
}

#[tokio::test]
async fn an_event_becomes_json_only_when_somebody_watches_and_then_once() {
    let published = Published::start(State::default());
    publish(&published, 1..=1);
    settled(&published).await;
    let shown = Arc::clone(&published.shared.lock().ring()[0]);
    assert!(shown.json.get().is_none(), "nobody has watched");
    let (mut ann, mut bob) =
        (published.follow(Some(Index::new(0))), published.follow(Some(Index::new(0))));
    let News::Events { events: of_ann, .. } = ann.news(1).await.unwrap() else { panic!() };
    let News::Events { events: of_bob, .. } = bob.news(1).await.unwrap() else { panic!() };
    assert!(std::ptr::eq(of_ann[0].json(), of_bob[0].json()));
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
