//! Leads the page through everything that it can show: each scenario at its stops, the question,
//! the answer and the end; the other views and the dialogs; and crowds. Each of them in both
//! themes, and while presenting.
//!
//! The page is loaded once for each scenario. Everything else is reached by keys, as a lecturer
//! would.

use std::fmt;

use serde_json::{Value, json};

use super::crowds::crowd_query;
use crate::browser::Browser;
use crate::wait::wait_for;

/// A scenario has fewer stops than this.
const STOPS_MAX: usize = 20;

/// The sizes of the crowds that are simulated.
const CROWDS: [usize; 2] = [30, 200];

/// How often the key for a faster playback is pressed before an answer is awaited.
const SPEED_UPS: usize = 8;

/// The size of a viewport, in CSS pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// The width.
    pub width: u32,
    /// The height.
    pub height: u32,
}

/// A laptop or a projector, a large screen, and a phone.
pub const SIZES: [Size; 3] = [
    Size { width: 1280, height: 720 },
    Size { width: 1920, height: 1080 },
    Size { width: 390, height: 844 },
];

impl Size {
    /// Returns whether the page is operated by touch.
    pub fn is_touch(self) -> bool {
        self.width < 500
    }
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}x{}", self.width, self.height)
    }
}

/// Something that the page shows.
#[derive(Clone, Debug)]
pub struct View<'a> {
    /// The scenario, or the group of views.
    pub subject: &'a str,
    /// The position in the scenario, or the view.
    pub state: &'a str,
    /// The size of the viewport.
    pub size: Size,
    /// Whether the page presents.
    pub is_presenting: bool,
    /// Whether the dark theme is shown.
    pub is_dark: bool,
}

impl fmt::Display for View<'_> {
    /// Writes a name that is also the name of a file.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}-{}-{}", self.subject, self.state.replace(' ', "-"), self.size)?;
        formatter.write_str(if self.is_presenting { "-presenting" } else { "" })?;
        formatter.write_str(if self.is_dark { "-dark" } else { "" })
    }
}

/// The subject of the views that belong to no scenario.
pub const OTHER_VIEWS: &str = "views";

/// The other views: name, query, and keys. Dialogs follow, which do not present.
const VIEWS: [(&str, &str, &[&str]); 5] = [
    ("violation", "scenario=gc-pause&without=fencing&t=18200", &[]),
    ("space-time", "scenario=gc-pause&t=12000", &["2"]),
    ("selected client", "scenario=gc-pause&t=12000", &["1", Browser::DOWN]),
    ("comparison", "scenario=gc-pause&without=fencing&t=17000", &["m"]),
    ("after undo", "scenario=gc-pause&t=5000", &["1", Browser::DOWN, "z"]),
];

const DIALOGS: [(&str, &[&str]); 6] = [
    ("scenarios", &["o"]),
    ("shortcuts", &["?"]),
    ("legend", &["i"]),
    ("search", &["v"]),
    ("exports", &["e"]),
    ("fault menu", &["1", Browser::DOWN, Browser::ENTER]),
];

/// What a click on an element opens, if the size of the viewport shows the element: name and
/// `data-testid`.
const MENUS: [(&str, &str); 3] =
    [("menu", "menu"), ("protections menu", "protections"), ("seed menu", "seed")];

/// What is opened from the start screen.
const START_MENUS: [(&str, &str); 2] = [("glossary", "start-glossary"), ("tour", "start-tour")];

/// A browser that is led through the page.
pub struct Walk<'a> {
    /// The browser. It prefers reduced motion, so that runs do not start by themselves.
    pub browser: &'a Browser,
    /// The URL of the page.
    pub page: &'a str,
    /// The size of the viewport.
    pub size: Size,
    /// Called for each view.
    pub visit: &'a mut dyn FnMut(&Browser, &View<'_>),
}

/// Returns the names of all subjects: the scenarios of the page's library, in their order, then the
/// crowds and the other views.
///
/// # Panics
/// If the page does not show its library.
pub fn subjects(browser: &Browser, page: &str) -> Vec<String> {
    browser.open(&format!("{page}?scenario=five-clients"));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    browser.press("o");
    let names = wait_for("the scenarios", || {
        let names = browser.run(
            "const items = document.querySelectorAll('[data-testid^=scenario-item-]');
             return [...items].map(it => it.dataset.testid.replace('scenario-item-', ''))",
        );
        names.as_array().filter(|names| !names.is_empty()).cloned()
    });
    let scenarios = names.iter().filter_map(Value::as_str).map(str::to_owned);
    let crowds = CROWDS.map(|clients| format!("crowd-{clients}"));
    scenarios.chain(crowds).chain([OTHER_VIEWS.to_owned()]).collect()
}

