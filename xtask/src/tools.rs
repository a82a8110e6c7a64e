//! What the builds need beyond Rust: fetched when it is missing, never twice.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};

use crate::run::{cargo, command, output, run, top};

/// Builds the page.
const TRUNK: (&str, &str) = ("trunk", "0.21.14");

/// Looks for what keeps people out of a page: a script, run inside it by the browser's driver.
const AXE: (&str, &str) = ("axe-core", "4.14.1");

/// Where tools that were fetched are kept.
pub(crate) fn folder() -> PathBuf {
    top().join("target/tools")
}

/// `PATH` with the fetched tools in front.
pub(crate) fn path() -> OsString {
    let own = env::var_os("PATH").unwrap_or_default();
    let folders = std::iter::once(folder().join("bin")).chain(env::split_paths(&own));
    env::join_paths(folders).unwrap_or(own)
}

/// Sees to it that a compile target is there.
pub(crate) fn need_target(target: &str) -> anyhow::Result<()> {
    let sysroot = output("rustc", &["--print", "sysroot"]).context("there is no rustc")?;
    if PathBuf::from(sysroot).join("lib/rustlib").join(target).join("lib").is_dir() {
        return Ok(());
    }
    eprintln!("xtask: adding the target {target} (some seconds)");
    run(&mut command("rustup", &["target", "add", target])).with_context(|| {
        format!("the target {target} is missing; without rustup it has to come with the toolchain")
    })
}

/// Sees to it that trunk and wasm-bindgen are there in the right versions.
pub(crate) fn need_page_tools() -> anyhow::Result<()> {
    need_target("wasm32-unknown-unknown")?;
    let bindgen = locked_version("wasm-bindgen")?;
    need_tool("wasm-bindgen", "wasm-bindgen-cli", &bindgen)?;
    need_tool(TRUNK.0, TRUNK.0, TRUNK.1)
}

fn need_tool(program: &str, package: &str, version: &str) -> anyhow::Result<()> {
    let own = folder().join("bin").join(program);
    let found = [own.to_string_lossy().as_ref(), program]
        .into_iter()
        .filter_map(|program| output(program, &["--version"]))
        .any(|printed| printed.split_whitespace().any(|word| word == version));
    if found {
        return Ok(());
    }
    eprintln!("xtask: building {package} {version} into target/tools (one to three minutes)");
    let root = folder();
    let root = root.to_str().context("the project's path is not Unicode")?;
    let build = folder().join("build");
    let install = ["install", "--debug", package, "--version", version, "--locked", "--root", root];
    run(cargo(&install).env("CARGO_TARGET_DIR", &build))?;
    // The build folder is large and of no more use.
    std::fs::remove_dir_all(build).ok();
    Ok(())
}

/// The version of a package in the lock file: the page's and the command's have to be equal.
fn locked_version(package: &str) -> anyhow::Result<String> {
    let lock = std::fs::read_to_string(top().join("Cargo.lock")).context("no Cargo.lock")?;
    let after = lock.split(&format!("name = \"{package}\"\nversion = \"")).nth(1);
    let version = after.and_then(|rest| rest.split('"').next());
    version.map(str::to_owned).with_context(|| format!("{package} is not in Cargo.lock"))
}

/// Sees to it that there are a browser and its driver.
pub(crate) fn need_browser() -> anyhow::Result<()> {
    let there = ["chromium", "chromedriver"].iter().all(|it| output(it, &["--version"]).is_some());
    if there {
        return Ok(());
    }
    if output("apt-get", &["--version"]).is_none() {
        bail!("Chromium and chromedriver are missing: install them with the system's packages");
    }
    install(&["chromium", "chromium-driver"])?;
    ensure!(output("chromedriver", &["--version"]).is_some(), "chromedriver is still missing");
    Ok(())
}

/// Installs packages of a Debian or Ubuntu system.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    eprintln!("xtask: installing {} (a minute)", packages.join(", "));
    let root = output("id", &["-u"]).as_deref() == Some("0");
    let install = [&["install", "--yes"], packages].concat();
    for arguments in [&["update"][..], &install] {
        let mut words = vec!["apt-get"];
        words.extend(arguments);
        let (program, rest) = if root { ("apt-get", &words[1..]) } else { ("sudo", &words[..]) };
        run(command(program, rest).env("DEBIAN_FRONTEND", "noninteractive"))?;
    }
    Ok(())
}

/// Sees to it that the accessibility checker is there, and says where.
pub(crate) fn need_axe() -> anyhow::Result<PathBuf> {
    let (name, version) = AXE;
    let place = folder().join(format!("{name}-{version}"));
    let script = place.join("package/axe.min.js");
    if script.exists() {
        return Ok(script);
    }
    if output("npm", &["--version"]).is_none() {
        ensure!(output("apt-get", &["--version"]).is_some(), "npm is missing: install it");
        install(&["npm"])?;
    }
    eprintln!("xtask: fetching {name} {version} into target/tools");
    std::fs::create_dir_all(&place)?;
    let wanted = format!("{name}@{version}");
    let to = place.to_str().context("the project's path is not Unicode")?;
    run(&mut command("npm", &["pack", &wanted, "--silent", "--pack-destination", to]))?;
    let archive = format!("{to}/{name}-{version}.tgz");
    run(&mut command("tar", &["-xzf", &archive, "-C", to]))?;
    ensure!(script.exists(), "there is no axe.min.js in {wanted}");
    Ok(script)
}
