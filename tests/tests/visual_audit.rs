//! The visual audit: every scenario at its stops, the other views, and crowds, at three sizes, in
//! both themes, and while presenting, show no overlapping or clipped text, no broken shape, too
//! little contrast nowhere, and no control that cannot be hit.
//!
//! The findings of the last run are in `target/visual-audit/`, one line each.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;
use std::{fs, thread};

use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::server::Server;
use leasehold_tests::visual_audit::views::{SIZES, Size, View, Walk, subjects};
use leasehold_tests::visual_audit::{AuditOptions, Finding, KINDS, audit};

/// Findings that are known and not yet fixed: the kind, and the subjects that may have it; a star
/// stands for every subject. An entry that no longer applies is a failure, so that the lists only
/// shrink.
type Allowed = &'static [(&'static str, &'static [&'static str])];

/// The findings in simulated runs.
///
/// - On a phone, dense letters of the space-time diagram cover each other.
/// - Files with many lines, and activities of many clients, are shortened with an ellipsis.
/// - In the sandbox, the goal and the hints leave the timeline too little height on a phone.
const ALLOWED_SIMULATED: Allowed = &[
    ("overlapping_texts", &["crowd-200"]),
    ("covered_text", &["*"]),
    ("clipped_text", &["*"]),
    ("outside_panel", &["sandbox", "views"]),
    ("contrast", &["crowd-200", "lease-length"]),
    ("overlapping_controls", &["sandbox"]),
    ("small_target", &["views"]),
];

/// The findings in the live view.
const ALLOWED_LIVE: Allowed = &[];

/// How long the page may take to draw itself for a new size.
const DRAWING_TIME: Duration = Duration::from_secs(1);

/// How many browsers work at the same time.
const BROWSERS: usize = 2;

/// The sizes of the crowds at a real server.
const LIVE_CROWDS: [usize; 3] = [5, 30, 300];

/// How many clients of a live crowd share a lock.
const CLIENTS_PER_LOCK: usize = 5;

/// How many examples of each kind a failure prints.
const EXAMPLES: usize = 8;

/// The findings by kind and subject, each with the first view that shows it.
#[derive(Default)]
struct Report {
    found: BTreeMap<(String, String), BTreeMap<(String, String), String>>,
    views: usize,
}

impl Report {
    fn add(&mut self, view: &View<'_>, findings: Vec<Finding>) {
        self.views += 1;
        for Finding { kind, element, detail } in findings {
            assert!(KINDS.contains(&kind.as_str()), "unknown kind of finding: {kind}");
            let subject = self.found.entry((kind, view.subject.to_owned())).or_default();
            // Numbers change from step to step; the fault does not.
            let fault = (without_numbers(&element), without_numbers(&detail));
            subject.entry(fault).or_insert_with(|| format!("{view}: {element}: {detail}"));
        }
    }

    /// Returns one line for each finding.
    fn lines(&self, is_wanted: impl Fn(&str, &str) -> bool) -> Vec<(&str, &str)> {
        let wanted = self.found.iter().filter(|((kind, subject), _)| is_wanted(kind, subject));
        let each = wanted.flat_map(|((kind, _), faults)| {
            faults.values().map(move |text| (kind.as_str(), text.as_str()))
        });
        each.collect()
    }

    /// Returns the number of findings and of subjects for each kind.
    fn summary(&self) -> String {
        let mut text = format!("{} views\n", self.views);
        for kind in KINDS {
            let subjects = self.found.iter().filter(|((it, _), _)| it == kind);
            let (count, subjects) = subjects
                .fold((0, 0), |(count, number), (_, faults)| (count + faults.len(), number + 1));
            writeln!(text, "{kind:<22} {count:>5} in {subjects} subjects").expect("a string");
        }
        text
    }
}

fn without_numbers(text: &str) -> String {
    let mut plain = String::new();
    for char in text.chars() {
        match char {
            '0'..='9' if plain.ends_with('0') => {}
            '0'..='9' => plain.push('0'),
            _ => plain.push(char),
        }
    }
    plain
}

fn is_allowed(allowed: Allowed, kind: &str, subject: &str) -> bool {
    let includes = |subjects: &[&str]| subjects.contains(&subject) || subjects.contains(&"*");
    allowed.iter().any(|(it, subjects)| *it == kind && includes(subjects))
}

/// Writes all findings to a file for people to read.
fn save(name: &str, report: &Report) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/visual-audit");
    fs::create_dir_all(&folder).expect("the folder can be created");
    let mut text = report.summary();
    for (kind, line) in report.lines(|_, _| true) {
        writeln!(text, "{kind}: {line}").expect("a string");
    }
    fs::write(folder.join(name), text).expect("the report can be written");
}

#[track_caller]
fn expect_allowed_only(report: &Report, allowed: Allowed) {
    println!("{}", report.summary());
    let mut examples = String::new();
    for kind in KINDS {
        let is_new = |it: &str, subject: &str| it == kind && !is_allowed(allowed, it, subject);
        let lines = report.lines(is_new);
        for (_, line) in lines.iter().take(EXAMPLES) {
            writeln!(examples, "{kind}: {line}").expect("a string");
        }
        if lines.len() > EXAMPLES {
            writeln!(examples, "{kind}: … and {} more", lines.len() - EXAMPLES).expect("a string");
        }
    }
    assert!(examples.is_empty(), "the page has faults:\n{examples}\n{}", report.summary());
    let entries =
        allowed.iter().flat_map(|(kind, subjects)| subjects.iter().map(move |it| (kind, it)));
    let is_found = |(kind, subject): &(&&str, &&str)| {
        report.found.keys().any(|(it, of)| it == *kind && (of == *subject || **subject == "*"))
    };
    let outdated: Vec<_> = entries.filter(|entry| !is_found(entry)).collect();
    assert!(outdated.is_empty(), "these are fixed; remove them from the list: {outdated:?}");
}

