//! The structure of the source code: the shape of files, which module may use which, what the
//! deterministic crates may depend on, and that the protocol's document names every code.
//!
//! Limits only shrink: an exception is listed with its reason and its present size.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// Functions over the limit: path, lines, reason.
const LONG_FUNCTIONS: &[(&str, usize, &str)] = &[
    ("core/src/event/decode.rs", 91, "one arm for each event"),
    ("server/src/log/batch/encode.rs", 106, "one exhaustive match over all events"),
    ("sim/src/check/state.rs", 125, "one exhaustive match over all records"),
    ("sim/src/event_recorder.rs", 107, "one exhaustive match over all events"),
    ("sim/src/explain/action.rs", 152, "one exhaustive match over all records"),
    ("sim/src/importance.rs", 89, "one exhaustive match over all records"),
    ("web/src/component/callbacks.rs", 72, "one line for each callback"),
    ("web/src/model/intervals/mod.rs", 83, "one exhaustive match over all records"),
];

/// The modules of each crate, from the bottom up: each may use only those before it.
const LAYERS: &[(&str, &[&str])] = &[
    (
        "core",
        &[
            "rng",
            "secret",
            "time",
            "limits",
            "digest",
            "id",
            "op",
            "protections",
            "data",
            "fields",
            "refusal",
            "chunked_queue",
            "event",
            "describe",
            "wire",
            "state",
            "service",
            "client",
        ],
    ),
    (
        "sim",
        &[
            "virtual_time",
            "fingerprint",
            "message",
            "protection",
            "script",
            "trace",
            "wait_graph",
            "run",
            "clock",
            "file_lines",
            "subject",
            "importance",
            "deciding_protection",
            "event_recorder",
            "validate",
            "check",
            "world",
            "explain",
            "history",
            "storm",
            "search",
            "shrink",
            "scenario",
            "export",
            "story",
        ],
    ),
    (
        "server",
        &[
            "standard_error",
            "clock",
            "data_dir",
            "entropy",
            "datagrams",
            "group_commit",
            "log",
            "files",
            "published",
            "state_file",
            "service_driver",
            "service_loop",
            "storage",
            "recovery",
            "restore",
            "http",
            "serve",
            "command",
        ],
    ),
    ("web", &["browser", "feed", "model", "picture", "area", "component"]),
];

/// Uses that the order of the layers would allow: crate, module, what it must not use, reason.
const FORBIDDEN: &[(&str, &str, &[&str], &str)] = &[
    ("core", "client", &["event", "state", "service"], "a client sees only replies"),
    ("core", "state", &["wire"], "the state knows nothing of datagrams"),
    ("core", "wire", &["event"], "datagrams know nothing of the log"),
    ("web", "model", &["browser"], "the model is tested natively"),
    ("web", "picture", &["browser", "feed"], "pictures are tested natively"),
    ("web", "area", &["browser"], "areas return effects instead"),
    (
        "server",
        "http",
        &["service_driver", "service_loop", "storage", "log"],
        "readers see only what is durable",
    ),
];

/// What only the simulator may name: how a protection is disabled.
const SIMULATOR_ONLY: &[&str] = &["Protections", "unfenced(", "forget_tokens("];

/// The dependencies of the deterministic crates.
const DEPENDENCIES: &[(&str, &[&str])] = &[
    ("core", &["base64", "hmac", "itoa", "serde", "serde_json", "sha2", "thiserror"]),
    ("sim", &["leasehold-core", "serde", "serde_json", "thiserror"]),
];

/// Unfinished work must not be committed.
const MARKS: &[&str] =
    &["to\u{64}o!(", "unimplemente\u{64}!(", "d\u{62}g!(", "FIX\u{4d}E", "#[\u{69}gnore"];

/// The attribute that would allow a wildcard arm on an enum of this project.
const WILDCARD: &str = "wildcard_enum_match\u{5f}arm";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the workspace")
        .to_owned()
}

