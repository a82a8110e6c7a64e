//! The project uses the field's standard terms: words of the glossary's left column that have no
//! other meaning are rejected in sources and documents. The glossary is in docs/style.md.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Words and phrases that must not occur, in lower case; a trailing `*` stands for any ending.
///
/// Words with a second, standard meaning (`line`, `place`, `bound`, `beat`) are left to review.
const REJECTED: &[&str] = &[
    "agenda",
    "anew",
    "anybody",
    "for good",
    "footage",
    "give* back",
    "gave back",
    "given back",
    "give* out",
    "goes on",
    "go on",
    "hand* on",
    "hunt for",
    "in good order",
    "look* after",
    "luck*",
    "meddle*",
    "mishap*",
    "no word of",
    "of the house",
    "put away",
    "reel",
    "reels",
    "somebody",
    "stand* in line",
    "stand* still",
    "stood still",
    "studio",
    "tak* away",
    "told",
    "weather",
    "what is so",
    "whoever",
];

/// Files that may contain rejected words, and why.
const EXCEPTIONS: &[(&str, &str)] = &[
    ("docs/style.md", "contains the glossary itself"),
    ("tests/tests/language.rs", "contains this list"),
    ("sim/tests/fixtures/", "was written by released versions"),
];

/// File endings that are checked.
const ENDINGS: &[&str] =
    &["rs", "md", "html", "css", "json", "py", "toml", "txt", "yml", "yaml", "service"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("tests is a folder of the workspace")
        .to_owned()
}

fn checked_files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(root())
        .output()
        .expect("git lists the files");
    let list = String::from_utf8(output.stdout).expect("paths are UTF-8");
    let is_checked = |path: &&str| {
        let ending = Path::new(path).extension().and_then(|ending| ending.to_str());
        ending.is_some_and(|ending| ENDINGS.contains(&ending))
            && !EXCEPTIONS.iter().any(|(prefix, _)| path.starts_with(prefix))
    };
    list.lines().filter(is_checked).map(str::to_owned).collect()
}

/// Splits text into lower-case words. Identifiers are split at underscores and before capitals.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut previous_is_lower = false;
    for char in line.chars() {
        if char.is_ascii_alphabetic() {
            if char.is_ascii_uppercase() && previous_is_lower {
                words.push(String::new());
            }
            let last = words.last_mut().expect("there is always a word");
            last.push(char.to_ascii_lowercase());
        } else if words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        previous_is_lower = char.is_ascii_lowercase();
    }
    words.retain(|word| !word.is_empty());
    words
}

fn matches(words: &[String], phrase: &str) -> bool {
    let pattern: Vec<&str> = phrase.split(' ').collect();
    words.windows(pattern.len()).any(|window| {
        window.iter().zip(&pattern).all(|(word, pattern)| match pattern.strip_suffix('*') {
            Some(stem) => word.starts_with(stem),
            None => word == pattern,
        })
    })
}

#[test]
fn rejected_words_occur_nowhere() {
    let mut found = Vec::new();
    for path in checked_files() {
        // Deleted files are listed until the deletion is staged.
        let Ok(text) = fs::read_to_string(root().join(&path)) else { continue };
        for (number, line) in (1..).zip(text.lines()) {
            let words = words(line);
            for phrase in REJECTED.iter().filter(|phrase| matches(&words, phrase)) {
                found.push(format!("{path}:{number}: `{phrase}` in: {}", line.trim()));
            }
        }
    }
    assert!(found.is_empty(), "\n{}\n{} rejected words\n", found.join("\n"), found.len());
}

#[test]
fn every_exception_is_needed() {
    let list = Command::new("git").args(["ls-files"]).current_dir(root()).output();
    let list = String::from_utf8(list.expect("git lists the files").stdout).expect("UTF-8");
    for (prefix, reason) in EXCEPTIONS {
        assert!(list.lines().any(|path| path.starts_with(prefix)), "{prefix} ({reason}) is gone");
    }
}

#[test]
fn words_in_identifiers_are_found() {
    assert_eq!(
        words("fn looks_after(Told: toldYou)"),
        ["fn", "looks", "after", "told", "told", "you"]
    );
    assert!(matches(&words("it looks after them"), "look* after"));
    assert!(!matches(&words("look here, after that"), "look* after"));
}
