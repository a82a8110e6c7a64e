//! Writes docs/scale.md: the sections of what was measured are new, the others are kept.

use std::fs;
use std::path::Path;

use anyhow::Context as _;

use super::options::{Part, Size};
use crate::compare::kernel;
use crate::run::top;

/// What a section says before it was ever measured.
const EMPTY: &str = "Not measured yet.\n";

pub(super) fn write(measured: &[(Part, String)], size: &Size, load: &str) -> anyhow::Result<()> {
    let path = top().join("docs/scale.md");
    let before = fs::read_to_string(&path).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let Size { rounds, seconds, .. } = size;
    let of = format!(
        "Up to {rounds} rounds of {seconds} s; {cores} cores, servers and clients together; {}. \
         Load of other work before: {load}.",
        kernel()
    );
    let sections: Vec<(Part, String)> =
        measured.iter().map(|(part, table)| (*part, format!("{table}\n{of}\n"))).collect();
    write_to(&path, &filled(include_str!("scale.md"), &before, &sections))?;
    eprintln!("xtask: written to docs/scale.md");
    Ok(())
}

fn write_to(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("can't write {}", path.display()))
}

/// The template with all sections, new ones or those of before.
fn filled(template: &str, before: &str, sections: &[(Part, String)]) -> String {
    let mut text = template.to_owned();
    for part in Part::ALL {
        let new = sections.iter().find(|(measured, _)| *measured == part).map(|(_, it)| &**it);
        let section = new.or_else(|| section(before, part)).unwrap_or(EMPTY);
        let (begin, end) = marks(part);
        text = text.replace(&format!("{{{}}}", part.word()), &format!("{begin}\n{section}{end}"));
    }
    text
}

fn section(text: &str, part: Part) -> Option<&str> {
    let (begin, end) = marks(part);
    let (_, rest) = text.split_once(&format!("{begin}\n"))?;
    rest.split_once(&end).map(|(section, _)| section)
}

fn marks(part: Part) -> (String, String) {
    (format!("<!-- measured: {} -->", part.word()), format!("<!-- end: {} -->", part.word()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_that_is_measured_alone_leaves_the_others_as_they_were() {
        let template = "# Scale\n{rates}\n{viewers}\n";
        let first = filled(template, "", &[(Part::Rates, "fast\n".to_owned())]);
        assert!(first.contains("-->\nfast\n<!--") && first.contains(EMPTY), "{first}");
        let second = filled(template, &first, &[(Part::Viewers, "cheap\n".to_owned())]);
        assert!(second.contains("fast\n") && second.contains("cheap\n"), "{second}");
        assert!(!second.contains(EMPTY), "{second}");
    }

    #[test]
    fn the_template_has_a_place_for_each_part() {
        for part in Part::ALL {
            let place = format!("{{{}}}", part.word());
            assert_eq!(include_str!("scale.md").matches(&place).count(), 1, "{place}");
        }
    }
}
