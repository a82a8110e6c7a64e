//! Simulated runs in a real browser, operated by keyboard and by clicks.

use std::collections::BTreeMap;

use leasehold_sim::{Importance, Recording, Scenario, library};
use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::wait::wait_for;
use serde_json::{Value, json};

/// Serves the page from a host that is not a lock server, and opens it in a browser.
fn open_page(query: &str) -> (PageHost, Browser) {
    let page = PageHost::serve("some/path");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}{query}", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    (page, browser)
}

/// Returns the fingerprint of the run so far, and the picture of the stage.
fn snapshot(browser: &Browser) -> (String, Value) {
    let stage = browser.run("return document.querySelector('#stage svg').outerHTML");
    (browser.attribute("digest", "data-here"), stage)
}

#[test]
fn the_first_run_plays_from_the_start_screen_and_needs_no_server() {
    let page = PageHost::serve("some/path");
    let browser = Browser::start(1280, 720);
    browser.open(&page.url());
    browser.wait_for_text("start-play", |text| text.contains("Play"));
    browser.click("start-play");
    assert!(browser.text("scenario").unwrap().contains("Five clients"));
    browser.wait_for_text("time", |time| !time.starts_with("0.0"));
    browser.click("play");
    for (width, height) in [(1280, 720), (390, 844), (360, 740)] {
        browser.resize(width, height);
        assert!(!browser.overflows_horizontally(), "at {width} by {height}");
    }
    let foreign = browser.run(
        "return performance.getEntriesByType('resource').map(it => it.name)
            .filter(name => !name.startsWith(location.origin))",
    );
    assert_eq!((foreign, browser.console_errors()), (json!([]), Vec::new()));
}

#[test]
fn a_lecture_needs_only_the_keyboard() {
    let (_page, browser) = open_page("?scenario=five-clients");
    // Select the third scenario of the second group.
    browser.press("o");
    browser.wait_for_text("scenario-item-gc-pause", |card| card.contains("GC pause"));
    for _ in 0..6 {
        browser.press(Browser::DOWN);
    }
    browser.press(Browser::ENTER);
    browser.wait_for_text("scenario", |name| name.contains("GC pause"));
    // Go from stop to stop, up to the question.
    for caption in ["client_1 is paused", "client_1's lease has expired", "client_1 resumes"] {
        browser.press(Browser::PAGE_DOWN);
        browser.wait_for_text("caption", |text| text.starts_with(caption));
    }
    browser.wait_for_text("question", |text| text.contains("What happens?"));
    // A single user has one vote. A presenter counts votes, and can undo the last one.
    browser.press("1");
    browser.wait_for_text("option-1", |text| text.contains("Your answer"));
    browser.press("p");
    for key in ["2", "2", "3", Browser::BACKSPACE] {
        browser.press(key);
    }
    browser.wait_for_text("option-2", |text| text.ends_with("\n2\nvotes"));
    browser.wait_for_text("option-3", |text| text.ends_with("\n0\nvotes"));
    browser.press(Browser::ENTER);
    browser.wait_for_text("option-2", |text| text.contains("correct"));
    assert!(browser.text("log").unwrap().contains("client_2 has held file_0 under token 2 since"));
    // The correct answer is visible when presenting and on a phone.
    let height = "return document.querySelector('.option.correct').offsetHeight";
    for width in [1280, 390] {
        browser.resize(width, 720);
        assert!(browser.run(height).as_u64().unwrap() >= 30, "at {width}");
    }
    // Escape closes the question first, and presenting continues.
    browser.press(Browser::ESCAPE);
    assert_eq!(browser.text("question"), None);
    let is_presenting = "return document.querySelector('.page').classList.contains('presenting')";
    assert_eq!(browser.run(is_presenting), json!(true));
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

/// Opens the question of the scenario.
fn open_question() -> (PageHost, Browser) {
    let (page, browser) = open_page("?scenario=gc-pause");
    for _ in 0..3 {
        browser.press(Browser::PAGE_DOWN);
    }
    browser.wait_for_text("question", |text| text.contains("What happens?"));
    (page, browser)
}

#[test]
fn a_link_to_an_open_question_does_not_reveal_the_answer() {
    let (_page, browser) = open_question();
    let before = snapshot(&browser);
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    let link = browser.run("return document.querySelector('[data-testid=link]').value");
    browser.open(link.as_str().unwrap());
    browser.wait_for_text("question", |text| text.contains("What happens?"));
    assert_eq!(snapshot(&browser), before);
    let spans = "return document.querySelectorAll('#tape .hidden').length";
    assert_eq!(browser.run(spans), json!(1), "later spans are hidden");
    assert!(!browser.text("log").unwrap().contains("sends its append"));
}

#[test]
fn a_presenter_who_used_the_timer_reveals_the_answer_with_the_same_keys() {
    let (_page, browser) = open_question();
    browser.press("p");
    browser.run("document.querySelector('[data-testid=timer]').focus()");
    browser.press(Browser::ENTER);
    browser.wait_for_text("timer", |text| text.contains("s left"));
    browser.press(Browser::ENTER);
    browser.wait_for_text("option-2", |text| text.contains("correct"));
    // The comparison closes the answer, and Escape closes the comparison.
    browser.press("m");
    browser.wait_for_text("comparison", |text| text.contains("First difference at"));
    assert_eq!(browser.text("question"), None);
    browser.press(Browser::ESCAPE);
    assert_eq!(browser.text("comparison"), None);
}

#[test]
fn a_protection_that_is_enabled_while_comparing_keeps_the_size_of_the_pictures() {
    let (_page, browser) = open_page("?scenario=gc-pause&t=18200");
    browser.click("protection-fencing");
    browser.press("m");
    browser.wait_for_text("comparison", |text| text.contains("First difference at"));
    browser.click("protection-fencing");
    browser.wait_for_text("stage", |_| true);
    let fits = "return ['stage', 'gantt'].map(it => {
        const box = document.querySelector(`[data-testid=${it}]`);
        const picture = box.querySelector('svg.picture');
        return box.clientHeight > 150 && picture.clientHeight <= box.clientHeight + 2; })";
    wait_for("the pictures to fit", || (browser.run(fits) == json!([true, true])).then_some(()));
}

