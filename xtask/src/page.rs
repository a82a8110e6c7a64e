//! The page: built by trunk, and finished so that it needs no script in its HTML.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};

use crate::run::{command, run, top};
use crate::{small, tools};

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
    let finished = with_worker(&finished, &folder)?;
    let named = |style: &str| named_by_content("style", "css", style);
    let finished = small::with_one_style(&finished, &folder, named)?;
    fs::write(&path, finished).with_context(|| format!("can't write {}", path.display()))
}

/// Writes the script by which the page loads itself as a worker, and says so in its head.
fn with_worker(html: &str, folder: &Path) -> anyhow::Result<String> {
    let (mut script, mut program) = (None, None);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if !name.starts_with("leasehold-web-") {
            continue;
        }
        match path.extension().and_then(|ending| ending.to_str()) {
            Some("wasm") => {
                strip_names(&path)?;
                program = Some(name);
            }
            Some("js") => script = Some(name),
            Some(_) | None => {}
        }
    }
    let (script, program) = script.zip(program).context("trunk has left no program")?;
    make_small(&folder.join(&script), &folder.join(&program))?;
    let worker = format!(
        "import init from './{script}';\nawait init({{ module_or_path: './{program}' }});\n"
    );
    let name = named_by_content("worker", "js", &worker);
    fs::write(folder.join(&name), worker)?;
    let empty = "<meta name=\"leasehold-worker\" content=\"\"";
    ensure!(html.contains(empty), "the page has no place for its worker");
    Ok(html.replace(empty, &format!("<meta name=\"leasehold-worker\" content=\"./{name}\"")))
}

fn make_small(script: &Path, program: &Path) -> anyhow::Result<()> {
    let text = small::without_comments(&fs::read_to_string(script)?);
    let (text, bytes) = small::short_names(&text, &fs::read(program)?)?;
    fs::write(script, text)?;
    fs::write(program, bytes).with_context(|| format!("can't write {}", program.display()))
}

/// Takes out what a program for wasm says of itself for debuggers: a fifth of what travels.
fn strip_names(path: &Path) -> anyhow::Result<()> {
    let bytes = fs::read(path)?;
    let mut kept = bytes.get(..8).context("no program for wasm")?.to_vec();
    let mut at = 8;
    while at < bytes.len() {
        let start = at;
        let is_custom = bytes[at] == 0;
        at += 1;
        let len = small::leb128(&bytes, &mut at)?;
        let inside = at;
        at = inside + len;
        let mut name_at = inside;
        let is_names = is_custom && {
            let name_len = small::leb128(&bytes, &mut name_at)?;
            let name = bytes.get(name_at..name_at + name_len);
            name == Some(b"name") || name == Some(b"producers")
        };
        if !is_names {
            kept.extend_from_slice(bytes.get(start..at).context("a section without an end")?);
        }
    }
    fs::write(path, kept).with_context(|| format!("can't write {}", path.display()))
}

/// A name that changes with what is in the file, so that browsers may keep it for good.
fn named_by_content(prefix: &str, ending: &str, text: &str) -> String {
    let sum = text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |sum, byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    format!("{prefix}-{sum:016x}.{ending}")
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
    let name = named_by_content("start", "js", script);
    fs::write(folder.join(&name), script)?;
    let html = format!("{before}<script type=\"module\" src=\"./{name}\"></script>{after}");
    ensure!(!html.contains("<script type=\"module\">"), "there are two scripts in the page");
    Ok(html)
}
