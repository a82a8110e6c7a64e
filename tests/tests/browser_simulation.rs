//! The studio in a real browser: simulated runs, driven by keyboard and by what is pressed.

use leasehold_core::sim::{Interest, Recording, Scenario, library};
use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::Pages;
use serde_json::{Value, json};

/// The page from a host that is no lock server, below a path; and a browser that looks at it.
fn studio(query: &str) -> (Pages, Browser) {
    let pages = Pages::serve("some/path");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}{query}", pages.address()));
    browser.text_when("time", |time| time.ends_with(" s"));
    (pages, browser)
}

/// What one sees of a run: the fingerprint so far, and the stage as it is drawn.
fn seen(browser: &Browser) -> (String, Value) {
    let stage = browser.run("return document.querySelector('#stage svg').outerHTML");
    (browser.attribute("digest", "data-here"), stage)
}

#[test]
fn home_moves_by_itself_and_needs_no_server() {
    let (_pages, browser) = studio("");
    assert!(browser.text("scenario").unwrap().contains("Five clients"));
    browser.text_when("time", |time| !time.starts_with("0.0"));
    browser.click("play");
    for (width, height) in [(1280, 720), (390, 844), (360, 740)] {
        browser.resize(width, height);
        assert!(!browser.scrolls_sideways(), "at {width} by {height}");
    }
    let strangers = browser.run(
        "return performance.getEntriesByType('resource').map(it => it.name)
            .filter(name => !name.startsWith(location.origin))",
    );
    assert_eq!((strangers, browser.complaints()), (json!([]), Vec::new()));
}

#[test]
fn a_lecture_is_held_by_keyboard_alone() {
    let (_pages, browser) = studio("");
    // The library, down to the fifth scenario.
    browser.press("o");
    browser.text_when("scenario-item-gc-pause", |card| card.contains("GC pause"));
    for _ in 0..4 {
        browser.press(Browser::DOWN);
    }
    browser.press(Browser::ENTER);
    browser.text_when("scenario", |name| name.contains("GC pause"));
    // From stop to stop, up to the question.
    for caption in ["client_1 stands still", "Its lease is over", "client_1 wakes"] {
        browser.press(Browser::PAGE_DOWN);
        browser.text_when("caption", |text| text.starts_with(caption));
    }
    browser.text_when("question", |text| text.contains("What happens?"));
    // Somebody alone has one guess; who presents counts hands, and can take the last one back.
    browser.press("1");
    browser.text_when("option-1", |text| text.contains("your guess"));
    browser.press("p");
    for key in ["2", "2", "3", Browser::BACKSPACE] {
        browser.press(key);
    }
    browser.text_when("option-2", |text| text.contains("2 hands"));
    browser.text_when("option-3", |text| text.contains("0 hands"));
    browser.press(Browser::ENTER);
    let told = browser.text_when("question", |text| text.contains("The file takes an append"));
    assert!(told.contains('✓'), "{told}");
    assert!(browser.text("log").unwrap().contains("token 1 is not 2"));
    // The right answer is to be seen, presenting and on a phone.
    let height = "return document.querySelector('.option.correct').offsetHeight";
    for width in [1280, 390] {
        browser.resize(width, 720);
        assert!(browser.run(height).as_u64().unwrap() >= 30, "at {width}");
    }
    // What says Esc goes first, and what is compared is not covered.
    browser.press(Browser::ESCAPE);
    assert_eq!(browser.text("question"), None);
    let presents = "return document.querySelector('.page').classList.contains('presenting')";
    assert_eq!(browser.run(presents), json!(true));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

/// To the open question of the scenario.
fn asked() -> (Pages, Browser) {
    let (pages, browser) = studio("?scenario=gc-pause");
    for _ in 0..3 {
        browser.press(Browser::PAGE_DOWN);
    }
    browser.text_when("question", |text| text.contains("What happens?"));
    (pages, browser)
}

#[test]
fn a_link_copied_at_the_open_question_opens_it_and_tells_no_more() {
    let (_pages, browser) = asked();
    let before = seen(&browser);
    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    let link = browser.run("return document.querySelector('[data-testid=link]').value");
    browser.open(link.as_str().unwrap());
    browser.text_when("question", |text| text.contains("What happens?"));
    assert_eq!(seen(&browser), before);
    let spans = "return document.querySelectorAll('#tape .hidden').length";
    assert_eq!(browser.run(spans), json!(1), "what comes is not on the tape");
    assert!(!browser.text("log").unwrap().contains("sends its append"));
}

#[test]
fn whoever_gave_them_time_reveals_with_the_same_keys() {
    let (_pages, browser) = asked();
    browser.press("p");
    browser.run("document.querySelector('[data-testid=timer]').focus()");
    browser.press(Browser::ENTER);
    browser.text_when("timer", |text| text.contains("s left"));
    browser.press(Browser::ENTER);
    browser.text_when("question", |text| text.contains("The file takes an append"));
    // Comparing closes the answer, and Esc what is compared.
    browser.press("m");
    browser.text_when("comparison", |text| text.contains("They part at"));
    assert_eq!(browser.text("question"), None);
    browser.press(Browser::ESCAPE);
    assert_eq!(browser.text("comparison"), None);
}

#[test]
fn a_protection_given_back_while_comparing_leaves_the_pictures_their_room() {
    let (_pages, browser) = studio("?scenario=gc-pause&t=18200");
    browser.click("protection-fencing");
    browser.press("m");
    browser.text_when("comparison", |text| text.contains("They part at"));
    browser.click("protection-fencing");
    browser.text_when("stage", |_| true);
    let rooms = "return ['stage', 'gantt'].map(it => {
        const box = document.querySelector(`[data-testid=${it}]`);
        const picture = box.querySelector('svg.picture');
        return box.clientHeight > 150 && picture.clientHeight <= box.clientHeight + 2; })";
    leasehold_tests::log::wait_for("the room", || {
        (browser.run(rooms) == json!([true, true])).then_some(())
    });
}

