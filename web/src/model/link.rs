//! Share links: a run and a time, in the query string of the page.
//!
//! - Nothing in a link is executed, and unknown parts are ignored.
//! - The keys and the encoding are stable, so that old links stay valid.
//! - Mail programs encode, wrap and shorten links. What they encode is decoded again; what is
//!   missing is reported, because a run without its disabled protections shows something else.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use leasehold_sim::{Config, Intervention, InvalidRun, Protection, Run, Scenario, VirtualTime};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Some mail programs reject longer links; the page then offers a file.
pub(crate) const LINK_LEN_MAX: usize = 2_000;

/// Shared links begin with this version, and end with a fingerprint, so that a lost part is
/// noticed.
const LINK_VERSION: &str = "1";

/// How often a link is decoded: an encoded link can be encoded again.
const ENCODINGS_MAX: usize = 3;

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
    /// The first eight digits of the run's fingerprint when the link was created. Only links that
    /// are shared have it.
    pub(crate) digest: Option<String>,
    pub(crate) view: Option<String>,
    pub(crate) is_live: bool,
    /// Whether a recording was open, which no link contains.
    pub(crate) is_recording: bool,
    /// What is wrong with the text of the link.
    pub(crate) problems: Vec<LinkProblem>,
}

/// A part of a link that cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum LinkProblem {
    /// A shared link whose end, or a part in between, is missing.
    Incomplete,
    UnknownProtection(String),
    /// A parameter that is not a number.
    NotANumber {
        key: &'static str,
        value: String,
    },
    /// The faults or the configuration are encoded, and cannot be decoded.
    Damaged(&'static str),
    UnknownView(String),
    UnknownMode(String),
}

impl LinkProblem {
    /// Says what is wrong, and what the page shows instead.
    pub(crate) fn sentence(&self, run: &Run) -> String {
        match self {
            Self::Incomplete => "The link is incomplete: a part of it was lost on its way. \
                Protections, faults or the time may differ from what was shared."
                .to_owned(),
            Self::UnknownProtection(name) => {
                format!("There is no protection “{name}” (without) to turn off. It was ignored.")
            }
            Self::NotANumber { key: "seed", value } => {
                format!("The seed “{value}” is not a number. Showing seed {}.", run.seed)
            }
            Self::NotANumber { key, value } => {
                format!("The time “{value}” ({key}) is not a number. Showing the start of the run.")
            }
            Self::Damaged("run") => "The run in the link (run) is damaged or missing. Showing the \
                scenario's own run. Ask for the trace as a file."
                .to_owned(),
            Self::Damaged(key) => {
                format!("The faults in the link ({key}) are damaged. Showing the scenario's own.")
            }
            Self::UnknownView(name) => {
                format!("There is no view “{name}” (view). Showing the leases.")
            }
            Self::UnknownMode(name) => {
                format!("There is no mode “{name}” (mode). Showing a simulated run.")
            }
        }
    }
}

#[derive(Serialize, Deserialize)]
struct SharedRun {
    config: Config,
    interventions: Vec<Intervention>,
}

impl Link {
    /// Parses a query string, with or without the leading `?`.
    pub(crate) fn parse(query: &str) -> Self {
        let query = without_transport_damage(query);
        let mut link = Self::default();
        let mut version = None;
        for part in query.trim_start_matches('?').split('&') {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            // Quoted-printable writes "=" as "=3D", and ends lines with "=".
            let value = value.strip_prefix("3D").unwrap_or(value).replace('=', "");
            match key {
                "v" => version = Some(value),
                "scenario" => link.scenario = Some(value),
                "seed" => link.seed = link.number("seed", &value),
                "without" => link.without = Some(link.protections(&value)),
                "t" => link.time = link.number("t", &value).map(VirtualTime::from_millis),
                "us" => link.time = link.number("us", &value).map(VirtualTime::from_micros),
                "n" => link.position = link.number("n", &value),
                "i" => match decode_json(&value) {
                    Some(interventions) => link.interventions = Some(interventions),
                    None => link.problems.push(LinkProblem::Damaged("i")),
                },
                "run" => match decode_json(&value) {
                    Some(SharedRun { config, interventions }) => {
                        (link.config, link.interventions) = (Some(config), Some(interventions));
                    }
                    None => link.problems.push(LinkProblem::Damaged("run")),
                },
                "d" => link.digest = Some(value),
                "view" if matches!(value.as_str(), "gantt" | "spacetime" | "load") => {
                    link.view = Some(value);
                }
                "view" => link.problems.push(LinkProblem::UnknownView(value)),
                "mode" => match value.as_str() {
                    "live" => link.is_live = true,
                    "recording" => link.is_recording = true,
                    "notes" | "sim" => {}
                    _ => link.problems.push(LinkProblem::UnknownMode(value)),
                },
                _ => {}
            }
        }
        let has_digest = link.digest.as_ref().is_some_and(|digest| {
            digest.len() == DIGEST_LEN && digest.bytes().all(|it| it.is_ascii_hexdigit())
        });
        let is_complete = has_digest && link.scenario.is_some() && link.without.is_some();
        let was_shared = version.is_some() || link.digest.is_some();
        if !has_digest {
            link.digest = None;
        }
        // Links of earlier versions have a digest, but no version and not always protections.
        if (version.is_some() && !is_complete) || (was_shared && !has_digest) {
            link.problems.insert(0, LinkProblem::Incomplete);
        }
        link
    }

