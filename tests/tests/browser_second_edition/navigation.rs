//! Undo, the browser's own buttons, and links.

use leasehold_tests::browser::Browser;
use leasehold_tests::wait::wait_for;

use crate::{open, open_page};

/// Returns the scenario that the page shows.
fn scenario(browser: &Browser) -> String {
    browser.text("scenario").unwrap_or_default()
}

fn choose_scenario(browser: &Browser, name: &str) {
    browser.press("o");
    let id = format!("scenario-item-{name}");
    browser.wait_for_text(&id, |_| true);
    browser.click(&id);
    browser.wait_until_settled();
}

#[test]
fn undo_returns_to_the_previous_scenario() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let (before, time) = (scenario(&browser), browser.text("time"));
    choose_scenario(&browser, "partition");
    assert_ne!(scenario(&browser), before);
    browser.press("u");
    browser.wait_for_text("scenario", |it| it == before);
    assert_eq!(browser.text("time"), time);
}

#[test]
fn undo_returns_from_the_start_to_the_time_before() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    browser.press(Browser::HOME);
    browser.wait_for_text("time", |time| time.starts_with("0.0"));
    browser.press("u");
    browser.wait_for_text("time", |time| time == "12.0 s");
}

#[test]
fn undo_returns_from_a_found_run() {
    let (_page, browser) = open_page("scenario=gc-pause&without=fencing");
    let before = scenario(&browser);
    browser.press("v");
    browser.wait_for_text("search-start", |text| text == "Search");
    browser.press(Browser::ENTER);
    browser.wait_for_text("search-outcome", |text| text.contains("is violated with 1 fault"));
    browser.press(Browser::ENTER);
    browser.wait_for_text("scenario", |text| text.contains("Found"));
    browser.press("u");
    browser.wait_for_text("scenario", |it| it == before);
}

#[test]
fn the_back_button_returns_to_the_previous_scenario() {
    let (_page, browser) = open_page("scenario=gc-pause");
    let before = scenario(&browser);
    choose_scenario(&browser, "partition");
    assert_ne!(scenario(&browser), before);
    browser.run("history.back()");
    browser.wait_for_text("scenario", |it| it == before);
}

#[test]
fn a_reload_keeps_the_time() {
    let (_page, browser) = open_page("scenario=gc-pause&t=4000");
    for _ in 0..4 {
        browser.press(Browser::RIGHT);
    }
    browser.wait_until_settled();
    let (time, state) = (browser.text("time"), browser.attribute("digest", "data-here"));
    // The address follows at a limited rate.
    wait_for("the address", || {
        let tenths = browser.run(
            "const query = new URLSearchParams(location.search);
             const ms = Number(query.get('t') ?? query.get('us') / 1000);
             return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`",
        );
        (tenths.as_str() == time.as_deref()).then_some(())
    });
    browser.run("window.isOld = true; location.reload()");
    wait_for("the reload", || (browser.run("return window.isOld ?? null").is_null()).then_some(()));
    browser.wait_for_text("time", |it| it.ends_with(" s"));
    assert_eq!((browser.text("time"), browser.attribute("digest", "data-here")), (time, state));
}

#[test]
fn a_link_that_cannot_be_read_is_reported() {
    let (page, browser) = open_page("scenario=gc-pause");
    let mut silent = Vec::new();
    for query in [
        "scenario=no-such-scenario",
        "scenario=gc-pause&without=nonsense",
        "scenario=gc-pause&seed=x",
        "scenario=gc-pause&t=x",
        "scenario=gc-pause&i=!!",
        "scenario=gc-pause&run=eyJ4Ijox",
    ] {
        open(&page, &browser, query);
        browser.wait_until_settled();
        if browser.text("toast").is_none() {
            silent.push(query);
        }
    }
    assert!(silent.is_empty(), "ignored silently: {silent:?}");
}
