//! Faults of the first edition of the page that a browser can see, in simulated runs: each has a
//! test here, so that it does not return.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Protection, Scenario, library};
use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::wait::wait_for;
use serde_json::{Value, json};

fn open_page(query: &str) -> (PageHost, Browser) {
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    // Runs do not start by themselves.
    browser.reduce_motion();
    open(&page, &browser, query);
    (page, browser)
}

fn open(page: &PageHost, browser: &Browser, query: &str) {
    browser.open(&format!("{}?{query}", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
}

/// Goes from stop to stop until the question is asked.
fn go_to_question(browser: &Browser) {
    wait_for("the question", || {
        browser.press(Browser::PAGE_DOWN);
        browser.wait_until_settled();
        browser.text("question")
    });
}

fn is_visible(browser: &Browser, id: &str) -> bool {
    let selector = format!("[data-testid=\"{id}\"]");
    let visible = browser.run(&format!(
        "const it = document.querySelector('{selector}');
         if (!it?.checkVisibility()) return false;
         const box = it.getBoundingClientRect();
         return box.width > 0 && box.left >= 0 && box.right <= innerWidth"
    ));
    visible == json!(true)
}

/// Returns left, top, width and height of the views that a question must not cover.
fn view_boxes(browser: &Browser) -> Value {
    browser.wait_until_settled();
    browser.run(
        "return ['stage', 'gantt'].map(it => {
            const box = document.querySelector(`[data-testid=${it}]`).getBoundingClientRect();
            return [box.left, box.top, box.width, box.height].map(Math.round); })",
    )
}

