//! `leasehold sim` without a scenario: lists the scenarios.

use std::io::{self, Write as _};
use std::process::ExitCode;

use leasehold_sim::{groups_of, library};

use crate::command::error::CommandError;
use crate::command::style::Style;

pub(super) fn run() -> Result<ExitCode, CommandError> {
    let style = Style::for_stdout();
    let library = library();
    let width = library.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for (group, members) in groups_of(&library) {
        writeln!(out, "{}", style.bold(group.title()))?;
        for scenario in members.into_iter().map(|index| &library[index]) {
            let name = format!("  {:width$}", scenario.name);
            writeln!(out, "{}  {}", style.bold(&name), scenario.title)?;
            writeln!(out, "  {:width$}  {}", "", style.dim(&scenario.point))?;
            if !scenario.switches.is_empty() {
                let names: Vec<&str> = scenario.switches.iter().map(|it| it.name()).collect();
                let suggestion = format!("--without {}", names.join(","));
                writeln!(out, "  {:width$}  {}", "", style.dim(&suggestion))?;
            }
        }
        writeln!(out)?;
    }
    writeln!(out, "Run one with `leasehold sim NAME`.")?;
    Ok(ExitCode::SUCCESS)
}
