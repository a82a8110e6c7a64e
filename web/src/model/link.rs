//! A link to a moment: the run in short, and where to look. Nothing in a link is ever executed;
//! what is not understood is left out.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Config, Intervention, Moment, Protection, Run, Scenario};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A longer link is refused by some mail programs; then there is the file.
pub(crate) const LINK_LEN_MAX: usize = 2_000;

/// How many digits of a fingerprint are in a link.
const DIGEST_LEN: usize = 8;

/// What a link says.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Link {
    /// Which scenario; none is the first one.
    pub(crate) scenario: Option<String>,
    pub(crate) seed: Option<u64>,
    /// The protections that are off, where the link says so.
    pub(crate) without: Option<BTreeSet<Protection>>,
    pub(crate) at: Option<Moment>,
    /// After how many steps, where the moment alone doesn't say it.
    pub(crate) place: Option<u32>,
    /// What was done, instead of what the scenario does.
    pub(crate) interventions: Option<Vec<Intervention>>,
    /// A run that is none of a scenario's.
    pub(crate) config: Option<Config>,
    /// The first eight digits of the run's fingerprint, by the one who made the link.
    pub(crate) digest: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) is_live: bool,
}

#[derive(Serialize, Deserialize)]
struct Whole {
    config: Config,
    interventions: Vec<Intervention>,
}

impl Link {
    /// Reads what stands behind the `?` of an address.
    pub(crate) fn read(query: &str) -> Self {
        let mut link = Self::default();
        for part in query.trim_start_matches('?').split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            match key {
                "scenario" => link.scenario = Some(value.to_owned()),
                "seed" => link.seed = value.parse().ok(),
                "without" => link.without = Some(protections(value)),
                "t" => link.at = value.parse().ok().map(Moment::from_millis),
                "us" => link.at = value.parse().ok().map(Moment::from_micros),
                "n" => link.place = value.parse().ok(),
                "i" => link.interventions = unpack(value),
                "run" => {
                    if let Some(Whole { config, interventions }) = unpack(value) {
                        (link.config, link.interventions) = (Some(config), Some(interventions));
                    }
                }
                // What was cut off at the end of a link says nothing.
                "d" => link.digest = Some(value.to_owned()).filter(|it| it.len() == DIGEST_LEN),
                "view" => link.view = Some(value.to_owned()),
                "mode" => link.is_live = value == "live",
                _ => {}
            }
        }
        link
    }

    /// What stands behind the `?`.
    pub(crate) fn write(&self) -> String {
        let mut query = String::new();
        let mut add = |key: &str, value: &str| {
            let join = if query.is_empty() { '?' } else { '&' };
            // Writing to a string can't fail.
            write!(query, "{join}{key}={value}").ok();
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
                add("run", &pack(&Whole { config: config.clone(), interventions }));
            }
            (None, Some(interventions)) => add("i", &pack(interventions)),
            (None, None) => {}
        }
        match self.at {
            Some(at) if at.as_micros().is_multiple_of(1_000) => {
                add("t", &at.as_millis().to_string());
            }
            Some(at) => add("us", &at.as_micros().to_string()),
            None => {}
        }
        if let Some(place) = self.place {
            add("n", &place.to_string());
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

    /// The run that it means, of that scenario; none where what it says can't be one.
    pub(crate) fn run(&self, scenario: &Scenario) -> Option<Run> {
        let own = scenario.run();
        let run = Run {
            config: self.config.clone().unwrap_or(own.config),
            seed: self.seed.unwrap_or(own.seed),
            without: self.without.clone().unwrap_or(own.without),
            interventions: self.interventions.clone().unwrap_or(own.interventions),
        };
        run.validate().is_ok().then_some(run)
    }

    /// The link to a run as it is shown.
    pub(crate) fn to(scenario: &Scenario, run: &Run, is_of_library: bool) -> Self {
        let mut link = Self { scenario: Some(scenario.name.clone()), ..Self::default() };
        link.without = (run.without != scenario.without).then(|| run.without.clone());
        link.seed = (run.seed != scenario.seed).then_some(run.seed);
        let same = run.config == scenario.config && is_of_library;
        if !same {
            link.config = Some(run.config.clone());
            (link.seed, link.without) = (Some(run.seed), Some(run.without.clone()));
        }
        if !same || run.interventions != scenario.interventions {
            link.interventions = Some(run.interventions.clone());
        }
        link
    }
}

/// The first eight digits of a fingerprint.
pub(crate) fn digest(fingerprint: u64) -> String {
    format!("{:08x}", fingerprint >> 32)
}

fn protections(names: &str) -> BTreeSet<Protection> {
    names.split(',').filter_map(Protection::from_name).collect()
}

/// JSON, in letters that an address may have.
fn pack(value: &impl Serialize) -> String {
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(value).unwrap_or_default())
}

fn unpack<T: DeserializeOwned>(text: &str) -> Option<T> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    serde_json::from_str(std::str::from_utf8(&bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Action, NodeNo, storm};

    #[test]
    fn a_link_by_hand_is_understood() {
        let link = Link::read("?scenario=gc-pause&without=fencing&seed=7&t=18200");
        let scenario = Scenario::named(link.scenario.as_deref().unwrap()).unwrap();
        let run = link.run(&scenario).unwrap();
        assert_eq!(run, scenario.run_without(&[Protection::Fencing].into()));
        assert_eq!(link.at, Some(Moment::from_millis(18_200)));
        assert_eq!(Link::read(""), Link::default());
        assert_eq!(Link::read("?seed=x&without=nonsense&z&i=!!").seed, None);
    }

    #[test]
    fn what_was_done_comes_along() {
        let scenario = Scenario::named("five-clients").unwrap();
        let mut run = scenario.run();
        let crash = Action::Crash { node: NodeNo(2), keeps_unflushed: false };
        run.interventions.push(Intervention::at(1_234, crash));
        let mut link = Link::to(&scenario, &run, true);
        link.at = Some(Moment::from_micros(1_234_567));
        link.digest = Some(digest(0x0123_4567_89ab_cdef));
        let text = link.write();
        assert!(text.len() < 300, "{text}");
        let read = Link::read(&text);
        assert_eq!(read, link);
        assert_eq!(read.run(&scenario).unwrap(), run);
        assert_eq!(read.digest.as_deref(), Some("01234567"));
    }

    #[test]
    fn a_run_of_nobody_travels_whole_and_a_bad_one_is_none() {
        let scenario = Scenario::named("five-clients").unwrap();
        let run = storm(3, &BTreeSet::new());
        let link = Link::read(&Link::to(&scenario, &run, true).write());
        assert_eq!(link.run(&scenario).unwrap(), run);
        let mut bad = run;
        bad.config.ends_ms = 0;
        let link = Link::read(&Link::to(&scenario, &bad, true).write());
        assert_eq!(link.run(&scenario), None);
    }
}
