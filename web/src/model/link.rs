//! Share links: a run and a time, in the query string of the page.
//!
//! - Nothing in a link is executed, and unknown parts are ignored.
//! - The keys and the encoding are stable, so that old links stay valid.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Config, Intervention, Protection, Run, Scenario, VirtualTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Some mail programs reject longer links; the page then offers a file.
pub(crate) const LINK_LEN_MAX: usize = 2_000;

/// The number of hexadecimal digits of a fingerprint in a link.
const DIGEST_LEN: usize = 8;

/// The contents of a link.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Link {
    /// The name of the scenario; the first one if unset.
    pub(crate) scenario: Option<String>,
    pub(crate) seed: Option<u64>,
    /// The disabled protections, if they differ from the scenario's.
    pub(crate) without: Option<BTreeSet<Protection>>,
    pub(crate) time: Option<VirtualTime>,
    /// The position, if several steps happen at `time`.
    pub(crate) position: Option<u32>,
    /// The interventions, if they differ from the scenario's.
    pub(crate) interventions: Option<Vec<Intervention>>,
    /// The configuration of a run that is not in the library.
    pub(crate) config: Option<Config>,
    /// The first eight digits of the run's fingerprint when the link was created.
    pub(crate) digest: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) is_live: bool,
}

#[derive(Serialize, Deserialize)]
struct SharedRun {
    config: Config,
    interventions: Vec<Intervention>,
}

impl Link {
    /// Parses a query string, with or without the leading `?`.
    pub(crate) fn parse(query: &str) -> Self {
        let mut link = Self::default();
        for part in query.trim_start_matches('?').split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "scenario" => link.scenario = Some(value.to_owned()),
                "seed" => link.seed = value.parse().ok(),
                "without" => link.without = Some(parse_protections(value)),
                "t" => link.time = value.parse().ok().map(VirtualTime::from_millis),
                "us" => link.time = value.parse().ok().map(VirtualTime::from_micros),
                "n" => link.position = value.parse().ok(),
                "i" => link.interventions = decode_json(value),
                "run" => {
                    if let Some(SharedRun { config, interventions }) = decode_json(value) {
                        (link.config, link.interventions) = (Some(config), Some(interventions));
                    }
                }
                // A digest that was cut off at the end of a link is ignored.
                "d" => link.digest = Some(value.to_owned()).filter(|it| it.len() == DIGEST_LEN),
                "view" => link.view = Some(value.to_owned()),
                "mode" => link.is_live = value == "live",
                _ => {}
            }
        }
        link
    }

    /// Returns the query string, with its leading `?`.
    pub(crate) fn to_query(&self) -> String {
        let mut query = String::new();
        let mut add = |key: &str, value: &str| {
            let separator = if query.is_empty() { '?' } else { '&' };
            // Writing to a string can't fail.
            write!(query, "{separator}{key}={value}").ok();
        };
        if let Some(scenario) = &self.scenario {
            add("scenario", scenario);
        }
        if let Some(without) = &self.without {
            let names: Vec<&str> = without.iter().map(|it| it.name()).collect();
            add("without", &names.join(","));
        }
        if let Some(seed) = self.seed {
            add("seed", &seed.to_string());
        }
        match (&self.config, &self.interventions) {
            (Some(config), interventions) => {
                let interventions = interventions.clone().unwrap_or_default();
                add("run", &encode_json(&SharedRun { config: config.clone(), interventions }));
            }
            (None, Some(interventions)) => add("i", &encode_json(interventions)),
            (None, None) => {}
        }
        match self.time {
            Some(at) if at.as_micros().is_multiple_of(1_000) => {
                add("t", &at.as_millis().to_string());
            }
            Some(at) => add("us", &at.as_micros().to_string()),
            None => {}
        }
        if let Some(position) = self.position {
            add("n", &position.to_string());
        }
        if let Some(view) = &self.view {
            add("view", view);
        }
        if let Some(digest) = &self.digest {
            add("d", digest);
        }
        if self.is_live {
            add("mode", "live");
        }
        query
    }

    /// Returns the run that the link describes, or `None` if the run is not valid.
    pub(crate) fn run(&self, scenario: &Scenario) -> Option<Run> {
        let scenario_run = scenario.resolve_run();
        let run = Run {
            config: self.config.clone().unwrap_or(scenario_run.config),
            seed: self.seed.unwrap_or(scenario_run.seed),
            without: self.without.clone().unwrap_or(scenario_run.without),
            interventions: self.interventions.clone().unwrap_or(scenario_run.interventions),
        };
        run.validate().is_ok().then_some(run)
    }

    /// Returns the link to a run, without a time.
    pub(crate) fn for_run(scenario: &Scenario, run: &Run, is_library_scenario: bool) -> Self {
        let mut link = Self { scenario: Some(scenario.name.clone()), ..Self::default() };
        link.without = (run.without != scenario.without).then(|| run.without.clone());
        link.seed = (run.seed != scenario.seed).then_some(run.seed);
        let is_scenario_config = run.config == scenario.config && is_library_scenario;
        if !is_scenario_config {
            link.config = Some(run.config.clone());
            (link.seed, link.without) = (Some(run.seed), Some(run.without.clone()));
        }
        if !is_scenario_config || run.interventions != scenario.interventions {
            link.interventions = Some(run.interventions.clone());
        }
        link
    }
}

