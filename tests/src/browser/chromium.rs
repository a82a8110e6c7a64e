//! Chromium: its settings, and what only its driver can do.

use std::path::Path;

use fantoccini::wd::WebDriverCompatibleCommand;
use serde_json::{Value, json};

use super::Browser;

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

/// Viewports below this width are those of phones.
const PHONE_WIDTH: u32 = 500;

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

pub(super) fn driver_arguments(port: u16) -> Vec<String> {
    vec![format!("--port={port}")]
}

pub(super) fn capabilities(profile: &Path) -> Value {
    let mut flags: Vec<String> = FLAGS.iter().map(|&flag| flag.to_owned()).collect();
    flags.push(format!("--user-data-dir={}", profile.display()));
    json!({
        "goog:chromeOptions": { "args": flags },
        "goog:loggingPrefs": { "browser": "ALL" },
    })
}

// These methods work in Chromium only.
impl Browser {
    /// Resizes the viewport, in device pixels that are `scale` times as small as those of the page.
    /// Pictures of the viewport have the size of the device pixels.
    pub fn resize_scaled(&self, width: u32, height: u32, scale: f64) {
        let mobile = width < PHONE_WIDTH;
        let size =
            json!({"width": width, "height": height, "deviceScaleFactor": scale, "mobile": mobile});
        self.devtools("Emulation.setDeviceMetricsOverride", &size);
    }

    pub(super) fn resize_chromium(&self, width: u32, height: u32) {
        self.resize_scaled(width, height, 1.0);
    }

    /// Sets the preferred color scheme: `light` or `dark`.
    pub fn set_scheme(&self, scheme: &str) {
        self.is_dark.set(scheme == "dark");
        self.emulate_preferences();
    }

    /// Sets the preference for reduced motion.
    pub fn reduce_motion(&self) {
        self.has_reduced_motion.set(true);
        self.emulate_preferences();
    }

    fn emulate_preferences(&self) {
        let scheme = if self.is_dark.get() { "dark" } else { "light" };
        let motion = if self.has_reduced_motion.get() { "reduce" } else { "no-preference" };
        let features = json!({"features": [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": motion},
        ]});
        self.devtools("Emulation.setEmulatedMedia", &features);
    }

    pub(super) fn console_errors_of_chromium(&self) -> Vec<String> {
        let entries = self.chrome_command("se/log", json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let serious =
            entries.iter().filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG");
        serious.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
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
