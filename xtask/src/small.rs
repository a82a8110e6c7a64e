//! What only people read is taken out of the page's scripts and styles, and the styles are put
//! together: one file is compressed better than nine.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, ensure};

/// What trunk writes for each file of styles, up to its name.
const LINK: &str = "<link rel=\"stylesheet\" href=\"./";

/// Puts all styles into one file, in their order, and links to it alone. `name` makes its name.
pub(crate) fn with_one_style(
    html: &str,
    folder: &Path,
    name: impl Fn(&str) -> String,
) -> anyhow::Result<String> {
    let (mut page, mut style) = (String::new(), String::new());
    for line in html.split_inclusive('\n') {
        let Some(file) = line.trim_start().strip_prefix(LINK).and_then(|it| it.split('"').next())
        else {
            // What comes behind the last of the links.
            if !style.is_empty() && !page.contains(LINK) {
                let name = name(&style);
                fs::write(folder.join(&name), &style)?;
                page.extend(["    ", LINK, &name, "\" />\n"]);
            }
            page.push_str(line);
            continue;
        };
        let path = folder.join(file);
        let text = fs::read_to_string(&path).with_context(|| format!("no {}", path.display()))?;
        style.push_str(&without_comments(&text));
        fs::remove_file(path)?;
    }
    Ok(page)
}

/// A script or a style without comments, indents and empty lines. What is given to it has no text
/// that goes over several lines, and none with such a comment inside.
pub(crate) fn without_comments(text: &str) -> String {
    let mut parts = text.split("/*");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        kept.push_str(part.split_once("*/").map_or("", |(_, after)| after));
    }
    let lines =
        kept.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with("//"));
    lines.flat_map(|line| [line, "\n"]).collect()
}

/// Numbers the names by which a script and its program know each other. They end in digests of 16
/// digits, which can't be compressed; a number of as many zeros takes no room, and moves nothing.
pub(crate) fn number_names(script: &str, program: &mut [u8]) -> anyhow::Result<String> {
    let mut numbered = script.to_owned();
    // What the program calls stands at its beginning.
    let (imports, _) = program.split_at_mut(program.len().min(64 << 10));
    let mut done = Vec::new();
    for rest in script.split("__wbg_").skip(1) {
        let name = rest.split(|it: char| !it.is_alphanumeric() && it != '_').next();
        let digest = name.and_then(|name| name.rsplit('_').next()).unwrap_or_default();
        let is_digest = digest.len() == 16 && digest.bytes().all(|it| it.is_ascii_hexdigit());
        if !is_digest || done.contains(&digest) {
            continue;
        }
        let number = format!("{:016}", done.len());
        done.push(digest);
        numbered = numbered.replace(digest, &number);
        let places = imports.windows(16).enumerate();
        let places = places.filter(|(_, bytes)| *bytes == digest.as_bytes());
        let places: Vec<usize> = places.map(|(at, _)| at).collect();
        ensure!(!places.is_empty(), "the program doesn't know {digest} of its script");
        for at in places {
            imports[at..at + 16].copy_from_slice(number.as_bytes());
        }
    }
    Ok(numbered)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_get_the_same_numbers() {
        let script = "{ __wbg_a_b_0123456789abcdef: 1, __wbg_c_fedcba9876543210: 2, __wbg_d: 3 }";
        let mut program = *b"\x05__wbg_c_fedcba9876543210__wbg_a_b_0123456789abcdef\0";
        let script = number_names(script, &mut program).unwrap();
        let expected = "{ __wbg_a_b_0000000000000000: 1, __wbg_c_0000000000000001: 2, __wbg_d: 3 }";
        assert_eq!(script, expected);
        let expected = *b"\x05__wbg_c_0000000000000001__wbg_a_b_0000000000000000\0";
        assert_eq!(program, expected);
        assert!(number_names("__wbg_c_fedcba9876543210", &mut program).is_err());
    }

    #[test]
    fn what_only_people_read_is_left_out() {
        let css = "/* Ours.\n   Long. */\n.a {\n    color: red; /* why */\n\n    margin: 0\n}\n";
        assert_eq!(without_comments(css), ".a {\ncolor: red;\nmargin: 0\n}\n");
    }
}
