//! The live view of the page, in a real browser, with a real server.

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::command::run_against;
use leasehold_tests::server::Server;
use serde_json::json;

/// Starts a server. Returns it with the URL of its live view.
fn server() -> (Server, String) {
    let server = Server::start();
    let page = format!("http://{}/?mode=live", server.http());
    (server, page)
}

#[test]
fn the_demo_is_shown_live() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.wait_for_text("live-status", |status| status == "live");
    run_against(&server, &["demo"]).expect(0);
    // Each line of each file appears once.
    let lines = |file: &str| {
        let text = browser.text(file).unwrap_or_default();
        text.matches("Log entry from").count()
    };
    for (file, count) in [("file-file_0", 2), ("file-file_2", 1), ("file-file_3", 2)] {
        browser.wait_for_text(file, |_| lines(file) == count);
    }
    for (client, file) in [(1, 0), (2, 2), (3, 0), (4, 3), (5, 3)] {
        let granted = format!("grants file_{file} to client_{client} under token");
        browser.wait_for_text("log", |log| log.contains(&granted));
    }
    // The log with every step contains the end of each session.
    browser.click_button("All steps");
    browser.wait_for_text("log", |log| log.contains("closes session 5 at client_5's request"));
    for invariant in ["S1", "S2", "S3", "S4", "S6", "S8"] {
        let id = format!("invariant-{invariant}");
        assert_ne!(browser.attribute(&id, "data-status"), "violated", "{invariant}");
    }
    assert_eq!(browser.attribute("invariant-S1", "data-status"), "ok");
    for (width, height) in [(1280, 720), (390, 844), (360, 740)] {
        browser.resize(width, height);
        assert!(!browser.overflows_horizontally(), "at {width} by {height}");
    }
    let foreign = browser.run(
        "return performance.getEntriesByType('resource').map(it => it.name)
            .filter(name => !name.startsWith(location.origin))",
    );
    assert_eq!(foreign, json!([]), "no resource of another origin");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn a_page_that_is_opened_later_shows_the_current_state() {
    let (server, page) = server();
    let mut client = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    let token = client.acquire("ledger");
    let fields = json!({"file": "ledger", "token": token, "data": "<b>one</b>\n"});
    client.call("append_file", &fields);
    let mut second = RawClient::connect_with_lease("bob", server.udp(), 60_000);
    second.join_queue("ledger");
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.wait_for_text("live-status", |status| status == "live");
    // Data of clients is shown as text, not as markup.
    browser.wait_for_text("file-ledger", |file| file.contains("<b>one</b>"));
    browser.click_button("All steps");
    let log = browser.wait_for_text("log", |log| log.contains("reports that bob waits for ledger"));
    assert!(log.contains(&format!("reports that ann holds ledger under token {token}")), "{log}");
    for label in ["ann, holds ledger", "bob, queued for ledger, position 1", "on the client"] {
        let stage = labels(&browser);
        assert!(stage.contains(label), "{label} is not in\n{stage}");
    }
}