impl Walk<'_> {
    /// Visits all views of a subject.
    pub fn visit_subject(&mut self, subject: &str) {
        self.browser.resize(self.size.width, self.size.height);
        self.browser.reduce_motion();
        let crowd = subject.strip_prefix("crowd-").and_then(|clients| clients.parse().ok());
        match crowd {
            Some(clients) => self.visit_crowd(subject, clients),
            None if subject == OTHER_VIEWS => self.visit_other_views(),
            None => self.visit_scenario(subject),
        }
    }

    /// Visits the page as it is now, in both themes, and if `can_present` also while presenting.
    pub fn visit_state(&mut self, subject: &str, state: &str, can_present: bool) {
        for is_presenting in [false, true] {
            if is_presenting {
                if !can_present {
                    continue;
                }
                self.browser.press("p");
            }
            for is_dark in [false, true] {
                let theme = if is_dark { "dark" } else { "light" };
                self.browser.run(&format!("document.documentElement.dataset.theme = '{theme}'"));
                self.browser.wait_until_settled();
                let size = self.size;
                let view = View { subject, state, size, is_presenting, is_dark };
                (self.visit)(self.browser, &view);
            }
        }
        if can_present {
            self.browser.press("p");
            self.browser.wait_until_settled();
        }
    }

    fn open(&self, query: &str) {
        self.browser.open(&format!("{}?{query}", self.page));
        self.browser.wait_for_text("time", |time| time.ends_with(" s"));
        self.browser.wait_until_settled();
    }

    fn visit_scenario(&mut self, name: &str) {
        self.open(&format!("scenario={name}"));
        self.visit_state(name, "start", true);
        for number in 1..=STOPS_MAX {
            let before = self.browser.text("time");
            self.browser.press(Browser::PAGE_DOWN);
            self.browser.wait_until_settled();
            if self.browser.text("question").is_some() {
                self.visit_state(name, "question", true);
                self.visit_answer(name);
                break;
            }
            if self.browser.text("time") == before {
                break;
            }
            self.visit_state(name, &format!("stop {number}"), true);
        }
        self.browser.press(Browser::ESCAPE);
        self.browser.press(Browser::END);
        self.visit_state(name, "end", true);
        self.visit_tabs(name);
    }

    /// Reveals the answer and waits for it.
    fn visit_answer(&mut self, name: &str) {
        for _ in 0..SPEED_UPS {
            self.browser.press("]");
        }
        self.browser.press(Browser::ENTER);
        let is_answered = "return document.querySelector('.option.correct') !== null";
        wait_for(&format!("the answer of {name}"), || {
            (self.browser.run(is_answered) == json!(true)).then_some(())
        });
        self.pause();
        self.visit_state(name, "answer", true);
        if self.browser.text("show-why").is_some() {
            self.browser.click("show-why");
            self.visit_state(name, "why", true);
            self.browser.press(Browser::ESCAPE);
        }
    }

    /// Stops a run that is playing.
    fn pause(&self) {
        let before = self.browser.text("time");
        self.browser.wait_until_settled();
        if self.browser.text("time") != before {
            self.browser.press(" ");
        }
    }

    /// On a narrow screen, only one panel is visible at a time.
    fn visit_tabs(&mut self, name: &str) {
        let count = self.browser.run(
            "return [...document.querySelectorAll('.panel-tabs [role=tab]')]
                .filter(it => it.checkVisibility()).length",
        );
        for index in 0..count.as_u64().unwrap_or(0) {
            let title = self.browser.run(&format!(
                "const tab = document.querySelectorAll('.panel-tabs [role=tab]')[{index}];
                 tab.click(); return tab.innerText.trim()"
            ));
            self.visit_state(name, &format!("tab {}", title.as_str().unwrap_or_default()), false);
        }
    }

    fn visit_crowd(&mut self, subject: &str, clients: usize) {
        for ms in [3_000, 9_000] {
            self.open(&format!("{}&t={ms}", crowd_query(clients)));
            self.visit_state(subject, &format!("{ms} ms"), true);
        }
    }

    /// Clicks an element and visits what that opens.
    fn visit_click(&mut self, state: &str, id: &str) {
        let is_visible = self.browser.run(&format!(
            "return document.querySelector('[data-testid=\"{id}\"]')?.checkVisibility() ?? false"
        ));
        if is_visible == json!(true) {
            self.browser.click(id);
            self.browser.wait_until_settled();
            self.visit_state(OTHER_VIEWS, state, false);
        }
    }

    /// Visits the first screen, and what it opens.
    fn visit_start(&mut self) {
        self.browser.open(self.page);
        self.browser.wait_for_text("start", |text| !text.is_empty());
        self.browser.wait_until_settled();
        self.visit_state(OTHER_VIEWS, "start", false);
        for (state, id) in START_MENUS {
            self.browser.open(self.page);
            self.browser.wait_for_text("start", |text| !text.is_empty());
            self.visit_click(state, id);
        }
    }

    fn visit_other_views(&mut self) {
        self.visit_start();
        for (state, id) in MENUS {
            self.open("scenario=gc-pause&t=12000");
            self.visit_click(state, id);
        }
        for (state, query, keys) in VIEWS {
            self.open(query);
            keys.iter().for_each(|key| self.browser.press(key));
            self.visit_state(OTHER_VIEWS, state, true);
        }
        for (state, keys) in DIALOGS {
            self.open("scenario=gc-pause&t=12000");
            keys.iter().for_each(|key| self.browser.press(key));
            self.browser.wait_until_settled();
            self.visit_state(OTHER_VIEWS, state, false);
        }
    }
}
