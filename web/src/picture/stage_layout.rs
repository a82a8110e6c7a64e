//! The layout of the stage.
//!
//! Few clients form a column at the left, with the server right of the centre and its files beside
//! it. Many clients form a ring around the server.

use std::f64::consts::TAU;

use leasehold_sim::NodeId;

use super::shape::{Area, clamp, to_f64};
use super::stage::{evenly_spaced, is_crowded};

/// The distance of each of the two lanes of a link from its centre line, in pixels.
const LANE_OFFSET: f64 = 3.5;

/// The height of the text with a file's number of lines, in em.
pub(crate) const COUNT_ROW_EM: f64 = 1.15;

/// Below this width, in em, names do not fit beside the clients, and files are not drawn.
const NARROW_EM: f64 = 40.0;

#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) em: f64,
    /// The font size of the clients' names, which must fit one below the other.
    pub(crate) name_em: f64,
    pub(crate) client_radius: f64,
    pub(crate) packet_radius: f64,
    /// The nodes of `clients`, in ascending order.
    nodes: Vec<NodeId>,
    pub(crate) clients: Vec<(f64, f64)>,
    pub(crate) server: (f64, f64),
    pub(crate) server_size: (f64, f64),
    /// The number of locks that have a row in the server.
    pub(crate) server_rows: usize,
    /// The left edge and the width of the files, if they fit.
    pub(crate) files: Option<(f64, f64)>,
    pub(crate) sheet_rows: usize,
    files_count: usize,
    height: f64,
    pub(crate) names_beside: bool,
    pub(crate) names_below: bool,
    pub(crate) name_width: f64,
    is_crowd: bool,
}

impl Layout {
    /// Computes the layout for these clients, in ascending order, and this number of locks.
    pub(crate) fn new(area: Area, nodes: Vec<NodeId>, locks: usize) -> Self {
        let layout = if is_crowded(nodes.len()) {
            Self::ring(area, nodes.len(), locks)
        } else {
            Self::column(area, nodes.len(), locks)
        };
        Self { nodes, ..layout }
    }

    fn column(area: Area, count: usize, locks: usize) -> Self {
        let Area { width, height, em } = area;
        let is_narrow = width < NARROW_EM * em;
        let step = height / to_f64(count.max(1));
        let available = if is_narrow { step - em * 1.3 } else { step };
        let r = clamp(available / 2.0 - 9.0, 8.0, em * 1.45);
        let name_width = if is_narrow { em * 5.5 } else { em * 12.5 };
        let x = if is_narrow { r + em * 1.6 } else { name_width + r + 24.0 };
        let bulge = if count > 2 && !is_narrow { (width * 0.04).min(30.0) } else { 0.0 };
        let clients = (0..count).map(|index| {
            let y = evenly_spaced(index, count, height);
            let distance = (y / height - 0.5) * 2.0;
            let name_offset = if is_narrow { em * 0.6 } else { 0.0 };
            (x + bulge * (1.0 - distance * distance) - bulge * 0.3, y - name_offset)
        });
        let count_row_em = if is_narrow { COUNT_ROW_EM } else { 0.0 };
        let (rows, server_height) = server_rows(height, em, locks, count_row_em);
        let server_width = if is_narrow { (width * 0.42).max(em * 10.0) } else { em * 15.5 };
        let files = (!is_narrow).then(|| {
            let file_width = clamp(width * 0.2, em * 8.5, em * 13.0);
            (width - file_width - 10.0, file_width)
        });
        let right = files.map_or(width - 8.0, |(x, _)| x - em * 1.6);
        Self {
            em,
            name_em: if is_narrow { em } else { em.min(step / 2.5) },
            client_radius: r,
            packet_radius: (em * 0.62).min(r * 0.8).max(6.0),
            nodes: Vec::new(),
            clients: clients.collect(),
            server: (right - server_width / 2.0, height / 2.0),
            server_size: (server_width, server_height),
            server_rows: rows,
            files,
            sheet_rows: sheet_rows(height, em, locks),
            files_count: locks,
            height,
            names_beside: !is_narrow,
            names_below: is_narrow,
            name_width,
            is_crowd: false,
        }
    }

