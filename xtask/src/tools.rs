//! The tools that the tasks need besides Rust. Each is fetched once, and only if it is missing.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use crate::process::{cargo, command, output, run, top};

/// The bundler of the page.
const TRUNK_VERSION: &str = "0.21.14";

/// The driver of Firefox: the system's packages do not contain it.
const GECKODRIVER_VERSION: &str = "0.37.1";

/// The accessibility checker: a script that the browser's driver runs inside the page.
const AXE: (&str, &str) = ("axe-core", "4.14.1");

/// Settings under which the tools compile fastest: they run a few times for a few seconds.
const FAST_COMPILATION: [&str; 3] = [
    "profile.dev.debug=false",
    "profile.dev.debug-assertions=false",
    "profile.dev.overflow-checks=false",
];

/// Returns the folder of fetched tools.
pub(crate) fn folder() -> PathBuf {
    top().join("target/tools")
}

/// Returns the value of `PATH` with the fetched tools in front.
pub(crate) fn path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder().join("bin")).chain(env::split_paths(&own));
    env::join_paths(folders).unwrap_or(own)
}

/// Installs a compile target if it is missing.
pub(crate) fn require_target(target: &str) -> anyhow::Result<()> {
    let sysroot = output("rustc", &["--print", "sysroot"]).context("cannot run rustc")?;
    if PathBuf::from(sysroot).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    eprintln!("xtask: installing the compile target {target} (some seconds)");
    run(&mut command("rustup", &["target", "add", target])).with_context(|| {
        format!("the compile target {target} is missing; install it with your Rust toolchain")
    })
}

/// Installs trunk and wasm-bindgen, in the right versions, if they are missing.
pub(crate) fn require_page_tools(report: &dyn Fn(&str)) -> anyhow::Result<()> {
    require_target("wasm32-unknown-unknown")?;
    // Without their features these programs cannot use TLS, which they need for downloads only.
    // The command and the library that the page is linked with have to be of one version.
    let bindgen = locked_version("wasm-bindgen")?;
    if !is_installed("wasm-bindgen", &bindgen) {
        report("building wasm-bindgen (about a minute on two cores)");
        install("wasm-bindgen-cli", &bindgen, &["--bin", "wasm-bindgen", "--no-default-features"])?;
    }
    if !is_installed("trunk", TRUNK_VERSION) {
        report("building trunk, the bundler of the page (about four minutes on two cores)");
        install("trunk", TRUNK_VERSION, &["--no-default-features"])?;
    }
    // The build folder is large and no longer useful.
    fs::remove_dir_all(build_folder()).ok();
    Ok(())
}

fn is_installed(program: &str, version: &str) -> bool {
    let own = folder().join("bin").join(program);
    [own.to_string_lossy().as_ref(), program]
        .into_iter()
        .filter_map(|program| output(program, &["--version"]))
        .any(|printed| printed.split_whitespace().any(|word| word == version))
}

/// Builds a program into the folder of tools. All share one build folder, so that a dependency of
/// two programs is compiled once.
fn install(package: &str, version: &str, options: &[&str]) -> anyhow::Result<()> {
    let root = folder();
    let root = root.to_str().context("the project's path is not Unicode")?;
    let arguments =
        ["install", "--debug", package, "--version", version, "--locked", "--root", root];
    let settings = FAST_COMPILATION.into_iter().flat_map(|setting| ["--config", setting]);
    let mut install = cargo(&arguments);
    run(install.args(options).args(settings).env("CARGO_TARGET_DIR", build_folder()))
}

fn build_folder() -> PathBuf {
    folder().join("build")
}

/// Returns the version of a package in the lock file.
fn locked_version(package: &str) -> anyhow::Result<String> {
    let lock = fs::read_to_string(top().join("Cargo.lock")).context("cannot read Cargo.lock")?;
    let after = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    let version = after.and_then(|rest| rest.split('"').next());
    version.map(str::to_owned).with_context(|| format!("Cargo.lock does not contain {package}"))
}

/// Installs Chromium and its driver if they are missing.
pub(crate) fn require_chromium() -> anyhow::Result<()> {
    require_program("chromium", "chromium")?;
    require_program("chromedriver", "chromium-driver")
}

/// Installs Firefox and its driver if they are missing.
pub(crate) fn require_firefox() -> anyhow::Result<()> {
    if output("firefox", &["--version"]).is_none() {
        require_program("firefox-esr", "firefox-esr")?;
    }
    if !is_installed("geckodriver", GECKODRIVER_VERSION) {
        eprintln!(
            "xtask: building geckodriver, the driver of Firefox (about a minute on two cores)"
        );
        install("geckodriver", GECKODRIVER_VERSION, &[])?;
        fs::remove_dir_all(build_folder()).ok();
    }
    Ok(())
}

/// Installs Python if it is missing.
pub(crate) fn require_python() -> anyhow::Result<()> {
    require_program("python3", "python3")
}

/// Installs a program by a package of the system if it is missing.
fn require_program(program: &str, package: &str) -> anyhow::Result<()> {
    let is_there = || output(program, &["--version"]).is_some();
    if is_there() {
        return Ok(());
    }
    if output("apt-get", &["--version"]).is_none() {
        bail!("{program} is missing; install it with your system's package manager");
    }
    install_system_package(package)?;
    ensure!(is_there(), "{program} is still missing after the installation of {package}");
    Ok(())
}

/// Installs a package of a Debian or Ubuntu system.
fn install_system_package(package: &str) -> anyhow::Result<()> {
    eprintln!("xtask: installing {package} (about a minute)");
    let is_root = output("id", &["-u"]).as_deref() == Some("0");
    for arguments in [&["apt-get", "update"][..], &["apt-get", "install", "--yes", package]] {
        let (program, rest) =
            if is_root { ("apt-get", &arguments[1..]) } else { ("sudo", arguments) };
        run(command(program, rest).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(())
}

/// Fetches the accessibility checker if it is missing, and returns the path of its script.
pub(crate) fn require_axe() -> anyhow::Result<PathBuf> {
    let (name, version) = AXE;
    let folder = folder().join(format!("{name}-{version}"));
    let script = folder.join("package/axe.min.js");
    if script.exists() {
        return Ok(script);
    }
    require_program("npm", "npm")?;
    eprintln!("xtask: fetching {name} {version} into target/tools (some seconds)");
    fs::create_dir_all(&folder)?;
    let package = format!("{name}@{version}");
    let folder = folder.to_str().context("the project's path is not Unicode")?;
    run(&mut command("npm", &["pack", &package, "--silent", "--pack-destination", folder]))?;
    let archive = format!("{folder}/{name}-{version}.tgz");
    run(&mut command("tar", &["-xzf", &archive, "-C", folder]))?;
    ensure!(script.exists(), "{package} does not contain axe.min.js");
    Ok(script)
}
