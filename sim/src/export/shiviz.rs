//! Logs with vector clocks for ShiViz.

use std::fmt::Write as _;

use super::recording::Recording;
use super::vector_clocks::VectorClocks;
use crate::explain::Explainer;
use crate::trace::{NodeId, RecordId};

/// The regular expression by which ShiViz parses an event. It is the default of ShiViz.
const EXPRESSION: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// Returns a run as a log with vector clocks.
///
/// The first line is the regular expression for events. The second line is the separator between
/// runs, which is empty because there is only one. Two lines follow for each event: the sentence,
/// then the node and its clock.
pub fn shiviz(recording: &Recording) -> String {
    let (run, records) = (recording.run(), recording.records());
    let explainer = Explainer::new(run, records);
    let nodes = run.config.clients.len() + 1;
    let names: Vec<String> =
        (0_u8..).take(nodes).map(|index| explainer.node_name(NodeId(index))).collect();
    let mut clocks = VectorClocks::new(nodes);
    let mut text = format!("{EXPRESSION}\n\n");
    for (index, record) in (0_u32..).zip(records) {
        let description = explainer.describe(RecordId(index));
        let sentence = description.map(|it| it.sentence()).unwrap_or_default();
        let clock = clocks.observe(record).iter().zip(&names).filter(|(count, _)| **count > 0);
        let clock: Vec<String> = clock.map(|(count, name)| format!("\"{name}\":{count}")).collect();
        // Writing to a string cannot fail.
        writeln!(text, "{} {sentence}", record.at).ok();
        writeln!(text, "{} {{{}}}", explainer.node_name(record.node), clock.join(",")).ok();
    }
    text
}