/// Returns path and text of the files that git tracks, or would track.
fn files(ending: &str) -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let list = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let paths = list.lines().filter(|path| path.ends_with(ending));
    paths
        .filter_map(|path| Some((path.to_owned(), fs::read_to_string(root().join(path)).ok()?)))
        .collect()
}

#[track_caller]
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn check_shape(path: &str, text: &str, lines_max: usize) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}: does not open with its purpose"));
    }
    let lines = text.lines().count();
    if lines > lines_max {
        complaints.push(format!("{path}: {lines} lines, more than {lines_max}"));
    } else if lines_max > FILE_LINES_MAX && lines < lines_max {
        complaints.push(format!("{path}: only {lines} lines; lower its entry from {lines_max}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        // rustfmt leaves string literals as they are.
        let literal = line.trim_start().trim_start_matches('b').starts_with('"');
        if columns > COLUMNS_MAX && !literal && !line.contains("r#\"") && !line.contains("://") {
            complaints.push(format!("{path}:{number}: {columns} columns"));
        }
        if let Some(mark) = MARKS.iter().find(|mark| line.contains(**mark)) {
            complaints.push(format!("{path}:{number}: unfinished: {mark}"));
        }
    }
    complaints.extend(check_functions(path, text));
    complaints
}

/// Finds functions by rustfmt's layout: from `fn` to the closing brace at the same indentation.
fn check_functions(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let prefixes =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "const fn "];
        let is_function = prefixes.iter().any(|prefix| body.starts_with(prefix))
            || body.starts_with("pub ") && body.contains(" fn ");
        if !is_function || body.ends_with(';') || body.contains("::fn ") {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let Some(end) = lines[start..].iter().position(|line| *line == close) else { continue };
        let is_listed = LONG_FUNCTIONS.iter().any(|(at, len, _)| *at == path && *len == end + 1);
        if end + 1 > FUNCTION_LINES_MAX && !is_listed {
            complaints.push(format!("{path}:{}: a function of {} lines", start + 1, end + 1));
        }
    }
    complaints
}

#[test]
fn every_file_states_its_purpose_and_keeps_to_the_size_limits() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        complaints.extend(check_shape(&path, &text, FILE_LINES_MAX));
    }
    expect_none(&complaints);
}

#[test]
fn shape_violations_are_detected() {
    let check = |text: &str| check_shape("a.rs", text, FILE_LINES_MAX).join("\n");
    assert_eq!(check("//! Fine.\nfn short() {}\n"), "");
    assert!(check("fn headless() {}\n").contains("its purpose"));
    assert!(check(&"//! Long.\n".repeat(501)).contains("501 lines"));
    assert!(check(&format!("//! {}\n", "x".repeat(97))).contains("101 columns"));
    assert!(check("//! Open.\nfn f() { to\u{64}o!() }\n").contains("unfinished"));
    let long = format!("//! F.\nfn f() {{\n{}}}\n", "    1;\n".repeat(69));
    assert!(check(&long).contains("a function of 71 lines"), "{}", check(&long));
    assert!(check_shape("a.rs", "//! Short.\n", 600).join("").contains("lower its entry"));
}

