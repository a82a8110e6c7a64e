//! Keys, and what Enter and Space do after a click.

use leasehold_tests::browser::Browser;
use leasehold_tests::wait::wait_for;
use serde_json::json;

use crate::{open, open_page};

/// The keys that switch protections while Shift is pressed, from the first protection to the last.
const PROTECTION_KEYS: &str = "1234567890ASW";

#[test]
fn every_protection_can_be_switched_by_a_key() {
    let (page, browser) = open_page("scenario=five-clients");
    let mut without_key = Vec::new();
    for (scenario, protection) in [
        ("gc-pause", "fencing"),
        ("fair-waiting", "fifo"),
        ("thundering-herd", "backoff"),
        ("client-crash", "heartbeats"),
    ] {
        let is_switched = PROTECTION_KEYS.chars().any(|key| {
            open(&page, &browser, &format!("scenario={scenario}"));
            let id = format!("protection-{protection}");
            let state = || browser.attribute(&id, "aria-pressed");
            let before = state();
            browser.press(&format!("{}{key}", Browser::SHIFT));
            browser.wait_until_settled();
            state() != before
        });
        if !is_switched {
            without_key.push(protection);
        }
    }
    assert!(without_key.is_empty(), "no key switches {without_key:?}");
}

#[test]
fn space_after_a_click_plays_instead_of_repeating_the_click() {
    let (_page, browser) = open_page("scenario=gc-pause&t=4000");
    browser.click_with_mouse("step");
    browser.wait_until_settled();
    let label = browser.attribute("play", "aria-label");
    browser.press(" ");
    wait_for("the run to play", || {
        (browser.attribute("play", "aria-label") != label).then_some(())
    });
}

#[test]
fn keys_and_the_skip_link_move_the_focus_to_the_pictures() {
    let (_page, browser) = open_page("scenario=gc-pause&t=4000");
    let focus = |view: &str| {
        browser.wait_until_settled();
        browser.run(&format!(
            "return document.querySelector('[data-testid={view}]').contains(document.activeElement)"
        ))
    };
    for (key, view) in [("1", "stage"), ("2", "spacetime"), ("3", "gantt")] {
        browser.run("document.activeElement.blur()");
        browser.press(key);
        assert_eq!(focus(view), json!(true), "key {key} moves the focus to {view}");
    }
    browser.run("document.activeElement.blur()");
    browser.run("document.querySelector('.skip').click()");
    assert_eq!(focus("stage"), json!(true), "the skip link moves the focus to the stage");
}

#[test]
fn a_run_pauses_behind_a_dialog() {
    let (_page, browser) = open_page("scenario=five-clients");
    for key in ["?", "o", "i", "e", "v"] {
        browser.press(Browser::HOME);
        browser.press(" ");
        browser.wait_for_text("time", |time| !time.starts_with("0.0"));
        browser.press(key);
        wait_for("the dialog", || {
            let is_open = browser.run("return document.querySelector('dialog[open]') !== null");
            (is_open == json!(true)).then_some(())
        });
        browser.wait_until_settled();
        assert_eq!(browser.frames_requested(), 0, "behind the dialog of key {key}");
        browser.press(Browser::ESCAPE);
        browser.wait_until_settled();
        browser.press(" ");
    }
}
