//! `cargo xtask test`: everything that has to hold, one step after the other.

use std::fs;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::run::{cargo, run, top};
use crate::{page, tools};

type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("formatting", formatting),
    ("lints", lints),
    ("the page", page::build),
    ("native and end to end", native),
    ("the core on wasm", core_on_wasm),
    ("in a browser", in_a_browser),
];

const DENY: [&str; 3] = ["--", "--deny", "warnings"];

pub(crate) fn test() -> ExitCode {
    let mut times: Vec<(&str, Duration, bool)> = Vec::new();
    let mut failure = None;
    for (name, step) in STEPS {
        eprintln!("\nxtask: ==== {name} ====");
        let begun = Instant::now();
        let done = step();
        times.push((name, begun.elapsed(), done.is_ok()));
        if let Err(error) = done {
            failure = Some(error);
            break;
        }
    }
    eprintln!();
    for (name, time, passed) in &times {
        let verdict = if *passed { "passed" } else { "FAILED" };
        eprintln!("{verdict}  {:>5.0} s  {name}", time.as_secs_f64());
    }
    if let Some(error) = &failure {
        eprintln!("\nxtask: {error:#}");
    }
    let failed = usize::from(failure.is_some());
    println!("{} passed, {failed} failed", times.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn formatting() -> anyhow::Result<()> {
    run(&mut cargo(&["fmt", "--all", "--", "--check"]))
}

fn lints() -> anyhow::Result<()> {
    let all = ["--workspace", "--all-targets", "--all-features"];
    run(cargo(&["clippy"]).args(all).args(DENY))?;
    // What only a browser runs.
    tools::need_target("wasm32-unknown-unknown")?;
    let page = ["--package", "leasehold-web", "--target", "wasm32-unknown-unknown"];
    run(cargo(&["clippy"]).args(page).args(DENY))
}

fn native() -> anyhow::Result<()> {
    run(&mut cargo(&["test", "--workspace"]))
}

/// The core may not notice whether it runs natively or on wasm.
fn core_on_wasm() -> anyhow::Result<()> {
    tools::need_target("wasm32-wasip1")?;
    let profile = ["build", "--release", "--package", "xtask-wasi"];
    run(&mut cargo(&profile))?;
    let runner = top().join("target/release/xtask-wasi");
    let tests = [
        "test",
        "--release",
        "--package",
        "leasehold-core",
        "--package",
        "leasehold-sim",
        "--target",
        "wasm32-wasip1",
        "--tests",
    ];
    run(cargo(&tests).env("CARGO_TARGET_WASM32_WASIP1_RUNNER", runner))
}

/// What the page weighs and how fast it is.
pub(crate) fn measure_page(parts: &[String]) -> anyhow::Result<()> {
    page::build()?;
    tools::need_browser()?;
    let bench = ["bench", "--package", "leasehold-tests", "--features", "measure"];
    run(cargo(&bench).args(["--bench", "page", "--"]).args(parts))
}

fn in_a_browser() -> anyhow::Result<()> {
    let manifest = fs::read_to_string(top().join("tests/Cargo.toml"))?;
    if !manifest.contains("\nbrowser = [") {
        eprintln!("xtask: there are no browser tests");
        return Ok(());
    }
    tools::need_browser()?;
    let axe = tools::need_axe()?;
    let tests = ["test", "--package", "leasehold-tests", "--features", "browser"];
    let mut tests = cargo(&tests);
    run(tests
        .args(["--test", "browser", "--test", "studio", "--test", "accessible"])
        .env("LEASEHOLD_AXE", axe))
}
