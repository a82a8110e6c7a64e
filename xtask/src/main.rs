//! `cargo xtask`: the development tasks of this project. A Rust toolchain is the only requirement;
//! each task fetches what else it needs.

mod compression;
mod pictures;
mod process;
mod serve;
mod test_steps;
mod tools;
mod web_page;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use process::{cargo, run};

#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", about = "The development tasks of leasehold", version)]
struct Arguments {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Builds the page and the server, and runs the server
    Serve {
        /// Also starts five clients, so that the page has something to show
        #[arg(long)]
        demo: bool,
        /// Options of `leasehold serve`
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Runs every test: formatting, lints, native, on wasm, end to end and in a real browser
    Test,
    /// Measures the size and the speed of the page in a real browser, each figure beside its goal
    MeasurePage {
        /// weight, first, frames, paused, million or live; all of them by default
        parts: Vec<String>,
    },
    /// Takes a picture of every view of the page, for people to look at
    Screenshots {
        /// Options: `--filter TEXT` for some views only, such as `gc-pause` or `390x844`;
        /// `--folder FOLDER` instead of target/screenshots
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Makes the pictures of the documents, in docs/images
    Pictures,
    /// Records the animation of the README, docs/images/gc-pause.gif
    Animation,
    /// Builds the page into dist/, which any static host can serve
    BuildPage,
    /// Compares leasehold with other lock servers, and writes docs/performance.md
    #[command(disable_help_flag = true)]
    Compare {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Measures leasehold at scale, each figure beside its goal, and writes docs/scale.md
    #[command(disable_help_flag = true)]
    Scale {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        options: Vec<String>,
    },
    /// Called by trunk at the end of its build: splits, joins and compresses the files of the page
    #[command(hide = true)]
    FinishPage,
}

fn main() -> ExitCode {
    let Arguments { task } = Arguments::parse();
    let result = match task {
        Task::Serve { demo, options } => serve::serve(demo, &options),
        Task::Test => Ok(test_steps::run_all()),
        Task::MeasurePage { parts } => succeed(test_steps::measure_page(&parts)),
        Task::Screenshots { options } => succeed(pictures::make("screenshots", &options)),
        Task::Pictures => succeed(pictures::make("pictures", &[])),
        Task::Animation => succeed(pictures::make("animation", &[])),
        Task::BuildPage => succeed(web_page::build()),
        Task::Compare { options } => succeed(measure("compare", &options)),
        Task::Scale { options } => succeed(measure("scale", &options)),
        Task::FinishPage => succeed(web_page::finish()),
    };
    result.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn succeed(result: anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    result.map(|()| ExitCode::SUCCESS)
}

/// Builds the server, and runs a measurement against it. Both programs are of the release profile,
/// so that the clients are as fast as the server.
fn measure(task: &str, options: &[String]) -> anyhow::Result<()> {
    let packages = ["--package", "leasehold-server", "--package", "xtask-measure"];
    run(cargo(&["build", "--release"]).args(packages))?;
    let program = process::program_path("release", "xtask-measure");
    run(process::command(&program.to_string_lossy(), &[task]).args(options))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn serve_passes_unknown_options_to_the_server() {
        let words = ["xtask", "serve", "--demo", "--http", "127.0.0.1:1", "--help"];
        let Task::Serve { demo, options } = Arguments::parse_from(words).task else {
            panic!("another task");
        };
        assert!(demo);
        assert_eq!(options, ["--http", "127.0.0.1:1", "--help"]);
    }
}
