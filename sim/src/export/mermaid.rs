//! A sequence diagram, as Mermaid draws it in documents.

#![allow(clippy::wildcard_enum_match_arm, reason = "packets are arrows, all else is a note")]

use std::fmt::Write as _;

use super::recording::Recording;
use crate::explain::Explainer;
use crate::importance::Importance;
use crate::trace::{NodeId, RecordId, RecordKind};

/// The run as a sequence diagram, less what matters less than `least`.
///
/// An arrow is where its packet arrives, since Mermaid draws it level.
pub fn mermaid(recording: &Recording, min_importance: Importance) -> String {
    let (run, records) = (recording.run(), recording.records());
    let explainer = Explainer::new(run, records);
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string can't fail.
    for (index, client) in (1..).zip(&run.config.clients) {
        writeln!(text, "    participant n{index} as {}", client.name).ok();
        if index == run.config.clients.len().div_ceil(2) {
            text.push_str("    participant n0 as server\n");
        }
    }
    if run.config.clients.is_empty() {
        text.push_str("    participant n0 as server\n");
    }
    let violated = recording.violated();
    for (index, record) in (0_u32..).zip(records) {
        let (NodeId(node), at) = (record.node, record.at);
        if Importance::from_record(record) >= min_importance {
            match record.kind {
                RecordKind::Sent(_) => {}
                RecordKind::Arrived(packet) => {
                    let arrow = if packet.message.is_request() { "->>" } else { "-->>" };
                    let label = escape(&explainer.packet_label(packet));
                    writeln!(text, "    n{}{arrow}n{node}: {at} {label}", packet.peer.0).ok();
                }
                RecordKind::Lost { packet: packet, .. } => {
                    // It is told by whoever was to get it where nobody was there, else by its
                    // sender.
                    let (from, to) = if node == 0 && packet.message.is_request()
                        || node != 0 && !packet.message.is_request()
                    {
                        (packet.peer.0, node)
                    } else {
                        (node, packet.peer.0)
                    };
                    let label = escape(&explainer.packet_label(packet));
                    writeln!(text, "    n{from}-xn{to}: {at} {label}: lost").ok();
                }
                _ => {
                    let action = explainer
                        .describe(RecordId(index))
                        .map(|description| description.action)
                        .unwrap_or_default();
                    writeln!(text, "    Note over n{node}: {at} {}", escape(&action)).ok();
                }
            }
        }
        for (invariant, _) in violated.iter().filter(|(_, witness)| witness.0 == index) {
            let invariant_text = escape(invariant.sentence());
            writeln!(text, "    Note over n{node}: ✗ {invariant} is violated: {invariant_text}")
                .ok();
        }
    }
    text
}

/// What Mermaid would take for the end of a statement, or for a sign of its own.
fn escape(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '#' => "#35;".to_owned(),
        ';' => "#59;".to_owned(),
        other => other.to_string(),
    });
    escaped.collect()
}
