//! The page: trunk builds it, and `finish` prepares its files for a server with a strict content
//! security policy.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::hash::{DefaultHasher, Hasher as _};
use std::path::{Path, PathBuf};
use std::thread;

use anyhow::{Context as _, ensure};

use crate::process::{cargo, command, run, top};
use crate::{compression, tools};

/// The values in `index.html` that the build replaces.
const NO_SERVER: &str = "no-lock-server";
const NO_WORKER: &str = "no-worker-script";

/// What a lock server puts in the place of [`NO_SERVER`].
const LIVE_SERVER: &str = "live";

/// The page as a lock server serves it.
const LIVE_PAGE: &str = "live.html";

/// The compile target of browsers.
const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// The file in `dist/` that tells the server which step of the build is running.
const PROGRESS: &str = "building.txt";

/// Returns the folder of the built page.
pub(crate) fn folder() -> PathBuf {
    top().join("dist")
}

/// Whether the page has ever been built.
pub(crate) fn is_built() -> bool {
    folder().join(LIVE_PAGE).exists()
}

/// Builds the page into `dist/`.
///
/// If tools are missing, they and the page's program are compiled at the same time, because each
/// has phases that use one core only.
pub(crate) fn build() -> anyhow::Result<()> {
    tools::require_target(WASM_TARGET)?;
    thread::scope(|scope| {
        let program = scope.spawn(compile_program);
        let tools = tools::require_page_tools(&report_progress);
        program.join().expect("the build does not panic")?;
        tools
    })?;
    report_progress("bundling the page (some seconds)");
    run_trunk()?;
    publish(&bundle_folder(), &folder())?;
    clear_progress();
    Ok(())
}

/// Prints which step of the build is running, and tells a server that shows a placeholder.
pub(crate) fn report_progress(text: &str) {
    eprintln!("xtask: {text}");
    if !is_built() {
        // A build does not fail because of its progress report.
        fs::create_dir_all(folder()).and_then(|()| fs::write(folder().join(PROGRESS), text)).ok();
    }
}

/// Removes the report of a build that has ended.
pub(crate) fn clear_progress() {
    fs::remove_file(folder().join(PROGRESS)).ok();
}

/// Compiles what trunk is going to ask for, with the same arguments.
fn compile_program() -> anyhow::Result<()> {
    let arguments = ["build", "--package", "leasehold-web", "--target", WASM_TARGET];
    run(cargo(&arguments).args(["--profile", "page"]))
}

fn run_trunk() -> anyhow::Result<()> {
    let mut trunk = command("trunk", &["build", "--offline", "--dist"]);
    run(trunk.arg(bundle_folder()).env("PATH", tools::path()).env_remove("NO_COLOR"))
}

/// Returns the folder that trunk replaces with each build.
fn bundle_folder() -> PathBuf {
    top().join("target/page-bundle")
}

/// Copies what has changed, so that cargo does not embed an unchanged page again. HTML comes last:
/// a browser never gets a page whose files are not there yet.
fn publish(from: &Path, to: &Path) -> anyhow::Result<()> {
    let files = |folder: &Path| -> anyhow::Result<BTreeSet<OsString>> {
        let entries = fs::read_dir(folder)?.collect::<Result<Vec<_>, _>>()?;
        let files = entries.into_iter().filter(|entry| entry.path().is_file());
        Ok(files.map(|entry| entry.file_name()).collect())
    };
    fs::create_dir_all(to)?;
    let new = files(from)?;
    let is_html = |name: &&OsString| name.to_string_lossy().contains(".html");
    let (html, others): (Vec<_>, Vec<_>) = new.iter().partition(is_html);
    for name in others.into_iter().chain(html) {
        let content = fs::read(from.join(name))?;
        if fs::read(to.join(name)).ok().as_ref() != Some(&content) {
            let path = to.join(name);
            fs::write(&path, content)
                .with_context(|| format!("cannot write {}", path.display()))?;
        }
    }
    for name in files(to)?.difference(&new) {
        fs::remove_file(to.join(name))?;
    }
    Ok(())
}

/// Prepares the files that trunk has built. Trunk calls this at the end of its build.
///
/// - The script that trunk writes into the HTML moves to a file, because the server's policy
///   forbids scripts in HTML.
/// - A second script loads the same program as a worker.
/// - The style sheets become one file, so that the browser makes one request instead of ten.
/// - `live.html` is the page as a lock server serves it; `index.html` is for any other host.
/// - Each file gets compressed variants.
pub(crate) fn finish() -> anyhow::Result<()> {
    let staging = std::env::var_os("TRUNK_STAGING_DIR").map(PathBuf::from);
    let folder = staging.unwrap_or_else(folder);
    let path = folder.join("index.html");
    let html =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let html = extract_script(&html, &folder)?;
    let html = add_worker(&html, &folder)?;
    let html = join_styles(&html, &folder)?;
    let live = for_lock_server(&html)?;
    for (name, html) in [("index.html", html), (LIVE_PAGE, live)] {
        let path = folder.join(name);
        fs::write(&path, html).with_context(|| format!("cannot write {}", path.display()))?;
    }
    compression::compress_folder(&folder)
}

/// Moves each script in the HTML to a file.
fn extract_script(html: &str, folder: &Path) -> anyhow::Result<String> {
    let (mut page, mut rest) = (String::new(), html);
    while let Some((before, tag, after)) = split_at_tag(rest, "<script") {
        page.push_str(before);
        let (script, after) = after.split_once("</script>").context("a script does not end")?;
        if script.trim().is_empty() {
            page.extend([tag, "</script>"]);
        } else {
            let name = content_addressed_name("start", "js", script);
            fs::write(folder.join(&name), script)?;
            page.extend(["<script type=\"module\" src=\"./", &name, "\"></script>"]);
        }
        rest = after;
    }
    page.push_str(rest);
    Ok(page)
}

