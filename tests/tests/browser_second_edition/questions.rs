//! What an open question covers, moves and gives away.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Action, Intervention, NodeId, Run, Scenario, library};
use leasehold_tests::browser::Browser;
use leasehold_tests::page_host::PageHost;
use serde_json::{Value, json};

use crate::{go_to_question, open, open_page, wait_for_answer};

/// A scenario has fewer stops than this.
const STOPS_MAX: usize = 8;

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

/// Returns everything that the page says, in text and in labels, but for what names the run itself:
/// its protections, its fingerprint and the faults that count for a goal.
fn everything_said(browser: &Browser) -> Vec<String> {
    browser.wait_until_settled();
    let said = browser.run(
        "const own = '[role=banner], [data-testid=digest], [data-testid=goal]';
         const said = [];
         for (const it of document.querySelectorAll('body *')) {
            if (it.closest(own)) continue;
            for (const name of ['aria-label', 'title', 'data-status', 'aria-disabled']) {
                const value = it.getAttribute(name);
                if (value) said.push(`${it.localName} ${name}: ${value}`);
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

/// Returns the query of a run of a scenario with more interventions.
fn query_of(scenario: &Scenario, run: &Run, more: Vec<Intervention>) -> String {
    let interventions = [run.interventions.clone(), more].concat();
    let shared = json!({"config": run.config, "interventions": interventions});
    let encoded = URL_SAFE_NO_PAD.encode(shared.to_string());
    let without: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
    let (name, seed, without) = (&scenario.name, run.seed, without.join(","));
    format!("scenario={name}&seed={seed}&without={without}&run={encoded}")
}

/// Returns other futures for a run, from right after its question: every node crashes, or the
/// server is paused, which delays everything. A question is not asked in a run that does not answer
/// it.
fn other_futures(scenario: &Scenario, run: &Run) -> [Vec<Intervention>; 2] {
    let trace = run.execute().trace;
    let asked = scenario.question.at.find(&trace).expect("the question is asked");
    let after = trace[asked.index().unwrap()].at.as_millis() + 1;
    let nodes = 0..=u8::try_from(run.config.clients.len()).unwrap();
    let crash = |node| Action::Crash { node: NodeId(node), keeps_unflushed: false };
    let pause = Action::Pause { node: NodeId::SERVER, ms: 700 };
    [
        nodes.map(|node| Intervention::at(after, crash(node))).collect(),
        vec![Intervention::at(after, pause)],
    ]
}

/// Opens a run and returns what is said when the question is asked, if it is.
fn said_at_question(page: &PageHost, browser: &Browser, query: &str) -> Option<Vec<String>> {
    open(page, browser, query);
    for _ in 0..STOPS_MAX {
        browser.press(Browser::PAGE_DOWN);
        browser.wait_until_settled();
        if browser.text("question").is_some() {
            return Some(everything_said(browser));
        }
    }
    None
}

/// What two runs show is equal as long as only their futures differ.
#[test]
fn an_open_question_shows_nothing_of_the_future() {
    let (page, browser) = open_page("scenario=five-clients");
    let mut leaks = Vec::new();
    // A puzzle counts the faults that this test injects.
    for scenario in library().into_iter().filter(|it| it.goal.is_none()) {
        let run = scenario.run_without(&scenario.switches.iter().copied().collect());
        let own = query_of(&scenario, &run, Vec::new());
        let own = said_at_question(&page, &browser, &own).expect("the question is asked");
        let mut others = other_futures(&scenario, &run).into_iter().filter_map(|future| {
            said_at_question(&page, &browser, &query_of(&scenario, &run, future))
        });
        let other = others.next().unwrap_or_else(|| panic!("{}: no other future", scenario.name));
        let missing_from = |other: &[String], said: &[String]| -> Vec<String> {
            said.iter().filter(|it| !other.contains(it)).cloned().collect()
        };
        let (only_own, only_other) = (missing_from(&other, &own), missing_from(&own, &other));
        if !only_own.is_empty() || !only_other.is_empty() {
            leaks.push(format!("{}: {only_own:?}, or {only_other:?}", scenario.name));
        }
    }
    assert!(leaks.is_empty(), "{leaks:#?}");
}
