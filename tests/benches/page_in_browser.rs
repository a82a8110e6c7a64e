//! Measures the size and the speed of the page in a real browser: `cargo xtask measure-page`.
//!
//! Each figure is printed with its goal. Speeds depend on the machine and its load, so no figure
//! makes the benchmark fail. The sleeps are the intervals over which it measures.

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_core::id::Name;
use leasehold_sim::{ClientConfig, Config, Network, Run, ScriptStep};
use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::command::leasehold;
use leasehold_tests::page_host::PageHost;
use leasehold_tests::server::Server;
use leasehold_tests::wait::wait_for;
use serde_json::{Value, json};

/// How often each speed is measured.
const SAMPLES: usize = 5;

/// The parts of the benchmark, by their names on the command line.
const PARTS: [(&str, fn()); 6] = [
    ("weight", weight),
    ("first", first_picture),
    ("frames", frames_of_two_sizes),
    ("paused", paused),
    ("million", million),
    ("live", live),
];

fn main() {
    // `cargo bench` adds its own options.
    let selected: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let unknown = selected.iter().find(|part| PARTS.iter().all(|(name, _)| name != *part));
    assert!(unknown.is_none(), "unknown part: {unknown:?}");
    println!("{:<52} {:>12}   goal", "", "measured");
    for (_, measure) in PARTS
        .iter()
        .filter(|(name, _)| selected.is_empty() || selected.iter().any(|part| part == name))
    {
        measure();
    }
}

fn print_row(what: &str, measured: &str, goal: &str) {
    println!("{what:<52} {measured:>12}   {goal}");
}

/// Measures the size of the page as a lock server sends it: the variants that the build has
/// compressed with brotli.
fn weight() {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist");
    let mut all = 0;
    let mut by_kind: Vec<(String, u64)> = Vec::new();
    for file in fs::read_dir(directory).expect("the page is built") {
        let path = file.expect("a file").path();
        let name = path.file_name().and_then(|it| it.to_str()).expect("an ASCII name");
        let is_variant = path.extension().is_some_and(|it| it == "br" || it == "gz");
        // A lock server sends `live.html` in its place.
        if is_variant || name == "index.html" {
            continue;
        }
        let variant = fs::metadata(format!("{}.br", path.display()));
        let len = variant.or_else(|_| fs::metadata(&path)).expect("it can be read").len();
        all += len;
        let kind = path.extension().and_then(|it| it.to_str()).unwrap_or("other").to_owned();
        match by_kind.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, sum)) => *sum += len,
            None => by_kind.push((kind, len)),
        }
    }
    by_kind.sort_by_key(|(_, len)| std::cmp::Reverse(*len));
    print_row("all files of the page, compressed (brotli)", &kb(all), "at most 500 KB");
    for (kind, len) in by_kind {
        print_row(&format!("  of these: {kind}"), &kb(len), "");
    }
}

fn kb(len: u64) -> String {
    format!("{}.{} KB", len / 1_000, len % 1_000 / 100)
}

/// Measures the time from the start of a visit to the first node on the stage.
fn first_picture() {
    let page = PageHost::serve("");
    let mut times = Vec::new();
    for _ in 0..SAMPLES {
        let browser = Browser::start(1280, 720);
        browser.run_on_every_page(
            "const check = () => {
                if (document.querySelector('#stage svg .node')) pictureAt = performance.now();
                else requestAnimationFrame(check);
             };
             window.pictureAt = null; requestAnimationFrame(check)",
        );
        browser.open(&page.url());
        times.push(wait_for_number(&browser, "return window.pictureAt"));
    }
    print_row(
        "from the visit to the first picture, on loopback",
        &ms(median(times)),
        "at most 1 s",
    );
}

fn wait_for_number(browser: &Browser, script: &str) -> f64 {
    wait_for(script, || browser.run(script).as_f64())
}

