//! What the page loads later, and what it saves.

use leasehold_tests::browser::Browser;
use leasehold_tests::wait::wait_for;

use crate::open_page;

#[test]
fn a_search_needs_no_network_after_the_page_has_loaded() {
    let (page, browser) = open_page("scenario=gc-pause&without=fencing");
    page.go_offline();
    browser.press("v");
    browser.wait_for_text("search-start", |text| text == "Search");
    browser.press(Browser::ENTER);
    browser.wait_for_text("search-outcome", |text| text.contains("is violated with 1 fault"));
}

#[test]
fn a_sequence_diagram_has_arrows() {
    let (_page, browser) = open_page("scenario=gc-pause");
    browser.capture_downloads();
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.click("export-mermaid");
    let diagram = browser.last_download();
    assert!(diagram.contains("->>") && diagram.contains("-->>"), "{diagram}");
}

/// Returns the names of the files that the page saves while these buttons are pressed.
fn saved_names(browser: &Browser, buttons: &[&str]) -> Vec<String> {
    browser.run(
        "window.names = [];
         HTMLAnchorElement.prototype.click = function () { names.push(this.download) }",
    );
    let mut names = Vec::new();
    for button in buttons {
        browser.press("e");
        browser.wait_for_text("copy-link", |text| text == "Copy");
        browser.click(button);
        let name = wait_for("a download", || {
            browser.run("return names.pop() ?? null").as_str().map(str::to_owned)
        });
        names.push(name);
        browser.run("document.querySelector('dialog[open]')?.close()");
    }
    names
}

#[test]
fn pictures_of_different_sizes_have_different_names() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let names = saved_names(&browser, &["export-png", "export-png-2"]);
    assert_ne!(names[0], names[1]);
}
