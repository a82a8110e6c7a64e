//! The library as a program uses it, against a server in the same process.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use leasehold_client::testing::{Server, Setup};
use leasehold_client::{Client, Error, Refusal, now};
use leasehold_core::wire::{Key, Operation};
use tokio::time::{sleep, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Waits until something is so that nobody tells us of.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    timeout(PATIENCE, async {
        while !is_so() {
            sleep(millis(5)).await;
        }
    })
    .await
    .unwrap_or_else(|_| panic!("never: {what}"));
}

#[tokio::test]
async fn a_lock_is_taken_used_and_given_back() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::connect(server.addr(), "client_1").await?;
    assert_eq!(client.lease(), millis(5_000));
    let guard = client.lock("file_0").await?;
    assert!(guard.still_mine() && guard.left() > millis(4_000));
    let first = guard.append("one\n").await?;
    let second = guard.append("two\n").await?;
    assert_eq!((first.offset, second.offset, second.len), (0, 4, 4));
    let token = guard.token();
    guard.release().await?;
    assert!(server.state().locks().is_empty());
    let guard = client.lock("file_0").await?;
    assert!(guard.token() > token);
    client.close().await?;
    assert!(!guard.still_mine(), "the session took it along");
    assert!(server.state().locks().is_empty() && server.state().sessions().is_empty());
    assert_eq!(server.file("file_0"), b"one\ntwo\n");
    Ok(())
}

#[tokio::test]
async fn a_held_lock_is_refused_or_waited_for() -> Result<(), Error> {
    let server = Server::start();
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    let guard = ann.lock("a").await?;
    assert!(matches!(bob.try_lock("a").await, Err(Error::Held)));
    let begun = now();
    assert!(matches!(bob.lock_within("a", millis(150)).await, Err(Error::TimedOut)));
    assert!(begun.until(now()).as_millis() >= 150);
    let places = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&places);
    let waiting = bob.lock("a").on_queued(move |place| told.lock().unwrap().push(place));
    let waiting = async { waiting.await };
    let (granted, released) = tokio::join!(waiting, async {
        until("bob waits", || server.state().waiters() == 1).await;
        sleep(millis(20)).await;
        guard.release().await
    });
    released?;
    assert!(granted?.still_mine());
    assert_eq!(places.lock().unwrap().first(), Some(&1));
    Ok(())
}

#[tokio::test]
async fn who_stops_waiting_leaves_nothing_behind() -> Result<(), Error> {
    let server = Server::start();
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    let guard = ann.lock("a").await?;
    assert!(timeout(millis(60), bob.lock("a").into_future()).await.is_err());
    until("bob has left the line", || server.state().waiters() == 0).await;
    guard.release().await?;
    assert!(server.state().locks().is_empty());
    Ok(())
}

