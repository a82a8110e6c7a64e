//! The page draws its symbols. A symbol of a font is an empty box on machines whose fonts lack it.

use std::fs;
use std::path::{Path, PathBuf};

/// Symbols that every font has: the arrows on the keys of a keyboard.
const ARROWS_OF_KEYS: &str = "←→↑↓";

/// Whether many fonts lack this character.
const fn is_rare(character: char) -> bool {
    matches!(
        character,
        '\u{2190}'..='\u{21ff}' // arrows
            | '\u{2300}'..='\u{23ff}' // technical symbols, such as those of players
            | '\u{25a0}'..='\u{27bf}' // geometric shapes, marks, dingbats
            | '\u{2900}'..='\u{2bff}' // more arrows, mathematical symbols
            | '\u{1f000}'..='\u{1faff}' // emoji
    )
}

fn source_files(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder of the repository") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            source_files(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs" || it == "css") {
            files.push(path);
        }
    }
}

/// Returns the rare characters of the lines that users can see: not those of comments and tests.
fn rare_characters(text: &str) -> Vec<(usize, char)> {
    let product = text.split("#[cfg(test)]").next().unwrap_or_default();
    let is_comment = |line: &str| line.trim_start().starts_with("//");
    let lines = (1..).zip(product.lines()).filter(|(_, line)| !is_comment(line));
    let is_found = |it: &char| is_rare(*it) && !ARROWS_OF_KEYS.contains(*it);
    lines
        .flat_map(|(number, line)| line.chars().filter(is_found).map(move |it| (number, it)))
        .collect()
}

#[test]
fn the_page_has_no_symbols_of_fonts() {
    let web = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web");
    let mut files = Vec::new();
    for folder in ["src", "style"] {
        source_files(&web.join(folder), &mut files);
    }
    assert!(files.len() > 100, "{} files", files.len());
    let mut found = Vec::new();
    for file in files {
        if file.file_name().is_some_and(|name| name == "tests.rs") {
            continue;
        }
        let text = fs::read_to_string(&file).expect("a text file");
        for (line, character) in rare_characters(&text) {
            found.push(format!("{}:{line}: {character}", file.display()));
        }
    }
    assert_eq!(found, Vec::<String>::new(), "use an icon of web/src/picture/icon.rs");
}

#[test]
fn rare_characters_are_noticed() {
    for symbol in ["⧉", "⏭", "◐", "▾", "✓", "✕", "⚠", "★", "■", "⇧", "↩"] {
        assert_eq!(rare_characters(&format!("let mark = {symbol:?};")).len(), 1, "{symbol}");
    }
    assert_eq!(rare_characters("\"← → 0.1 s · 2 × 3 − 1…\" // no symbol"), []);
    assert_eq!(rare_characters("// ✓\n#[cfg(test)]\n\"✓\""), []);
}
