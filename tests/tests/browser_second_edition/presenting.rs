//! What the audience sees, and what the lecturer can reach.

use leasehold_tests::browser::Browser;

use crate::{go_to_question, is_visible, open_page, wait_for_answer};

/// Returns the text that is visible, in lower case.
fn visible_text(browser: &Browser) -> String {
    browser.wait_until_settled();
    let text = browser.run("return document.body.innerText");
    text.as_str().unwrap_or_default().to_lowercase()
}

#[test]
fn presenting_names_the_disabled_protection_and_the_violated_invariant() {
    let (_page, browser) = open_page("scenario=gc-pause&without=fencing&t=18200");
    browser.press("p");
    let text = visible_text(&browser);
    assert!(text.contains("fencing"), "the disabled protection is not named:\n{text}");
    let words = ["token order", "token went backwards"];
    assert!(words.iter().any(|it| text.contains(it)), "S2 is not named in words:\n{text}");
}

#[test]
fn the_reason_can_be_shown_while_presenting() {
    let (_page, browser) = open_page("scenario=gc-pause&without=fencing");
    browser.press("p");
    go_to_question(&browser);
    browser.press(Browser::ENTER);
    wait_for_answer(&browser);
    let before = visible_text(&browser);
    browser.run(
        "[...document.querySelectorAll('button')].find(it => it.innerText.startsWith('Show why'))
            .click()",
    );
    let after = visible_text(&browser);
    let new: Vec<&str> = after.lines().filter(|line| !before.contains(line)).collect();
    assert!(new.iter().any(|line| line.contains("because")), "no reason is visible: {new:?}");
}

#[test]
fn every_view_can_be_reached_by_its_key_while_presenting() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    browser.press("p");
    let views = ["stage", "spacetime", "gantt", "inspector", "log", "invariants", "files"];
    let mut unreachable = Vec::new();
    for (key, view) in (1..).zip(views) {
        browser.press(&key.to_string());
        browser.wait_until_settled();
        if !is_visible(&browser, view) {
            unreachable.push(view);
        }
    }
    assert!(unreachable.is_empty(), "not visible after their key: {unreachable:?}");
}
