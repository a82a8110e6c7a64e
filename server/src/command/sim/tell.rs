//! One run as text: what happened, what is violated, what is in the files.

use std::fmt::Write as _;

use leasehold_sim::{
    Explainer, Importance, Invariant, InvariantStatus, LockId, RecordId, Run, Scenario, Story,
    World,
};

use crate::command::paint::Paint;

/// The run as text; less what matters less than `least`.
pub(super) fn tell(scenario: &Scenario, run: &Run, least: Importance, paint: Paint) -> String {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    let violated = world.checkers().violations();
    let mut text = String::new();
    // Writing to a string can't fail.
    writeln!(text, "{}\n{}", paint.bold(&scenario.title), scenario.point).ok();
    writeln!(text, "{}\n", paint.dim(&heading(&scenario.name, run))).ok();
    text.push_str(&story(&Story::from_run(run, &trace, &violated, least), paint));
    text.push('\n');
    for (invariant, status) in world.statuses() {
        text.push_str(&verdict(invariant, status, &Explainer::new(run, &trace), paint));
    }
    text.push('\n');
    text.push_str(&files(run, &world, paint));
    let digest = format!("{} events, fingerprint {:016x}", trace.len(), world.fingerprint());
    writeln!(text, "{}", paint.dim(&digest)).ok();
    text
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

/// A story, a line each for what happened and why.
pub(super) fn story(story: &Story, paint: Paint) -> String {
    let mut text = String::new();
    for line in story.text().lines() {
        let line = if line.trim_start().starts_with("because ") {
            paint.dim(line)
        } else if line.trim_start().starts_with('✗') {
            paint.error(line)
        } else {
            line.to_owned()
        };
        writeln!(text, "{line}").ok();
    }
    text
}

fn verdict(
    invariant: Invariant,
    status: InvariantStatus,
    teller: &Explainer<'_>,
    paint: Paint,
) -> String {
    let sentence = invariant.sentence();
    let (sign, more) = match status {
        InvariantStatus::Ok => ("✓", String::new()),
        InvariantStatus::Violated { witness } => {
            let at = teller.record(witness).map(|record| record.at).unwrap_or_default();
            ("✗", format!("  (violated at {at})"))
        }
        InvariantStatus::NotYet => ("·", "  (nothing to judge it by)".to_owned()),
        InvariantStatus::Unchecked => ("·", "  (not checked)".to_owned()),
    };
    let line = format!("{sign} {invariant}  {sentence}{more}");
    let line = match status {
        InvariantStatus::Ok => line,
        InvariantStatus::Violated { .. } => paint.error(&line),
        InvariantStatus::NotYet | InvariantStatus::Unchecked => paint.dim(&line),
    };
    line + "\n"
}

fn files(run: &Run, world: &World, paint: Paint) -> String {
    let mut text = String::new();
    for (no, name) in (0_u8..).zip(&run.config.locks) {
        let lines = world.file(LockId(no));
        let count = lines.map_or(0, leasehold_sim::Lines::len);
        let plural = if count == 1 { "" } else { "s" };
        writeln!(text, "{}", paint.bold(&format!("{name}: {count} line{plural}"))).ok();
        for line in lines.into_iter().flat_map(leasehold_sim::Lines::iter) {
            let content = line.text.trim_end();
            writeln!(text, "  {} {content}", paint.dim(&format!("#{:<3}", line.token))).ok();
        }
    }
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// What led to the first violation of a run, as text.
pub(super) fn violation(run: &Run, paint: Paint) -> String {
    let outcome = run.execute_until_violation();
    let violated: Vec<(Invariant, RecordId)> = outcome.first_violation.into_iter().collect();
    story(&Story::from_violation(run, &outcome.trace, &violated), paint)
}
