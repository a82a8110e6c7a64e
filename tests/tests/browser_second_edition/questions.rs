//! What an open question covers, moves and gives away.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Protection, Scenario, library};
use leasehold_tests::browser::Browser;
use serde_json::{Value, json};

use crate::{go_to_question, open, open_page, wait_for_answer};

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
            wait_for_answer(&browser);
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
    let record = &trace[asked.index().unwrap()];
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
    let (page, browser) = open_page("scenario=five-clients");
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
