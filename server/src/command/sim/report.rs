//! A run as text: its story, the state of each invariant, and the files.

use std::fmt::Write as _;

use leasehold_sim::{
    Explainer, Importance, Invariant, InvariantStatus, LockId, Record, RecordId, Run, Scenario,
    Story, World,
};

use crate::command::error::CommandError;
use crate::command::style::Style;

/// The largest number of events that are simulated: a run in a file may be arbitrarily busy, and
/// each event is retained. The page has the same limit.
const RECORDS_MAX: usize = 1_000_000;

/// Executes a run and returns its report, without events below `importance_min`.
pub(super) fn report(
    scenario: &Scenario,
    run: &Run,
    importance_min: Importance,
    style: Style,
) -> String {
    let (world, trace, is_complete) = simulate(run);
    let violated = world.checkers().violations();
    let mut text = String::new();
    // Writing to a string cannot fail.
    writeln!(text, "{}\n{}", style.bold(&scenario.title), scenario.point).ok();
    writeln!(text, "{}\n", style.dim(&heading(&scenario.name, run))).ok();
    text.push_str(&story(&Story::from_run(run, &trace, &violated, importance_min), style));
    text.push('\n');
    for (invariant, status) in world.statuses() {
        text.push_str(&invariant_line(invariant, status, &Explainer::new(run, &trace), style));
    }
    text.push('\n');
    text.push_str(&files(run, &world, style));
    let digest = format!("{} events, fingerprint {:016x}", trace.len(), world.fingerprint());
    writeln!(text, "{}", style.dim(&digest)).ok();
    if !is_complete {
        let at = trace.last().map(|record| record.at).unwrap_or_default();
        let cut = format!(
            "The run was cut at {at}, after {RECORDS_MAX} events; it would end at {} ms.",
            run.config.ends_ms
        );
        writeln!(text, "{}", style.warning(&cut)).ok();
    }
    text
}

/// Checks that a run can be exported: only a complete one can.
pub(super) fn expect_complete(run: &Run) -> Result<(), CommandError> {
    let (_, trace, is_complete) = simulate(run);
    if is_complete {
        return Ok(());
    }
    let at = trace.last().map(|record| record.at).unwrap_or_default();
    Err(CommandError::refused(format!(
        "the run has more than {RECORDS_MAX} events, of which the last is at {at}; let it end \
         earlier (ends_ms)"
    )))
}

/// Simulates a run to its end, or to the limit. Returns whether it has reached its end.
fn simulate(run: &Run) -> (World, Vec<Record>, bool) {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while trace.len() < RECORDS_MAX {
        if !world.step(&mut trace) {
            return (world, trace, true);
        }
    }
    (world, trace, false)
}

fn heading(name: &str, run: &Run) -> String {
    let mut heading = format!("{name}, seed {}", run.seed);
    if !run.without.is_empty() {
        let names: Vec<&str> = run.without.iter().map(|it| it.name()).collect();
        heading.push_str(", without ");
        heading.push_str(&names.join(", "));
    }
    heading
}

/// Returns the lines of a story, each event followed by its reason.
pub(super) fn story(story: &Story, style: Style) -> String {
    let mut text = String::new();
    for line in story.text().lines() {
        let line = if line.trim_start().starts_with("because ") {
            style.dim(line)
        } else if line.trim_start().starts_with('✗') {
            style.error(line)
        } else {
            line.to_owned()
        };
        writeln!(text, "{line}").ok();
    }
    text
}

fn invariant_line(
    invariant: Invariant,
    status: InvariantStatus,
    explainer: &Explainer<'_>,
    style: Style,
) -> String {
    let (heading, sentence) = (invariant.heading(), invariant.sentence());
    let (sign, remark) = match status {
        InvariantStatus::Ok => ("✓", String::new()),
        InvariantStatus::Violated { witness } => {
            let at = explainer.record(witness).map(|record| record.at).unwrap_or_default();
            ("✗", format!("  (violated at {at})"))
        }
        InvariantStatus::NotYet => ("·", "  (not applicable yet)".to_owned()),
        InvariantStatus::Unchecked => ("·", "  (not checked)".to_owned()),
    };
    let line = format!("{sign} {heading}: {sentence}{remark}");
    let line = match status {
        InvariantStatus::Ok => line,
        InvariantStatus::Violated { .. } => style.error(&line),
        InvariantStatus::NotYet | InvariantStatus::Unchecked => style.dim(&line),
    };
    line + "\n"
}

fn files(run: &Run, world: &World, style: Style) -> String {
    let mut text = String::new();
    for (id, name) in (0_u8..).zip(&run.config.locks) {
        let lines = world.file(LockId(id));
        let count = lines.map_or(0, leasehold_sim::Lines::len);
        let plural = if count == 1 { "" } else { "s" };
        writeln!(text, "{}", style.bold(&format!("{name}: {count} line{plural}"))).ok();
        for line in lines.into_iter().flat_map(leasehold_sim::Lines::iter) {
            let content = line.text.trim_end();
            writeln!(text, "  {} {content}", style.dim(&format!("#{:<3}", line.token))).ok();
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Returns the events that led to the first violation of a run.
pub(super) fn violation(run: &Run, style: Style) -> String {
    let outcome = run.execute_until_violation();
    let violated: Vec<(Invariant, RecordId)> = outcome.first_violation.into_iter().collect();
    story(&Story::from_violation(run, &outcome.trace, &violated), style)
}
