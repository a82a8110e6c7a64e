//! The page, in a real browser, fed by a real server.

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::command::run_at;
use leasehold_tests::server::Server;
use serde_json::json;

/// A server, and the address of its page.
fn server() -> (Server, String) {
    let server = Server::start();
    let page = format!("http://{}/?mode=live", server.http());
    (server, page)
}

#[test]
fn five_clients_on_three_files_are_seen_live() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    run_at(&server, &["demo"]).expect(0);
    // Every line of every file, each once, and who holds nothing any more.
    let lines = |hook: &str| {
        let text = browser.text(hook).unwrap_or_default();
        text.matches("Log entry from").count()
    };
    for (file, count) in [("file-file_0", 2), ("file-file_2", 1), ("file-file_3", 2)] {
        browser.text_when(file, |_| lines(file) == count);
    }
    // Whoever looks at every step sees them leave.
    browser.click_named("Every step");
    browser.text_when("log", |log| log.contains("ends session 5 of client_5, as it asked"));
    for (client, file) in [(1, 0), (2, 2), (3, 0), (4, 3), (5, 3)] {
        let granted = format!("grants file_{file} to client_{client} under token");
        assert!(browser.text("log").unwrap().contains(&granted), "{granted}");
    }
    for invariant in ["S1", "S2", "S3", "S4", "S6", "S8"] {
        let hook = format!("invariant-{invariant}");
        assert_ne!(browser.attribute(&hook, "data-status"), "violated", "{invariant}");
    }
    assert_eq!(browser.attribute("invariant-S1", "data-status"), "ok");
    for (width, height) in [(1280, 720), (390, 844), (360, 740)] {
        browser.resize(width, height);
        assert!(!browser.scrolls_sideways(), "at {width} by {height}");
    }
    let strangers = browser.run(
        "return performance.getEntriesByType('resource').map(it => it.name)
            .filter(name => !name.startsWith(location.origin))",
    );
    assert_eq!(strangers, json!([]));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_page_that_comes_later_shows_what_is_so_already() {
    let (server, page) = server();
    let mut client = RawClient::connect_for("ann", server.udp(), 60_000);
    let token = client.acquire("ledger");
    let fields = json!({"file": "ledger", "token": token, "data": "<b>one</b>\n"});
    client.ask("append_file", &fields);
    let mut second = RawClient::connect_for("bob", server.udp(), 60_000);
    second.stand_in_line("ledger");
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    // What clients write is text, not markup.
    browser.text_when("file-ledger", |file| file.contains("<b>one</b>"));
    browser.click_named("Every step");
    let log = browser.text_when("log", |log| log.contains("says that bob waits for ledger"));
    assert!(log.contains(&format!("says that ann holds ledger, token {token}")), "{log}");
    for seen in ["ann, holds ledger", "bob, waits for ledger, place 1", "it counts on"] {
        let stage = labels(&browser);
        assert!(stage.contains(seen), "{seen} is not in\n{stage}");
    }
}

