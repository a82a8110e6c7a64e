//! Writes docs/scale.md: replaces the sections of the parts that were measured, and retains the
//! others.

use std::fs;

use anyhow::Context as _;

use super::options::{Part, Size};
use crate::environment::{cores, kernel, top};

/// The content of a section that was never measured.
const EMPTY: &str = "Not measured yet.\n";

pub(super) fn write(measured: &[(Part, String)], size: &Size, load: &str) -> anyhow::Result<()> {
    let path = top().join("docs/scale.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let Size { rounds, seconds, .. } = size;
    let conditions = format!(
        "Up to {rounds} rounds of {seconds} s; {} cores, shared by servers and clients; {}. \
         Load average before the measurement: {load}.",
        cores(),
        kernel()
    );
    let sections: Vec<(Part, String)> =
        measured.iter().map(|(part, table)| (*part, format!("{table}\n{conditions}\n"))).collect();
    let document = fill(include_str!("scale.md"), &before, &sections);
    fs::write(&path, document).with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("xtask: wrote docs/scale.md");
    Ok(())
}

/// Returns the template with all sections, new ones or those of the previous document.
fn fill(template: &str, before: &str, sections: &[(Part, String)]) -> String {
    let mut text = template.to_owned();
    for part in Part::ALL {
        let new = sections.iter().find(|(measured, _)| *measured == part).map(|(_, it)| &**it);
        let section = new.or_else(|| find_section(before, part)).unwrap_or(EMPTY);
        let (begin, end) = markers(part);
        text = text.replace(&format!("{{{}}}", part.name()), &format!("{begin}\n{section}{end}"));
    }
    text
}

fn find_section(text: &str, part: Part) -> Option<&str> {
    let (begin, end) = markers(part);
    let (_, rest) = text.split_once(&format!("{begin}\n"))?;
    rest.split_once(&end).map(|(section, _)| section)
}

fn markers(part: Part) -> (String, String) {
    (format!("<!-- measured: {} -->", part.name()), format!("<!-- end: {} -->", part.name()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn measuring_one_part_retains_the_sections_of_the_others() {
        let template = "# Scale\n{rates}\n{viewers}\n";
        let first = fill(template, "", &[(Part::Rates, "fast\n".to_owned())]);
        assert!(first.contains("-->\nfast\n<!--") && first.contains(EMPTY), "{first}");
        let second = fill(template, &first, &[(Part::Viewers, "cheap\n".to_owned())]);
        assert!(second.contains("fast\n") && second.contains("cheap\n"), "{second}");
        assert!(!second.contains(EMPTY), "{second}");
    }

    #[test]
    fn the_template_has_one_placeholder_for_each_part() {
        for part in Part::ALL {
            let placeholder = format!("{{{}}}", part.name());
            let count = include_str!("scale.md").matches(&placeholder).count();
            assert_eq!(count, 1, "{placeholder}");
        }
    }
}
