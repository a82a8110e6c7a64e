//! What the page weighs and how fast it is, in a real browser: `cargo xtask measure-page`.
//!
//! Each figure stands beside its goal. Speeds depend on the machine, and on whatever else runs on
//! it, so nothing fails here.

use std::env;
use std::fs;
use std::thread::sleep;
use std::time::{Duration, Instant};

use leasehold_core::id::Name;
use leasehold_core::ordered::Set;
use leasehold_core::sim::{ClientConfig, Config, Network, Run, Step};
use leasehold_tests::browser::Browser;
use leasehold_tests::client::RawClient;
use leasehold_tests::command::leasehold;
use leasehold_tests::pages::Pages;
use leasehold_tests::server::Server;
use serde_json::{Value, json};

/// How often each speed is measured.
const GOES: usize = 5;

/// What can be measured by itself, by the name that it has on the command line.
const PARTS: [(&str, fn()); 6] = [
    ("weight", weight),
    ("first", first_picture),
    ("frames", frames_of_two_sizes),
    ("paused", paused),
    ("million", million),
    ("live", live),
];

fn main() {
    // `cargo bench` adds options of its own.
    let wanted: Vec<String> = env::args().skip(1).filter(|it| !it.starts_with("--")).collect();
    let unknown = wanted.iter().find(|wanted| PARTS.iter().all(|(name, _)| name != *wanted));
    assert!(unknown.is_none(), "there is no part {unknown:?}");
    println!("{:<52} {:>12}   goal", "", "measured");
    for (_, measure) in PARTS
        .iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|wanted| wanted == name))
    {
        measure();
    }
}

fn tell(what: &str, measured: &str, goal: &str) {
    println!("{what:<52} {measured:>12}   {goal}");
}

/// Prints the size of the page as a lock server sends it to a browser: the variants that the build
/// has compressed with brotli.
fn weight() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist");
    let mut all = 0;
    let mut by_kind: Vec<(String, u64)> = Vec::new();
    for file in fs::read_dir(folder).expect("the page is built") {
        let path = file.expect("a file").path();
        let name = path.file_name().and_then(|it| it.to_str()).expect("an ASCII name");
        let is_variant = name.ends_with(".br") || name.ends_with(".gz");
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
    tell("the whole page, compressed (brotli)", &kb(all), "at most 500 KB");
    for (kind, len) in by_kind {
        tell(&format!("  of it {kind}"), &kb(len), "");
    }
}

fn kb(len: u64) -> String {
    format!("{}.{} KB", len / 1_000, len % 1_000 / 100)
}

/// From the beginning of a visit to the first node on the stage.
fn first_picture() {
    let pages = Pages::serve("");
    let mut times = Vec::new();
    for _ in 0..GOES {
        let browser = Browser::start(1280, 720);
        browser.run_on_every_page(
            "const look = () => {
                if (document.querySelector('#stage svg .node')) pictureAt = performance.now();
                else requestAnimationFrame(look);
             };
             window.pictureAt = null; requestAnimationFrame(look)",
        );
        browser.open(&pages.address());
        times.push(wait_for_number(&browser, "return window.pictureAt"));
    }
    tell("from the visit to the first picture, on loopback", &ms(median(times)), "at most 1 s");
}

fn wait_for_number(browser: &Browser, script: &str) -> f64 {
    for _ in 0..2_000 {
        if let Some(number) = browser.run(script).as_f64() {
            return number;
        }
        sleep(Duration::from_millis(20));
    }
    panic!("waited in vain for {script}");
}

