//! The page is accessible: the checker axe finds no serious violation in any view, in the light and
//! the dark theme, on a projector and on a phone.
//!
//! The variable `LEASEHOLD_AXE` must contain the path of axe's script. `cargo xtask test` sets it.

use std::{env, fs};

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::server::Server;
use leasehold_tests::wait::wait_for;
use serde_json::Value;

/// The views: name, query of the URL, and the keys that open the view.
const VIEWS: [(&str, &str, &[&str]); 12] = [
    ("stage and leases", "t=12000", &[]),
    ("a violation", "without=fencing&t=18200", &["g"]),
    ("space-time", "t=12000", &["2"]),
    ("a client", "t=12000", &["1", Browser::DOWN]),
    ("scenarios", "", &["o"]),
    ("keys", "", &["?"]),
    ("legend", "", &["i"]),
    ("search", "", &["v"]),
    ("exports", "", &["e"]),
    ("the question", "", &[Browser::PAGE_DOWN, Browser::PAGE_DOWN, Browser::PAGE_DOWN]),
    ("comparison", "t=17000", &["m"]),
    ("presenting", "t=12000", &["p"]),
];

/// Runs the checker once the page has settled, and returns the serious violations.
fn violations(browser: &Browser, axe: &str) -> Vec<String> {
    browser.wait_until_settled();
    browser.run(axe);
    browser.run(
        "window.found = undefined;
         axe.run(document, {resultTypes: ['violations']}).then(it => { window.found = it; })",
    );
    // The checker joins the texts of a picture's shape without spaces, so it cannot find them in
    // the shape's label.
    let found = wait_for("the checker", || {
        let found = browser.run(
            "const isOfPicture = it => document.querySelector(it.target)?.closest('svg.picture');
             const isSerious = it => ['serious', 'critical'].includes(it.impact);
             return window.found?.violations.filter(isSerious)
                .map(it => [it.id, it.nodes.filter(node =>
                    it.id != 'label-content-name-mismatch' || !isOfPicture(node))])
                .filter(([_, nodes]) => nodes.length > 0)
                .map(([id, nodes]) => `${id}: ${nodes.map(it => it.html).slice(0, 3).join(' | ')}`)
                ?? null",
        );
        (!found.is_null()).then_some(found)
    });
    let found = found.as_array().cloned().unwrap_or_default();
    found.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the script of the checker.
fn checker() -> String {
    let axe = env::var("LEASEHOLD_AXE").expect("LEASEHOLD_AXE is the path of axe's script");
    fs::read_to_string(&axe).unwrap_or_else(|error| panic!("{axe}: {error}"))
}

#[test]
fn simulated_runs_have_no_serious_violation() {
    let axe = checker();
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        browser.set_scheme(scheme);
        for (width, height) in [(1280, 720), (390, 844)] {
            browser.resize(width, height);
            for (view, query, keys) in VIEWS {
                browser.open(&format!("{}?scenario=gc-pause&{query}", page.url()));
                browser.wait_for_text("time", |time| time.ends_with(" s"));
                for key in keys {
                    browser.press(key);
                }
                let found = violations(&browser, &axe);
                all.extend(found.into_iter().map(|it| format!("{scheme}, {width}, {view}: {it}")));
            }
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

#[test]
fn the_live_view_and_the_notes_have_no_serious_violation() {
    let axe = checker();
    let server = Server::start();
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    ann.acquire("ledger");
    let page = format!("http://{}/", server.http());
    let browser = Browser::start(1280, 720);
    let mut all = Vec::new();
    for scheme in ["light", "dark"] {
        browser.set_scheme(scheme);
        for (width, height) in [(1280, 720), (390, 844)] {
            browser.resize(width, height);
            browser.open(&format!("{page}?mode=live"));
            browser.wait_for_text("live-status", |status| status == "live");
            let mut check = |view: &str| {
                let found = violations(&browser, &axe);
                all.extend(found.into_iter().map(|it| format!("{scheme}, {width}, {view}: {it}")));
            };
            check("live");
            browser.press(" ");
            browser.wait_for_text("live-return", |text| text.contains("behind"));
            check("paused");
            browser.open(&format!("{page}?mode=notes"));
            browser.wait_for_text("notes", |text| text.contains("follow the page"));
            check("notes");
        }
    }
    assert!(all.is_empty(), "{all:#?}");
}

/// A check that cannot fail would prove nothing.
#[test]
fn the_checker_reports_a_button_without_a_name() {
    let axe = checker();
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    browser.run(
        "document.querySelector('[data-testid=step]').removeAttribute('aria-label');
        document.querySelector('[data-testid=step]').removeAttribute('title')",
    );
    let found = violations(&browser, &axe);
    assert!(found.iter().any(|it| it.starts_with("button-name")), "{found:#?}");
}
