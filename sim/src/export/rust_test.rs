//! Rust tests that replay a run.

use crate::check::Invariant;
use crate::run::Run;

/// Returns the source of a test that replays a run and expects exactly these invariants to be
/// violated. It is formatted, and compiles in the `tests` folder of a crate that depends on
/// `leasehold-sim` and `serde_json`.
pub fn rust_test(name: &str, run: &Run, violated: &[Invariant]) -> String {
    let run = serde_json::to_string_pretty(run).unwrap_or_default();
    // A raw string ends at a quotation mark with as many number signs.
    let mut signs = "#".to_owned();
    while run.contains(&format!("\"{signs}")) {
        signs.push('#');
    }
    let expected: Vec<String> = violated.iter().map(|it| format!("\"{it}\"")).collect();
    TEMPLATE
        .replace("NAME", &function_name(name))
        .replace("EXPECTED", &expected.join(", "))
        .replace("SIGNS", &signs)
        .replace("JSON", &run)
}

const TEMPLATE: &str = r#"//! Replays a run that was exported from the page, and checks which invariants it violates.

use leasehold_sim::{InvariantStatus, Run};

#[test]
fn NAME() {
    let run: Run = serde_json::from_str(RUN).unwrap();
    let mut violated = Vec::new();
    for (invariant, status) in run.execute().statuses {
        if matches!(status, InvariantStatus::Violated { .. }) {
            violated.push(invariant.to_string());
        }
    }
    let expected: &[&str] = &[EXPECTED];
    assert_eq!(violated, expected);
}

const RUN: &str = rSIGNS"JSON"SIGNS;
"#;

/// Returns the name of a function: letters, digits and underscores, and not a digit first.
fn function_name(name: &str) -> String {
    let is_allowed = |it: char| it.is_ascii_alphanumeric();
    let name: String = name.chars().map(|it| if is_allowed(it) { it } else { '_' }).collect();
    format!("replays_{}", name.to_ascii_lowercase())
}
