//! The project's folders, and the machine on which the measurements run.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

/// Returns the top folder of the project.
pub(crate) fn top() -> PathBuf {
    let own = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let own = own.filter(|path| path.ends_with("xtask"));
    let own = own.or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().map(Into::into));
    own.and_then(|path| path.parent().map(Into::into)).expect("xtask is a folder of the project")
}

/// Returns the path of a program of the release profile.
pub(crate) fn release_program(name: &str) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    target.unwrap_or_else(|| top().join("target")).join("release").join(name)
}

/// Returns what a command prints, or `None` if it cannot be run or fails.
pub(crate) fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Returns the load average of the last minute. If it is read before a measurement, it describes
/// other work on the machine.
pub(crate) fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|it| !it.is_empty()).unwrap_or("unknown").to_owned()
}

/// Returns the name and the version of the kernel, without the suffix of its distributor.
pub(crate) fn kernel() -> String {
    let printed = output("uname", &["-sr"]).unwrap_or_default();
    printed.split('-').next().unwrap_or_default().to_owned()
}

/// Returns the number of processors.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}
