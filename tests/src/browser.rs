//! A real browser, steered by its driver: headless Chromium with a profile of its own.

use std::net::TcpListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::log::{tell, wait_for};
use crate::process::Process;

/// How the browser is started.
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

/// One tab of a browser.
pub struct Browser {
    runtime: Runtime,
    client: Client,
    _driver: Process,
    _profile: TempDir,
}

/// Chromium's own commands, beyond the standard.
#[derive(Debug)]
struct Own {
    path: &'static str,
    body: Value,
}

impl WebDriverCompatibleCommand for Own {
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

impl Browser {
    /// Keys that write nothing, by WebDriver's code points.
    pub const ENTER: &str = "\u{e007}";
    /// Arrow down.
    pub const DOWN: &str = "\u{e015}";
    /// Arrow right.
    pub const RIGHT: &str = "\u{e014}";
    /// Arrow left.
    pub const LEFT: &str = "\u{e012}";
    /// Page down, as remotes send it.
    pub const PAGE_DOWN: &str = "\u{e00f}";

    /// Takes back.
    pub const BACKSPACE: &str = "\u{e003}";
    /// Closes.
    pub const ESCAPE: &str = "\u{e00c}";

    /// To the beginning.
    pub const HOME: &str = "\u{e011}";
    /// To the end.
    pub const END: &str = "\u{e010}";

    /// Starts a driver, and a browser with a window of this size.
    ///
    /// # Panics
    /// Where they can't be started.
    pub fn start(width: u32, height: u32) -> Self {
        let port = free_port();
        let mut command = Command::new("chromedriver");
        let driver = Process::start("driver", command.arg(format!("--port={port}")));
        let profile = TempDir::with_prefix("leasehold-browser-").expect("a temporary folder");
        let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let wanted = json!({
            "goog:chromeOptions": { "args": flags },
            "goog:loggingPrefs": { "browser": "ALL" },
        });
        let Value::Object(wanted) = wanted else { unreachable!("it is an object") };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let address = format!("http://127.0.0.1:{port}");
        let client = wait_for("the browser", || {
            let mut builder = ClientBuilder::new(HttpConnector::new());
            let connecting = builder.capabilities(wanted.clone()).connect(&address);
            runtime.block_on(connecting).ok()
        });
        let browser = Self { runtime, client, _driver: driver, _profile: profile };
        browser.resize(width, height);
        browser
    }

    /// Makes the page's area this large.
    pub fn resize(&self, width: u32, height: u32) {
        let mobile = width < 500;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Chooses `light` or `dark`.
    pub fn set_scheme(&self, scheme: &str) {
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    /// Opens a page.
    ///
    /// # Panics
    /// Where it doesn't load.
    pub fn open(&self, address: &str) {
        tell("browser", format!("opens {address}"));
        self.runtime.block_on(self.client.goto(address)).expect("the page loads");
    }

    /// What a script returns.
    ///
    /// # Panics
    /// Where it throws.
    pub fn run(&self, script: &str) -> Value {
        let done = self.runtime.block_on(self.client.execute(script, Vec::new()));
        done.unwrap_or_else(|error| panic!("{error} in {script}"))
    }

    /// The visible text of the first element with this test hook.
    pub fn text(&self, hook: &str) -> Option<String> {
        let text = self.run(&format!(
            "return document.querySelector('[data-testid=\"{hook}\"]')?.innerText ?? null"
        ));
        text.as_str().map(str::to_owned)
    }

    /// The text, once it is as it should be.
    #[track_caller]
    pub fn text_when(&self, hook: &str, is_so: impl Fn(&str) -> bool) -> String {
        let text = wait_for(hook, || self.text(hook).filter(|text| is_so(text)));
        tell("browser", format!("{hook}: {}", text.replace('\n', " | ")));
        text
    }

    /// Presses keys, where the focus is.
    ///
    /// # Panics
    /// Where nothing has the focus.
    pub fn press(&self, keys: &str) {
        let focused = self.runtime.block_on(self.client.active_element()).expect("a focus");
        self.runtime.block_on(focused.send_keys(keys)).expect("keys are taken");
    }

    /// Clicks on the first element with this test hook.
    pub fn click(&self, hook: &str) {
        self.run(&format!("document.querySelector('[data-testid=\"{hook}\"]').click()"));
    }

    /// Clicks on the first button that says this.
    pub fn click_named(&self, text: &str) {
        let text = json!(text);
        self.run(&format!(
            "[...document.querySelectorAll('button')]
                .find(it => it.innerText.trim() === {text}).click()"
        ));
    }

    /// An attribute of the first element with this test hook; nothing where it has none.
    pub fn attribute(&self, hook: &str, name: &str) -> String {
        let value = self.run(&format!(
            "return document.querySelector('[data-testid=\"{hook}\"]')?.getAttribute('{name}')
                ?? ''"
        ));
        value.as_str().unwrap_or_default().to_owned()
    }

    /// From here on what the page saves can be asked for.
    pub fn keep_downloads(&self) {
        self.run(
            "window.saved = []; const make = URL.createObjectURL;
             URL.createObjectURL = it => { it.text().then(it => saved.push(it)); return make(it) }",
        );
    }

    /// The last file that the page has saved.
    ///
    /// # Panics
    /// Where it saves none.
    pub fn downloaded(&self) -> String {
        let saved = wait_for("a download", || {
            self.run("return saved.pop() ?? null").as_str().map(str::to_owned)
        });
        tell("browser", format!("{} bytes were saved", saved.len()));
        saved
    }

    /// Chooses a file with this text in a field for files.
    pub fn choose_file(&self, hook: &str, name: &str, text: &str) {
        let (name, text) = (json!(name), json!(text));
        self.run(&format!(
            "const files = new DataTransfer();
             files.items.add(new File([{text}], {name}, {{type: 'application/json'}}));
             const field = document.querySelector('[data-testid=\"{hook}\"]');
             field.files = files.files;
             field.dispatchEvent(new Event('change', {{bubbles: true}}))"
        ));
    }

    /// What the console has said since it was last asked, but for mere information.
    pub fn complaints(&self) -> Vec<String> {
        let log = self.own("se/log", json!({"type": "browser"}));
        let lines = log.as_array().cloned().unwrap_or_default();
        let bad = lines.iter().filter(|line| line["level"] != "INFO" && line["level"] != "DEBUG");
        bad.map(|line| line["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    /// Whether something is wider than the window.
    pub fn scrolls_sideways(&self) -> bool {
        // What is laid out anew needs a frame.
        thread::sleep(Duration::from_millis(100));
        self.run("return document.documentElement.scrollWidth > innerWidth") == json!(true)
    }

    /// From here on every page runs this before anything of its own.
    pub fn run_on_every_page(&self, script: &str) {
        self.devtools("Page.addScriptToEvaluateOnNewDocument", &json!({"source": script}));
    }

    /// What the browser answers to a command of its tools for developers.
    pub fn ask_devtools(&self, command: &str, parameters: &Value) -> Value {
        self.own("goog/cdp/execute", json!({"cmd": command, "params": parameters}))
    }

    fn devtools(&self, command: &str, parameters: &Value) {
        self.ask_devtools(command, parameters);
    }

    fn own(&self, path: &'static str, body: Value) -> Value {
        let done = self.runtime.block_on(self.client.issue_cmd(Own { path, body }));
        done.expect("the driver knows the command")
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Otherwise the browser would outlive its driver.
        self.runtime.block_on(self.client.clone().close()).ok();
    }
}

/// A port that was free a moment ago.
///
/// # Panics
/// Where there is none.
fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("it is bound").port()
}
