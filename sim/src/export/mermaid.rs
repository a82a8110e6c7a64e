//! Mermaid sequence diagrams, for documents.

use std::fmt::Write as _;

use super::recording::Recording;
use crate::explain::Explainer;
use crate::importance::Importance;
use crate::trace::{NodeId, PacketSummary, Record, RecordId, RecordKind};

/// Returns a run as a sequence diagram, without the records that are less important.
///
/// An arrow appears when its packet arrives, because Mermaid draws arrows horizontally.
pub fn mermaid(recording: &Recording, min_importance: Importance) -> String {
    let (run, records) = (recording.run(), recording.records());
    let explainer = Explainer::new(run, records);
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string cannot fail.
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
        let id = RecordId(index);
        if Importance::from_record(record) >= min_importance
            && let Some(line) = diagram_line(&explainer, id, record)
        {
            writeln!(text, "    {line}").ok();
        }
        for (invariant, _) in violated.iter().filter(|(_, witness)| *witness == id) {
            let (node, invariant_text) = (record.node.0, escape(invariant.sentence()));
            writeln!(text, "    Note over n{node}: ✗ {invariant} violated: {invariant_text}").ok();
        }
    }
    text
}

/// Returns an arrow for a packet and a note for any other record; `None` for the sending of a
/// packet, whose arrow follows.
fn diagram_line(explainer: &Explainer<'_>, id: RecordId, record: &Record) -> Option<String> {
    let (NodeId(node), at) = (record.node, record.at);
    if matches!(record.kind, RecordKind::Sent(_)) {
        return None;
    }
    if let RecordKind::Arrived(packet) = record.kind {
        let arrow = if packet.message.is_request() { "->>" } else { "-->>" };
        let label = escape(&explainer.packet_label(packet));
        return Some(format!("n{}{arrow}n{node}: {at} {label}", packet.peer.0));
    }
    if let RecordKind::Lost { packet, .. } = record.kind {
        let (NodeId(from), NodeId(to)) = endpoints(record.node, packet);
        let label = escape(&explainer.packet_label(packet));
        return Some(format!("n{from}-xn{to}: {at} {label}: lost"));
    }
    let sentence = explainer.describe(id).map(|it| it.sentence()).unwrap_or_default();
    Some(format!("Note over n{node}: {at} {}", escape(&sentence)))
}

/// Returns sender and recipient of a lost packet. The record belongs to the recipient if the
/// recipient was down, otherwise to the sender.
fn endpoints(node: NodeId, packet: PacketSummary) -> (NodeId, NodeId) {
    if node.is_server() == packet.message.is_request() {
        (packet.peer, node)
    } else {
        (node, packet.peer)
    }
}

/// Escapes the characters that end a statement or begin an entity in Mermaid.
fn escape(text: &str) -> String {
    let escaped = text.chars().map(|character| match character {
        '#' => "#35;".to_owned(),
        ';' => "#59;".to_owned(),
        other => other.to_string(),
    });
    escaped.collect()
}
