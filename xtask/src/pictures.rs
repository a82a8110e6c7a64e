//! `cargo xtask screenshots`, `pictures` and `animation`: pictures of the page, made by a program
//! of its own, so that a first `cargo xtask serve` does not wait for its dependencies.

use crate::process::{cargo, run};
use crate::{tools, web_page};

/// The profile of the program: encoding takes long without optimization, and most dependencies are
/// those of xtask.
const PROFILE: &str = "serve";

/// Builds the page and makes pictures of it.
pub(crate) fn make(task: &str, options: &[String]) -> anyhow::Result<()> {
    web_page::build()?;
    tools::require_chromium()?;
    let program = ["run", "--profile", PROFILE, "--package", "leasehold-tests"];
    let example = ["--features", "pictures", "--example", "pictures", "--", task];
    run(cargo(&program).args(example).args(options))
}