#[test]
fn steps_forward_and_back_show_the_same_picture_in_every_scenario() {
    let (pages, browser) = studio("");
    for scenario in library() {
        browser.open(&format!("{}?scenario={}&t=2600", pages.address(), scenario.name));
        browser.text_when("time", |time| time == "2.6 s");
        browser.press(Browser::RIGHT);
        let before = seen(&browser);
        for _ in 0..12 {
            browser.press(Browser::RIGHT);
        }
        assert_ne!(seen(&browser).0, before.0, "{}", scenario.name);
        for _ in 0..12 {
            browser.press(Browser::LEFT);
        }
        assert_eq!(seen(&browser), before, "{}", scenario.name);
        // The page goes through the very run that the core goes through.
        let fingerprint = format!("{:016x}", scenario.run().go().fingerprint);
        assert_eq!(browser.attribute("digest", "data-digest"), fingerprint);
    }
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn a_protection_taken_away_violates_an_invariant_and_changes_the_file() {
    let (pages, browser) = studio("?scenario=gc-pause&without=&seed=7&t=18200");
    assert_eq!(browser.text("time").unwrap(), "18.2 s");
    assert_eq!(browser.attribute("invariant-S2", "data-status"), "ok");
    let right = browser.text("file-file_0").unwrap();
    browser.click("protection-fencing");
    browser.text_when("file-file_0", |file| file.contains("stale"));
    assert_eq!(browser.attribute("protection-fencing", "aria-pressed"), "false");
    for invariant in ["invariant-S2", "invariant-S4"] {
        assert_eq!(browser.attribute(invariant, "data-status"), "violated");
    }
    let wrong = browser.text("file-file_0").unwrap();
    assert!(wrong.lines().count() > right.lines().count(), "{right}\n{wrong}");
    // The address says it too, and undoing takes it back.
    browser.open(&format!("{}?scenario=gc-pause&without=fencing&t=18200", pages.address()));
    browser.text_when("file-file_0", |file| file.contains("stale"));
    browser.press("m");
    let compared = browser.text_when("comparison", |text| text.contains("They part at 16.1 s"));
    assert!(compared.contains("S2 ✕") && compared.contains("nothing violated"), "{compared}");
}

#[test]
fn a_shared_link_reopens_the_same_moment() {
    let (_pages, browser) = studio("?scenario=partition&t=9000");
    // Something that no scenario does: the first client stands still.
    browser.run(
        "document.querySelector('[data-target=node-1]').dispatchEvent(
        new MouseEvent('click', {bubbles: true}))",
    );
    browser.press("z");
    browser.text_when("toast", |text| text.contains("A new branch"));
    for _ in 0..5 {
        browser.press(Browser::RIGHT);
    }
    browser.press("e");
    let link = "return document.querySelector('[data-testid=link]')?.value ?? ''";
    browser.text_when("copy-link", |text| text == "Copy");
    let link = browser.run(link);
    let (time, expected) = (browser.text("time"), seen(&browser).0);
    browser.open(link.as_str().unwrap());
    browser.text_when("time", |_| true);
    assert_eq!((browser.text("time"), seen(&browser).0), (time, expected));
    assert!(browser.text("toast").is_none(), "nothing differs");
}