/// Returns the first eight digits of a fingerprint.
pub(crate) fn short_digest(fingerprint: u64) -> String {
    format!("{:08x}", fingerprint >> 32)
}

fn parse_protections(names: &str) -> BTreeSet<Protection> {
    names.split(',').filter_map(Protection::from_name).collect()
}

/// Encodes JSON as base64 for URLs.
fn encode_json(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

fn decode_json<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_str(std::str::from_utf8(&bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Action, NodeId, storm};

    #[test]
    fn handwritten_link_is_parsed() {
        let link = Link::parse("?scenario=gc-pause&without=fencing&seed=7&t=18200");
        let scenario = Scenario::from_name(link.scenario.as_deref().unwrap()).unwrap();
        let run = link.run(&scenario).unwrap();
        assert_eq!(run, scenario.run_without(&[Protection::Fencing].into()));
        assert_eq!(link.time, Some(VirtualTime::from_millis(18_200)));
        assert_eq!(Link::parse(""), Link::default());
        assert_eq!(Link::parse("?seed=x&without=nonsense&z&i=!!").seed, None);
    }

    #[test]
    fn link_contains_the_interventions() {
        let scenario = Scenario::from_name("five-clients").unwrap();
        let mut run = scenario.resolve_run();
        let crash = Action::Crash { node: NodeId(2), keeps_unflushed: false };
        run.interventions.push(Intervention::at(1_234, crash));
        let mut link = Link::for_run(&scenario, &run, true);
        link.time = Some(VirtualTime::from_micros(1_234_567));
        link.digest = Some(short_digest(0x0123_4567_89ab_cdef));
        let text = link.to_query();
        assert!(text.len() < 300, "{text}");
        let parsed = Link::parse(&text);
        assert_eq!(parsed, link);
        assert_eq!(parsed.run(&scenario).unwrap(), run);
        assert_eq!(parsed.digest.as_deref(), Some("01234567"));
    }

    #[test]
    fn link_contains_a_whole_run_and_an_invalid_one_is_rejected() {
        let scenario = Scenario::from_name("five-clients").unwrap();
        let run = storm(3, &BTreeSet::new());
        let link = Link::parse(&Link::for_run(&scenario, &run, true).to_query());
        assert_eq!(link.run(&scenario).unwrap(), run);
        let mut invalid = run;
        invalid.config.ends_ms = 0;
        let link = Link::parse(&Link::for_run(&scenario, &invalid, true).to_query());
        assert_eq!(link.run(&scenario), None);
    }
}
