//! The program `leasehold`: built once for each test run, and its commands, run to their end.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::process::Process;
use crate::server::Server;
use crate::story::{PATIENCE, tell};

/// How a command ended, and what it said.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// All of its standard output.
    pub output: String,
    /// All of its standard error.
    pub errors: String,
}

impl Outcome {
    /// Panics, showing everything, unless it ended with this code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self:#?}");
        self
    }
}

/// The program, ready to be given arguments: nothing of the environment that steers it is left.
pub fn leasehold() -> Command {
    let mut command = Command::new(program());
    for (name, _) in env::vars_os() {
        if name.to_string_lossy().starts_with("LEASEHOLD_") {
            command.env_remove(name);
        }
    }
    command.env("NO_COLOR", "1").env_remove("RUST_LOG");
    command
}

/// The program, told of a server: its datagrams by `LEASEHOLD_SERVER`, its page by
/// `LEASEHOLD_HTTP`.
pub fn leasehold_at(server: &Server) -> Command {
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", server.udp().to_string());
    command.env("LEASEHOLD_HTTP", server.http().to_string());
    command
}

/// Runs a command of the program against a server, with nothing on its standard input.
#[track_caller]
pub fn run_at(server: &Server, arguments: &[&str]) -> Outcome {
    run(leasehold_at(server).args(arguments))
}

/// Runs a command to its end.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    run_with_input(command, "")
}

/// Runs a command to its end, with this on its standard input.
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &str) -> Outcome {
    use std::io::Write;

    let shown: Vec<_> = command.get_args().map(|part| part.to_string_lossy()).collect();
    let shown = shown.join(" ");
    let mut process = Process::start("command", command);
    tell("command", &shown);
    // It may end without reading.
    let _ = process.input().write_all(input.as_bytes());
    process.close_input();
    let status = process.ended_within(2 * PATIENCE).unwrap_or_else(|| panic!("no end: {shown}"));
    let (output, errors) = process.rest();
    Outcome { code: status.code(), output, errors }
}

/// Where the program is. `LEASEHOLD_PROGRAM` names one to test that is built already.
fn program() -> &'static Path {
    // That it can't be built is remembered too: no use in trying for each test.
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| match env::var_os("LEASEHOLD_PROGRAM") {
        Some(path) => Some(PathBuf::from(path)),
        None => build("leasehold-server", "leasehold"),
    });
    program.as_deref().expect("cargo can build the program under test")
}

/// Returns a command that runs the project's measurements, which this function builds.
pub fn xtask_measure() -> Command {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| build("xtask-measure", "xtask-measure"));
    Command::new(program.as_deref().expect("cargo can build xtask-measure"))
}

/// Where cargo puts the programs of the profile that this test was built in.
pub fn artifacts() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let folder = test.parent().expect("a program is in a folder");
    // Tests are in `target/debug/deps`, programs in `target/debug`.
    let above = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    above.expect("deps is in a folder").to_owned()
}

/// Builds it as this test was built: the same profile, the same target folder.
fn build(package: &str, program: &str) -> Option<PathBuf> {
    let artifacts = artifacts();
    let target = artifacts.parent().expect("a profile's folder is in the target folder");
    let profile = match artifacts.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(other) => other,
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--quiet", "--package", package, "--bin", program]);
    cargo.args(["--profile", profile, "--target-dir"]).arg(target);
    cargo.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let status = cargo.stdin(Stdio::null()).status().expect("cargo can be run");
    status.success().then(|| artifacts.join(format!("{program}{}", env::consts::EXE_SUFFIX)))
}
