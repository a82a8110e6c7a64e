//! A real browser: headless Chromium or Firefox with a temporary profile, controlled through
//! WebDriver.
//!
//! What only one of the two can do is in [`chromium`] and [`firefox`]; everything else works in
//! both.

mod chromium;
mod firefox;

use std::cell::{Cell, RefCell};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::MutexGuard;

use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::log::log;
use crate::process::Process;
use crate::wait::wait_for;

/// How many bytes of a URL are logged.
const URL_LOGGED: usize = 120;

/// The program that a [`Browser`] controls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrowserKind {
    /// Chromium, with `chromedriver`.
    Chromium,
    /// Firefox, with `geckodriver`.
    Firefox,
}

/// One tab of a browser. Elements are named by their `data-testid`.
pub struct Browser {
    kind: BrowserKind,
    runtime: Runtime,
    client: Client,
    _driver: Process,
    _profile: TempDir,
    /// The console, if its messages are events. Chromium's driver has a command for them.
    console: RefCell<Option<firefox::Console>>,
    has_reduced_motion: Cell<bool>,
    is_dark: Cell<bool>,
    /// Held while the browser runs, if there may be only one of its kind.
    _turn: Option<MutexGuard<'static, ()>>,
}

// Keys, by the code points that WebDriver defines.
impl Browser {
    /// The key Enter.
    pub const ENTER: &str = "\u{e007}";
    /// The key Arrow Down.
    pub const DOWN: &str = "\u{e015}";
    /// The key Arrow Right.
    pub const RIGHT: &str = "\u{e014}";
    /// The key Arrow Left.
    pub const LEFT: &str = "\u{e012}";
    /// The key Page Down, which presentation remotes send.
    pub const PAGE_DOWN: &str = "\u{e00f}";
    /// The key Backspace.
    pub const BACKSPACE: &str = "\u{e003}";
    /// The key Escape.
    pub const ESCAPE: &str = "\u{e00c}";
    /// The key Home.
    pub const HOME: &str = "\u{e011}";
    /// The key End.
    pub const END: &str = "\u{e010}";
    /// The key Page Up.
    pub const PAGE_UP: &str = "\u{e00e}";
    /// The key Tab.
    pub const TAB: &str = "\u{e004}";
    /// The key Shift, which stays pressed for the keys that follow it in one call.
    pub const SHIFT: &str = "\u{e008}";
}

impl BrowserKind {
    /// Returns the name of the driver's program.
    fn driver(self) -> &'static str {
        match self {
            Self::Chromium => "chromedriver",
            Self::Firefox => "geckodriver",
        }
    }

    fn driver_arguments(self, port: u16) -> Vec<String> {
        match self {
            Self::Chromium => chromium::driver_arguments(port),
            Self::Firefox => firefox::driver_arguments(port),
        }
    }

    fn capabilities(self, profile: &Path) -> Value {
        match self {
            Self::Chromium => chromium::capabilities(profile),
            Self::Firefox => firefox::capabilities(profile),
        }
    }

    fn wait_for_turn(self) -> Option<MutexGuard<'static, ()>> {
        match self {
            Self::Chromium => None,
            Self::Firefox => Some(firefox::wait_for_turn()),
        }
    }
}

impl Browser {
    /// Starts Chromium with a viewport of this size.
    ///
    /// # Panics
    /// If `chromedriver` or the browser cannot be started.
    pub fn start(width: u32, height: u32) -> Self {
        Self::start_kind(BrowserKind::Chromium, width, height)
    }

