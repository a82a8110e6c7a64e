//! The sources of a run: the library, a file, or a seed.

use std::fmt;
use std::fs;
use std::path::Path;

use leasehold_sim::{Protection, Recording, Run, Scenario, library};

use crate::command::error::CommandError;

/// Returns the scenario with this name, or reads it from the file with this path.
pub(super) fn load(name: &str) -> Result<Scenario, CommandError> {
    if let Some(scenario) = Scenario::from_name(name) {
        return Ok(scenario);
    }
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|it| it == "json") || name.contains('/');
    if !is_file {
        let names = library().into_iter().map(|scenario| scenario.name);
        let similar = names.min_by_key(|known| distance(known, name)).unwrap_or_default();
        return Err(CommandError::usage(format!(
            "unknown scenario {name}; did you mean {similar}? `leasehold sim` lists all"
        )));
    }
    let text = fs::read_to_string(path)
        .map_err(|error| CommandError::refused(format!("cannot read {name}: {error}")))?;
    let invalid = |reason: &dyn fmt::Display| {
        CommandError::refused(format!("{name} is not a scenario, a run or a recording: {reason}"))
    };
    let scenario = parse(&text, &path.file_stem().unwrap_or_default().to_string_lossy())
        .map_err(|error| invalid(&error))?;
    scenario.resolve_run().validate().map_err(|error| invalid(&error))?;
    Ok(scenario)
}

/// Parses a scenario, a recording, or a bare run.
fn parse(text: &str, name: &str) -> Result<Scenario, String> {
    // Some editors and shells write a byte order mark, which is not part of the JSON.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let json: serde_json::Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if json.get("format").is_some() {
        let recording = Recording::from_json(text).map_err(|error| error.to_string())?;
        return Ok(bare_scenario(name, recording.run().clone()));
    }
    if json.get("question").is_some() {
        return serde_json::from_value(json).map_err(|error| error.to_string());
    }
    let run: Run = serde_json::from_value(json).map_err(|error| error.to_string())?;
    Ok(bare_scenario(name, run))
}

/// Returns the storm with this seed.
pub(super) fn storm(seed: u64, without: &[Protection]) -> Scenario {
    let run = leasehold_sim::storm(seed, &without.iter().copied().collect());
    bare_scenario(&format!("storm-{seed}"), run)
}

/// Wraps a run in a scenario without stops, expectations and goal.
fn bare_scenario(name: &str, run: Run) -> Scenario {
    let clients = run.config.clients.len();
    let mut scenario = Scenario::from_name("sandbox").expect("the sandbox is in the library");
    name.clone_into(&mut scenario.name);
    name.clone_into(&mut scenario.title);
    scenario.point = format!("{clients} clients, {} interventions", run.interventions.len());
    scenario.stops.clear();
    scenario.hints.clear();
    scenario.expected.clear();
    scenario.goal = None;
    Scenario {
        config: run.config,
        seed: run.seed,
        without: run.without,
        interventions: run.interventions,
        ..scenario
    }
}

/// Returns the edit distance of two names. Source: Levenshtein, 1966.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, letter) in left.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for column in 0..right.len() {
            let substituted = diagonal + usize::from(letter != right[column]);
            diagonal = row[column + 1];
            row[column + 1] = substituted.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}
