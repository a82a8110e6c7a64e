//! One run as text: what happened, what is violated, what is in the files.

use std::fmt::Write as _;

use leasehold_sim::{
    Interest, Invariant, LockNo, RecordNo, Run, Scenario, Status, Story, Teller, World,
};

use crate::command::paint::Paint;

/// The run as text; less what matters less than `least`.
pub(super) fn tell(scenario: &Scenario, run: &Run, least: Interest, paint: Paint) -> String {
    let (mut world, mut trace) = (World::new(run.clone()), Vec::new());
    while world.step(&mut trace) {}
    let violated = world.checks().violated();
    let mut text = String::new();
    // Writing to a string can't fail.
    writeln!(text, "{}\n{}", paint.bold(&scenario.title), scenario.point).ok();
    writeln!(text, "{}\n", paint.dim(&heading(&scenario.name, run))).ok();
    text.push_str(&story(&Story::of_run(run, &trace, &violated, least), paint));
    text.push('\n');
    for (invariant, status) in world.statuses() {
        text.push_str(&verdict(invariant, status, &Teller::new(run, &trace), paint));
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

fn verdict(invariant: Invariant, status: Status, teller: &Teller<'_>, paint: Paint) -> String {
    let sentence = invariant.sentence();
    let (sign, more) = match status {
        Status::Ok => ("✓", String::new()),
        Status::Violated { witness } => {
            let at = teller.record(witness).map(|record| record.at).unwrap_or_default();
            ("✗", format!("  (violated at {at})"))
        }
        Status::NotYet => ("·", "  (nothing to judge it by)".to_owned()),
        Status::Unchecked => ("·", "  (not checked)".to_owned()),
    };
    let line = format!("{sign} {invariant}  {sentence}{more}");
    let line = match status {
        Status::Ok => line,
        Status::Violated { .. } => paint.error(&line),
        Status::NotYet | Status::Unchecked => paint.dim(&line),
    };
    line + "\n"
}

fn files(run: &Run, world: &World, paint: Paint) -> String {
    let mut text = String::new();
    for (no, name) in (0_u8..).zip(&run.config.locks) {
        let lines = world.file(LockNo(no));
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
    let outcome = run.go_until_violated();
    let violated: Vec<(Invariant, RecordNo)> = outcome.violated.into_iter().collect();
    story(&Story::of_violation(run, &outcome.trace, &violated), paint)
}