/// Gives up at every moment that there is: before the request left, in line, and when the grant
/// is on its way; over a network that loses every fourth datagram.
#[tokio::test]
async fn whenever_somebody_gives_up_the_lock_comes_free_and_can_be_had_again() -> Result<(), Error>
{
    let server = Server::start_with(Setup { loss_ppm: 250_000, ..Setup::default() });
    let ann = Client::connect(server.addr(), "ann").await?;
    let bob = Client::connect(server.addr(), "bob").await?;
    for turn in 0..8 {
        let guard = ann.lock("a").await?;
        let gives_up = timeout(millis(turn * 60), bob.lock("a").into_future());
        let (given_up, ()) = tokio::join!(gives_up, async {
            sleep(millis(turn * 30)).await;
            drop(guard);
        });
        drop(given_up);
        // What takes the last wait back must not take this one back.
        let again = timeout(PATIENCE, bob.lock_within("a", PATIENCE).into_future());
        let guard = again.await.expect("bob gets it in time")?;
        assert!(guard.still_mine());
    }
    until("all is given back", || server.state().locks().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_loss_is_signalled_before_the_server_frees_the_lock() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::builder("cut-off").lease(millis(1_500)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    let waiter = Client::connect(server.addr(), "waiter").await?;
    server.cut_off(true);
    timeout(PATIENCE, guard.lost()).await.expect("the loss is signalled");
    let told_at = now();
    assert!(!guard.still_mine());
    assert!(matches!(guard.append("too late").await, Err(Error::Lost)));
    assert!(server.state().tenure(guard.lock()).is_some(), "the server freed it before");
    let before = server.events().len();
    until("the server frees it", || server.state().locks().is_empty()).await;
    let freed_at = server.events()[before..].iter().map(|event| event.at).next().expect("an event");
    assert!(told_at < freed_at, "told at {told_at}, freed at {freed_at}");
    server.cut_off(false);
    assert!(matches!(guard.release().await, Err(Error::Lost)));
    assert!(waiter.lock("a").await?.still_mine());
    assert_eq!(server.file("a"), b"");
    // The client is as good as new.
    assert!(client.lock("b").await?.still_mine());
    Ok(())
}

#[tokio::test]
async fn a_program_that_was_stopped_believes_nothing_afterwards() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::builder("stopped").lease(millis(300)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    assert!(guard.still_mine());
    // No other task runs on this runtime meanwhile: the client's own has noticed nothing.
    std::thread::sleep(millis(400));
    assert!(!guard.still_mine());
    assert!(matches!(guard.append("late").await, Err(Error::Lost)));
    let appends = |it: &_| matches!(it, Operation::AppendFile { .. });
    assert!(!server.requests().iter().any(|request| appends(&request.operation)));
    Ok(())
}

#[tokio::test]
async fn heartbeats_keep_a_lock_for_as_long_as_it_is_wanted() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::builder("steady").lease(millis(400)).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    assert!(timeout(millis(1_600), guard.lost()).await.is_err(), "lost");
    assert!(guard.still_mine());
    guard.release().await
}

#[tokio::test]
async fn a_hold_ends_however_steady_the_heartbeats_are() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::connect(server.addr(), "stuck").await?;
    let guard = client.lock("a").hold(millis(300)).await?;
    let begun = now();
    timeout(PATIENCE, guard.lost()).await.expect("the hold ends");
    let held = begun.until(now()).as_millis();
    assert!((200..1_000).contains(&held), "{held} ms");
    until("the server ends it too", || server.state().locks().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_crashed_client_holds_its_lock_until_its_lease_is_over() -> Result<(), Error> {
    let server = Server::start();
    let doomed = Client::builder("doomed").lease(millis(600)).connect(server.addr()).await?;
    let guard = doomed.lock("a").await?;
    let next = Client::connect(server.addr(), "next").await?;
    let begun = now();
    doomed.crash().await;
    assert!(!guard.still_mine());
    drop(guard);
    let granted = next.lock("a").await?;
    assert!(begun.until(now()).as_millis() >= 300, "as if it had said farewell");
    granted.release().await
}

#[tokio::test]
async fn the_tasks_of_one_client_take_turns() -> Result<(), Error> {
    let server = Server::start();
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
    let text = String::from_utf8(server.file("a")).expect("text");
    assert_eq!(text.lines().count(), 25);
    for line in text.lines() {
        let task = &line[..1];
        assert_eq!(line, format!("{task} begins, {task} ends"));
    }
    let guard = client.lock("a").await?;
    assert!(matches!(client.try_lock("a").await, Err(Error::Held)), "another task has it");
    assert!(matches!(client.lock_within("a", millis(30)).await, Err(Error::TimedOut)));
    guard.release().await
}

#[tokio::test]
async fn every_line_is_in_the_file_once_whatever_the_network_loses() -> Result<(), Error> {
    let server = Server::start_with(Setup { loss_ppm: 200_000, ..Setup::default() });
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
        timeout(PATIENCE * 2, task).await.expect("in time").expect("no panic")?;
    }
    let text = String::from_utf8(server.file("a")).expect("text");
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    let all = ["ann", "bob", "cyd"].map(|name| (0..5).map(move |turn| format!("{name} {turn}")));
    assert_eq!(lines, all.into_iter().flatten().collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn what_does_not_fit_a_datagram_is_not_sent() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::connect(server.addr(), "wordy").await?;
    let guard = client.lock("a").await?;
    let too_large = guard.append("x".repeat(1_200)).await;
    assert!(matches!(too_large, Err(Error::TooLarge { len_max: 1_200, .. })), "{too_large:?}");
    let bytes = guard.append(vec![0xff; 720]).await?;
    assert_eq!(bytes.len, 720, "these travel as base64");
    guard.append("x".repeat(1_000)).await?;
    assert_eq!(server.file("a").len(), 1_720);
    Ok(())
}

#[tokio::test]
async fn a_key_is_needed_where_the_server_has_one() -> Result<(), Error> {
    let key = Some(Key::new(b"secret"));
    let server = Server::start_with(Setup { key, ..Setup::default() });
    let client = Client::builder("right").key(b"secret").connect(server.addr()).await?;
    client.lock("a").await?.append("hi\n").await?;
    for wrong in [Client::builder("none"), Client::builder("wrong").key(b"guess")] {
        let answer = wrong.patience(millis(300)).connect(server.addr()).await;
        assert!(matches!(answer, Err(Error::NoAnswer)), "{answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_away_is_asked_until_it_is_back() -> Result<(), Error> {
    let nobody = std::net::UdpSocket::bind(("127.0.0.1", 0)).expect("a port");
    let addr = nobody.local_addr().expect("an address");
    drop(nobody);
    let client = Client::builder("early").patience(millis(300)).connect(addr).await;
    assert!(matches!(client, Err(Error::NoAnswer)), "{client:?}");
    let server = Server::start();
    server.cut_off(true);
    let (client, ()) = tokio::join!(Client::connect(server.addr(), "patient"), async {
        sleep(millis(500)).await;
        server.cut_off(false);
    });
    let client = client?;
    let guard = client.lock("a").await?;
    server.cut_off(true);
    let (appended, ()) = tokio::join!(guard.append("in the end\n"), async {
        sleep(millis(500)).await;
        server.cut_off(false);
    });
    appended?;
    assert_eq!(server.file("a"), b"in the end\n");
    Ok(())
}

#[tokio::test]
async fn an_append_without_an_answer_is_unknown() -> Result<(), Error> {
    let server = Server::start();
    let patience = millis(300);
    let client = Client::builder("unsure").patience(patience).connect(server.addr()).await?;
    let guard = client.lock("a").await?;
    server.cut_off(true);
    assert!(matches!(guard.append("?").await, Err(Error::Unknown)));
    assert!(matches!(guard.release().await, Err(Error::NoAnswer)));
    server.cut_off(false);
    until("the release goes on", || server.state().locks().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn a_client_that_is_closed_or_dropped_ends_its_session() -> Result<(), Error> {
    let server = Server::start();
    let client = Client::connect(server.addr(), "one").await?;
    let again = client.clone();
    client.close().await?;
    assert!(matches!(again.lock("a").await, Err(Error::Closed)));
    let client = Client::connect(server.addr(), "two").await?;
    let guard = client.lock("a").await?;
    drop(client);
    sleep(millis(50)).await;
    assert!(guard.still_mine(), "a guard keeps its client");
    guard.append("hi\n").await?;
    drop(guard);
    until("the session is closed", || server.state().sessions().is_empty()).await;
    Ok(())
}

#[tokio::test]
async fn names_and_refusals_are_told() {
    let server = Server::start();
    assert!(matches!(Client::connect(server.addr(), "a b").await, Err(Error::BadName(_))));
    let client = Client::connect(server.addr(), "ok").await.expect("a session");
    assert!(matches!(client.lock("../a").await, Err(Error::BadName(_))));
    let mut config = leasehold_core::service::Config::default();
    config.bounds.sessions_max = 0;
    let full = Server::start_with(Setup { config: Some(config), ..Setup::default() });
    let answer = Client::connect(full.addr(), "many").await;
    assert!(matches!(answer, Err(Error::Refused(Refusal::Overloaded { .. }))), "{answer:?}");
}
