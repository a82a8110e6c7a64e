//! Intervals that are too close together to be drawn one by one: a band with their number.

use leasehold_sim::{LockId, NodeId, VirtualTime};

use super::Drawing;
use crate::model::client_color::{NEUTRAL, node_color};
use crate::model::intervals::Aggregate;
use crate::picture::shape::{Anchor, Group, Shape, rounded, text};
use crate::picture::text_width::{Weight, first_that_fits};

/// Whether a row shows only aggregates at this time.
pub(super) fn is_aggregated(
    aggregates: &[Aggregate],
    row: (LockId, Option<NodeId>),
    at: VirtualTime,
) -> bool {
    aggregates.iter().any(|it| (it.lock, it.client) == row && it.from <= at && at <= it.until)
}

impl Drawing<'_> {
    /// Draws the aggregates of a row, of the server or of a client.
    pub(super) fn draw_aggregates(
        &mut self,
        lock: LockId,
        client: Option<NodeId>,
        (top, height): (f64, f64),
    ) {
        let now = self.input.view.now;
        let row_aggregates =
            self.aggregates.iter().filter(|it| (it.lock, it.client) == (lock, client));
        for aggregate in row_aggregates.filter(|it| it.from <= now) {
            let (x1, x2) =
                (self.axis.x_of(aggregate.from), self.axis.x_of(aggregate.until.min(now)));
            let class = match client {
                None => "aggregate",
                Some(_) if self.input.view.is_inferred => "aggregate of-beliefs inferred",
                Some(_) => "aggregate of-beliefs",
            };
            let mut shapes = vec![rounded(class, (x1, top), ((x2 - x1).max(2.0), height), 2.0)];
            let unit = if client.is_some() { "beliefs" } else { "tenures" };
            let full_label = format!("{} {unit}", aggregate.count);
            let short_label = format!("×{}", aggregate.count);
            let size = (height * 0.5).min(self.metrics.em);
            let available = x2 - x1 - size * 1.6;
            // The bars of clients are too low for labels, and carry the same information.
            let texts = [full_label.as_str(), short_label.as_str()];
            let label = first_that_fits(Weight::Bold, &texts, size, available);
            if let Some(label) = label.filter(|_| client.is_none()) {
                let at =
                    (x1.midpoint(x2), top + (height - self.metrics.em * 0.42) / 2.0 + size * 0.36);
                shapes.push(text("aggregate-label", at, Anchor::Middle, size, label));
            }
            self.shapes.push(Shape::Group(Group {
                class: format!("aggregate-group {}", client.map_or(NEUTRAL, node_color)).into(),
                at: (0.0, 0.0),
                target: None,
                label: format!(
                    "{full_label} from {} to {}",
                    aggregate.from,
                    aggregate.until.min(now)
                ),
                shapes,
            }));
        }
    }
}
