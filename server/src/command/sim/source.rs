//! Where a run comes from: the library, a file, a seed.

use std::fs;
use std::path::Path;

use leasehold_sim::{Protection, Recording, Run, Scenario, library};

use crate::command::failure::Failure;

/// The scenario of this name, or in this file.
pub(super) fn find(name: &str) -> Result<Scenario, Failure> {
    if let Some(scenario) = Scenario::from_name(name) {
        return Ok(scenario);
    }
    let path = Path::new(name);
    let is_file = path.extension().is_some_and(|it| it == "json") || name.contains('/');
    if !is_file {
        let near = library().into_iter().map(|scenario| scenario.name);
        let near = near.min_by_key(|known| distance(known, name)).unwrap_or_default();
        return Err(Failure::usage(format!(
            "there is no scenario {name}; did you mean {near}? `leasehold sim` lists all"
        )));
    }
    let text = fs::read_to_string(path)
        .map_err(|why| Failure::refused(format!("{name} can't be read: {why}")))?;
    let scenario = read(&text, &path.file_stem().unwrap_or_default().to_string_lossy())
        .map_err(|why| Failure::refused(format!("{name}: {why}")))?;
    scenario.resolve_run().validate().map_err(|why| Failure::refused(format!("{name}: {why}")))?;
    Ok(scenario)
}

/// What a file holds: a scenario, a recording, or a run alone.
fn read(text: &str, name: &str) -> Result<Scenario, String> {
    let json: serde_json::Value = serde_json::from_str(text).map_err(|why| why.to_string())?;
    if json.get("format").is_some() {
        let recording = Recording::from_json(text).map_err(|why| why.to_string())?;
        return Ok(plain(name, recording.run().clone()));
    }
    if json.get("question").is_some() {
        return serde_json::from_value(json).map_err(|why| why.to_string());
    }
    let run: Run = serde_json::from_value(json).map_err(|why| why.to_string())?;
    Ok(plain(name, run))
}

/// The storm of this seed.
pub(super) fn storm(seed: u64, without: &[Protection]) -> Scenario {
    let run = leasehold_sim::storm(seed, &without.iter().copied().collect());
    plain(&format!("storm-{seed}"), run)
}

/// A run that has nothing to teach: only itself.
fn plain(name: &str, run: Run) -> Scenario {
    let clients = run.config.clients.len();
    let mut scenario = Scenario::from_name("sandbox").expect("the sandbox is in the library");
    name.clone_into(&mut scenario.name);
    name.clone_into(&mut scenario.title);
    scenario.point = format!("{clients} clients, {} interventions", run.interventions.len());
    scenario.stops.clear();
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

/// How many letters differ, as good as it takes for a guess. Source: Levenshtein, 1966.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], line + 1);
        for place in 0..other.len() {
            let changed = diagonal + usize::from(letter != other[place]);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[other.len()]
}
