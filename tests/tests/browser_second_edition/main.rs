//! Faults of the first edition of the page that a browser can see: each has a test here, so that it
//! does not return.

mod exports;
mod keys;
mod live;
mod navigation;
mod presenting;
mod questions;
mod sizes;

use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::wait::wait_for;
use serde_json::json;

pub(crate) fn open_page(query: &str) -> (PageHost, Browser) {
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    // Runs do not start by themselves.
    browser.reduce_motion();
    open(&page, &browser, query);
    (page, browser)
}

pub(crate) fn open(page: &PageHost, browser: &Browser, query: &str) {
    browser.open(&format!("{}?{query}", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
}

/// Goes from stop to stop until the question is asked.
pub(crate) fn go_to_question(browser: &Browser) {
    wait_for("the question", || {
        browser.press(Browser::PAGE_DOWN);
        browser.wait_until_settled();
        browser.text("question")
    });
}

pub(crate) fn is_visible(browser: &Browser, id: &str) -> bool {
    let selector = format!("[data-testid=\"{id}\"]");
    let visible = browser.run(&format!(
        "const it = document.querySelector('{selector}');
         if (!it?.checkVisibility()) return false;
         const box = it.getBoundingClientRect();
         return box.width > 0 && box.left >= 0 && box.right <= innerWidth"
    ));
    visible == json!(true)
}

/// Waits until the answer is revealed.
pub(crate) fn wait_for_answer(browser: &Browser) {
    wait_for("the answer", || {
        let found = browser.run("return document.querySelector('.option.correct') !== null");
        (found == json!(true)).then_some(())
    });
}
