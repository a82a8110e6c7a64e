//! The live view shows the numbers, times and files of a real server as they are, after restarts
//! and after an accepted loss of data too.

use std::fs;

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::server::Server;

const INVARIANTS: [&str; 6] = ["S1", "S2", "S3", "S4", "S6", "S8"];

fn open_live(server: &Server) -> Browser {
    let browser = Browser::start(1280, 720);
    browser.open(&format!("http://{}/?mode=live", server.http()));
    browser.wait_for_text("live-status", |status| status == "live");
    browser
}

#[track_caller]
fn expect_no_violation(browser: &Browser) {
    for invariant in INVARIANTS {
        let status = browser.attribute(&format!("invariant-{invariant}"), "data-status");
        assert_ne!(status, "violated", "{invariant}");
    }
}

/// Returns the seconds of a time as the page shows it, such as `12.4 s`.
fn seconds(time: &str) -> Option<f64> {
    time.strip_suffix(" s")?.parse().ok()
}

#[test]
fn large_sequence_numbers_are_no_violation() {
    let server = Server::start();
    let browser = open_live(&server);
    for (index, seq) in [(1_u64 << 32) + 7, (1 << 53) - 3].into_iter().enumerate() {
        let mut client = RawClient::connect(&format!("client_{index}"), server.udp());
        client.continue_at_seq(seq);
        let file = format!("file_{index}");
        let token = client.acquire(&file);
        client.append_ok(&file, token, "one\n");
        client.append_ok(&file, token, "two\n");
        let id = format!("file-{file}");
        browser.wait_for_text(&id, |file| file.contains("one") && file.contains("two"));
    }
    expect_no_violation(&browser);
    assert_eq!(browser.attribute("invariant-S3", "data-status"), "ok");
}

#[test]
fn large_tokens_are_shown_exactly_after_an_accepted_loss() {
    let flags = ["--lease-max-ms", "3000"];
    let mut server = Server::start_with(&flags);
    RawClient::connect_with_lease("ann", server.udp(), 2_000).append_under_lock("f", "old\n");
    server.data_dir().expect_contents("f", "old\n");
    server.kill();
    fs::remove_dir_all(server.data_dir().log_path()).expect("the log can be removed");
    server.set_flags(&[&flags[..], &["--accept-data-loss"]].concat());
    server.restart();
    let browser = open_live(&server);
    let mut client = RawClient::connect_with_lease("bob", server.udp(), 2_000);
    let token = client.acquire_waiting("f");
    assert!(token > 1_000_000, "{token}");
    client.append_ok("f", token, "new\n");
    let shown = format!("#{token}");
    browser.wait_for_text("file-f", |file| file.contains("new") && file.contains(&shown));
    browser.wait_for_text("log", |log| log.contains(&format!("under token {token}")));
    assert!(!browser.text("log").unwrap().contains("4294967295"));
    expect_no_violation(&browser);
}

#[test]
fn files_and_gaps_are_right_after_restarts() {
    let mut server = Server::start();
    let mut client = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    let token = client.acquire("ledger");
    client.append_ok("ledger", token, "one\n");
    let browser = open_live(&server);
    browser.wait_for_text("file-ledger", |file| file.contains("one"));
    for (number, is_graceful) in [(1, false), (2, true), (3, false)] {
        if is_graceful {
            server.terminate();
        } else {
            server.kill();
        }
        browser.wait_for_text("live-status", |status| status.contains("connection lost"));
        server.restart();
        browser.wait_for_text("live-status", |status| status == "live");
        let line = format!("after restart {number}");
        client.append_ok("ledger", token, &format!("{line}\n"));
        browser.wait_for_text("file-ledger", |file| file.contains(&line));
        let file = browser.text("file-ledger").unwrap();
        assert!(file.contains("one"), "earlier lines are shown:\n{file}");
        let log = browser.text("log").unwrap();
        let is_huge = |word: &str| word.len() >= 6 && word.chars().all(|it| it.is_ascii_digit());
        let huge = log.split(|it: char| !it.is_alphanumeric()).find(|word| is_huge(word));
        assert_eq!(huge, None, "no gap has this many events:\n{log}");
        let lines = format!("{} lines", number + 1);
        let stage = browser.run(
            "return document.querySelector('#stage [data-target^=lock]')?.getAttribute('aria-label')",
        );
        assert!(stage.as_str().unwrap_or_default().contains(&lines), "{stage}, not {lines}");
    }
    expect_no_violation(&browser);
}

/// All pages and phones in a lecture hall show the same times.
#[test]
fn times_count_from_the_start_of_the_server_in_every_tab() {
    let server = Server::start();
    let first = open_live(&server);
    let late = first.wait_for_text("time", |time| seconds(time).is_some_and(|it| it >= 3.0));
    let second = open_live(&server);
    let time = second.wait_for_text("time", |time| seconds(time).is_some());
    assert!(
        seconds(&time) >= seconds(&late),
        "the second tab is at {time}, the first was at {late}"
    );
}