    /// Starts a driver and a browser of this kind with a viewport of this size.
    ///
    /// # Panics
    /// If the driver or the browser cannot be started.
    pub fn start_kind(kind: BrowserKind, width: u32, height: u32) -> Self {
        let turn = kind.wait_for_turn();
        let port = free_port();
        let mut command = Command::new(kind.driver());
        let driver = Process::start("driver", command.args(kind.driver_arguments(port)));
        let profile = TempDir::with_prefix("leasehold-browser-").expect("a temporary directory");
        let Value::Object(capabilities) = kind.capabilities(profile.path()) else {
            unreachable!("an object")
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address = format!("http://127.0.0.1:{port}");
        let client = wait_for(&format!("{kind:?}"), || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            let connecting = builder.capabilities(capabilities.clone()).connect(&address);
            runtime.block_on(connecting).ok()
        });
        let capabilities = client.capabilities().cloned().unwrap_or_default();
        let events = capabilities.get("webSocketUrl").and_then(Value::as_str);
        let browser = Self {
            kind,
            runtime,
            console: RefCell::new(events.map(firefox::Console::subscribe)),
            client,
            _driver: driver,
            _profile: profile,
            has_reduced_motion: Cell::new(false),
            is_dark: Cell::new(false),
            _turn: turn,
        };
        browser.resize(width, height);
        browser
    }

    /// Returns the kind of browser.
    pub fn kind(&self) -> BrowserKind {
        self.kind
    }

    /// Resizes the viewport.
    pub fn resize(&self, width: u32, height: u32) {
        match self.kind {
            BrowserKind::Chromium => self.resize_chromium(width, height),
            BrowserKind::Firefox => self.resize_firefox(width, height),
        }
    }

    /// Opens a page.
    ///
    /// # Panics
    /// If it does not load.
    pub fn open(&self, url: &str) {
        // A link can contain a whole run.
        let shown = url.get(..URL_LOGGED).map_or(url.to_owned(), |start| format!("{start}…"));
        log("browser", format!("opens {shown}"));
        self.runtime.block_on(self.client.goto(url)).expect("the page loads");
    }

    /// Runs a script and returns its result.
    ///
    /// # Panics
    /// If the script throws.
    pub fn run(&self, script: &str) -> Value {
        let result = self.runtime.block_on(self.client.execute(script, Vec::new()));
        result.unwrap_or_else(|error| panic!("{error} in {script}"))
    }

