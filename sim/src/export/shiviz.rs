//! For ShiViz: a log whose first lines say how it is to be read.

use std::fmt::Write as _;

use super::recording::Recording;
use super::vector_clocks::VectorClocks;
use crate::explain::Explainer;
use crate::trace::{NodeId, RecordId};

/// How an event is read, which is what ShiViz has as its default.
const EXPRESSION: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// The run as a log with vector clocks.
///
/// The first line is the expression by which events are read; the second would be what stands
/// between several runs, and is empty, since there is one. Two lines follow for each event: what
/// happened, then the node and its clock.
pub fn shiviz(recording: &Recording) -> String {
    let (run, records) = (recording.run(), recording.records());
    let explainer = Explainer::new(run, records);
    let nodes = run.config.clients.len() + 1;
    let names: Vec<String> =
        (0_u8..).take(nodes).map(|index| explainer.node_name(NodeId(index))).collect();
    let mut clocks = VectorClocks::new(nodes);
    let mut text = format!("{EXPRESSION}\n\n");
    for (index, record) in (0_u32..).zip(records) {
        let action = explainer
            .describe(RecordId(index))
            .map(|description| description.action)
            .unwrap_or_default();
        let clock = clocks.observe(record).iter().zip(&names).filter(|(count, _)| **count > 0);
        let clock: Vec<String> = clock.map(|(count, name)| format!("\"{name}\":{count}")).collect();
        // Writing to a string can't fail.
        writeln!(text, "{} {action}", record.at).ok();
        writeln!(text, "{} {{{}}}", explainer.node_name(record.node), clock.join(",")).ok();
    }
    text
}
