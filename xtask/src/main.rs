//! `cargo xtask`: the chores of this project, with nothing installed by hand but Rust.

mod compare;
mod page;
mod run;
mod scale;
mod serve;
mod small;
mod test;
mod tools;

use std::process::ExitCode;

const HELP: &str = "\
cargo xtask serve [--demo] [options of `leasehold serve`]
    Builds the page and the server, and runs them. What is missing is fetched first.
    --demo  also starts five clients, so that there is something to see

cargo xtask test
    Every test: formatting, lints, native, on wasm, end to end, in a real browser

cargo xtask measure-page [PART...]
    What the page weighs and how fast it is, in a real browser, each figure beside its goal.
    Parts: weight, first, frames, paused, million, live

cargo xtask build-page
    Builds the page into dist/, which any static host serves

cargo xtask compare [--rounds N] [--seconds N]
    Measures leasehold beside a UDP echo, Redis, etcd and a Python server, as far as they are
    installed, and writes docs/performance.md and docs/performance.svg

cargo xtask scale [PART...] [--rounds N] [--seconds N] [--soak TIME] [--quick]
    Measures leasehold at scale, each figure beside its goal, and writes docs/scale.md. Parts:
    rates, sessions, hand-off, recovery, snapshot, viewers; and soak, which is not run unless it
    is named, or --soak says for how long (20m), and fails where an acknowledged line is lost
    --quick  all small and short, and nothing is written: to see that it works
";

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let command = arguments.next();
    let rest: Vec<String> = arguments.collect();
    let done = match command.as_deref() {
        Some("serve") => serve::serve(&rest),
        Some("test") => Ok(test::test()),
        Some("measure-page") => test::measure_page(&rest).map(|()| ExitCode::SUCCESS),
        Some("build-page") => page::build().map(|()| ExitCode::SUCCESS),
        Some("compare") => compare::compare(&rest),
        // Called by `compare`, of a build that is as fast as what it measures.
        Some("compare-built") => compare::compare_built(&rest),
        Some("compare-echo") => compare::serve_echo().map(|()| ExitCode::SUCCESS),
        Some("scale") => scale::scale(&rest),
        // Called by `scale`, as above.
        Some("scale-built") => scale::scale_built(&rest),
        Some("scale-view") => scale::view(&rest).map(|()| ExitCode::SUCCESS),
        // Called by trunk when it has built the page.
        Some("finish-page") => page::finish().map(|()| ExitCode::SUCCESS),
        Some("help" | "--help" | "-h") | None => {
            print!("{HELP}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => {
            eprintln!("xtask: no chore named {other}\n\n{HELP}");
            Ok(ExitCode::from(2))
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}
