//! The tidiness of the house, as a test: what a file looks like, who may use whom in the core, and
//! that the words of the wire are the words of the documents.
//!
//! A limit is a ratchet: an exception is listed with its reason and its present size, and may only
//! shrink.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;
const COLUMNS_MAX: usize = 100;

/// Files that are longer than they should be: path, lines, why.
const LONG_FILES: &[(&str, usize, &str)] = &[];

/// Functions that are longer than they should be: where, lines, why.
const LONG_FUNCTIONS: &[(&str, usize, &str)] =
    &[("server/src/journal/record.rs", 80, "one match over all facts, an arm for each")];

/// Each module of `core`, from the bottom up, and the modules that it may name.
const BASE: &[&str] = &[
    "data",
    "digest",
    "id",
    "json",
    "limits",
    "op",
    "protections",
    "queue",
    "refusal",
    "rng",
    "secret",
    "time",
];
const MAY_USE: &[(&str, &[&str])] = &[
    ("event", &[]),
    ("sentence", &["event"]),
    ("wire", &[]),
    ("state", &["event"]),
    ("service", &["event", "wire", "state"]),
    // Not `state`: a client can't peek at the truth.
    ("client", &["wire"]),
];

/// The modules of `core` above [`BASE`] that `sim` may name.
const SIM_MAY_USE: &[&str] = &["event", "wire", "state", "service", "client"];

/// What only the simulator may name: how it takes protections away.
const ONLY_SIMULATED: &[&str] = &["Protections", "unfenced(", "forget_tokens("];

/// What the core may depend on.
const CORE_DEPENDENCIES: &[&str] =
    &["base64", "hmac", "itoa", "serde", "serde_json", "sha2", "thiserror"];

/// What the simulator may depend on.
const SIM_DEPENDENCIES: &[&str] = &["leasehold-core", "serde", "serde_json", "thiserror"];

/// What is left open must not be committed.
const MARKS: &[&str] =
    &["to\u{64}o!(", "unimplemente\u{64}!(", "d\u{62}g!(", "FIX\u{4d}E", "#[\u{69}gnore"];

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a folder of the project").to_owned()
}

/// The files that git tracks, or would.
fn files(ending: &str) -> Vec<(String, String)> {
    let list = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(top())
        .output()
        .expect("git lists the files");
    let list = String::from_utf8(list.stdout).expect("paths are text");
    let paths = list.lines().filter(|path| path.ends_with(ending));
    paths
        .filter_map(|path| Some((path.to_owned(), fs::read_to_string(top().join(path)).ok()?)))
        .collect()
}

/// Everything that is wrong, or nothing.
#[track_caller]
fn expect_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "\n{}\n", complaints.join("\n"));
}

fn shape(path: &str, text: &str, allowed: usize) -> Vec<String> {
    let mut complaints = Vec::new();
    if !text.starts_with("//!") {
        complaints.push(format!("{path}: does not open by saying what it is for"));
    }
    let lines = text.lines().count();
    if lines > allowed {
        complaints.push(format!("{path}: {lines} lines, more than {allowed}"));
    } else if allowed > FILE_LINES_MAX && lines < allowed {
        complaints.push(format!("{path}: {lines} lines by now; lower its entry from {allowed}"));
    }
    for (number, line) in (1..).zip(text.lines()) {
        let columns = line.chars().count();
        // A text can't always be broken; rustfmt leaves it as it is.
        let text = line.trim_start().trim_start_matches('b').starts_with('"');
        if columns > COLUMNS_MAX && !text && !line.contains("r#\"") && !line.contains("://") {
            complaints.push(format!("{path}:{number}: {columns} columns"));
        }
        if let Some(mark) = MARKS.iter().find(|mark| line.contains(**mark)) {
            complaints.push(format!("{path}:{number}: left open: {mark}"));
        }
    }
    complaints.extend(long_functions(path, text));
    complaints
}

/// Functions by rustfmt's layout: from `fn` to the brace that closes at the same indentation.
fn long_functions(path: &str, text: &str) -> Vec<String> {
    let lines: Vec<&str> = text.lines().collect();
    let mut complaints = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let words =
            ["fn ", "pub fn ", "pub(crate) fn ", "pub(super) fn ", "async fn ", "const fn "];
        let is_function = words.iter().any(|word| body.starts_with(word))
            || body.starts_with("pub ") && body.contains(" fn ");
        if !is_function || body.ends_with(';') || body.contains("::fn ") {
            continue;
        }
        let close = format!("{}}}", " ".repeat(indent));
        let Some(end) = lines[start..].iter().position(|line| *line == close) else { continue };
        let listed = LONG_FUNCTIONS.iter().any(|(at, len, _)| *at == path && *len == end + 1);
        if end + 1 > FUNCTION_LINES_MAX && !listed {
            complaints.push(format!("{path}:{}: a function of {} lines", start + 1, end + 1));
        }
    }
    complaints
}

#[test]
fn every_file_says_what_it_is_for_and_keeps_its_size() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let exception = LONG_FILES.iter().find(|(listed, ..)| *listed == path);
        complaints.extend(shape(&path, &text, exception.map_or(FILE_LINES_MAX, |it| it.1)));
    }
    expect_none(&complaints);
}

