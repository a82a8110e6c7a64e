//! The client library, with a server in the same process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold_client::testing::{TestServer, TestServerOptions};
use leasehold_client::{Client, Error, LockGuard, Name, Refusal, now};
use leasehold_core::event::{EventKind, ReleaseCause};
use leasehold_core::wire::{MacKey, Operation};
use tokio::time::{sleep, timeout};

const TIMEOUT: Duration = Duration::from_secs(20);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Polls a condition until it is true.
async fn wait_until(description: &str, condition: impl Fn() -> bool) {
    timeout(TIMEOUT, async {
        while !condition() {
            sleep(millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("timed out: {description}"));
}

/// Polls a request for a lock until a condition is true. Returns the guard, if it was granted
/// before; otherwise the request is cancelled.
async fn lock_until(
    lock: impl IntoFuture<Output = Result<LockGuard, Error>>,
    description: &str,
    condition: impl Fn() -> bool,
) -> Result<Option<LockGuard>, Error> {
    tokio::select! {
        biased;
        guard = lock.into_future() => guard.map(Some),
        () = wait_until(description, condition) => Ok(None),
    }
}

/// Counts the requests that the server has received.
fn count_requests(server: &TestServer, is_counted: impl Fn(&Operation) -> bool) -> usize {
    server.requests().iter().filter(|request| is_counted(&request.operation)).count()
}

fn count_heartbeats(server: &TestServer) -> usize {
    count_requests(server, |operation| matches!(operation, Operation::Heartbeat))
}

/// Returns why the server ended each tenure.
fn release_causes(server: &TestServer) -> Vec<ReleaseCause> {
    let cause = |kind: &EventKind| {
        if let EventKind::LockReleased { cause, .. } = kind { Some(*cause) } else { None }
    };
    server.events().iter().filter_map(|event| cause(&event.kind)).collect()
}

/// Returns the name of the client that holds a lock, according to the server.
fn holder(server: &TestServer, lock: &str) -> Option<String> {
    let state = server.state();
    let tenure = state.tenure(&Name::new(lock).expect("a valid name"))?;
    state.session(tenure.session_id).map(|session| session.client.to_string())
}

#[tokio::test]
async fn lock_is_acquired_used_and_released() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::connect(server.addr(), "client_1").await?;
    assert_eq!(client.lease(), millis(5_000));
    let guard = client.lock("file_0").await?;
    assert!(guard.is_held() && guard.remaining() > millis(4_000));
    let first = guard.append("one\n").await?;
    let second = guard.append("two\n").await?;
    assert_eq!((first.offset, second.offset, second.len), (0, 4, 4));
    let token = guard.token();
    guard.release().await?;
    assert!(server.state().locks().is_empty());
    let guard = client.lock("file_0").await?;
    assert!(guard.token() > token);
    client.close().await?;
    assert!(!guard.is_held(), "closing the session releases its locks");
    assert!(server.state().locks().is_empty() && server.state().sessions().is_empty());
    assert_eq!(server.file_contents("file_0"), b"one\ntwo\n");
    Ok(())
}

#[tokio::test]
async fn held_lock_is_refused_or_waited_for() -> Result<(), Error> {
    let server = TestServer::start();
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    let guard = ann.lock("a").await?;
    assert!(matches!(bob.try_lock("a").await, Err(Error::LockHeld)));
    let started = now();
    assert!(matches!(bob.lock_timeout("a", millis(150)).await, Err(Error::WaitTimeout)));
    assert!(started.until(now()).as_millis() >= 150);
    let positions = Arc::new(Mutex::new(Vec::new()));
    let positions_for_callback = Arc::clone(&positions);
    let waiting = bob
        .lock("a")
        .on_queued(move |position| positions_for_callback.lock().unwrap().push(position));
    let waiting = async { waiting.await };
    let (granted, released) = tokio::join!(waiting, async {
        wait_until("bob receives his queue position", || !positions.lock().unwrap().is_empty())
            .await;
        guard.release().await
    });
    released?;
    assert!(granted?.is_held());
    assert_eq!(positions.lock().unwrap().first(), Some(&1));
    Ok(())
}

#[tokio::test]
async fn cancelled_wait_leaves_no_waiter() -> Result<(), Error> {
    let server = TestServer::start();
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    let guard = ann.lock("a").await?;
    let is_queued = || server.state().waiter_count() == 1;
    assert!(lock_until(bob.lock("a"), "bob is queued", is_queued).await?.is_none());
    wait_until("bob has left the queue", || server.state().waiter_count() == 0).await;
    guard.release().await?;
    assert!(server.state().locks().is_empty());
    Ok(())
}

/// Cancels before the request is sent, when the server has received it, when the client is queued,
/// and when the grant is on its way; over a network that loses every fourth datagram.
#[tokio::test]
async fn lock_can_be_acquired_again_after_a_cancellation_at_any_moment() -> Result<(), Error> {
    let server = TestServer::start_with(TestServerOptions {
        loss_ppm: 250_000,
        ..TestServerOptions::default()
    });
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    let acquires = || count_requests(&server, |it| matches!(it, Operation::AcquireLock { .. }));
    let is_queued = || server.state().waiter_count() == 1;
    for round in 0..8 {
        let mut anns_guard = Some(ann.lock("a").await?);
        let acquires_before = acquires();
        let cancelled = match round % 4 {
            0 => lock_until(bob.lock("a"), "at once", || true).await?,
            1 => lock_until(bob.lock("a"), "received", || acquires() > acquires_before).await?,
            2 => lock_until(bob.lock("a"), "queued", is_queued).await?,
            _ => {
                let granted = lock_until(bob.lock("a"), "granted", || {
                    holder(&server, "a").as_deref() == Some("bob")
                });
                let (granted, ()) = tokio::join!(granted, async {
                    wait_until("bob is queued", is_queued).await;
                    drop(anns_guard.take());
                });
                granted?
            }
        };
        drop((anns_guard, cancelled));
        // The cancellation of the first request must not cancel the second one.
        let second_request = timeout(TIMEOUT, bob.lock_timeout("a", TIMEOUT).into_future());
        let guard = second_request.await.expect("bob gets the lock in time")?;
        assert!(guard.is_held());
    }
    wait_until("all locks are released", || server.state().locks().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn loss_is_signalled_before_the_server_frees_the_lock() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::builder("cut-off").lease(millis(1_500)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    let waiter = Client::connect(server.addr(), "waiter").await?;
    server.set_partitioned(true);
    let valid_until = guard.valid_until();
    timeout(TIMEOUT, guard.lost()).await.expect("the loss is signalled");
    assert!(!guard.is_held());
    assert!(matches!(guard.append("too late").await, Err(Error::LockLost)));
    wait_until("the server frees the lock", || !release_causes(&server).is_empty()).await;
    let is_release = |kind: &EventKind| matches!(kind, EventKind::LockReleased { .. });
    let events = server.events();
    let freed_at = events.iter().find(|event| is_release(&event.kind)).expect("a release").at;
    assert!(valid_until < freed_at, "valid until {valid_until}, freed at {freed_at}");
    server.set_partitioned(false);
    assert!(matches!(guard.release().await, Err(Error::LockLost)));
    assert!(waiter.lock("a").await?.is_held());
    assert_eq!(server.file_contents("a"), b"");
    // The client opens another session.
    assert!(client.lock("b").await?.is_held());
    Ok(())
}

#[tokio::test]
async fn guard_is_not_held_after_the_program_was_suspended() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::builder("stopped").lease(millis(300)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    assert!(guard.is_held());
    // Blocks the runtime for longer than the lease, which is the scenario: the task of the client
    // does not run meanwhile.
    std::thread::sleep(millis(400));
    assert!(!guard.is_held());
    assert!(matches!(guard.append("late").await, Err(Error::LockLost)));
    assert_eq!(count_requests(&server, |it| matches!(it, Operation::AppendFile { .. })), 0);
    Ok(())
}

#[tokio::test]
async fn heartbeats_keep_the_lock_held() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::builder("steady").lease(millis(400)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    // More than a lease passes between the first and the last of these heartbeats.
    tokio::select! {
        () = guard.lost() => panic!("the lock is lost"),
        () = wait_until("12 heartbeats", || count_heartbeats(&server) >= 12) => {}
    }
    assert!(guard.is_held());
    guard.release().await
}

#[tokio::test]
async fn hold_limit_ends_the_tenure_despite_heartbeats() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::connect(server.addr(), "stuck").await?;
    let guard = client.lock("a").hold_limit(millis(300)).await?;
    timeout(TIMEOUT, guard.lost()).await.expect("the tenure ends");
    wait_until("the server ends the tenure", || server.state().locks().is_empty()).await;
    // The client releases the lock when its belief ends, shortly before the server's limit.
    let causes = release_causes(&server);
    assert!(
        matches!(causes[..], [ReleaseCause::Released | ReleaseCause::HoldExpired]),
        "{causes:?}"
    );
    assert_eq!(server.state().sessions().len(), 1, "the session is alive");
    Ok(())
}

#[tokio::test]
async fn crashed_client_keeps_its_lock_until_its_lease_expires() -> Result<(), Error> {
    let server = TestServer::start();
    let crashing = Client::builder("doomed").lease(millis(600)).connect(server.addr()).await?;
    let guard = crashing.lock("a").await?;
    let next = Client::connect(server.addr(), "next").await?;
    crashing.crash().await;
    assert!(!guard.is_held());
    drop(guard);
    let granted = next.lock("a").await?;
    assert_eq!(release_causes(&server), [ReleaseCause::LeaseExpired]);
    granted.release().await
}

#[tokio::test]
async fn tasks_of_one_client_hold_the_lock_in_turn() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::connect(server.addr(), "busy").await?;
    let mut tasks = Vec::new();
    for task in 0..5 {
        let client = client.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..5 {
                let guard = client.lock("a").await?;
                guard.append(format!("{task} begins, ")).await?;
                guard.append(format!("{task} ends\n")).await?;
            }
            Ok::<(), Error>(())
        }));
    }
    for task in tasks {
        task.await.expect("no panic")?;
    }
    let text = String::from_utf8(server.file_contents("a")).expect("text");
    assert_eq!(text.lines().count(), 25);
    for line in text.lines() {
        let task = &line[..1];
        assert_eq!(line, format!("{task} begins, {task} ends"));
    }
    let guard = client.lock("a").await?;
    assert!(
        matches!(client.try_lock("a").await, Err(Error::LockHeld)),
        "another task holds the lock"
    );
    assert!(matches!(client.lock_timeout("a", millis(30)).await, Err(Error::WaitTimeout)));
    guard.release().await
}