/// Writes the script by which the page loads its own program as a worker, and names it in the page.
fn add_worker(html: &str, folder: &Path) -> anyhow::Result<String> {
    let (mut script, mut program) = (None, None);
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with("leasehold-web-") {
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("wasm") => program = Some(name.to_owned()),
                Some("js") => script = Some(name.to_owned()),
                Some(_) | None => {}
            }
        }
    }
    let (script, program) = script.zip(program).context("trunk has written no program")?;
    let worker = format!(
        "import init from './{script}';\nawait init({{ module_or_path: './{program}' }});\n"
    );
    let name = content_addressed_name("worker", "js", &worker);
    fs::write(folder.join(&name), worker)?;
    replace_value(html, NO_WORKER, &format!("./{name}"))
}

/// Joins all style sheets, in their order, and links to the result alone.
fn join_styles(html: &str, folder: &Path) -> anyhow::Result<String> {
    let (mut page, mut rest, mut styles) = (String::new(), html, String::new());
    let mut place = None;
    while let Some((before, tag, after)) = split_at_tag(rest, "<link") {
        page.push_str(before);
        if attribute(tag, "rel") == Some("stylesheet") {
            place.get_or_insert(page.len());
            let file = attribute(tag, "href").context("a style sheet has no address")?;
            let path = folder.join(file.trim_start_matches("./"));
            let style = fs::read_to_string(&path)
                .with_context(|| format!("cannot read {}", path.display()))?;
            styles.extend([&style, "\n"]);
            fs::remove_file(path)?;
        } else {
            page.push_str(tag);
        }
        rest = after;
    }
    page.push_str(rest);
    if let Some(place) = place {
        let name = content_addressed_name("style", "css", &styles);
        fs::write(folder.join(&name), styles)?;
        page.insert_str(place, &format!("<link rel=\"stylesheet\" href=\"./{name}\">"));
    }
    Ok(page)
}

/// Returns the page as a lock server serves it: only then does the page look for one.
fn for_lock_server(html: &str) -> anyhow::Result<String> {
    replace_value(html, NO_SERVER, LIVE_SERVER)
}

fn replace_value(html: &str, value: &str, new: &str) -> anyhow::Result<String> {
    ensure!(html.matches(value).count() == 1, "the page does not contain `{value}` once");
    Ok(html.replace(value, new))
}

/// Returns what precedes the first tag of this kind, the tag, and what follows it.
fn split_at_tag<'a>(html: &'a str, start: &str) -> Option<(&'a str, &'a str, &'a str)> {
    let (before, from_tag) = html.split_at(html.find(start)?);
    let (tag, after) = from_tag.split_at(from_tag.find('>')? + 1);
    Some((before, tag, after))
}

/// Returns the value of an attribute, with or without quotation marks: trunk leaves them out if it
/// minifies the page.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let (_, value) = tag.split_once(&format!(" {name}="))?;
    match value.strip_prefix('"') {
        Some(quoted) => quoted.split('"').next(),
        None => value.split([' ', '>']).next(),
    }
}

/// Returns a name that changes with the content, so that browsers can cache the file permanently.
fn content_addressed_name(prefix: &str, extension: &str, content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    hasher.write(content.as_bytes());
    format!("{prefix}-{:016x}.{extension}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_server_identifies_itself_in_the_page() {
        let page = include_str!("../../index.html");
        let live = for_lock_server(page).unwrap();
        assert!(live.contains("name=\"leasehold-server\" content=\"live\""));
        assert!(replace_value(page, NO_WORKER, "./worker.js").is_ok());
    }

    #[test]
    fn style_sheets_become_one_file_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.css"), ".a{}").unwrap();
        fs::write(folder.path().join("b.css"), ".b{}").unwrap();
        let links =
            "<link rel=\"stylesheet\" href=\"./a.css\" /><link rel=stylesheet href=./b.css>";
        let html = format!("<head><link rel=icon href=data:,>{links}<title>");
        let joined = join_styles(&html, folder.path()).unwrap();
        let (_, tag, after) = split_at_tag(&joined, "<link rel=\"stylesheet\"").unwrap();
        assert_eq!(after, "<title>");
        assert!(joined.starts_with("<head><link rel=icon href=data:,><link"), "{joined}");
        let file = folder.path().join(attribute(tag, "href").unwrap());
        assert_eq!(fs::read_to_string(file).unwrap(), ".a{}\n.b{}\n");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn publishing_replaces_only_what_has_changed() {
        let (from, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(from.path().join("index.html"), "new").unwrap();
        fs::write(from.path().join("a.js"), "same").unwrap();
        fs::write(to.path().join("a.js"), "same").unwrap();
        fs::write(to.path().join("index.html"), "old").unwrap();
        fs::write(to.path().join("b.js"), "superseded").unwrap();
        let modified = || fs::metadata(to.path().join("a.js")).unwrap().modified().unwrap();
        let before = modified();
        publish(from.path(), to.path()).unwrap();
        assert_eq!(modified(), before);
        assert_eq!(fs::read_to_string(to.path().join("index.html")).unwrap(), "new");
        assert!(!to.path().join("b.js").exists());
    }

    #[test]
    fn a_script_in_the_page_becomes_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let html = "<head><script type=module nonce=>run();</script></head>";
        let page = extract_script(html, folder.path()).unwrap();
        let entry = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(page.contains(&format!("src=\"./{name}\"></script></head>")), "{page}");
        assert_eq!(fs::read_to_string(entry.path()).unwrap(), "run();");
        assert_eq!(extract_script(&page, folder.path()).unwrap(), page);
    }
}