fn look(browser: &Browser, view: &View<'_>) -> Vec<Finding> {
    let options = AuditOptions { touch: view.size.is_touch(), colors_only: view.is_dark };
    let errors = browser.console_errors().into_iter().map(|message| Finding {
        kind: "console_error".to_owned(),
        element: "console".to_owned(),
        detail: message,
    });
    let mut findings = audit(browser, options);
    if !findings.is_empty() {
        // On a busy machine the page may not have been drawn for its new size yet.
        thread::sleep(DRAWING_TIME);
        browser.wait_until_settled();
        findings = audit(browser, options);
    }
    findings.into_iter().chain(errors).collect()
}

/// Several browsers share the work.
#[test]
fn every_view_of_a_simulated_run_passes_the_audit() {
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    let all = subjects(&browser, &page.url());
    drop(browser);
    let jobs = SIZES.iter().flat_map(|size| all.iter().map(move |subject| (*size, subject)));
    // Crowds take longest, so they come first.
    let mut jobs: Vec<(Size, &String)> = jobs.collect();
    jobs.sort_by_key(|(_, subject)| subject.starts_with("crowd"));
    let (jobs, report) = (Mutex::new(jobs), Mutex::new(Report::default()));
    thread::scope(|scope| {
        for _ in 0..BROWSERS {
            scope.spawn(|| {
                let browser = Browser::start(1280, 720);
                let next = || jobs.lock().expect("no browser has failed").pop();
                while let Some((size, subject)) = next() {
                    let mut visit = |browser: &Browser, view: &View<'_>| {
                        let findings = look(browser, view);
                        report.lock().expect("no browser has failed").add(view, findings);
                    };
                    let page = &page.url();
                    Walk { browser: &browser, page, size, visit: &mut visit }
                        .visit_subject(subject);
                }
            });
        }
    });
    let report = report.into_inner().expect("no browser has failed");
    save("simulated.txt", &report);
    expect_allowed_only(&report, ALLOWED_SIMULATED);
}

/// Connects clients to a server: the first of each group holds a lock, the others wait for it.
fn crowd(server: &Server, clients: usize) -> Vec<RawClient> {
    let connect = |index: usize| {
        let mut client =
            RawClient::connect_with_lease(&format!("client_{}", index + 1), server.udp(), 60_000);
        let lock = format!("file_{}", index / CLIENTS_PER_LOCK);
        if index.is_multiple_of(CLIENTS_PER_LOCK) {
            client.acquire(&lock);
        } else {
            client.join_queue(&lock);
        }
        client
    };
    (0..clients).map(connect).collect()
}

#[test]
fn the_live_view_passes_the_audit_with_few_and_with_many_clients() {
    let mut report = Report::default();
    let browser = Browser::start(1280, 720);
    for clients in LIVE_CROWDS {
        let server = Server::start();
        let _clients = crowd(&server, clients);
        let subject = format!("live-{clients}");
        for size in SIZES {
            browser.resize(size.width, size.height);
            browser.reduce_motion();
            browser.open(&format!("http://{}/?mode=live", server.http()));
            browser.wait_for_text("live-status", |status| status == "live");
            let mut visit = |browser: &Browser, view: &View<'_>| {
                report.add(view, look(browser, view));
            };
            let page = &server.http().to_string();
            Walk { browser: &browser, page, size, visit: &mut visit }
                .visit_state(&subject, "live", true);
        }
        // The page must not look for a server that has ended.
        browser.open("about:blank");
    }
    save("live.txt", &report);
    expect_allowed_only(&report, ALLOWED_LIVE);
}

/// A check that cannot fail would prove nothing: each kind of finding is found in a page that has
/// one defect of each, and nothing else is found there.
#[test]
fn each_kind_of_finding_is_found_once_where_it_was_planted() {
    let browser = Browser::start(1280, 900);
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/visual_audit/defects.html");
    browser.open(&format!("file://{}", path.display()));
    let findings = audit(&browser, AuditOptions::default());
    let place = |finding: &Finding| finding.element.split(' ').next().map(str::to_owned);
    for finding in &findings {
        assert_eq!(place(finding).as_deref(), Some(finding.kind.as_str()), "{findings:#?}");
    }
    let found: Vec<&str> = findings.iter().map(|finding| finding.kind.as_str()).collect();
    let found_once = |kind: &str| found.iter().filter(|it| **it == kind).count() == 1;
    for kind in KINDS.into_iter().filter(|kind| *kind != "console_error") {
        assert!(found_once(kind), "{kind} in {findings:#?}");
    }
    // In another theme only the colours are looked at again.
    let colors = audit(&browser, AuditOptions { touch: false, colors_only: true });
    assert!(colors.iter().all(|finding| finding.kind == "contrast") && colors.len() == 1);
    // A finger needs more than a mouse.
    let touch = audit(&browser, AuditOptions { touch: true, colors_only: false });
    assert!(touch.iter().filter(|finding| finding.kind == "small_target").count() > 1);
}