/// Returns the accessible labels on the stage.
fn labels(browser: &Browser) -> String {
    let all = "return [...document.querySelectorAll('[data-testid=stage] [aria-label]')]
        .map(it => it.getAttribute('aria-label')).join('\\n')";
    browser.run(all).as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_page_is_not_marked_live_while_the_server_is_down() {
    let (mut server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.wait_for_text("live-status", |status| status == "live");
    let mut client = RawClient::connect("ann", server.udp());
    client.acquire("ledger");
    browser.wait_for_text("log", |log| log.contains("grants ledger to ann"));

    server.kill();
    browser.wait_for_text("live-status", |status| status.contains("connection lost"));
    let stale = "return document.querySelector('.page').className";
    assert!(browser.run(stale).as_str().unwrap().contains("connection-stale"));
    // When presenting, the header of the page is hidden.
    browser.press("p");
    browser.wait_for_text("caption", |text| text.starts_with("Connection lost"));
    browser.wait_for_text("from", |text| text == "lost");
    browser.press("p");

    server.restart();
    browser.wait_for_text("live-status", |status| status == "live");
    assert!(!browser.run(stale).as_str().unwrap().contains("connection-stale"));
    let log = browser.wait_for_text("log", |log| log.contains("server restarts"));
    assert!(log.contains("grants ledger to ann"), "{log}");
    browser.click_button("All steps");
    // The tenure continues, and no invariant is violated.
    browser.wait_for_text("log", |log| log.contains("reports that ann holds ledger"));
    let gaps = "return document.querySelectorAll('[data-testid=gantt] .unobserved').length";
    assert_eq!(browser.run(gaps), json!(1), "the gap in the timeline is marked");
    assert_ne!(browser.attribute("invariant-S1", "data-status"), "violated");
}

/// A paused view shows how many events it is behind, and one key returns to the live state.
#[test]
fn the_view_can_be_paused_and_catches_up() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.wait_for_text("live-status", |status| status == "live");
    let mut client = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    client.acquire("ledger");
    browser.wait_for_text("caption", |caption| caption.contains("grants ledger to ann"));
    browser.press(" ");
    browser.wait_for_text("live-return", |text| text.starts_with("0 behind"));
    let time = browser.text("time").unwrap();
    client.acquire("other");
    client.acquire("third");
    browser.wait_for_text("live-return", |text| text.starts_with("2 behind"));
    assert_eq!(browser.text("time").unwrap(), time, "the view is paused");
    assert!(!browser.text("log").unwrap().contains("grants third"));
    assert_eq!(browser.frames_requested(), 0, "a paused view requests no animation frames");
    browser.press("l");
    browser.wait_for_text("caption", |caption| caption.contains("grants third to ann"));
    assert_eq!(browser.text("live-return"), None);
}

#[test]
fn a_recording_can_be_replayed_saved_and_opened() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.wait_for_text("live-status", |status| status == "live");
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    ann.acquire("before");
    browser.wait_for_text("caption", |caption| caption.contains("grants before to ann"));
    browser.click("record");
    browser.wait_for_text("record", |text| text.ends_with("recorded"));
    let token = ann.acquire("ledger");
    let fields = json!({"file": "ledger", "token": token, "data": "one\n"});
    ann.call("append_file", &fields);
    browser.wait_for_text("caption", |caption| caption.contains("writes a line of ledger"));
    browser.capture_downloads();
    browser.click("record");
    browser.wait_for_text("toast", |text| text.starts_with("Recording finished"));
    // The page now shows the recording instead of the live state.
    assert_eq!(browser.text("live-status"), None);
    assert_eq!(
        labels(&browser).matches("ann, holds before;").count(),
        1,
        "the recording is shown from its start"
    );
    browser.click_button("Save");
    let saved = browser.last_download();
    check_recording(&browser);

    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.choose_file("import", "recording.json", &saved);
    browser.wait_for_text("toast", |text| text.contains("Opened a recording of a lock server"));
    check_recording(&browser);
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

/// Checks the end of the recording, its start, and its first event.
fn check_recording(browser: &Browser) {
    browser.press(Browser::END);
    browser.wait_for_text("caption", |caption| caption.contains("writes a line of ledger"));
    browser.wait_for_text("file-ledger", |file| file.contains("one"));
    assert!(labels(browser).contains("ann, holds before, ledger"), "{}", labels(browser));
    assert_eq!(browser.attribute("invariant-S4", "data-status"), "ok");
    browser.press(Browser::HOME);
    browser.wait_for_text("caption", |caption| caption.contains("recording starts here"));
    assert!(labels(browser).contains("ann, holds before;"), "{}", labels(browser));
    assert_eq!(browser.attribute("invariant-S4", "data-status"), "unchecked");
    browser.press(Browser::RIGHT);
    browser.wait_for_text("caption", |caption| caption.contains("grants ledger to ann"));
    assert_eq!(browser.text("file-ledger"), None, "the line is appended later");
}