    /// Runs a script and returns the value that it passes to the function `done`.
    ///
    /// # Panics
    /// If the script throws, or does not call `done` within the driver's time limit.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        let result = self.runtime.block_on(self.client.execute_async(&script, Vec::new()));
        result.unwrap_or_else(|error| panic!("{error} in {script}"))
    }

    /// Waits for two frames, in which the page handles a change of its size, and for the end of all
    /// running animations and transitions that have an end.
    pub fn wait_until_settled(&self) {
        self.run_async(
            "const settle = () => Promise.allSettled(document.getAnimations()
                .filter(it => it.playState === 'running')
                .filter(it => it.effect?.getComputedTiming().endTime !== Infinity)
                .map(it => it.finished)).then(() => done(null));
             requestAnimationFrame(() => requestAnimationFrame(settle))",
        );
    }

    /// Returns how many animation frames the page requests while the browser draws 30 frames.
    pub fn frames_requested(&self) -> u64 {
        let count = self.run_async(
            "const request = window.requestAnimationFrame;
             let left = 30, requested = 0;
             const draw = () => {
                if (left-- > 0) return request(draw);
                window.requestAnimationFrame = request;
                done(requested);
             };
             window.requestAnimationFrame = it => { requested += 1; return request(it) };
             request(draw)",
        );
        count.as_u64().expect("a count")
    }

    /// Returns the visible text of an element, or `None` if there is no such element.
    pub fn text(&self, id: &str) -> Option<String> {
        let text = self.run(&format!(
            "return document.querySelector('[data-testid=\"{id}\"]')?.innerText ?? null"
        ));
        text.as_str().map(str::to_owned)
    }

    /// Waits until the text of an element meets a condition, and returns the text.
    #[track_caller]
    pub fn wait_for_text(&self, id: &str, condition: impl Fn(&str) -> bool) -> String {
        let text = wait_for(id, || self.text(id).filter(|text| condition(text)));
        log("browser", format!("{id}: {}", text.replace('\n', " | ")));
        text
    }

    /// Presses keys in the focused element.
    ///
    /// # Panics
    /// If no element has the focus.
    pub fn press(&self, keys: &str) {
        let focused = self.runtime.block_on(self.client.active_element()).expect("a focus");
        self.runtime.block_on(focused.send_keys(keys)).expect("the element accepts keys");
    }

    /// Clicks an element.
    ///
    /// # Panics
    /// If there is no such element.
    pub fn click(&self, id: &str) {
        self.run(&format!("document.querySelector('[data-testid=\"{id}\"]').click()"));
    }

    /// Clicks an element with the mouse: unlike [`Browser::click`], this moves the focus, and fails
    /// if another element covers it.
    ///
    /// # Panics
    /// If there is no such element, or it cannot be clicked.
    pub fn click_with_mouse(&self, id: &str) {
        let selector = format!("[data-testid=\"{id}\"]");
        let element = self.runtime.block_on(self.client.find(Locator::Css(&selector)));
        let element = element.unwrap_or_else(|error| panic!("{id}: {error}"));
        self.runtime.block_on(element.click()).unwrap_or_else(|error| panic!("{id}: {error}"));
    }

    /// Clicks the first button with this label.
    ///
    /// # Panics
    /// If there is no such button.
    pub fn click_button(&self, label: &str) {
        let label = json!(label);
        self.run(&format!(
            "[...document.querySelectorAll('button')]
                .find(it => it.innerText.trim() === {label}).click()"
        ));
    }

    /// Returns an attribute of an element, or an empty string if it does not exist.
    pub fn attribute(&self, id: &str, name: &str) -> String {
        let value = self.run(&format!(
            "return document.querySelector('[data-testid=\"{id}\"]')?.getAttribute('{name}')
                ?? ''"
        ));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// Captures the files that the page saves from now on.
    pub fn capture_downloads(&self) {
        self.run(
            "window.saved = []; const make = URL.createObjectURL;
             URL.createObjectURL = it => { it.text().then(it => saved.push(it)); return make(it) }",
        );
    }

    /// Waits for a captured file and returns its text.
    ///
    /// # Panics
    /// If the page saves none.
    pub fn last_download(&self) -> String {
        let saved = wait_for("a download", || {
            self.run("return saved.pop() ?? null").as_str().map(str::to_owned)
        });
        log("browser", format!("{} bytes were saved", saved.len()));
        saved
    }

    /// Selects a file with this text in a file input.
    pub fn choose_file(&self, id: &str, name: &str, text: &str) {
        let (name, text) = (json!(name), json!(text));
        self.run(&format!(
            "const files = new DataTransfer();
             files.items.add(new File([{text}], {name}, {{type: 'application/json'}}));
             const field = document.querySelector('[data-testid=\"{id}\"]');
             field.files = files.files;
             field.dispatchEvent(new Event('change', {{bubbles: true}}))"
        ));
    }

    /// Returns the warnings and errors that were logged to the console since the last call.
    pub fn console_errors(&self) -> Vec<String> {
        match self.console.borrow_mut().as_mut() {
            Some(console) => console.errors(),
            None => self.console_errors_of_chromium(),
        }
    }

    /// Returns a picture of the viewport, in the format PNG.
    ///
    /// # Panics
    /// If the driver cannot take one.
    pub fn screenshot(&self) -> Vec<u8> {
        self.runtime.block_on(self.client.screenshot()).expect("the driver takes a picture")
    }

    /// Returns whether the page, once it has settled, is wider than the viewport.
    pub fn overflows_horizontally(&self) -> bool {
        self.wait_until_settled();
        self.run("return document.documentElement.scrollWidth > innerWidth") == json!(true)
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Otherwise the browser would outlive its driver.
        self.runtime.block_on(self.client.clone().close()).ok();
    }
}

/// Returns a port that is free when the function returns.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket").port()
}
