//! Runs other programs in the top folder of the project.

use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};

/// How often a program that can be cancelled is checked.
const CHECK_INTERVAL: Duration = Duration::from_millis(100);

/// Set when the programs that are running no longer serve a purpose.
static CANCELLED: AtomicBool = AtomicBool::new(false);

/// Returns the top folder of the project.
pub(crate) fn top() -> PathBuf {
    // The variable that cargo sets at run time comes first: two checkouts may share one build.
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    own.parent().expect("xtask is a folder of the project").to_owned()
}

/// Returns the path of a program that cargo has built with this profile.
pub(crate) fn program_path(profile: &str, name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| top().join("target")).join(profile).join(name)
}

/// Returns a cargo command of the toolchain that runs this program.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()), arguments)
}

/// Returns a command that runs in the top folder of the project.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).current_dir(top());
    command
}

/// Runs a command until it ends.
///
/// # Errors
/// If the command cannot be started, fails or is cancelled.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<()> {
    let line = command_line(command);
    let mut child = command.spawn().with_context(|| format!("cannot run `{line}`"))?;
    loop {
        if let Some(status) = child.try_wait()? {
            return expect_success(&line, status);
        }
        if CANCELLED.load(Ordering::Relaxed) {
            child.kill()?;
            child.wait()?;
            bail!("`{line}` was cancelled");
        }
        thread::sleep(CHECK_INTERVAL);
    }
}

/// Ends all programs that [`run`] is running, in whichever thread.
pub(crate) fn cancel_all() {
    CANCELLED.store(true, Ordering::Relaxed);
}

/// Returns what a command prints, or `None` if it cannot be run or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// # Errors
/// If the status is that of a failure.
pub(crate) fn expect_success(line: &str, status: ExitStatus) -> anyhow::Result<()> {
    ensure!(status.success(), "`{line}` failed ({status})");
    Ok(())
}

/// Returns a command as a shell user would type it.
pub(crate) fn command_line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