    fn ring(area: Area, count: usize, locks: usize) -> Self {
        let Area { width, height, em } = area;
        let perimeter = std::f64::consts::PI * (width + height) / 2.0;
        let r = clamp(perimeter / to_f64(count) / 2.0 - 9.0, 3.5, em * 1.1);
        let edge = r + 12.0;
        let (center_x, center_y) = (width / 2.0, height / 2.0);
        let (radius_x, radius_y) = (center_x - edge, center_y - edge);
        let clients = (0..count).map(|index| {
            let (sine, cosine) = evenly_spaced(index, count, TAU).sin_cos();
            (center_x - radius_x * cosine, center_y - radius_y * sine)
        });
        let (rows, server_height) = server_rows(height * 0.62, em, locks, 0.0);
        Self {
            em,
            name_em: em,
            client_radius: r,
            packet_radius: clamp(r * 0.75, 3.0, em * 0.55),
            nodes: Vec::new(),
            clients: clients.collect(),
            server: (center_x, center_y),
            server_size: ((em * 15.5).min(width * 0.5), server_height),
            server_rows: rows,
            files: None,
            sheet_rows: 0,
            files_count: 0,
            height,
            names_beside: false,
            names_below: false,
            name_width: 0.0,
            is_crowd: true,
        }
    }

    pub(crate) fn sheet_height(&self) -> f64 {
        self.em * (1.75 + 1.15 * to_f64(self.sheet_rows))
    }

    /// Returns the top of a file's sheet, or `None` if it does not fit.
    pub(crate) fn sheet_top(&self, index: usize, height: f64) -> Option<f64> {
        let top = evenly_spaced(index, self.files_count, self.height) - height / 2.0;
        let step = self.height / to_f64(self.files_count.max(1));
        (step >= self.em * 1.9).then_some(top.max(2.0))
    }

    /// Returns the position of a packet that has travelled this fraction of its link.
    pub(crate) fn position_on_link(
        &self,
        from: NodeId,
        to: NodeId,
        fraction: f64,
    ) -> Option<(f64, f64)> {
        let client = if from.is_server() { to } else { from };
        let index = self.nodes.binary_search(&client).ok()?;
        let (near, far) = self.link_ends(index)?;
        let (a, b) = if from.is_server() { (far, near) } else { (near, far) };
        let (dx, dy) = (b.0 - a.0, b.1 - a.1);
        let length = dx.hypot(dy).max(1.0);
        // Each direction has its own lane, at its right.
        let (off_x, off_y) = (-dy / length * LANE_OFFSET, dx / length * LANE_OFFSET);
        Some((a.0 + dx * fraction + off_x, a.1 + dy * fraction + off_y))
    }

    /// Returns the ends of a client's link: at the client, and at the server.
    fn link_ends(&self, client: usize) -> Option<((f64, f64), (f64, f64))> {
        let at = *self.clients.get(client)?;
        let (half_width, half_height) = (self.server_size.0 / 2.0, self.server_size.1 / 2.0);
        let end = if self.is_crowd {
            let (dx, dy) = (at.0 - self.server.0, at.1 - self.server.1);
            let scale = (half_width / dx.abs().max(0.1)).min(half_height / dy.abs().max(0.1));
            (self.server.0 + dx * scale, self.server.1 + dy * scale)
        } else {
            let link_span = self.server_size.1 * 0.8;
            let y = evenly_spaced(client, self.clients.len(), link_span) - link_span / 2.0;
            (self.server.0 - half_width, self.server.1 + y)
        };
        let (dx, dy) = (end.0 - at.0, end.1 - at.1);
        let length = dx.hypot(dy).max(1.0);
        let gap = self.client_radius + 9.0;
        Some(((at.0 + dx / length * gap, at.1 + dy / length * gap), end))
    }
}

/// Returns how many locks have a row in this height, and the resulting height of the server.
/// `extra_em` is added to the height of each row.
fn server_rows(height: f64, em: f64, locks: usize, extra_em: f64) -> (usize, f64) {
    let available = height - em * 2.6;
    let row = em * (1.55 + extra_em);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let rows_max = (available / row).max(1.0) as usize;
    let rows = if locks <= rows_max { locks } else { rows_max.saturating_sub(1) };
    let overflow_row = if rows < locks { em * 1.4 } else { 0.0 };
    (rows, em * 2.2 + row * to_f64(rows) + overflow_row)
}

fn sheet_rows(height: f64, em: f64, locks: usize) -> usize {
    let available = height / to_f64(locks.max(1)) - em * 2.4;
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let rows = (available / (em * 1.15)).max(0.0) as usize;
    rows.min(3)
}
