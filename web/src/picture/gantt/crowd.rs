//! What is too close together to be drawn one by one: a band, and how many they are.

use leasehold_sim::{LockNo, Moment, NodeNo};

use super::Drawing;
use crate::model::bars::Crowd;
use crate::picture::shape::{Anchor, Group, Shape, rounded, text, text_width};

/// Whether a row is a crowd at this moment, of which one can't tell what it has in it.
pub(super) fn is_crowded(crowds: &[Crowd], row: (LockNo, Option<NodeNo>), at: Moment) -> bool {
    crowds.iter().any(|it| (it.lock, it.client) == row && it.from <= at && at <= it.until)
}

impl Drawing<'_> {
    /// The crowds of a row, which is that of the server or of a client.
    pub(super) fn crowds(
        &mut self,
        lock: LockNo,
        client: Option<NodeNo>,
        (top, height): (f64, f64),
    ) {
        let now = self.subject.now;
        let mine = self.crowds.iter().filter(|it| (it.lock, it.client) == (lock, client));
        for crowd in mine.filter(|it| it.from <= now) {
            let (x1, x2) = (self.axis.x(crowd.from), self.axis.x(crowd.until.min(now)));
            let class = match client {
                None => "crowd",
                Some(_) if self.subject.is_inferred => "crowd beliefs inferred",
                Some(_) => "crowd beliefs",
            };
            let mut shapes = vec![rounded(class, (x1, top), ((x2 - x1).max(2.0), height), 2.0)];
            let what = if client.is_some() { "beliefs" } else { "tenures" };
            let (full, short) = (format!("{} {what}", crowd.count), format!("×{}", crowd.count));
            let size = (height * 0.66).min(self.em_text);
            let room = x2 - x1 - size * 1.6;
            // The bars of clients are too low for letters, and tell the same.
            let mut names = [&full, &short].into_iter().filter(|_| client.is_none());
            let shown = names.find(|it| text_width(it, size) <= room);
            if let Some(shown) = shown {
                let at = (x1.midpoint(x2), top + height / 2.0 + size * 0.35);
                shapes.push(text("on-crowd", at, Anchor::Middle, size, shown.clone()));
            }
            self.shapes.push(Shape::Group(Group {
                class: "crowded".into(),
                at: (0.0, 0.0),
                target: None,
                label: format!("{full} from {} to {}", crowd.from, crowd.until.min(now)),
                shapes,
            }));
        }
    }
}
