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

/// Gives short names to what the program calls of its script: theirs say what it is, and end in
/// digests, which can't be compressed.
pub(crate) fn short_names(script: &str, program: &[u8]) -> anyhow::Result<(String, Vec<u8>)> {
    let (mut script, mut short) = (script.to_owned(), program[..program.len().min(8)].to_vec());
    let mut at = short.len();
    while at < program.len() {
        let start = at;
        at += 1;
        let len = leb128(program, &mut at)?;
        let inside = program.get(at..at + len).context("a section without an end")?;
        at += len;
        if program[start] == IMPORTS {
            let imports = short_imports(inside, &mut script)?;
            short.push(IMPORTS);
            put_leb128(&mut short, imports.len());
            short.extend(imports);
        } else {
            short.extend(&program[start..at]);
        }
    }
    Ok((script, short))
}

/// The section of a program that names what it calls.
const IMPORTS: u8 = 2;

fn short_imports(section: &[u8], script: &mut String) -> anyhow::Result<Vec<u8>> {
    let (mut at, mut short) = (0, Vec::new());
    let count = leb128(section, &mut at)?;
    put_leb128(&mut short, count);
    for no in 0..count {
        let module = name(section, &mut at)?;
        let called = name(section, &mut at)?;
        let kind = at;
        ensure!(section.get(kind) == Some(&0), "{called} is no function");
        at += 1;
        leb128(section, &mut at)?;
        // What has no digest is called so elsewhere too.
        let digest = called.rsplit('_').next().unwrap_or_default();
        let is_digest = digest.len() == 16 && digest.bytes().all(|it| it.is_ascii_hexdigit());
        let new = if is_digest { format!("i{no}") } else { called.to_owned() };
        let (old, key) = (format!("\n{called}: "), format!("\n{new}: "));
        ensure!(script.matches(&old).count() == 1, "the script doesn't know {called}");
        *script = script.replace(&old, &key);
        for name in [module, &new] {
            put_leb128(&mut short, name.len());
            short.extend(name.as_bytes());
        }
        short.extend(&section[kind..at]);
    }
    Ok(short)
}

fn name<'a>(section: &'a [u8], at: &mut usize) -> anyhow::Result<&'a str> {
    let len = leb128(section, at)?;
    let name = section.get(*at..*at + len).context("a name without an end")?;
    *at += len;
    Ok(std::str::from_utf8(name)?)
}

/// A number as wasm has them, seven bits a byte.
pub(crate) fn leb128(bytes: &[u8], at: &mut usize) -> anyhow::Result<usize> {
    let (mut number, mut shift) = (0, 0);
    loop {
        let byte = *bytes.get(*at).context("a number without an end")?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
}

fn put_leb128(bytes: &mut Vec<u8>, mut number: usize) {
    while number >= 0x80 {
        bytes.push(number.to_le_bytes()[0] | 0x80);
        number >>= 7;
    }
    bytes.push(number.to_le_bytes()[0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_get_the_same_names() {
        let script = "{\n__wbg_a_b_0123456789abcdef: 1,\n__wbg_init: 2,\n}";
        let head = b"\0asm\x01\0\0\0";
        let import = |name: &str| {
            let len = |text: &str| vec![u8::try_from(text.len()).unwrap()];
            [len("./s"), b"./s".to_vec(), len(name), name.as_bytes().to_vec(), vec![0, 7]].concat()
        };
        let program = |name: &str| {
            let section = [vec![2], import(name), import("__wbg_init")].concat();
            let len = u8::try_from(section.len()).unwrap();
            [head.to_vec(), vec![1, 1, 0, IMPORTS, len], section, vec![10, 1, 9]].concat()
        };
        let long = program("__wbg_a_b_0123456789abcdef");
        let (named, short) = short_names(script, &long).unwrap();
        assert_eq!(named, "{\ni0: 1,\n__wbg_init: 2,\n}");
        assert_eq!(short, program("i0"));
        assert!(short_names("{\n__wbg_init: 2,\n}", &long).is_err());
        let mut at = 0;
        let mut bytes = Vec::new();
        put_leb128(&mut bytes, 1_234_567);
        assert_eq!((leb128(&bytes, &mut at).unwrap(), at), (1_234_567, 3));
    }

    #[test]
    fn what_only_people_read_is_left_out() {
        let css = "/* Ours.\n   Long. */\n.a {\n    color: red; /* why */\n\n    margin: 0\n}\n";
        assert_eq!(without_comments(css), ".a {\ncolor: red;\nmargin: 0\n}\n");
    }
}