#[test]
fn a_question_and_its_answer_cover_no_view_and_move_none() {
    let (_page, browser) = open_page("scenario=gc-pause");
    let covers = "const question = document.querySelector('[data-testid=question]')
            .getBoundingClientRect();
        return ['stage', 'gantt'].filter(it => {
            const box = document.querySelector(`[data-testid=${it}]`).getBoundingClientRect();
            return Math.min(box.right, question.right) - Math.max(box.left, question.left) > 1
                && Math.min(box.bottom, question.bottom) - Math.max(box.top, question.top) > 1; })";
    let mut faults = Vec::new();
    for (width, height) in [(1280, 720), (1920, 1080)] {
        browser.resize(width, height);
        for is_presenting in [false, true] {
            browser.press(Browser::HOME);
            if is_presenting {
                browser.press("p");
            }
            browser.press(Browser::PAGE_DOWN);
            let before = view_boxes(&browser);
            let mut check = |phase: &str| {
                let here = format!("{phase}, {width} by {height}, presenting: {is_presenting}");
                let covered = browser.run(covers);
                if covered != json!([]) {
                    faults.push(format!("{here}: covers {covered}"));
                }
                let after = view_boxes(&browser);
                if after != before {
                    faults.push(format!("{here}: moves {before} to {after}"));
                }
            };
            go_to_question(&browser);
            check("question");
            browser.press(Browser::ENTER);
            wait_for("the answer", || {
                let found =
                    browser.run("return document.querySelector('.option.correct') !== null");
                (found == json!(true)).then_some(())
            });
            check("answer");
            browser.press(Browser::ESCAPE);
            if is_presenting {
                browser.press("p");
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

/// Returns everything that the page says, in text and in labels, but for what names the run itself
/// (its protections, its fingerprint and its length), and for labels that appear where the time
/// scale gives them enough space.
fn everything_said(browser: &Browser) -> Vec<String> {
    browser.wait_until_settled();
    let said = browser.run(
        "const own = '[role=banner], [data-testid=digest], .duration, .tick-label, .tenure-label, #when';
         const withoutEnd = it => it.replace(/( s) of [0-9.]+ s$/, '$1');
         const said = [];
         for (const it of document.querySelectorAll('body *')) {
            if (it.closest(own)) continue;
            for (const name of ['aria-label', 'title', 'data-status', 'aria-disabled']) {
                const value = it.getAttribute(name);
                if (value) said.push(`${it.localName} ${name}: ${withoutEnd(value)}`);
            }
            for (const node of it.childNodes) {
                if (node.nodeType === 3 && node.data.trim()) said.push(node.data.trim());
            }
            if (it.ownerSVGElement && it.localName !== 'g') {
                said.push(`${it.localName} ${it.getAttribute('class')}`);
            }
         }
         return said",
    );
    let said = said.as_array().cloned().unwrap_or_default();
    said.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Returns the query of a run of a scenario, and the query of the same run that ends when the
/// question is asked.
fn run_and_its_past(scenario: &Scenario, without: &BTreeSet<Protection>) -> (String, String) {
    let run = scenario.run_without(without);
    let trace = run.execute().trace;
    let asked = scenario.question.at.find(&trace).expect("the question is asked");
    let record = trace.iter().nth(usize::try_from(asked.0).unwrap()).unwrap();
    let query = |ends_ms: u64| {
        let mut config = run.config.clone();
        config.ends_ms = ends_ms;
        let shared = json!({"config": config, "interventions": run.interventions});
        let encoded = URL_SAFE_NO_PAD.encode(shared.to_string());
        let without: Vec<&str> = without.iter().map(|it| it.name()).collect();
        let (name, seed, without) = (&scenario.name, run.seed, without.join(","));
        format!("scenario={name}&seed={seed}&without={without}&run={encoded}")
    };
    // The whole run is encoded in the same way, so that only its length differs.
    (query(run.config.ends_ms), query(record.at.as_millis() + 1))
}

/// A run that ends at the question has no future, so that nothing of it can be shown.
#[test]
fn an_open_question_shows_nothing_of_the_future() {
    let (page, browser) = open_page("");
    let mut leaks = Vec::new();
    for scenario in library() {
        let without = scenario.switches.iter().copied().collect();
        let (whole, past) = run_and_its_past(&scenario, &without);
        let said = [whole, past].map(|query| {
            open(&page, &browser, &query);
            go_to_question(&browser);
            everything_said(&browser)
        });
        let missing_from = |other: &[String], said: &[String]| -> Vec<String> {
            said.iter().filter(|it| !other.contains(it)).cloned().collect()
        };
        let (with, without) = (missing_from(&said[1], &said[0]), missing_from(&said[0], &said[1]));
        if !with.is_empty() || !without.is_empty() {
            leaks.push(format!("{}: {with:?} instead of {without:?}", scenario.name));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}

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
    wait_for("the answer", || {
        let found = browser.run("return document.querySelector('.option.correct') !== null");
        (found == json!(true)).then_some(())
    });
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
        let is_switched = (1..=9).any(|digit: u32| {
            open(&page, &browser, &format!("scenario={scenario}"));
            let id = format!("protection-{protection}");
            let state = || browser.attribute(&id, "aria-pressed");
            let before = state();
            browser.press(&format!("{}{digit}", Browser::SHIFT));
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
fn type_is_larger_on_a_larger_screen() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let sizes = || {
        browser.wait_until_settled();
        browser.run(
            "return ['[data-testid=caption]', '#stage text.name', '[data-testid=time]',
                '[data-testid=gantt] text']
                .map(it => parseFloat(getComputedStyle(document.querySelector(it)).fontSize))",
        )
    };
    for is_presenting in [false, true] {
        if is_presenting {
            browser.press("p");
        }
        browser.resize(1280, 720);
        let small = sizes();
        browser.resize(1920, 1080);
        let large = sizes();
        for (index, small) in small.as_array().unwrap().iter().enumerate() {
            let (small, large) = (small.as_f64().unwrap(), large[index].as_f64().unwrap());
            let text = format!("text {index}, presenting: {is_presenting}");
            assert!(large >= small * 1.2, "{text}: {large} px at 1920, {small} px at 1280");
        }
    }
}

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

#[test]
fn items_of_pictures_that_can_be_activated_are_buttons() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    let roles = browser.run(
        "return [...new Set([...document.querySelectorAll('[data-target]')]
            .map(it => it.getAttribute('role')))]",
    );
    assert_eq!(roles, json!(["button"]));
}

#[test]
fn invariants_say_what_they_mean_without_a_pointer() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    for invariant in ["S1", "S2", "S3", "S4", "S5", "S6", "S7", "S8", "L1", "L2"] {
        let text = browser.text(&format!("invariant-{invariant}")).unwrap_or_default();
        let letters = text.chars().filter(|it| it.is_alphabetic()).count();
        assert!(letters > 6, "{invariant} is shown as {text:?}");
    }
}

#[test]
fn a_narrow_screen_offers_every_tool() {
    let (_page, browser) = open_page("scenario=gc-pause&t=12000");
    browser.resize(390, 844);
    browser.wait_until_settled();
    if is_visible(&browser, "menu") {
        browser.click("menu");
        browser.wait_until_settled();
    }
    let tools = ["compare", "search", "share", "help", "present"];
    let missing: Vec<&str> = tools.into_iter().filter(|id| !is_visible(&browser, id)).collect();
    assert!(missing.is_empty(), "out of reach: {missing:?}");
}
