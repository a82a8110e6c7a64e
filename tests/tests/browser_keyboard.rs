//! The keyboard in a real browser: where the focus goes, and which keys a focused button keeps.

use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::wait::wait_for;
use serde_json::json;

fn open_page(query: &str) -> (PageHost, Browser) {
    let page = PageHost::serve("some/path");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}{query}", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    (page, browser)
}

const TAB: &str = "\u{e004}";

/// Clicks an element with the mouse, which also moves the focus.
fn click_with_mouse(browser: &Browser, id: &str) {
    let center = format!(
        "const box = document.querySelector('[data-testid=\"{id}\"]').getBoundingClientRect();
        return [box.x + box.width / 2, box.y + box.height / 2]"
    );
    let center = browser.run(&center);
    for kind in ["mousePressed", "mouseReleased"] {
        let event = json!({
            "type": kind, "x": center[0], "y": center[1], "button": "left", "clickCount": 1,
        });
        browser.devtools("Input.dispatchMouseEvent", &event);
    }
}

fn play_label(browser: &Browser) -> String {
    browser.attribute("play", "aria-label")
}

/// Returns the panel with the focus, and the kind of the focused element.
fn focus(browser: &Browser) -> String {
    let script = "const focused = document.activeElement;
        return `${focused.closest('[id^=panel-]')?.id} ${focused.tagName.toLowerCase()}`";
    browser.run(script).as_str().unwrap_or_default().to_owned()
}

#[test]
fn space_plays_after_a_click_and_presses_a_button_with_the_keyboard_focus() {
    let (_page, browser) = open_page("?scenario=gc-pause&t=2000");
    click_with_mouse(&browser, "step");
    let focused = "return document.activeElement.dataset.testid";
    assert_eq!(browser.run(focused), json!("step"));
    browser.press(" ");
    wait_for("the run to play", || (play_label(&browser) == "Pause (Space)").then_some(()));
    browser.press(" ");
    wait_for("the run to pause", || (play_label(&browser) == "Play (Space)").then_some(()));
    // Tab moves the focus from the clicked button to the next one.
    browser.press(TAB);
    assert_eq!(browser.run(focused), json!("next-interesting"));
    let time = browser.text("time");
    browser.press(" ");
    browser.wait_for_text("time", |now| Some(now) != time.as_deref());
    assert_eq!(play_label(&browser), "Play (Space)", "Space has pressed the button only");
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn keys_of_views_and_the_skip_link_focus_items_of_pictures() {
    let (_page, browser) = open_page("?scenario=gc-pause&t=9000");
    browser.press("1");
    wait_for("the stage", || (focus(&browser) == "panel-stage g").then_some(()));
    let target = "return document.activeElement.dataset.target";
    let first = browser.run(target);
    browser.press(Browser::DOWN);
    assert_ne!(browser.run(target), first, "arrows move between the items");
    for (key, panel) in [("2", "panel-spacetime"), ("3", "panel-gantt")] {
        browser.press(key);
        wait_for(panel, || focus(&browser).starts_with(panel).then_some(()));
    }
    browser.run("document.querySelector('.skip').focus()");
    browser.press(Browser::ENTER);
    wait_for("the stage", || (focus(&browser) == "panel-stage g").then_some(()));
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn run_pauses_behind_a_dialog() {
    let (_page, browser) = open_page("?scenario=five-clients");
    browser.press(" ");
    wait_for("the run to play", || (play_label(&browser) == "Pause (Space)").then_some(()));
    browser.press("?");
    browser.wait_for_text("time", |_| play_label(&browser) == "Play (Space)");
    assert_eq!(browser.frames_requested(), 0, "nothing moves");
    browser.press(Browser::ESCAPE);
    wait_for("the run to continue", || (play_label(&browser) == "Pause (Space)").then_some(()));
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}