#[test]
fn steps_forward_and_back_show_the_same_picture_in_every_scenario() {
    let (page, browser) = open_page("?scenario=five-clients");
    for scenario in library() {
        browser.open(&format!("{}?scenario={}&t=2600", page.url(), scenario.name));
        browser.wait_for_text("time", |time| time == "2.6 s");
        browser.press(Browser::RIGHT);
        let before = snapshot(&browser);
        for _ in 0..12 {
            browser.press(Browser::RIGHT);
        }
        assert_ne!(snapshot(&browser).0, before.0, "{}", scenario.name);
        for _ in 0..12 {
            browser.press(Browser::LEFT);
        }
        assert_eq!(snapshot(&browser), before, "{}", scenario.name);
        // The page runs the same simulation as the core.
        let fingerprint = format!("{:016x}", scenario.resolve_run().execute().fingerprint);
        assert_eq!(browser.attribute("digest", "data-digest"), fingerprint);
    }
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn disabling_a_protection_violates_an_invariant_and_changes_the_file() {
    let (page, browser) = open_page("?scenario=gc-pause&without=&seed=7&t=18200");
    assert_eq!(browser.text("time").unwrap(), "18.2 s");
    assert_eq!(browser.attribute("invariant-S2", "data-status"), "ok");
    let correct = browser.text("file-file_0").unwrap();
    browser.click("protection-fencing");
    browser.wait_for_text("file-file_0", |file| file.contains("stale"));
    assert_eq!(browser.attribute("protection-fencing", "aria-pressed"), "false");
    for invariant in ["invariant-S2", "invariant-S4"] {
        assert_eq!(browser.attribute(invariant, "data-status"), "violated");
    }
    let violated = browser.text("file-file_0").unwrap();
    assert!(violated.lines().count() > correct.lines().count(), "{correct}\n{violated}");
    // A URL can disable the protection too.
    browser.open(&format!("{}?scenario=gc-pause&without=fencing&t=18200", page.url()));
    browser.wait_for_text("file-file_0", |file| file.contains("stale"));
    browser.press("m");
    let compared =
        browser.wait_for_text("comparison", |text| text.contains("First difference at 16.1 s"));
    assert!(
        compared.contains("S2 Token order violated") && compared.contains("No violations"),
        "{compared}"
    );
}

#[test]
fn a_shared_link_opens_the_same_run_at_the_same_time() {
    let (_page, browser) = open_page("?scenario=partition&t=9000");
    // An intervention that is in no scenario: the first client is paused.
    browser.run(
        "document.querySelector('[data-target=node-1]').dispatchEvent(
        new MouseEvent('click', {bubbles: true}))",
    );
    browser.press("z");
    browser.wait_for_text("toast", |text| text.contains("A new branch"));
    for _ in 0..5 {
        browser.press(Browser::RIGHT);
    }
    browser.press("e");
    let link = "return document.querySelector('[data-testid=link]')?.value ?? ''";
    browser.wait_for_text("copy-link", |text| text == "Copy");
    let link = browser.run(link);
    let (time, expected) = (browser.text("time"), snapshot(&browser).0);
    browser.open(link.as_str().unwrap());
    browser.wait_for_text("time", |_| true);
    assert_eq!((browser.text("time"), snapshot(&browser).0), (time, expected));
    assert!(browser.text("toast").is_none(), "no message that the run differs");
}

