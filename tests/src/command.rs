//! The program `leasehold`: built once for each test run; and its commands, run until they exit.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::log::log;
use crate::process::Process;
use crate::server::Server;
use crate::wait::WAIT_LIMIT;

/// The result of a command that has exited.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The exit code, or `None` if a signal ended the command.
    pub code: Option<i32>,
    /// Everything that it wrote to standard output.
    pub stdout: String,
    /// Everything that it wrote to standard error.
    pub stderr: String,
}

impl Outcome {
    /// Returns the outcome unchanged.
    ///
    /// # Panics
    /// If the command exited with another code.
    #[track_caller]
    pub fn expect(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "\n{self:#?}");
        self
    }
}

/// Returns a command that runs the program without any environment variable that configures it.
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

/// Returns a command that runs the program with the addresses of a server in `LEASEHOLD_SERVER` and
/// `LEASEHOLD_HTTP`.
pub fn leasehold_against(server: &Server) -> Command {
    let mut command = leasehold();
    command.env("LEASEHOLD_SERVER", server.udp().to_string());
    command.env("LEASEHOLD_HTTP", server.http().to_string());
    command
}

/// Runs the program against a server, with empty standard input, until it exits.
#[track_caller]
pub fn run_against(server: &Server, arguments: &[&str]) -> Outcome {
    run(leasehold_against(server).args(arguments))
}

/// Runs a command, with empty standard input, until it exits.
#[track_caller]
pub fn run(command: &mut Command) -> Outcome {
    run_with_input(command, "")
}

/// Runs a command with this standard input until it exits.
///
/// # Panics
/// If the command does not exit within twice [`WAIT_LIMIT`].
#[track_caller]
pub fn run_with_input(command: &mut Command, input: &str) -> Outcome {
    use std::io::Write;

    let arguments: Vec<_> = command.get_args().map(|part| part.to_string_lossy()).collect();
    let arguments = arguments.join(" ");
    let mut process = Process::start("command", command);
    log("command", &arguments);
    // The command may exit without reading its input.
    let _ = process.input().write_all(input.as_bytes());
    process.close_input();
    let status = process
        .wait_within(2 * WAIT_LIMIT)
        .unwrap_or_else(|| panic!("the command does not exit: {arguments}"));
    let (stdout, stderr) = process.remaining_output();
    Outcome { code: status.code(), stdout, stderr }
}

/// Returns the path of the program under test: the value of `LEASEHOLD_PROGRAM` if it is set, else
/// a program that this function builds.
fn program() -> &'static Path {
    // A failed build is cached as well: repeating it for each test would not help.
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

/// Returns the directory in which cargo places the programs of the profile of this test.
pub fn artifacts() -> PathBuf {
    let test = env::current_exe().expect("a test knows its own path");
    let directory = test.parent().expect("a program is in a directory");
    // Tests are in `target/debug/deps`, examples beside that, and programs in `target/debug`.
    let is_below = directory.ends_with("deps") || directory.ends_with("examples");
    let above = if is_below { directory.parent() } else { Some(directory) };
    above.expect("deps is in a directory").to_owned()
}

/// Builds a program with the profile and the target directory of this test.
fn build(package: &str, program: &str) -> Option<PathBuf> {
    let artifacts = artifacts();
    let target = artifacts.parent().expect("a profile's directory is in the target directory");
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
