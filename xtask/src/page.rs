//! The page: built by trunk, and finished so that it needs no script in its HTML.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::run::{command, run, top};
use crate::tools;

/// Builds the page into `dist/`.
pub(crate) fn build() -> anyhow::Result<()> {
    tools::need_page_tools()?;
    run(command("trunk", &["build", "--offline"]).env("PATH", tools::path()).env_remove("NO_COLOR"))
}

/// Moves the script that trunk writes into the HTML to a file of its own, so that the page may
/// forbid scripts in its HTML. Trunk calls this at the end of its build.
pub(crate) fn finish() -> anyhow::Result<()> {
    let staged = std::env::var_os("TRUNK_STAGING_DIR").map(PathBuf::from);
    let folder = staged.unwrap_or_else(|| top().join("dist"));
    let path = folder.join("index.html");
    let html = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
    let finished = without_inline_script(&html, &folder)?;
    fs::write(&path, finished).with_context(|| format!("can't write {}", path.display()))
}

fn without_inline_script(html: &str, folder: &Path) -> anyhow::Result<String> {
    let Some((before, rest)) = html.split_once("<script type=\"module\"") else {
        return Ok(html.to_owned());
    };
    let (attributes, rest) = rest.split_once('>').context("a script without an end")?;
    if attributes.contains("src=") {
        return Ok(html.to_owned());
    }
    let (script, after) = rest.split_once("</script>").context("a script without an end")?;
    // The name changes with what is in it, so that browsers may keep it for good.
    let sum = script.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let name = format!("start-{sum:016x}.js");
    fs::write(folder.join(&name), script)?;
    let html = format!("{before}<script type=\"module\" src=\"./{name}\"></script>{after}");
    ensure!(!html.contains("<script type=\"module\">"), "there are two scripts in the page");
    Ok(html)
}
