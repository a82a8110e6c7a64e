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
    browser.text_when("log", |log| log.contains("client_5 closed session"));
    for client in 1..=5 {
        assert!(browser.text("log").unwrap().contains(&format!("client_{client} holds file_")));
    }
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
    let body = browser.run("return document.body.innerText");
    let body = body.as_str().unwrap();
    for seen in ["ann", "holds ledger", "bob", "waits for ledger", &format!("#{token}")] {
        assert!(body.contains(seen), "{seen} is not in\n{body}");
    }
}

#[test]
fn the_page_never_says_live_when_the_server_is_gone() {
    let (mut server, page) = server();
    let browser = Browser::start(1280, 720);
    browser.open(&page);
    browser.text_when("live-status", |status| status == "live");
    let mut client = RawClient::connect("ann", server.udp());
    client.acquire("ledger");
    browser.text_when("log", |log| log.contains("ann holds ledger"));

    server.kill();
    browser.text_when("live-status", |status| status.contains("server lost"));
    assert!(browser.run("return document.body.innerText").as_str().unwrap().contains('?'));

    server.start_again();
    browser.text_when("live-status", |status| status == "live");
    let log = browser.text_when("log", |log| log.contains("gap: the server was started again"));
    assert!(log.contains("ann holds ledger"), "{log}");
}
