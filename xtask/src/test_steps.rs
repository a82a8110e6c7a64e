//! `cargo xtask test`: everything that has to hold, one step after the other.
//!
//! A step that cannot run is a failure, as is one that finds no tests.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};

use crate::process::{cargo, command_line, expect_success, program_path, run};
use crate::{tools, web_page};

type Step = (&'static str, fn() -> anyhow::Result<()>);

const STEPS: &[Step] = &[
    ("formatting", formatting),
    ("lints", lints),
    ("the page", web_page::build),
    ("native", native),
    ("on wasm", on_wasm),
    ("end to end and in a browser", end_to_end),
];

const DENY_WARNINGS: [&str; 3] = ["--", "--deny", "warnings"];

/// The packages that have to behave on wasm exactly as they do natively.
const WASM_PACKAGES: [&str; 2] = ["leasehold-core", "leasehold-sim"];

/// Runs all steps until one fails, and prints a summary.
pub(crate) fn run_all() -> ExitCode {
    let mut results: Vec<(&str, Duration, bool)> = Vec::new();
    let mut failure = None;
    for (name, step) in STEPS {
        eprintln!("\nxtask: ==== {name} ====");
        let begin = Instant::now();
        let result = step();
        results.push((name, begin.elapsed(), result.is_ok()));
        if let Err(error) = result {
            failure = Some(error);
            break;
        }
    }
    eprintln!();
    for (name, time, passed) in &results {
        let verdict = if *passed { "passed" } else { "FAILED" };
        eprintln!("{verdict}  {:>5.0} s  {name}", time.as_secs_f64());
    }
    if let Some(error) = &failure {
        eprintln!("\nxtask: {error:#}");
    }
    let failed = usize::from(failure.is_some());
    println!("{} passed, {failed} failed", results.len() - failed);
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Measures the size and the speed of the page.
pub(crate) fn measure_page(parts: &[String]) -> anyhow::Result<()> {
    web_page::build()?;
    tools::require_chromium()?;
    let bench = ["bench", "--package", "leasehold-tests", "--features", "measure"];
    run(cargo(&bench).args(["--bench", "page_in_browser", "--"]).args(parts))
}

fn formatting() -> anyhow::Result<()> {
    run(&mut cargo(&["fmt", "--all", "--", "--check"]))
}

fn lints() -> anyhow::Result<()> {
    let all = ["--workspace", "--all-targets", "--all-features"];
    run(cargo(&["clippy"]).args(all).args(DENY_WARNINGS))?;
    // Some of the page's code is compiled for browsers only.
    tools::require_target("wasm32-unknown-unknown")?;
    let page = ["--package", "leasehold-web", "--target", "wasm32-unknown-unknown"];
    run(cargo(&["clippy"]).args(page).args(DENY_WARNINGS))
}

/// Runs all tests but those of `leasehold-tests`, which are a step of their own.
fn native() -> anyhow::Result<()> {
    run_tests(&mut cargo(&["test", "--workspace", "--exclude", "leasehold-tests"]))
}

fn on_wasm() -> anyhow::Result<()> {
    tools::require_target("wasm32-wasip1")?;
    run(&mut cargo(&["build", "--release", "--package", "xtask-wasi"]))?;
    let runner = program_path("release", "xtask-wasi");
    for package in WASM_PACKAGES {
        let tests = ["test", "--release", "--package", package, "--target", "wasm32-wasip1"];
        let mut tests = cargo(&tests);
        run_tests(tests.arg("--tests").env("CARGO_TARGET_WASM32_WASIP1_RUNNER", &runner))?;
    }
    Ok(())
}

/// Runs the tests of real processes, some of which need a browser, Python or the built page.
fn end_to_end() -> anyhow::Result<()> {
    tools::require_chromium()?;
    tools::require_firefox()?;
    tools::require_python()?;
    let axe = tools::require_axe()?;
    let tests = ["test", "--package", "leasehold-tests", "--features", "browser", "--no-fail-fast"];
    run_tests(cargo(&tests).env("LEASEHOLD_AXE", axe).env("PATH", tools::path()))
}

/// Runs a test command.
///
/// # Errors
/// If the command fails, or runs no test.
fn run_tests(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    let child = command.stdout(Stdio::piped()).spawn();
    let mut child = child.with_context(|| format!("cannot run `{line}`"))?;
    let stdout = child.stdout.take().context("the tests have no standard output")?;
    let mut count = 0;
    for text in BufReader::new(stdout).lines() {
        let text = text?;
        count += passed(&text).unwrap_or(0);
        println!("{text}");
    }
    expect_success(&line, child.wait()?)?;
    ensure!(count > 0, "`{line}` has run no test");
    eprintln!("xtask: {count} tests passed");
    Ok(())
}

/// Returns the number of tests that passed, from the summary of a test program.
fn passed(line: &str) -> Option<u64> {
    let (_, rest) = line.split_once("test result: ok. ")?;
    rest.split_once(" passed")?.0.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passed_tests_are_counted() {
        let line = "test result: ok. 12 passed; 0 failed; 0 ignored; 0 measured; 3 filtered out";
        assert_eq!(passed(line), Some(12));
        assert_eq!(passed("test one ... ok"), None);
    }

    #[test]
    fn a_command_that_runs_no_test_fails() {
        let mut command = Command::new("echo");
        command.arg("test result: ok. 0 passed; 0 failed");
        let error = run_tests(&mut command).unwrap_err().to_string();
        assert!(error.contains("has run no test"), "{error}");
        assert!(run_tests(&mut Command::new("false")).is_err());
        let mut command = Command::new("echo");
        assert!(run_tests(command.arg("test result: ok. 1 passed; 0 failed")).is_ok());
    }
}