/// Expands a `use` tree into its paths: `a::{b, c::{d}}` into `a::b` and `a::c::d`.
fn expand_use_tree(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else { return vec![tree.to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let (mut depth, mut start, mut paths) = (0_usize, 0, Vec::new());
    for (index, char) in inner.char_indices().chain([(inner.len(), ',')]) {
        match char {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let branch = inner[start..index].trim();
                if !branch.is_empty() {
                    paths.extend(expand_use_tree(&format!("{prefix}{branch}")));
                }
                start = index + 1;
            }
            _ => {}
        }
    }
    paths
}

/// Returns the top modules of the same crate that a module's text uses, outside of its unit tests.
///
/// `module` is the path of the module within the crate.
fn used_modules(module: &[&str], text: &str) -> BTreeSet<String> {
    let code = text.split("#[cfg(test)]").next().unwrap_or_default();
    let code: String = code.lines().map(|line| line.split("//").next().unwrap_or("")).fold(
        String::new(),
        |mut code, line| {
            code.push_str(line);
            code.push('\n');
            code
        },
    );
    let mut paths = Vec::new();
    for start in ["\nuse ", "\n    use ", "\npub use ", "\npub(crate) use ", "\npub(super) use "] {
        for statement in format!("\n{code}").split(start).skip(1) {
            paths.extend(expand_use_tree(statement.split(';').next().unwrap_or_default()));
        }
    }
    for start in ["crate::", "super::"] {
        for (at, _) in code.match_indices(start) {
            let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
            paths.push(code[at..].chars().take_while(|c| is_path(*c)).collect());
        }
    }
    let mut used = BTreeSet::new();
    for path in paths {
        let mut segments: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base = module.to_vec();
        match segments[0] {
            "crate" => base.clear(),
            "super" => {
                while segments.first() == Some(&"super") {
                    segments.remove(0);
                    base.pop();
                }
                segments.insert(0, "crate");
            }
            _ => continue,
        }
        base.extend(&segments[1..]);
        if let Some(top) = base.first().filter(|top| !top.is_empty()) {
            used.insert((*top).to_owned());
        }
    }
    used
}

fn misuses(krate: &str, path: &str, text: &str) -> Vec<String> {
    let Some(inside) = path.strip_prefix(&format!("{krate}/src/")) else { return Vec::new() };
    let mut module: Vec<&str> = inside.trim_end_matches(".rs").split('/').collect();
    if module.last() == Some(&"mod") {
        module.pop();
    }
    let name = module[0];
    if ["lib", "main"].contains(&name) {
        return Vec::new();
    }
    let (_, layers) = LAYERS.iter().find(|(listed, _)| *listed == krate).expect("a listed crate");
    let Some(own) = layers.iter().position(|layer| *layer == name) else {
        return vec![format!("{path}: module {name} is not among the layers of {krate}")];
    };
    let forbidden = FORBIDDEN.iter().filter(|(of, module, ..)| *of == krate && *module == name);
    let forbidden: Vec<&str> = forbidden.flat_map(|(_, _, uses, _)| *uses).copied().collect();
    let used = used_modules(&module, text);
    used.iter()
        .filter(|used| used.as_str() != name)
        .filter(|used| {
            // What is no module is an item of the crate's root.
            let layer = layers.iter().position(|layer| layer == used);
            layer.is_some_and(|layer| layer > own) || forbidden.contains(&used.as_str())
        })
        .map(|used| format!("{path}: {name} uses {used}"))
        .collect()
}

#[test]
fn modules_use_only_the_layers_below_them() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        for (krate, _) in LAYERS {
            complaints.extend(misuses(krate, &path, &text));
        }
    }
    expect_none(&complaints);
}

#[test]
fn misuses_of_layers_are_detected() {
    let check = |krate, path, text| misuses(krate, path, text).join("\n");
    assert!(
        check("core", "core/src/client/mod.rs", "use crate::state::State;")
            .contains("client uses state")
    );
    assert!(
        check("core", "core/src/time.rs", "use crate::{wire, rng::Rng};")
            .contains("time uses wire")
    );
    assert!(
        check("web", "web/src/model/scene/mod.rs", "use super::super::picture::Shape;")
            .contains("model uses picture")
    );
    assert!(
        check("web", "web/src/feed/socket.rs", "fn f() { crate::model::log::f() }")
            .contains("feed uses model")
    );
    assert!(check("sim", "sim/src/unheard_of.rs", "").contains("not among the layers"));
    assert_eq!(
        check("web", "web/src/picture/axis.rs", "use crate::model::log::Row; // crate::component"),
        ""
    );
    assert_eq!(expand_use_tree("a::{b, c::{d, e}}"), ["a::b", "a::c::d", "a::c::e"]);
}

#[test]
fn matches_on_own_enums_are_exhaustive() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let is_checked =
            ["core/src/", "sim/src/", "server/src/"].iter().any(|it| path.starts_with(it));
        if is_checked && text.contains(WILDCARD) {
            complaints.push(format!("{path}: allows wildcard arms"));
        }
    }
    expect_none(&complaints);
}

