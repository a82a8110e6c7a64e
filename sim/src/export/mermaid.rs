//! A sequence diagram, as Mermaid draws it in documents.

#![allow(clippy::wildcard_enum_match_arm, reason = "packets are arrows, all else is a note")]

use std::fmt::Write as _;

use super::json::Recording;
use crate::explain::Teller;
use crate::interest::Interest;
use crate::trace::{Kind, NodeNo, RecordNo};

/// The run as a sequence diagram, less what matters less than `least`.
///
/// An arrow is where its packet arrives, since Mermaid draws it level.
pub fn mermaid(recording: &Recording, least: Interest) -> String {
    let (run, records) = (recording.run(), recording.records());
    let teller = Teller::new(run, records);
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string can't fail.
    for (no, client) in (1..).zip(&run.config.clients) {
        writeln!(text, "    participant n{no} as {}", client.name).ok();
        if no == run.config.clients.len().div_ceil(2) {
            text.push_str("    participant n0 as server\n");
        }
    }
    if run.config.clients.is_empty() {
        text.push_str("    participant n0 as server\n");
    }
    let violated = recording.violated();
    for (no, record) in (0_u32..).zip(records) {
        let (NodeNo(node), at) = (record.node, record.at);
        if Interest::of(record) >= least {
            match record.kind {
                Kind::Sent(_) => {}
                Kind::Arrived(about) => {
                    let arrow = if about.message.is_request() { "->>" } else { "-->>" };
                    let label = escaped(&teller.label(about));
                    writeln!(text, "    n{}{arrow}n{node}: {at} {label}", about.peer.0).ok();
                }
                Kind::Lost { about, .. } => {
                    // It is told by whoever was to get it where nobody was there, else by its
                    // sender.
                    let (from, to) = if node == 0 && about.message.is_request()
                        || node != 0 && !about.message.is_request()
                    {
                        (about.peer.0, node)
                    } else {
                        (node, about.peer.0)
                    };
                    let label = escaped(&teller.label(about));
                    writeln!(text, "    n{from}-xn{to}: {at} {label}: lost").ok();
                }
                _ => {
                    let what = teller.tell(RecordNo(no)).map(|told| told.what).unwrap_or_default();
                    writeln!(text, "    Note over n{node}: {at} {}", escaped(&what)).ok();
                }
            }
        }
        for (invariant, _) in violated.iter().filter(|(_, witness)| witness.0 == no) {
            let rule = escaped(invariant.sentence());
            writeln!(text, "    Note over n{node}: ✗ {invariant} is violated: {rule}").ok();
        }
    }
    text
}

/// What Mermaid would take for the end of a statement, or for a sign of its own.
fn escaped(text: &str) -> String {
    let signs = text.chars().map(|sign| match sign {
        '#' => "#35;".to_owned(),
        ';' => "#59;".to_owned(),
        other => other.to_string(),
    });
    signs.collect()
}
