//! The scenarios, to choose from.

use std::io::{self, Write as _};
use std::process::ExitCode;

use leasehold_sim::library;

use crate::command::failure::Failure;
use crate::command::paint::Paint;

pub(super) fn run() -> Result<ExitCode, Failure> {
    let paint = Paint::of_stdout();
    let library = library();
    let width = library.iter().map(|scenario| scenario.name.len()).max().unwrap_or(0);
    let mut out = io::stdout().lock();
    for scenario in &library {
        let name = format!("{:width$}", scenario.name);
        writeln!(out, "{}  {}", paint.bold(&name), scenario.title)?;
        writeln!(out, "{:width$}  {}", "", paint.dim(&scenario.point))?;
        if !scenario.switches.is_empty() {
            let names: Vec<&str> = scenario.switches.iter().map(|it| it.name()).collect();
            let try_it = format!("--without {}", names.join(","));
            writeln!(out, "{:width$}  {}", "", paint.dim(&try_it))?;
        }
    }
    writeln!(out, "\nTell one with `leasehold sim NAME`.")?;
    Ok(ExitCode::SUCCESS)
}
