//! What only people read is taken out of the page's scripts and styles, and the styles are put
//! together: one file is compressed better than nine.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_people_read_is_left_out() {
        let css = "/* Ours.\n   Long. */\n.a {\n    color: red; /* why */\n\n    margin: 0\n}\n";
        assert_eq!(without_comments(css), ".a {\ncolor: red;\nmargin: 0\n}\n");
    }
}