#[test]
fn a_search_finds_a_violation_and_plays_it() {
    let (_page, browser) = open_page("?scenario=gc-pause&without=fencing");
    browser.press("v");
    browser.wait_for_text("search-start", |text| text == "Search");
    browser.press(Browser::ENTER);
    let found =
        browser.wait_for_text("search-outcome", |text| text.contains("is violated with 1 fault"));
    assert!(found.contains("Without that fault nothing is violated."), "{found}");
    browser.press(Browser::ENTER);
    browser.wait_for_text("scenario", |text| text.contains("Found"));
    // The run plays up to the violation.
    let violated = "return document.querySelectorAll('[data-status=violated]').length > 0";
    wait_for("the violation", || (browser.run(violated) == json!(true)).then_some(()));
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}

#[test]
fn a_paused_run_requests_no_animation_frames() {
    let (_page, browser) = open_page("?scenario=gc-pause&t=4000");
    assert_eq!(browser.frames_requested(), 0);
    browser.press(" ");
    browser.wait_for_text("time", |time| time != "4.0 s");
    assert!(browser.frames_requested() > 0, "a playing run requests animation frames");
}

/// The page and the program use the same format of traces.
#[test]
fn traces_can_be_imported_and_exported() {
    let scenario = Scenario::from_name("lost-reply").unwrap();
    let recording = Recording::record(scenario.resolve_run());
    let (_page, browser) = open_page("?scenario=gc-pause");
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.choose_file("import", "trace.json", &recording.to_json());
    browser.wait_for_text("toast", |text| text.contains("matches the recording exactly"));
    let fingerprint = format!("{:016x}", recording.fingerprint());
    assert_eq!(browser.attribute("digest", "data-digest"), fingerprint);
    assert!(recording.records().iter().any(|it| Importance::from_record(it) >= Importance::Append));

    browser.capture_downloads();
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.click("export-json");
    assert_eq!(browser.last_download(), recording.to_json());
    browser.choose_file("import", "bad.json", "{\"format\": \"something\"}");
    browser.wait_for_text("toast", |text| text.contains("Cannot open the trace"));
}

/// The first line is the regular expression that ShiViz uses by default. Each event has two lines:
/// the description, then the node and its vector clock, whose own component increases by one.
#[test]
fn a_log_for_shiviz_matches_its_expression() {
    let (_page, browser) = open_page("?scenario=gc-pause");
    browser.capture_downloads();
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    browser.click("export-shiviz");
    let log = browser.last_download();
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some(r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"));
    assert_eq!(lines.next(), Some(""));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() > 100 && lines.len().is_multiple_of(2), "{}", lines.len());
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for event in lines.chunks(2) {
        assert!(!event[0].is_empty());
        let (host, clock) = event[1].split_once(' ').unwrap();
        assert!(!host.contains(char::is_whitespace) && !host.is_empty(), "{}", event[1]);
        let clock: Value = serde_json::from_str(clock).unwrap();
        let count = counts.entry(host).or_default();
        *count += 1;
        assert_eq!(clock[host], json!(*count), "{}", event[1]);
    }
    assert_eq!(counts.len(), 3, "the server and two clients");
}

/// A second window shows what comes next and the answer, and follows the first window.
#[test]
fn the_notes_of_the_presenter_follow_the_page() {
    let (page, browser) = open_page("?scenario=gc-pause");
    browser.run(
        "window.notes = []; window.channel = new BroadcastChannel('leasehold-notes');
         channel.onmessage = it => notes.push(it.data); channel.postMessage('hello')",
    );
    browser.press(" ");
    browser.wait_for_text("caption", |caption| caption.starts_with("client_1 is paused"));
    let last_note = "return window.notes.at(-1) ?? ''";
    let notes = browser.run(last_note).as_str().unwrap().to_owned();
    assert!(notes.contains("client_1 is paused") && notes.contains("Correct: "), "{notes}");

    browser.open(&format!("{}?mode=notes", page.url()));
    browser.wait_for_text("notes", |text| text.contains("follow the page in another window"));
    browser.run(&format!(
        "new BroadcastChannel('leasehold-notes').postMessage({})",
        Value::String(notes)
    ));
    browser.wait_for_text("notes", |text| text.contains("Correct: ") && text.contains("Next"));
    assert_eq!(browser.console_errors(), Vec::<String>::new());
}
