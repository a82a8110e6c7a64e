//! Mermaid sequence diagrams, for documents.

use std::fmt::Write as _;

use super::recording::Recording;
use crate::explain::Explainer;
use crate::importance::Importance;
use crate::trace::{NodeId, PacketSummary, Record, RecordId, RecordKind};

/// The maximum length of a diagram, in bytes: a little less than the 50,000 characters that Mermaid
/// accepts by default.
const LEN_MAX: usize = 48_000;

/// Returns a run as a sequence diagram.
///
/// - Each packet is an arrow, but heartbeats only if `min_importance` includes them; a lost packet
///   ends in a cross. An arrow appears when its packet arrives, because Mermaid draws arrows
///   horizontally.
/// - Each other record that is important enough is a note, and each violated invariant.
/// - Mermaid rejects long diagrams, so the end of a long run is missing, and a note says so.
pub fn mermaid(recording: &Recording, title: &str, min_importance: Importance) -> String {
    let (run, records) = (recording.run(), recording.records());
    let explainer = Explainer::new(run, records);
    let mut text = "sequenceDiagram\n".to_owned();
    // Writing to a string cannot fail.
    writeln!(text, "    title {}", title.replace(['#', ';', '\n'], " ")).ok();
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
        let mut lines: Vec<String> =
            diagram_line(&explainer, id, record, min_importance).into_iter().collect();
        for (invariant, _) in violated.iter().filter(|(_, witness)| *witness == id) {
            let (node, sentence) = (record.node.0, escape(invariant.sentence()));
            lines.push(format!("Note over n{node}: ✗ {invariant} violated: {sentence}"));
        }
        let len: usize = lines.iter().map(|line| line.len() + 5).sum();
        if text.len() + len > LEN_MAX {
            let at = record.at;
            writeln!(text, "    Note over n0: the run continues after {at}").ok();
            break;
        }
        for line in lines {
            writeln!(text, "    {line}").ok();
        }
    }
    text
}

/// Returns an arrow for a packet, and a note for another record. Returns `None` for the sending of
/// a packet, whose arrow follows, and for a record that is not important enough.
fn diagram_line(
    explainer: &Explainer<'_>,
    id: RecordId,
    record: &Record,
    min_importance: Importance,
) -> Option<String> {
    let (NodeId(node), at) = (record.node, record.at);
    let importance = Importance::from_record(record);
    if matches!(record.kind, RecordKind::Sent(_))
        || importance < min_importance.min(Importance::Step)
    {
        return None;
    }
    if let RecordKind::Arrived(packet) = record.kind {
        let arrow = if packet.message.is_request() { "->>" } else { "-->>" };
        let label = escape(&explainer.packet_label(packet));
        return Some(format!("n{}{arrow}n{node}: {at} {label}", packet.peer.0));
    }
    if let RecordKind::Lost { packet, .. } = record.kind {
        let (NodeId(from), NodeId(to)) = endpoints(record.node, packet);
        let arrow = if packet.message.is_request() { "-x" } else { "--x" };
        let label = escape(&explainer.packet_label(packet));
        return Some(format!("n{from}{arrow}n{to}: {at} {label}: lost"));
    }
    if importance < min_importance {
        return None;
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
