//! The visual audit: a script looks at the page as a user sees it and reports overlapping and
//! clipped texts, shapes outside of their picture, too little contrast, and controls that cannot be
//! hit or have no name.
//!
//! - [`audit`] looks at the page as it is now.
//! - [`views`] leads the page through everything that it can show.
//! - [`crowds`] makes runs with many clients.

pub mod crowds;
pub mod views;

use serde_json::{Value, json};

use crate::browser::Browser;

/// The script that looks at the page.
const SCRIPT: &str = include_str!("audit.js");

/// What can be wrong. The script uses the same codes.
pub const KINDS: [&str; 15] = [
    "overlapping_texts",
    "covered_text",
    "clipped_text",
    "outside_panel",
    "bad_shape",
    "outside_view_box",
    "empty_arc",
    "contrast",
    "overlapping_header",
    "overlapping_controls",
    "small_target",
    "unnamed_control",
    "image_role",
    "font_glyph",
    "console_error",
];

/// Something that is wrong with the picture.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    /// One of [`KINDS`].
    pub kind: String,
    /// A description of the element.
    pub element: String,
    /// The measured value, or the other element.
    pub detail: String,
}

/// How the page is looked at.
#[derive(Clone, Copy, Debug, Default)]
pub struct AuditOptions {
    /// Whether controls are pressed by a finger, and therefore have to be larger.
    pub touch: bool,
    /// Whether to check only what depends on the theme.
    pub colors_only: bool,
}

/// Looks at the page as it is now.
///
/// # Panics
/// If the script throws.
pub fn audit(browser: &Browser, options: AuditOptions) -> Vec<Finding> {
    if browser.run("return typeof window.visualAudit") != json!("function") {
        browser.run(SCRIPT);
    }
    let AuditOptions { touch, colors_only } = options;
    let options = json!({"touch": touch, "colorsOnly": colors_only});
    let findings = browser.run(&format!("return window.visualAudit({options})"));
    let findings = findings.as_array().cloned().unwrap_or_default();
    findings.iter().map(from_json).collect()
}

fn from_json(finding: &Value) -> Finding {
    let field = |index: usize| finding[index].as_str().unwrap_or_default().to_owned();
    Finding { kind: field(0), element: field(1), detail: field(2) }
}