/// What is on the stage, as it is read out.
fn labels(browser: &Browser) -> String {
    let all = "return [...document.querySelectorAll('[data-testid=stage] [aria-label]')]
        .map(it => it.getAttribute('aria-label')).join('\\n')";
    browser.run(all).as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_page_never_says_live_when_the_server_is_gone() {
    let (mut server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    let mut client = RawClient::connect("ann", server.udp());
    client.acquire("ledger");
    browser.text_when("log", |log| log.contains("grants ledger to ann"));

    server.kill();
    browser.text_when("live-status", |status| status.contains("server lost"));
    let stale = "return document.querySelector('.page').className";
    assert!(browser.run(stale).as_str().unwrap().contains("not-live"));
    // Who presents has no head of the page to read it from.
    browser.press("p");
    browser.text_when("caption", |text| text.starts_with("Server lost"));
    browser.text_when("from", |text| text == "lost");
    browser.press("p");

    server.start_again();
    browser.text_when("live-status", |status| status == "live");
    assert!(!browser.run(stale).as_str().unwrap().contains("not-live"));
    let log = browser.text_when("log", |log| log.contains("server starts again"));
    assert!(log.contains("grants ledger to ann"), "{log}");
    browser.click_named("Every step");
    // Her tenure goes on, and nobody has broken a promise.
    browser.text_when("log", |log| log.contains("says that ann holds ledger"));
    let gaps = "return document.querySelectorAll('[data-testid=gantt] .unseen').length";
    assert_eq!(browser.run(gaps), json!(1), "what was not seen is marked");
    assert_ne!(browser.attribute("invariant-S1", "data-status"), "violated");
}

/// One who looks back is told how much happens meanwhile, and comes back with one key.
#[test]
fn the_view_stands_still_and_catches_up() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    let mut client = RawClient::connect_for("ann", server.udp(), 60_000);
    client.acquire("ledger");
    browser.text_when("caption", |caption| caption.contains("grants ledger to ann"));
    browser.press(" ");
    browser.text_when("live-return", |text| text.starts_with("0 behind"));
    let time = browser.text("time").unwrap();
    client.acquire("other");
    client.acquire("third");
    browser.text_when("live-return", |text| text.starts_with("2 behind"));
    assert_eq!(browser.text("time").unwrap(), time, "it stands still");
    assert!(!browser.text("log").unwrap().contains("grants third"));
    // Nothing moves, so nobody asks for frames.
    let count = "const ask = window.requestAnimationFrame; window.asked = 0;
        window.requestAnimationFrame = it => { window.asked += 1; return ask(it); }; return 0";
    browser.run(count);
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(browser.run("return window.asked"), json!(0));
    browser.press("l");
    browser.text_when("caption", |caption| caption.contains("grants third to ann"));
    assert_eq!(browser.text("live-return"), None);
}

#[test]
fn what_is_recorded_is_gone_through_saved_and_opened_again() {
    let (server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    let mut ann = RawClient::connect_for("ann", server.udp(), 60_000);
    ann.acquire("before");
    browser.text_when("caption", |caption| caption.contains("grants before to ann"));
    browser.click("record");
    browser.text_when("record", |text| text.starts_with('■'));
    let token = ann.acquire("ledger");
    let fields = json!({"file": "ledger", "token": token, "data": "one\n"});
    ann.ask("append_file", &fields);
    browser.text_when("caption", |caption| caption.contains("writes a line of ledger"));
    browser.keep_downloads();
    browser.click("record");
    browser.text_when("toast", |text| text.starts_with("Recorded."));
    // The server may do what it wants: this isn't live any more.
    assert_eq!(browser.text("live-status"), None);
    assert_eq!(labels(&browser).matches("ann, holds before;").count(), 1, "at its beginning");
    browser.click_named("Save");
    let saved = browser.downloaded();
    goes_through(&browser);

    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    browser.choose_file("import", "recording.json", &saved);
    browser.text_when("toast", |text| text.contains("A recording of a real server"));
    goes_through(&browser);
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// To the end of the recording, to its beginning, and to the first thing that happens after it.
fn goes_through(browser: &Browser) {
    browser.press(Browser::END);
    browser.text_when("caption", |caption| caption.contains("writes a line of ledger"));
    browser.text_when("file-ledger", |file| file.contains("one"));
    assert!(labels(browser).contains("ann, holds before, ledger"), "{}", labels(browser));
    assert_eq!(browser.attribute("invariant-S4", "data-status"), "ok");
    browser.press(Browser::HOME);
    browser.text_when("caption", |caption| caption.contains("is watched from here on"));
    assert!(labels(browser).contains("ann, holds before;"), "{}", labels(browser));
    assert_eq!(browser.attribute("invariant-S4", "data-status"), "unchecked");
    browser.press(Browser::RIGHT);
    browser.text_when("caption", |caption| caption.contains("grants ledger to ann"));
    assert_eq!(browser.text("file-ledger"), None, "it is not written yet");
}
