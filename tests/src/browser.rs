//! A real browser: headless Chromium with a temporary profile, controlled through WebDriver.

use std::net::TcpListener;
use std::process::Command;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::log::log;
use crate::process::Process;
use crate::wait::wait_for;

/// The command-line flags of the browser.
const FLAGS: &[&str] = &[
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
];

/// One tab of a browser. Elements are named by their `data-testid`.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    _driver: Process,
    _profile: TempDir,
}

/// A command of Chromium's driver that is not part of the WebDriver standard.
#[derive(Debug)]
struct ChromeCommand {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for ChromeCommand {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/{}", session.unwrap_or_default(), self.path))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(self.body.to_string()))
    }
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
}

impl Browser {
    /// Starts a driver and a browser with a viewport of this size.
    ///
    /// # Panics
    /// If `chromedriver` or the browser cannot be started.
    pub fn start(width: u32, height: u32) -> Self {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        let driver = Process::start("driver", command.arg(format!("--port={port}")));
        let profile = TempDir::with_prefix("leasehold-browser-").expect("a temporary directory");
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let capabilities = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(capabilities) = capabilities else { unreachable!("an object") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address = format!("http://127.0.0.1:{port}");
        let client = wait_for("the browser", || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            let connecting = builder.capabilities(capabilities.clone()).connect(&address);
            runtime.block_on(connecting).ok()
        });
        let browser = Self { runtime, client, _driver: driver, _profile: profile };
        browser.resize(width, height);
        browser
    }

    /// Resizes the viewport.
    pub fn resize(&self, width: u32, height: u32) {
        let mobile = width < 500;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Sets the preferred color scheme: `light` or `dark`.
    pub fn set_scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Opens a page.
    ///
    /// # Panics
    /// If it does not load.
    pub fn open(&self, url: &str) {
        log("browser", format!("opens {url}"));
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
        let entries = self.chrome_command("se/log", json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let serious =
            entries.iter().filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG");
        serious.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Returns whether the page, once it has settled, is wider than the viewport.
    pub fn overflows_horizontally(&self) -> bool {
        self.wait_until_settled();
        self.run("return document.documentElement.scrollWidth > innerWidth") == json!(true)
    }

    /// Runs a script on every page from now on, before the page's own scripts.
    pub fn run_on_every_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// Sends a command of the Chrome DevTools Protocol and returns its result.
    pub fn devtools(&self, command: &str, parameters: &Value) -> Value {
        self.chrome_command("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    fn chrome_command(&self, path: &'static str, body: Value) -> Value {
        let command = ChromeCommand { path, body };
        let result = self.runtime.block_on(self.client.issue_cmd(command));
        result.expect("the driver supports the command")
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
