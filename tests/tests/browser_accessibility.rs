//! Everybody can use the page: an accessibility checker of others finds nothing serious in any
//! view, in light and in dark, on a projector and on a phone.
//!
//! `cargo xtask test` fetches the checker; by hand, `LEASEHOLD_AXE` names its script.

use std::time::Duration;
use std::{env, fs, thread};

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::page_host::Pages;
use leasehold_tests::server::Server;
use serde_json::Value;

/// The views: what they are called, where they are, and which keys lead there.
const VIEWS: [(&str, &str, &[&str]); 12] = [
    ("stage and leases", "t=12000", &[]),
    ("a violation", "without=fencing&t=18200", &["g"]),
    ("space-time", "t=12000", &["2"]),
    ("a client", "t=12000", &["1", Browser::DOWN]),
    ("scenarios", "", &["o"]),
    ("keys", "", &["?"]),
    ("signs", "", &["i"]),
    ("search", "", &["v"]),
    ("exports", "", &["e"]),
    ("the question", "", &[Browser::PAGE_DOWN, Browser::PAGE_DOWN, Browser::PAGE_DOWN]),
    ("comparison", "t=17000", &["m"]),
    ("presenting", "t=12000", &["p"]),
];

/// What is serious, by the checker's own word.
fn complaints(browser: &Browser, axe: &str) -> Vec<String> {
    browser.run(axe);
    browser.run(
        "window.found = undefined;
         axe.run(document, {resultTypes: ['violations']}).then(it => { window.found = it; })",
    );
    let found = leasehold_tests::log::wait_for("the checker", || {
        let found = browser.run(
            "return window.found?.violations.filter(it => ['serious', 'critical'].includes(it.impact))
                .map(it => `${it.id}: ${it.nodes.map(node => node.html).slice(0, 3).join(' | ')}`)
                ?? null",
        );
        (!found.is_null()).then_some(found)
    });
    let found = found.as_array().cloned().unwrap_or_default();
    found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn checker() -> String {
    let axe = env::var("LEASEHOLD_AXE").expect("LEASEHOLD_AXE names the checker's script");
    fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{axe}: {error}"))
}

#[test]
fn a_checker_of_others_finds_nothing_serious() {
    let axe = checker();
    let pages = Pages::serve("page");
    let browser = Browser::start(1280, 720);
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        browser.set_scheme(scheme);
        for (width, height) in [(1280, 720), (390, 844)] {
            browser.resize(width, height);
            for (view, query, keys) in VIEWS {
                browser.open(&format!("{}?scenario=gc-pause&{query}", pages.address()));
                browser.text_when("time", |time| time.ends_with(" s"));
                for key in keys {
                    browser.press(key);
                }
                thread::sleep(Duration::from_millis(300));
                let found = complaints(&browser, &axe);
                all.extend(found.into_iter().map(|it| format!("{scheme}, {width}, {view}: {it}")));
            }
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn nor_does_it_in_what_is_live_or_for_the_lecturer() {
    let axe = checker();
    let server = Server::start();
    let mut ann = RawClient::connect_for("ann", server.udp(), 60_000);
    ann.acquire("ledger");
    let page = format!("http://{}/", server.http());
    let browser = Browser::start(1280, 720);
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        browser.set_scheme(scheme);
        for (width, height) in [(1280, 720), (390, 844)] {
            browser.resize(width, height);
            browser.open(&format!("{page}?mode=live"));
            browser.text_when("live-status", |status| status == "live");
            let mut look = |view: &str| {
                thread::sleep(Duration::from_millis(300));
                let found = complaints(&browser, &axe);
                all.extend(found.into_iter().map(|it| format!("{scheme}, {width}, {view}: {it}")));
            };
            look("live");
            browser.press(" ");
            browser.text_when("live-return", |text| text.contains("behind"));
            look("the view that stands still");
            browser.open(&format!("{page}?mode=notes"));
            browser.text_when("notes", |text| text.contains("follow the page"));
            look("notes");
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// A checker that finds nothing anywhere would be none.
#[test]
fn the_checker_finds_what_is_wrong() {
    let axe = checker();
    let pages = Pages::serve("page");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", pages.address()));
    browser.text_when("time", |time| time.ends_with(" s"));
    browser.run(
        "document.querySelector('[data-testid=step]').removeAttribute('aria-label');
        document.querySelector('[data-testid=step]').removeAttribute('title')",
    );
    let found = complaints(&browser, &axe);
    assert!(found.iter().any(|it| it.starts_with("button-name")), "{found:#?}");
}