fn ms(ms: f64) -> String {
    format!("{ms:.1} ms")
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// A busy run: packets that take so many milliseconds at least, so that there are always about as
/// many on their way.
fn busy(clients: usize, latency_ms: u64, ends_ms: u64) -> Run {
    let name = |prefix: &str, no: usize| Name::new(&format!("{prefix}_{no}")).expect("a name");
    let scripted = (0..clients).map(|no| {
        let lock = name("file", no % 3);
        let script = vec![
            Step::Acquire { lock: lock.clone(), wait_ms: 60_000, hold_ms: None, give_up_ms: None },
            Step::Append { file: lock.clone(), check: true, gap_ms: 0 },
            Step::Release { lock },
            Step::Repeat { times: u32::MAX },
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
        without: Set::new(),
        interventions: Vec::new(),
    }
}

fn open_run(browser: &Browser, run: &Run) {
    browser.press("e");
    browser.text_when("copy-link", |text| text == "Copy");
    let text = serde_json::to_string(run).expect("a run can be written");
    browser.choose_file("import", "run.json", &text);
    browser.text_when("toast", |text| text.starts_with("A run"));
}

fn frames_of_two_sizes() {
    frames("30 nodes, 200 packets", (30, 560), "at most 4 ms");
    frames("200 nodes, 1,000 packets", (200, 620), "at most 10 ms");
}

/// What one frame costs while a run plays: script and layout.
fn frames(what: &str, (clients, latency_ms): (usize, u64), goal: &str) {
    let pages = Pages::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", pages.address()));
    browser.text_when("time", |time| time.ends_with(" s"));
    open_run(&browser, &busy(clients, latency_ms, 60_000));
    browser.press("0");
    browser.run(
        "const range = document.querySelector('#tape input'); range.value = 20000;
         range.dispatchEvent(new Event('input', {bubbles: true}))",
    );
    // Simulated time goes by as slowly as it does for messages.
    browser.press("\\");
    browser.press(" ");
    sleep(Duration::from_millis(500));
    browser.run(
        "window.drawn = 0; const count = () => { drawn += 1; requestAnimationFrame(count) };
         requestAnimationFrame(count); return 0",
    );
    let mut costs = Vec::new();
    let mut packets = 0;
    for _ in 0..GOES {
        let (before, drawn) = (cost(&browser), number(&browser.run("return drawn")));
        sleep(Duration::from_secs(1));
        let (after, drawn_after) = (cost(&browser), number(&browser.run("return drawn")));
        let frames = (drawn_after - drawn).max(1.0);
        costs.push(((after.0 - before.0) / frames, (after.1 - before.1) / frames));
        let seen = "return document.querySelectorAll('[data-testid=stage] .packet').length";
        packets = packets.max(browser.run(seen).as_u64().unwrap_or(0));
    }
    let script = median(costs.iter().map(|cost| cost.0).collect());
    let layout = median(costs.iter().map(|cost| cost.1).collect());
    tell(&format!("a frame, {what} ({packets} seen)"), &ms(script + layout), goal);
    tell("  of it script", &ms(script), "");
    tell("  of it style and layout", &ms(layout), "");
}

/// Milliseconds of script, and of style and layout, so far.
fn cost(browser: &Browser) -> (f64, f64) {
    // Where it is on already this does nothing.
    browser.ask_devtools("Performance.enable", &json!({}));
    let told = browser.ask_devtools("Performance.getMetrics", &json!({}));
    let metrics = told["metrics"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| {
        let found = metrics.iter().find(|metric| metric["name"] == name);
        found.map_or(0.0, |metric| number(&metric["value"]) * 1_000.0)
    };
    (of("ScriptDuration"), of("LayoutDuration") + of("RecalcStyleDuration"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(0.0)
}

/// What is asked of the browser while nothing moves.
fn paused() {
    let pages = Pages::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause&t=4000", pages.address()));
    browser.text_when("time", |time| time == "4.0 s");
    browser.run(
        "const ask = requestAnimationFrame; window.asked = 0;
         window.requestAnimationFrame = it => { asked += 1; return ask(it) }; return 0",
    );
    sleep(Duration::from_secs(2));
    let asked = browser.run("return asked").as_u64().unwrap_or(u64::MAX);
    tell("frames asked for in 2 s while paused", &asked.to_string(), "none");
}

/// The memory of the program after as much of a long run as is shown.
fn million() {
    let pages = Pages::serve("");
    let browser = Browser::start(1280, 720);
    browser.open(&format!("{}?scenario=gc-pause", pages.address()));
    browser.text_when("time", |time| time.ends_with(" s"));
    let run = Run { config: Config { ends_ms: 80_000_000, ..five() }, ..busy(1, 1, 1) };
    let began = Instant::now();
    open_run(&browser, &run);
    // It goes on simulating, frame by frame, until there are as many as are shown.
    let mut last = String::new();
    let mut same = 0;
    while same < 8 {
        sleep(Duration::from_millis(500));
        let end = browser.run("return document.querySelector('#tape input').max").to_string();
        same = if end == last { same + 1 } else { 0 };
        last = end;
    }
    let taken = began.elapsed().as_secs_f64() - 4.0;
    let bytes = memory(&browser);
    let mib = bytes / f64::from(1 << 20);
    tell(
        "memory after all that is shown of a long run",
        &format!("{mib:.1} MiB"),
        "at most 64 MiB",
    );
    tell("  which took, frame by frame", &format!("{taken:.1} s"), "");
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
    tell("  and from its end to another place, painted", &ms(median(times)), "at most 50 ms");
}

/// Five clients on three files, at the pace of a lecture.
fn five() -> Config {
    let config = busy(5, 1, 1).config;
    Config { network: Network::default(), lease_ms: 10_000, ..config }
}

/// How large the memory of the program is, in bytes.
fn memory(browser: &Browser) -> f64 {
    let evaluate = json!({"expression": "WebAssembly.Memory.prototype"});
    let prototype = browser.ask_devtools("Runtime.evaluate", &evaluate);
    let id = prototype["result"]["objectId"].clone();
    let found = browser.ask_devtools("Runtime.queryObjects", &json!({"prototypeObjectId": id}));
    let sum = "function() { return this.reduce((sum, it) => sum + it.buffer.byteLength, 0) }";
    let call = json!({
        "functionDeclaration": sum,
        "objectId": found["objects"]["objectId"],
        "returnByValue": true,
    });
    number(&browser.ask_devtools("Runtime.callFunctionOn", &call)["result"]["value"])
}

/// A live server at 2,000 events a second: whether the page keeps up, and at what cost.
fn live() {
    let server = Server::start();
    let browser = Browser::start(1280, 720);
    browser.open(&format!("http://{}/?mode=live", server.http()));
    browser.text_when("live-status", |status| status == "live");
    let mut load = leasehold()
        .args(["bench", "--server", &server.udp().to_string(), "--mix", "heartbeats"])
        .args(["--clients", "50", "--rate", "2000", "--warm-up", "0s", "--duration", "20s", "-q"])
        .spawn()
        .expect("the load can be started");
    sleep(Duration::from_secs(4));
    let begun = Instant::now();
    let before = cost(&browser);
    let mut delays = Vec::new();
    let mut ann = RawClient::connect_for("ann", server.udp(), 60_000);
    for no in 0..9 {
        let lock = format!("seen_{no}");
        ann.acquire(&lock);
        let granted = Instant::now();
        let caption = format!("grants {lock} to ann");
        while !browser.text("caption").is_some_and(|text| text.contains(&caption)) {
            assert!(granted.elapsed() < Duration::from_secs(20), "the page doesn't keep up");
        }
        delays.push(granted.elapsed().as_secs_f64() * 1e3);
        sleep(Duration::from_millis(500));
    }
    let after = cost(&browser);
    let busy = (after.0 - before.0 + after.1 - before.1) / begun.elapsed().as_secs_f64() / 10.0;
    let status = browser.text("live-status").unwrap_or_default();
    tell("live, 2,000 events a second: the page says", &status, "live");
    delays.sort_by(f64::total_cmp);
    tell("  from a grant to its caption, the slowest of nine", &ms(delays[8]), "at most 150 ms");
    tell("  script, style and layout", &format!("{busy:.0} %"), "of one processor");
    load.wait().expect("the load ends");
}