#[test]
fn a_search_finds_a_violation_and_plays_it() {
    let (_pages, browser) = studio("?scenario=gc-pause&without=fencing");
    browser.press("v");
    browser.text_when("search-start", |text| text == "Search");
    browser.press(Browser::ENTER);
    let found =
        browser.text_when("search-outcome", |text| text.contains("is violated with 1 fault"));
    assert!(found.contains("Without that fault nothing is violated."), "{found}");
    browser.press(Browser::ENTER);
    browser.text_when("scenario", |text| text.contains("Found"));
    // It plays up to what was found.
    let violated = "return document.querySelectorAll('[data-status=violated]').length > 0";
    leasehold_tests::log::wait_for("the violation", || {
        (browser.run(violated) == json!(true)).then_some(())
    });
    assert_eq!(browser.complaints(), Vec::<String>::new());
}

#[test]
fn nothing_asks_for_frames_while_nothing_plays() {
    let (_pages, browser) = studio("?scenario=gc-pause&t=4000");
    let count = "const ask = window.requestAnimationFrame; window.asked = 0;
        window.requestAnimationFrame = it => { window.asked += 1; return ask(it); }; return 0";
    browser.run(count);
    std::thread::sleep(std::time::Duration::from_millis(600));
    assert_eq!(browser.run("return window.asked"), json!(0));
    browser.press(" ");
    browser.text_when("time", |time| time != "4.0 s");
    assert!(browser.run("return window.asked").as_u64().unwrap() > 0);
}

/// What the page saves is what the program reads, and the other way round.
#[test]
fn traces_go_out_and_come_in() {
    let scenario = Scenario::named("lost-reply").unwrap();
    let recording = Recording::of(scenario.run());
    let (_pages, browser) = studio("?scenario=gc-pause");
    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    browser.choose_file("import", "trace.json", &recording.to_json());
    browser.text_when("toast", |text| text.contains("exactly as it was recorded"));
    let fingerprint = format!("{:016x}", recording.fingerprint());
    assert_eq!(browser.attribute("digest", "data-digest"), fingerprint);
    assert!(recording.records().iter().any(|it| Interest::of(it) >= Interest::Append));

    browser.keep_downloads();
    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    browser.click("export-json");
    assert_eq!(browser.downloaded(), recording.to_json());
    browser.choose_file("import", "bad.json", "{\"format\": \"something\"}");
    browser.text_when("toast", |text| text.contains("That is no trace"));
}

/// Two lines for each event, read by the expression in the first line, which is the one that
/// ShiViz has of itself: what happened, then the node and its clock, which counts up by one.
#[test]
fn a_log_for_shivi_fits_its_expression_line_by_line() {
    let (_pages, browser) = studio("?scenario=gc-pause");
    browser.keep_downloads();
    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    browser.click("export-shiviz");
    let log = browser.downloaded();
    let mut lines = log.lines();
    assert_eq!(lines.next(), Some(r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})"));
    assert_eq!(lines.next(), Some(""));
    let lines: Vec<&str> = lines.collect();
    assert!(lines.len() > 100 && lines.len().is_multiple_of(2), "{}", lines.len());
    let mut own: std::collections::BTreeMap<&str, u64> = std::collections::BTreeMap::new();
    for event in lines.chunks(2) {
        assert!(!event[0].is_empty());
        let (host, clock) = event[1].split_once(' ').unwrap();
        assert!(!host.contains(char::is_whitespace) && !host.is_empty(), "{}", event[1]);
        let clock: Value = serde_json::from_str(clock).unwrap();
        let count = own.entry(host).or_default();
        *count += 1;
        assert_eq!(clock[host], json!(*count), "{}", event[1]);
    }
    assert_eq!(own.len(), 3, "the server and two clients");
}

/// A second window is told what comes next, and the answer; and follows the first one.
#[test]
fn the_lecturers_notes_follow_the_page() {
    let (pages, browser) = studio("?scenario=gc-pause");
    browser.run(
        "window.notes = []; window.ear = new BroadcastChannel('leasehold-notes');
         ear.onmessage = it => notes.push(it.data); ear.postMessage('hello')",
    );
    browser.press(" ");
    browser.text_when("caption", |caption| caption.starts_with("client_1 stands still"));
    let heard = "return window.notes.at(-1) ?? ''";
    let notes = browser.run(heard).as_str().unwrap().to_owned();
    assert!(notes.contains("client_1 stands still") && notes.contains('✓'), "{notes}");

    browser.open(&format!("{}?mode=notes", pages.address()));
    browser.text_when("notes", |text| text.contains("follow the page in another window"));
    browser.run(&format!(
        "new BroadcastChannel('leasehold-notes').postMessage({})",
        Value::String(notes)
    ));
    browser.text_when("notes", |text| text.contains("✓") && text.contains("Next"));
    assert_eq!(browser.complaints(), Vec::<String>::new());
}
