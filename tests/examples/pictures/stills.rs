//! The pictures of the documents. Each is a moment of the page, described by its URL and keys.

use std::fs;
use std::path::Path;

use leasehold_tests::browser::Browser;
use leasehold_tests::command::leasehold_against;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::process::Process;
use leasehold_tests::server::Server;

use crate::png_file;

/// One picture of a simulated run.
struct Still {
    /// The name of the file.
    file: &'static str,
    /// The query of the URL.
    query: &'static str,
    /// The keys to press, one after the other.
    keys: &'static [&'static str],
    width: u32,
    height: u32,
    is_dark: bool,
}

const STILLS: [Still; 2] = [
    Still {
        file: "workspace.png",
        query: "scenario=gc-pause&t=17000",
        keys: &[],
        width: 1280,
        height: 720,
        is_dark: false,
    },
    Still {
        file: "question.png",
        query: "scenario=gc-pause",
        keys: &[Browser::PAGE_DOWN, Browser::PAGE_DOWN, Browser::PAGE_DOWN],
        width: 1280,
        height: 720,
        is_dark: false,
    },
];

/// How long the clients of the live picture have run.
const LIVE_SECONDS: f64 = 24.0;

/// Makes all pictures.
pub(crate) fn make(folder: &Path) -> anyhow::Result<()> {
    let page = PageHost::serve("page");
    let browser = Browser::start(1280, 720);
    browser.reduce_motion();
    for still in STILLS {
        browser.set_scheme(if still.is_dark { "dark" } else { "light" });
        browser.resize(still.width, still.height);
        browser.open(&format!("{}?{}", page.url(), still.query));
        browser.wait_for_text("time", |time| time.ends_with(" s"));
        for key in still.keys {
            browser.press(key);
            browser.wait_until_settled();
        }
        save(&browser, &folder.join(still.file))?;
    }
    live(&browser, &folder.join("live.png"))
}

/// Makes the picture of a real server with the clients of the demo.
fn live(browser: &Browser, path: &Path) -> anyhow::Result<()> {
    let server = Server::start_with(&["--lease-ms", "5000"]);
    browser.set_scheme("light");
    browser.resize(1280, 720);
    browser.open(&format!("http://{}/?mode=live", server.http()));
    browser.wait_for_text("live-status", |status| status == "live");
    let _clients =
        Process::start("demo", leasehold_against(&server).args(["demo", "--loop", "--quiet"]));
    browser.wait_for_text("time", |time| {
        time.strip_suffix(" s")
            .and_then(|it| it.parse().ok())
            .is_some_and(|it: f64| it > LIVE_SECONDS)
    });
    save(browser, path)
}

fn save(browser: &Browser, path: &Path) -> anyhow::Result<()> {
    browser.wait_until_settled();
    let png = png_file::encode(&png_file::decode(&browser.screenshot())?)?;
    fs::write(path, &png)?;
    println!("{}: {} KB", path.display(), png.len() / 1_000);
    Ok(())
}