    fn number<T: std::str::FromStr>(&mut self, key: &'static str, value: &str) -> Option<T> {
        let number = value.parse().ok();
        if number.is_none() {
            self.problems.push(LinkProblem::NotANumber { key, value: value.to_owned() });
        }
        number
    }

    fn protections(&mut self, names: &str) -> BTreeSet<Protection> {
        let mut protections = BTreeSet::new();
        for name in names.split([',', ';', '+']).filter(|name| !name.is_empty()) {
            match Protection::from_name(name) {
                Some(protection) => {
                    protections.insert(protection);
                }
                None => self.problems.push(LinkProblem::UnknownProtection(name.to_owned())),
            }
        }
        protections
    }

    /// Returns the query string, with its leading `?`.
    pub(crate) fn to_query(&self) -> String {
        let mut query = String::new();
        let mut add = |key: &str, value: &str| {
            let separator = if query.is_empty() { '?' } else { '&' };
            // Writing to a string can't fail.
            write!(query, "{separator}{key}={value}").ok();
        };
        if self.digest.is_some() {
            add("v", LINK_VERSION);
        }
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
        } else if self.is_recording {
            add("mode", "recording");
        }
        query
    }

    /// Returns the run that the link describes.
    ///
    /// # Errors
    /// If the run is not valid.
    pub(crate) fn run(&self, scenario: &Scenario) -> Result<Run, InvalidRun> {
        let scenario_run = scenario.resolve_run();
        let run = Run {
            config: self.config.clone().unwrap_or(scenario_run.config),
            seed: self.seed.unwrap_or(scenario_run.seed),
            without: self.without.clone().unwrap_or(scenario_run.without),
            interventions: self.interventions.clone().unwrap_or(scenario_run.interventions),
        };
        run.validate()?;
        Ok(run)
    }

    /// Returns the link without the parts that can be long. A page that opens it says that they
    /// are missing.
    pub(crate) fn without_run(&self) -> Self {
        let mut link = Self { digest: Some(String::new()), ..self.clone() };
        (link.config, link.interventions) = (None, None);
        link
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

/// Undoes what mail programs do to a link: percent-encoding, HTML entities, line breaks, and
/// punctuation at its end.
fn without_transport_damage(query: &str) -> String {
    let mut text = query.to_owned();
    // Some encode what is encoded already.
    for _ in 0..ENCODINGS_MAX {
        let Some(decoded) = percent_decoded(&text) else { break };
        text = decoded;
    }
    let text = text.replace("&amp;", "&");
    let text: String = text.chars().filter(|it| !it.is_whitespace()).collect();
    text.trim_end_matches(|it: char| !(it.is_alphanumeric() || "=_-".contains(it))).to_owned()
}

/// Replaces each `%` and its two hexadecimal digits by the byte that they stand for. Returns `None`
/// if there is nothing to decode.
fn percent_decoded(text: &str) -> Option<String> {
    let mut parts = text.split('%');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    let mut has_decoded = false;
    for part in parts {
        let digits = part.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok());
        if let Some(byte) = digits {
            has_decoded = true;
            bytes.push(byte);
            bytes.extend_from_slice(&part.as_bytes()[2..]);
        } else {
            bytes.push(b'%');
            bytes.extend_from_slice(part.as_bytes());
        }
    }
    has_decoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
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
        let damaged = Link::parse("?seed=x&without=nonsense&z&i=!!");
        assert_eq!((damaged.seed, damaged.problems.len()), (None, 3));
    }

    fn shared_link() -> (Link, String) {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let mut run = scenario.run_without(&[Protection::Fencing, Protection::Dedupe].into());
        let crash = Action::Crash { node: NodeId(2), keeps_unflushed: false };
        run.interventions.push(Intervention::at(1_234, crash));
        let mut link = Link::for_run(&scenario, &run, true);
        link.time = Some(VirtualTime::from_millis(18_200));
        link.digest = Some(short_digest(0x0123_4567_89ab_cdef));
        let text = link.to_query();
        (link, text)
    }

    #[test]
    fn link_that_a_mail_program_encoded_or_wrapped_is_the_same_link() {
        let (link, text) = shared_link();
        let encoded = |text: &str| {
            let bytes = text.bytes().map(|it| format!("%{it:02X}"));
            bytes.collect::<String>()
        };
        let reserved = |text: &str| {
            text.replace('%', "%25").replace('=', "%3D").replace(',', "%2C").replace('&', "%26")
        };
        let wrapped = |text: &str, with: &str| {
            let chars: Vec<char> = text.chars().collect();
            let lines = chars.chunks(72).map(|line| line.iter().collect::<String>());
            lines.collect::<Vec<_>>().join(with)
        };
        let cases = [
            encoded(&text),
            reserved(&text),
            reserved(&reserved(&text)),
            text.replace('&', "&amp;"),
            text.replace(',', "%2c"),
            wrapped(&text, "\r\n"),
            wrapped(&text, "%0D%0A"),
            wrapped(&text, "%20"),
            text.replace('=', "=3D"),
            format!("{text}>"),
            format!("{text})."),
            format!("{text}&utm_source=mail"),
        ];
        for case in cases {
            assert_eq!(Link::parse(&case), link, "{case}");
        }
    }

    /// A part that is missing can contain a disabled protection.
    #[test]
    fn every_shortened_link_is_reported() {
        let (link, text) = shared_link();
        for end in "?v=1".len()..text.len() {
            for ellipsis in ["", "…", "..."] {
                let shortened = format!("{}{ellipsis}", &text[..end]);
                let problems = Link::parse(&shortened).problems;
                assert!(problems.contains(&LinkProblem::Incomplete), "{shortened}");
            }
        }
        for part in text.trim_start_matches('?').split('&').filter(|it| !it.starts_with('v')) {
            let without_part = Link::parse(&text.replace(part, ""));
            let is_noticed = !without_part.problems.is_empty() || without_part.digest.is_some();
            assert!(is_noticed, "without {part}, the page compares the fingerprint");
        }
        assert_eq!(Link::parse(&text), link);
    }

    #[test]
    fn each_problem_names_the_parameter_and_what_is_shown() {
        let run = Scenario::from_name("gc-pause").unwrap().resolve_run();
        let cases = [
            ("seed=seven", "The seed “seven” is not a number. Showing seed 7."),
            ("t=1s", "The time “1s” (t) is not a number. Showing the start of the run."),
            ("us=-4", "The time “-4” (us) is not a number. Showing the start of the run."),
            ("without=fence", "There is no protection “fence” (without) to turn off."),
            ("i=W10x", "The faults in the link (i) are damaged. Showing the scenario's own."),
            ("run=e30", "The run in the link (run) is damaged or missing."),
            ("view=x", "There is no view “x” (view). Showing the leases."),
            ("mode=life", "There is no mode “life” (mode). Showing a simulated run."),
            ("d=12", "The link is incomplete"),
            ("v=1&scenario=gc-pause", "The link is incomplete"),
        ];
        for (query, expected) in cases {
            let problems = Link::parse(query).problems;
            let sentences: Vec<String> = problems.iter().map(|it| it.sentence(&run)).collect();
            assert!(sentences.len() == 1 && sentences[0].starts_with(expected), "{sentences:?}");
        }
    }

    #[test]
    fn link_contains_the_interventions() {
        let scenario = Scenario::from_name("five-clients").unwrap();
        let mut run = scenario.resolve_run();
        let crash = Action::Crash { node: NodeId(2), keeps_unflushed: false };
        run.interventions.push(Intervention::at(1_234, crash));
        let mut link = Link::for_run(&scenario, &run, true);
        link.without = Some(BTreeSet::new());
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
        assert!(link.run(&scenario).is_err());
    }
}
