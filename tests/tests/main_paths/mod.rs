//! The main paths through the page, for each kind of browser: what has to work everywhere.
//!
//! A new path is a function here and a line in [`main_paths`].

use leasehold_tests::browser::{Browser, BrowserKind};
use leasehold_tests::client::RawClient;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::server::Server;
use leasehold_tests::wait::wait_for;
use serde_json::json;

/// Defines a test for each path, in the given kind of browser.
macro_rules! main_paths {
    ($kind:expr) => {
        $crate::main_paths::each_path! { $kind =>
            a_run_plays_and_pauses,
            steps_go_forward_and_back,
            a_question_is_answered_and_revealed,
            a_search_finds_a_violation,
            a_comparison_shows_the_first_difference,
            presenting_moves_from_stop_to_stop,
            the_live_view_follows_a_server,
            a_trace_is_exported,
            the_start_screen_leads_into_a_run,
            the_menu_of_a_phone_opens_every_tool,
        }
    };
}

macro_rules! each_path {
    ($kind:expr => $($path:ident),+ $(,)?) => {
        $(
            #[test]
            fn $path() {
                main_paths::$path($kind);
            }
        )+
    };
}

pub(crate) use {each_path, main_paths};

/// Serves the page and opens it.
fn open_page(kind: BrowserKind, query: &str) -> (PageHost, Browser) {
    let page = PageHost::serve("page");
    let browser = Browser::start_kind(kind, 1280, 720);
    browser.open(&format!("{}?{query}", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    (page, browser)
}

fn expect_no_errors(browser: &Browser) {
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

pub(crate) fn a_run_plays_and_pauses(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=five-clients&t=0");
    browser.press(" ");
    browser.wait_for_text("time", |time| !time.starts_with("0.0"));
    browser.press(" ");
    browser.wait_until_settled();
    let paused_at = browser.text("time");
    assert_eq!(browser.frames_requested(), 0, "a paused run requests no animation frames");
    assert_eq!(browser.text("time"), paused_at);
    browser.press(" ");
    browser.wait_for_text("time", |time| Some(time) != paused_at.as_deref());
    browser.click("play");
    for (width, height) in [(1280, 720), (390, 844)] {
        browser.resize(width, height);
        assert!(!browser.overflows_horizontally(), "at {width} by {height}");
    }
    expect_no_errors(&browser);
}

pub(crate) fn steps_go_forward_and_back(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause&t=2600");
    let state = || browser.attribute("digest", "data-here");
    let before = state();
    for _ in 0..5 {
        browser.press(Browser::RIGHT);
    }
    assert_ne!(state(), before);
    for _ in 0..5 {
        browser.press(Browser::LEFT);
    }
    assert_eq!(state(), before);
    browser.click("next-interesting");
    assert_ne!(state(), before);
    browser.press(Browser::END);
    browser.wait_for_text("file-file_0", |file| file.contains("client_2"));
    // The first node of the stage can be selected by keys.
    browser.press("1");
    browser.press(Browser::HOME);
    browser.wait_for_text("time", |time| time.starts_with("0.0"));
    expect_no_errors(&browser);
}

pub(crate) fn a_question_is_answered_and_revealed(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause");
    for _ in 0..3 {
        browser.press(Browser::PAGE_DOWN);
    }
    browser.wait_for_text("question", |text| text.contains("What happens?"));
    browser.press("1");
    browser.wait_for_text("option-1", |text| text.contains("Your answer"));
    browser.press(Browser::ENTER);
    browser.wait_for_text("question", |text| text.contains("The server accepts an append"));
    assert!(browser.text("log").unwrap().contains("client_2 has held file_0 under token 2 since"));
    browser.press(Browser::ESCAPE);
    assert_eq!(browser.text("question"), None);
    expect_no_errors(&browser);
}

/// The search runs in a worker.
pub(crate) fn a_search_finds_a_violation(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause&without=fencing");
    browser.press("v");
    browser.wait_for_text("search-start", |text| text == "Search");
    browser.press(Browser::ENTER);
    browser.wait_for_text("search-outcome", |text| text.contains("is violated with 1 fault"));
    browser.press(Browser::ENTER);
    browser.wait_for_text("scenario", |text| text.contains("Found"));
    let violated = "return document.querySelectorAll('[data-status=violated]').length > 0";
    wait_for("the violation", || (browser.run(violated) == json!(true)).then_some(()));
    expect_no_errors(&browser);
}

pub(crate) fn a_comparison_shows_the_first_difference(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause&without=fencing&t=18200");
    assert_eq!(browser.attribute("invariant-S2", "data-status"), "violated");
    browser.press("m");
    browser.wait_for_text("comparison", |text| text.contains("First difference at 16.1 s"));
    browser.press(Browser::ESCAPE);
    browser.click("protection-fencing");
    wait_for("the invariant to hold", || {
        (browser.attribute("invariant-S2", "data-status") == "ok").then_some(())
    });
    expect_no_errors(&browser);
}

pub(crate) fn presenting_moves_from_stop_to_stop(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause");
    browser.press("p");
    for caption in ["client_1 is paused", "client_1's lease has expired", "client_1 resumes"] {
        browser.press(Browser::RIGHT);
        browser.wait_for_text("caption", |text| text.starts_with(caption));
    }
    for key in ["1", "1", "1", "2", Browser::BACKSPACE] {
        browser.press(key);
    }
    browser.wait_for_text("option-1", |text| text.contains('3'));
    browser.press(Browser::ENTER);
    browser.wait_for_text("option-2", |text| text.contains("correct"));
    browser.press(Browser::ESCAPE);
    browser.press("p");
    assert!(!browser.overflows_horizontally());
    expect_no_errors(&browser);
}

pub(crate) fn the_live_view_follows_a_server(kind: BrowserKind) {
    let server = Server::start();
    let browser = Browser::start_kind(kind, 1280, 720);
    browser.open(&format!("http://{}/?mode=live", server.http()));
    browser.wait_for_text("live-status", |status| status == "live");
    let mut client = RawClient::connect("ann", server.udp());
    client.acquire("ledger");
    browser.wait_for_text("caption", |caption| caption.contains("grants ledger to ann"));
    browser.press(" ");
    browser.wait_for_text("live-return", |text| text.starts_with("0 behind"));
    client.acquire("other");
    browser.wait_for_text("live-return", |text| text.starts_with("1 behind"));
    browser.press("l");
    browser.wait_for_text("caption", |caption| caption.contains("grants other to ann"));
    expect_no_errors(&browser);
}

pub(crate) fn a_trace_is_exported(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=lost-reply");
    browser.capture_downloads();
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.click("export-json");
    let trace = browser.last_download();
    let digest = browser.attribute("digest", "data-digest");
    assert!(trace.contains(&digest), "the trace contains the fingerprint {digest}");
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.choose_file("import", "trace.json", &trace);
    browser.wait_for_text("toast", |text| text.contains("matches the recording exactly"));
    expect_no_errors(&browser);
}

pub(crate) fn the_start_screen_leads_into_a_run(kind: BrowserKind) {
    let page = PageHost::serve("page");
    let browser = Browser::start_kind(kind, 1280, 720);
    browser.open(&page.url());
    browser.wait_for_text("start", |text| text.contains("lease") && text.contains("fencing token"));
    for (width, height) in [(1280, 720), (390, 844)] {
        browser.resize(width, height);
        assert!(!browser.overflows_horizontally(), "at {width} by {height}");
    }
    browser.click("start-play");
    browser.wait_for_text("time", |time| time.ends_with(" s") && !time.starts_with("0.0"));
    assert_eq!(browser.text("start").unwrap_or_default(), "");
    browser.run("history.back()");
    browser.wait_for_text("start", |text| text.contains("fencing token"));
    browser.click("start-break");
    browser.wait_for_text("goal", |text| !text.is_empty());
    expect_no_errors(&browser);
}

pub(crate) fn the_menu_of_a_phone_opens_every_tool(kind: BrowserKind) {
    let (_page, browser) = open_page(kind, "scenario=gc-pause&t=12000");
    browser.resize(390, 844);
    browser.wait_until_settled();
    let is_open = || browser.run("return document.querySelector('dialog[open]') !== null");
    for item in ["menu-scenarios", "menu-search", "menu-share", "menu-help", "menu-legend"] {
        browser.click_with_mouse("menu");
        browser.wait_for_text(item, |text| !text.is_empty());
        browser.click_with_mouse(item);
        browser.wait_until_settled();
        assert_eq!(browser.text(item), None, "the menu closes");
        assert_eq!(is_open(), json!(true), "{item} opens a dialog");
        assert!(!browser.overflows_horizontally(), "{item}");
        browser.press(Browser::ESCAPE);
        wait_for("the dialog to close", || (is_open() == json!(false)).then_some(()));
    }
    browser.click_with_mouse("menu");
    browser.wait_for_text("menu-compare", |text| !text.is_empty());
    browser.click_with_mouse("menu-compare");
    browser.wait_for_text("comparison", |text| !text.is_empty());
    expect_no_errors(&browser);
}
