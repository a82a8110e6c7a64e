//! For ShiViz: a log whose first lines say how it is to be read.

use std::fmt::Write as _;

use super::clocks::Clocks;
use super::json::Recording;
use crate::explain::Teller;
use crate::trace::{NodeNo, RecordNo};

/// How an event is read, which is what ShiViz has as its default.
const EXPRESSION: &str = r"(?<event>.*)\n(?<host>\S*) (?<clock>{.*})";

/// The run as a log with vector clocks.
///
/// The first line is the expression by which events are read; the second would be what stands
/// between several runs, and is empty, since there is one. Two lines follow for each event: what
/// happened, then the node and its clock.
pub fn shiviz(recording: &Recording) -> String {
    let (run, records) = (recording.run(), recording.records());
    let teller = Teller::new(run, records);
    let nodes = run.config.clients.len() + 1;
    let names: Vec<String> = (0_u8..).take(nodes).map(|no| teller.node(NodeNo(no))).collect();
    let mut clocks = Clocks::new(nodes);
    let mut text = format!("{EXPRESSION}\n\n");
    for (no, record) in (0_u32..).zip(records) {
        let what = teller.tell(RecordNo(no)).map(|told| told.what).unwrap_or_default();
        let clock = clocks.take(record).iter().zip(&names).filter(|(count, _)| **count > 0);
        let clock: Vec<String> = clock.map(|(count, name)| format!("\"{name}\":{count}")).collect();
        // Writing to a string can't fail.
        writeln!(text, "{} {what}", record.at).ok();
        writeln!(text, "{} {{{}}}", teller.node(record.node), clock.join(",")).ok();
    }
    text
}