fn ms(ms: f64) -> String {
    format!("{ms:.1} ms")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Returns a run in which clients send all the time. A longer latency keeps more packets in flight.
fn busy(clients: usize, latency_ms: u64, ends_ms: u64) -> Run {
    let name = |prefix: &str, no: usize| Name::new(&format!("{prefix}_{no}")).expect("a name");
    let scripted = (0..clients).map(|no| {
        let lock = name("file", no % 3);
        let script = vec![
            ScriptStep::Acquire {
                lock: lock.clone(),
                wait_ms: 60_000,
                hold_ms: None,
                give_up_ms: None,
                or_release: None,
            },
            ScriptStep::Append { file: lock.clone(), check: true, gap_ms: 0 },
            ScriptStep::Release { lock },
            ScriptStep::Repeat { times: u32::MAX },
        ];
        ClientConfig { name: name("client", no), script, starts_ms: 10 * no as u64, rate_ppm: 0 }
    });
    let latency_us = latency_ms * 1_000;
    Run {
        config: Config {
            clients: scripted.collect(),
            locks: (0..3).map(|no| name("file", no)).collect(),
            network: Network {
                latency_min_us: latency_us,
                latency_max_us: latency_us * 2,
                ..Network::default()
            },
            lease_ms: if clients > 100 { 10_000 } else { 6_000 },
            file_len_max: 1 << 40,
            ends_ms,
            ..Config::default()
        },
        seed: 1,
        without: BTreeSet::new(),
        interventions: Vec::new(),
    }
}

fn open_run(browser: &Browser, run: &Run) {
    browser.press("e");
    browser.wait_for_text("copy-link", |text| text == "Copy");
    let text = serde_json::to_string(run).expect("a run can be written");
    browser.choose_file("import", "run.json", &text);
    browser.wait_for_text("toast", |text| text.starts_with("A run"));
}

fn frames_of_two_sizes() {
    frames("30 nodes, 200 packets", (30, 560), "at most 4 ms");
    frames("200 nodes, 1,000 packets", (200, 620), "at most 10 ms");
}

/// Measures the time of one frame while a run plays: script and layout.
fn frames(what: &str, (clients, latency_ms): (usize, u64), goal: &str) {
    let page = PageHost::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    open_run(&browser, &busy(clients, latency_ms, 60_000));
    browser.press("0");
    browser.run(
        "const range = document.querySelector('#tape input'); range.value = 20000;
         range.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    // Select the slow playback speed at which messages can be followed.
    browser.press("\\");
    browser.press(" ");
    sleep(Duration::from_millis(500));
    browser.run(
        "window.drawn = 0; const count = () => { drawn += 1; requestAnimationFrame(count) };
         requestAnimationFrame(count); return 0",
    );
    let mut costs = Vec::new();
    let mut packets = 0;
    for _ in 0..SAMPLES {
        let (before, drawn) = (rendering_cost(&browser), number(&browser.run("return drawn")));
        sleep(Duration::from_secs(1));
        let (after, drawn_after) = (rendering_cost(&browser), number(&browser.run("return drawn")));
        let frames = (drawn_after - drawn).max(1.0);
        costs.push(((after.0 - before.0) / frames, (after.1 - before.1) / frames));
        let seen = "return document.querySelectorAll('[data-testid=stage] .packet').length";
        packets = packets.max(browser.run(seen).as_u64().unwrap_or(0));
    }
    let script = median(costs.iter().map(|cost| cost.0).collect());
    let layout = median(costs.iter().map(|cost| cost.1).collect());
    print_row(&format!("a frame, {what} ({packets} seen)"), &ms(script + layout), goal);
    print_row("  of these: script", &ms(script), "");
    print_row("  of these: style and layout", &ms(layout), "");
}

/// Returns the milliseconds spent so far in scripts, and in style and layout.
fn rendering_cost(browser: &Browser) -> (f64, f64) {
    // If it is enabled already, this has no effect.
    browser.devtools("Performance.enable", &json!({}));
    let reply = browser.devtools("Performance.getMetrics", &json!({}));
    let metrics = reply["metrics"].as_array().cloned().unwrap_or_default();
    let milliseconds = |name: &str| {
        let found = metrics.iter().find(|metric| metric["name"] == name);
        found.map_or(0.0, |metric| number(&metric["value"]) * 1_000.0)
    };
    (
        milliseconds("ScriptDuration"),
        milliseconds("LayoutDuration") + milliseconds("RecalcStyleDuration"),
    )
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// Counts the animation frames that a paused page requests.
fn paused() {
    let page = PageHost::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause&t=4000", page.url()));
    browser.wait_for_text("time", |time| time == "4.0 s");
    let requested = browser.frames_requested();
    print_row("frames requested while paused, of 30 drawn", &requested.to_string(), "none");
}

/// Measures the memory of the page with as much of a long run as the page shows.
fn million() {
    let page = PageHost::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", page.url()));
    browser.wait_for_text("time", |time| time.ends_with(" s"));
    let run = Run { config: Config { ends_ms: 80_000_000, ..five_clients() }, ..busy(1, 1, 1) };
    let began = Instant::now();
    open_run(&browser, &run);
    // The page simulates frame by frame, until the timeline no longer grows for four seconds.
    let mut last = String::new();
    let mut unchanged = 0;
    while unchanged < 8 {
        sleep(Duration::from_millis(500));
        let end = browser.run("return document.querySelector('#tape input').max").to_string();
        unchanged = if end == last { unchanged + 1 } else { 0 };
        last = end;
    }
    let taken = began.elapsed().as_secs_f64() - 4.0;
    let bytes = memory_bytes(&browser);
    let mib = bytes / f64::from(1 << 20);
    print_row(
        "memory with the longest part of a run that is shown",
        &format!("{mib:.1} MiB"),
        "at most 64 MiB",
    );
    print_row("  time to simulate it, frame by frame", &format!("{taken:.1} s"), "");
    let mut times = Vec::new();
    for part in [0.5, 0.3, 0.9, 0.1, 0.6] {
        browser.press(Browser::END);
        sleep(Duration::from_millis(700));
        browser.run(&format!(
            "const range = document.querySelector('#tape input'), began = performance.now();
             window.took = null; range.value = range.max * {part};
             range.dispatchEvent(new Event('input', {{bubbles: true}}));
             requestAnimationFrame(() => setTimeout(() => took = performance.now() - began))"
        ));
        times.push(wait_for_number(&browser, "return window.took"));
    }
    print_row("  seek from the end to another time, painted", &ms(median(times)), "at most 50 ms");
}

/// Returns a run of five clients on three files, at the pace of a lecture.
fn five_clients() -> Config {
    let config = busy(5, 1, 1).config;
    Config { network: Network::default(), lease_ms: 10_000, ..config }
}

/// Returns the size of the WebAssembly memory, in bytes.
fn memory_bytes(browser: &Browser) -> f64 {
    let evaluate = json!({"expression": "WebAssembly.Memory.prototype"});
    let prototype = browser.devtools("Runtime.evaluate", &evaluate);
    let id = prototype["result"]["objectId"].clone();
    let found = browser.devtools("Runtime.queryObjects", &json!({"prototypeObjectId": id}));
    let sum = "function() { return this.reduce((sum, it) => sum + it.buffer.byteLength, 0) }";
    let call = json!({
        "functionDeclaration": sum,
        "objectId": found["objects"]["objectId"],
        "returnByValue": true,
    });
    number(&browser.devtools("Runtime.callFunctionOn", &call)["result"]["value"])
}

/// Measures the delay and the cost of the live view at 2,000 events per second.
fn live() {
    let server = Server::start();
    let browser = Browser::start(1280, 720);
    browser.open(&format!("http://{}/?mode=live", server.http()));
    browser.wait_for_text("live-status", |status| status == "live");
    let mut load = leasehold()
        .args(["bench", "--server", &server.udp().to_string(), "--mix", "heartbeats"])
        .args(["--clients", "50", "--rate", "2000", "--warm-up", "0s", "--duration", "20s", "-q"])
        .spawn()
        .expect("the bench can be started");
    sleep(Duration::from_secs(4));
    let begun = Instant::now();
    let before = rendering_cost(&browser);
    let mut delays = Vec::new();
    let mut ann = RawClient::connect_with_lease("ann", server.udp(), 60_000);
    for no in 0..9 {
        let lock = format!("seen_{no}");
        ann.acquire(&lock);
        let granted = Instant::now();
        let caption = format!("grants {lock} to ann");
        browser.wait_for_text("caption", |text| text.contains(&caption));
        delays.push(granted.elapsed().as_secs_f64() * 1e3);
        sleep(Duration::from_millis(500));
    }
    let after = rendering_cost(&browser);
    let busy = (after.0 - before.0 + after.1 - before.1) / begun.elapsed().as_secs_f64() / 10.0;
    let status = browser.text("live-status").unwrap_or_default();
    print_row("live, 2,000 events per second: status", &status, "live");
    delays.sort_by(f64::total_cmp);
    print_row("  from a grant to its caption, slowest of nine", &ms(delays[8]), "at most 150 ms");
    print_row("  script, style and layout", &format!("{busy:.0} %"), "of one processor");
    load.wait().expect("the bench exits");
}