#[tokio::test]
async fn every_line_is_in_the_file_once_despite_packet_loss() -> Result<(), Error> {
    let server = TestServer::start_with(TestServerOptions {
        loss_ppm: 200_000,
        ..TestServerOptions::default()
    });
    let mut tasks = Vec::new();
    for name in ["ann", "bob", "cyd"] {
        let addr = server.addr();
        tasks.push(tokio::spawn(async move {
            let client = Client::connect(addr, name).await?;
            for turn in 0..5 {
                let guard = client.lock("a").await?;
                guard.append(format!("{name} {turn}\n")).await?;
                guard.release().await?;
            }
            client.close().await
        }));
    }
    for task in tasks {
        timeout(TIMEOUT * 2, task).await.expect("the clients finish in time").expect("no panic")?;
    }
    let text = String::from_utf8(server.file_contents("a")).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let all = ["ann", "bob", "cyd"].map(|name| (0..5).map(move |turn| format!("{name} {turn}")));
    assert_eq!(lines, all.into_iter().flatten().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn append_larger_than_a_datagram_is_rejected() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::connect(server.addr(), "wordy").await?;
    let guard = client.lock("a").await?;
    let too_large = guard.append("x".repeat(1_200)).await;
    assert!(matches!(too_large, Err(Error::TooLarge { len_max: 1_200, .. })), "{too_large:?}");
    let bytes = guard.append(vec![0xff; 720]).await?;
    assert_eq!(bytes.len, 720, "these bytes are sent as base64");
    guard.append("x".repeat(1_000)).await?;
    assert_eq!(server.file_contents("a").len(), 1_720);
    Ok(())
}

#[tokio::test]
async fn server_with_a_key_ignores_clients_without_it() -> Result<(), Error> {
    let key = Some(MacKey::new(b"secret"));
    let server = TestServer::start_with(TestServerOptions { key, ..TestServerOptions::default() });
    let client = Client::builder("right").key(b"secret").connect(server.addr()).await?;
    client.lock("a").await?.append("hi\n").await?;
    for wrong in [Client::builder("none"), Client::builder("wrong").key(b"guess")] {
        let result = wrong.request_timeout(millis(300)).connect(server.addr()).await;
        assert!(matches!(result, Err(Error::NoReply)), "{result:?}");
    }
    Ok(())
}

#[tokio::test]
async fn requests_are_retried_until_the_server_is_reachable() -> Result<(), Error> {
    let unused_port = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let addr = unused_port.local_addr().expect("an address");
    drop(unused_port);
    let client = Client::builder("early").request_timeout(millis(300)).connect(addr).await;
    assert!(matches!(client, Err(Error::NoReply)), "{client:?}");
    let server = TestServer::start();
    server.set_partitioned(true);
    let heal_after_two_losses = async || {
        let before = server.dropped_requests();
        let is_retransmitted = || server.dropped_requests() >= before + 2;
        wait_until("the request is lost twice", is_retransmitted).await;
        server.set_partitioned(false);
    };
    let connect = Client::connect(server.addr(), "patient");
    let (client, ()) = tokio::join!(connect, heal_after_two_losses());
    let client = client?;
    let guard = client.lock("a").await?;
    server.set_partitioned(true);
    let (appended, ()) = tokio::join!(guard.append("in the end\n"), heal_after_two_losses());
    appended?;
    assert_eq!(server.file_contents("a"), b"in the end\n");
    Ok(())
}

#[tokio::test]
async fn append_without_a_reply_has_an_unknown_outcome() -> Result<(), Error> {
    let server = TestServer::start();
    let request_timeout = millis(300);
    let client =
        Client::builder("unsure").request_timeout(request_timeout).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    server.set_partitioned(true);
    assert!(matches!(guard.append("?").await, Err(Error::OutcomeUnknown)));
    assert!(matches!(guard.release().await, Err(Error::NoReply)));
    server.set_partitioned(false);
    wait_until("the release continues", || server.state().locks().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn closing_or_dropping_a_client_ends_its_session() -> Result<(), Error> {
    let server = TestServer::start();
    let client = Client::connect(server.addr(), "one").await?;
    let again = client.clone();
    client.close().await?;
    assert!(matches!(again.lock("a").await, Err(Error::Closed)));
    let client = Client::builder("two").lease(millis(300)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    drop(client);
    let before = count_heartbeats(&server);
    wait_until("another heartbeat", || count_heartbeats(&server) > before).await;
    assert!(guard.is_held(), "a guard keeps its client alive");
    guard.append("hi\n").await?;
    drop(guard);
    wait_until("the session is closed", || server.state().sessions().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn invalid_names_and_refusals_are_reported() {
    let server = TestServer::start();
    assert!(matches!(Client::connect(server.addr(), "a b").await, Err(Error::BadName(_))));
    let client = Client::connect(server.addr(), "ok").await.expect("a session");
    assert!(matches!(client.lock("../a").await, Err(Error::BadName(_))));
    let mut config = leasehold_core::service::Config::default();
    config.limits.sessions_max = 0;
    let full = TestServer::start_with(TestServerOptions {
        config: Some(config),
        ..TestServerOptions::default()
    });
    let result = Client::connect(full.addr(), "many").await;
    assert!(matches!(result, Err(Error::Refused(Refusal::Overloaded { .. }))), "{result:?}");
}