#[test]
fn what_is_out_of_shape_is_noticed() {
    let told = |text: &str| shape("a.rs", text, FILE_LINES_MAX).join("\n");
    assert_eq!(told("//! Fine.\nfn short() {}\n"), "");
    assert!(told("fn headless() {}\n").contains("what it is for"));
    assert!(told(&"//! Long.\n".repeat(501)).contains("501 lines"));
    assert!(told(&format!("//! {}\n", "x".repeat(97))).contains("101 columns"));
    assert!(told("//! Open.\nfn f() { to\u{64}o!() }\n").contains("left open"));
    let long = format!("//! F.\nfn f() {{\n{}}}\n", "    1;\n".repeat(69));
    assert!(told(&long).contains("a function of 71 lines"), "{}", told(&long));
    assert!(shape("a.rs", "//! Short.\n", 600).join("").contains("lower its entry"));
}

/// The top modules of a crate that a text names by this path.
fn named_modules(text: &str, path: &str) -> BTreeSet<String> {
    let mut named = BTreeSet::new();
    for rest in text.split(path).skip(1) {
        let module: String =
            rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        // A macro is of no module.
        if !rest[module.len()..].starts_with('!') {
            named.insert(module);
        }
    }
    named.remove("");
    named
}

fn misuse(module: &str, text: &str) -> Vec<String> {
    let mut allowed: BTreeSet<&str> = BASE.iter().copied().collect();
    allowed.insert(module);
    let above = MAY_USE.iter().find(|(name, _)| *name == module).map_or(&[][..], |(_, uses)| uses);
    allowed.extend(above);
    let named = named_modules(text, "crate::").into_iter();
    named
        .filter(|name| !allowed.contains(name.as_str()))
        .map(|name| format!("{module} names {name}"))
        .collect()
}

#[test]
fn the_core_is_used_from_the_top_down_alone() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        let Some(inside) = path.strip_prefix("core/src/") else { continue };
        let module = inside.split(['/', '.']).next().expect("a path has a first part");
        if module != "lib" {
            let found = misuse(module, &text);
            complaints.extend(found.into_iter().map(|complaint| format!("{path}: {complaint}")));
        }
    }
    expect_none(&complaints);
    assert_eq!(misuse("client", "use crate::state::State;"), ["client names state"]);
    assert_eq!(misuse("time", "use crate::wire;"), ["time names wire"]);
}

#[test]
fn the_simulator_uses_the_core_from_outside() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs").iter().filter(|(path, _)| path.starts_with("sim/src/")) {
        for name in named_modules(text, "leasehold_core::") {
            if !BASE.contains(&name.as_str()) && !SIM_MAY_USE.contains(&name.as_str()) {
                complaints.push(format!("{path}: sim names {name}"));
            }
        }
    }
    expect_none(&complaints);
}

#[test]
fn native_programs_have_all_protections() {
    let mut complaints = Vec::new();
    for (path, text) in files(".rs") {
        if path.starts_with("server/src/") || path.starts_with("client/src/") {
            let named = ONLY_SIMULATED.iter().filter(|name| text.contains(**name));
            complaints.extend(named.map(|name| format!("{path}: names {name}")));
        }
    }
    expect_none(&complaints);
}

#[test]
fn the_core_and_the_simulator_depend_on_little() {
    for (folder, allowed) in [("core", CORE_DEPENDENCIES), ("sim", SIM_DEPENDENCIES)] {
        let manifest = top().join(folder).join("Cargo.toml");
        let manifest = fs::read_to_string(manifest).expect("the crate's manifest");
        let section = manifest.split("[dependencies]").nth(1).expect("it has dependencies");
        let section = section.split("\n[").next().expect("a section has a beginning");
        for line in section.lines().filter(|line| !line.trim().is_empty()) {
            let name = line.split(['.', ' ', '=']).next().expect("a line has a beginning");
            assert!(allowed.contains(&name), "{folder} depends on {name}");
        }
    }
}

/// The words in backticks in the tables and the text of a document.
fn words_of(document: &str) -> BTreeSet<String> {
    document.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn the_words_of_the_wire_are_those_of_its_document() {
    let document = fs::read_to_string(top().join("docs/protocol.md")).expect("docs/protocol.md");
    let words = words_of(&document);
    let mut missing = Vec::new();
    for path in ["core/src/op.rs", "core/src/refusal.rs", "core/src/wire/reply.rs"] {
        let text = fs::read_to_string(top().join(path)).expect("a file of the core");
        // Only the words that the wire knows: those that a `const fn` maps to.
        for line in text.lines().filter(|line| line.trim_start().starts_with("Self::")) {
            let Some((_, word)) = line.split_once("=> \"") else { continue };
            let word = word.split('"').next().expect("a text ends");
            // Why a datagram was dropped is told to nobody on the wire.
            let dropped = ["is_reply", "no_operation", "not_json", "would_amplify", "bad_key"];
            if !words.contains(word) && word != "error" && !dropped.contains(&word) {
                missing.push(format!("{path}: `{word}` is not in docs/protocol.md"));
            }
        }
    }
    expect_none(&missing);
    assert!(!words_of("a `word` here").contains("here"));
}

#[test]
fn nothing_names_a_machine_or_a_registry() {
    // Put together here, so that this file does not name them either.
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