/// Returns the functions that return elements and take properties, but are not components: they
/// would be called again even if the properties are unchanged.
fn functions_of_properties(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let pairs = lines.windows(2).enumerate();
    let of_properties = pairs.filter(|(_, pair)| {
        pair[1].contains("fn ") && pair[1].contains("Props") && pair[0].trim() != "#[component]"
    });
    of_properties.map(|(line, _)| format!("{path}:{}: not a component", line + 2)).collect()
}

#[test]
fn functions_of_properties_are_components() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        if path.starts_with("web/src/component/") {
            complaints.extend(functions_of_properties(&path, &text));
        }
    }
    expect_none(&complaints);
    let function = "\nfn tools(props: &HeaderProps) -> Html {";
    assert_eq!(functions_of_properties("a.rs", function).len(), 1);
    assert!(functions_of_properties("a.rs", &format!("\n#[component]{function}")).is_empty());
}

#[test]
fn names_of_files_tell_them_apart() {
    let mut named: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (path, _) in files(".rs") {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        named.entry(name).or_default().push(path);
    }
    assert_eq!(named.get("page.rs"), None, "the name `page.rs` does not say which page");
}

#[test]
fn native_programs_keep_all_protections() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        if path.starts_with("server/src/") || path.starts_with("client/src/") {
            let named = SIMULATOR_ONLY.iter().filter(|name| text.contains(**name));
            complaints.extend(named.map(|name| format!("{path}: names {name}")));
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_deterministic_crates_have_few_dependencies() {
    for (krate, allowed) in DEPENDENCIES {
        let manifest = root().join(krate).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("the crate's manifest");
        let section = manifest.split("[dependencies]").nth(1).expect("it has dependencies");
        let section = section.split("\n[").next().expect("a section has a beginning");
        for line in section.lines().filter(|line| !line.trim().is_empty()) {
            let name = line.split(['.', ' ', '=']).next().expect("a line has a beginning");
            assert!(allowed.contains(&name), "{krate} depends on {name}");
        }
    }
}

/// Returns the texts in backticks.
fn quoted(document: &str) -> BTreeSet<String> {
    document.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_protocol_document_names_every_code() {
    let document = fs::read_to_string(root().join("docs/protocol.md")).expect("docs/protocol.md");
    let quoted = quoted(&document);
    let mut missing = Vec::new();
    for path in ["core/src/op.rs", "core/src/refusal.rs", "core/src/wire/reply.rs"] {
        let text = fs::read_to_string(root().join(path)).expect("a file of the core");
        // Codes are what a `const fn` maps variants to.
        for line in text.lines().filter(|line| line.trim_start().starts_with("Self::")) {
            let Some((_, code)) = line.split_once("=> \"") else { continue };
            let code = code.split('"').next().expect("a literal ends");
            // Reasons for dropping a datagram are not sent.
            let reasons = ["is_reply", "no_operation", "not_json", "would_amplify", "bad_key"];
            // A refusal's sentence names the limit; its code is `overloaded`.
            let limits = ["sessions", "locks", "waiters", "files"];
            if !quoted.contains(code)
                && code != "error"
                && !reasons.contains(&code)
                && !limits.contains(&code)
            {
                missing.push(format!("{path}: `{code}` is not in docs/protocol.md"));
            }
        }
    }
    expect_none(&missing);
}

#[test]
fn no_file_names_a_machine_or_a_registry() {
    // Assembled here, so that this file does not contain them.
    let names: Vec<String> = [("/wo", "rk/"), ("/ro", "ot/"), ("crates", ".io"), ("npm", "js")]
        .iter()
        .map(|(a, b)| format!("{a}{b}"))
        .collect();
    let mut found: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for ending in [".rs", ".md", ".toml", ".html", ".css", ".js", ".py", "run"] {
        for (path, text) in files(ending) {
            for (number, line) in (1..).zip(text.lines()) {
                if names.iter().any(|name| line.contains(name.as_str())) {
                    found.entry(path.clone()).or_default().push(number);
                }
            }
        }
    }
    assert!(found.is_empty(), "{found:?}");
}
