//! The layout of the stage, in three designs.
//!
//! - Few clients form a column with names at the left; the files are beside the server.
//! - More clients form a grid with names. The clients of a row share a bus to the server, so that
//!   packets never cover names.
//! - A crowd is a heat grid: a row for each lock with its queue; see [`super::heat`].

use leasehold_sim::NodeId;

use super::heat::HeatRows;
use crate::model::scene::Scene;
use crate::picture::shape::{Area, clamp, to_f64};
use crate::picture::text_width::bold_width;

/// The narrowest picture with names beside the clients, in pixels.
const NARROW_PX: f64 = 480.0;

/// The smallest font size of names, in pixels.
const TEXT_MIN_PX: f64 = 10.0;

/// The width of a column layout with short lines, in em.
const COMPACT_EMS: f64 = 44.0;

/// How far left of the server the links of a narrow picture bend, in em. Before, they are level, so
/// that packets do not cover the names below.
const NARROW_BEND_EM: f64 = 2.2;

/// How far the arcs extend around a client, as a multiple of its radius.
pub(super) const EXTENT: f64 = 1.62;

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Rect {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

/// How the clients are arranged.
#[derive(Clone, Debug)]
pub(super) enum Arrangement {
    /// One below the other, names at the left.
    Column,
    /// One below the other, names below; for phones.
    NarrowColumn,
    Grid(Grid),
    Heat(HeatRows),
}

/// The cells of a grid.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Grid {
    pub(super) columns: usize,
    pub(super) cell_width: f64,
    pub(super) row_height: f64,
    /// The height of the lanes below the cells of a row.
    pub(super) bus_height: f64,
    pub(super) text_size: f64,
    /// Whether the activity is below the name.
    pub(super) has_activity: bool,
}

/// Where everything is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub(super) em: f64,
    pub(super) height: f64,
    pub(super) arrangement: Arrangement,
    pub(super) client_radius: f64,
    pub(super) packet_radius: f64,
    /// The nodes of `clients`, in ascending order.
    nodes: Vec<NodeId>,
    pub(super) clients: Vec<(f64, f64)>,
    pub(super) server: Rect,
    /// The number of locks that have a row in the server, and the height of a row.
    pub(super) server_rows: usize,
    pub(super) server_row_height: f64,
    /// Whether there is room for the queue below each lock.
    pub(super) has_queues: bool,
    /// The left edge and the width of the files, if they fit.
    pub(super) files: Option<(f64, f64)>,
    pub(super) sheet_rows: usize,
    pub(super) name_width: f64,
}

/// A place on a link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct LinkPlace {
    pub(super) at: (f64, f64),
    /// Packets of the same lane can cover each other.
    pub(super) lane: (usize, bool),
}

impl Layout {
    pub(super) fn new(area: Area, scene: &Scene) -> Self {
        let nodes: Vec<NodeId> = scene.clients.iter().map(|client| client.node).collect();
        let (count, locks) = (nodes.len(), scene.locks.len());
        let layout = if area.width < NARROW_PX {
            Self::narrow_column(area, count, locks)
        } else {
            Self::column(area, count, locks)
        };
        let layout =
            layout.or_else(|| Self::grid(area, scene)).unwrap_or_else(|| Self::heat(area, scene));
        Self { nodes, ..layout }
    }

    /// Returns an empty layout, for all arrangements to begin with.
    fn blank(area: Area, em: f64, arrangement: Arrangement) -> Self {
        Self {
            em,
            height: area.height,
            arrangement,
            client_radius: 0.0,
            packet_radius: 0.0,
            nodes: Vec::new(),
            clients: Vec::new(),
            server: Rect::default(),
            server_rows: 0,
            server_row_height: 0.0,
            has_queues: false,
            files: None,
            sheet_rows: 0,
            name_width: 0.0,
        }
    }

    fn column(area: Area, count: usize, locks: usize) -> Option<Self> {
        let Area { width, height, .. } = area;
        let step = height / to_f64(count.max(1));
        // While presenting, large type matters more than long lines.
        let is_compact = area.em * COMPACT_EMS > width;
        let (ems, names, server, files) =
            if is_compact { (COMPACT_EMS, 9.0, 12.5, 9.5) } else { (56.0, 12.5, 15.0, 10.5) };
        let target = area.em.min(width / ems);
        let em = target.min(step / 2.75);
        if count > 0 && em < (target * 0.78).max(TEXT_MIN_PX) {
            return None;
        }
        let r = ((step / 2.0 - 2.0) / EXTENT).min(em * 1.55);
        let name_width = clamp(width * if is_compact { 0.2 } else { 0.25 }, em * names, em * 19.0);
        let x = name_width + em * 0.8 + r * EXTENT;
        let bulge = if count > 2 { (width * 0.03).min(em * 2.0) } else { 0.0 };
        let clients = (0..count).map(|index| {
            let y = evenly_spaced(index, count, height);
            let distance = (y / height - 0.5) * 2.0;
            (x + bulge * (0.7 - distance * distance), y)
        });
        let file_width = clamp(width * 0.19, em * files, em * 14.0);
        let file_left = width - file_width - em * 0.8;
        let server_width = em * server;
        let right = file_left - em * 1.8;
        let layout = Self {
            client_radius: r,
            packet_radius: (em * 0.62).min(r * 0.8).max(6.0),
            clients: clients.collect(),
            files: Some((file_left, file_width)),
            sheet_rows: sheet_rows(height, em, locks),
            name_width,
            ..Self::blank(area, em, Arrangement::Column)
        };
        Some(layout.with_server((right - server_width, server_width), (em, locks), 0.0))
    }

    fn narrow_column(area: Area, count: usize, locks: usize) -> Option<Self> {
        let Area { width, height, em } = area;
        let step = height / to_f64(count.max(1));
        // The name is below the client.
        let text = em * 1.15;
        let r = ((step - text - 2.0) / 2.0 / EXTENT).min(em * 1.2);
        if count > 0 && r < 6.5 {
            return None;
        }
        let x = (r * EXTENT + 4.0).max(em * 1.6);
        let clients = (0..count).map(|index| (x, step * to_f64(index) + r * EXTENT + 1.0));
        let server_width = (width * 0.46).max(em * 11.0);
        let layout = Self {
            client_radius: r,
            packet_radius: (em * 0.62).min(r * 0.86),
            clients: clients.collect(),
            name_width: width - server_width - em * NARROW_BEND_EM - 14.0,
            ..Self::blank(area, em, Arrangement::NarrowColumn)
        };
        Some(layout.with_server((width - server_width - 6.0, server_width), (em, locks), 1.15))
    }

    fn grid(area: Area, scene: &Scene) -> Option<Self> {
        let Area { width, height, .. } = area;
        let count = scene.clients.len();
        let em = area.em.min(width / 40.0).max(TEXT_MIN_PX.min(area.em));
        let server_width = (em * 15.0).min(width * 0.42);
        let server_left = width - server_width - em * 0.6;
        let available = server_left - em * 2.2;
        let grid = fitting_grid(scene, (available, height - 4.0), em)?;
        let r = cell_radius(&grid);
        let rows = count.div_ceil(grid.columns);
        let top = (height - to_f64(rows) * grid.row_height) / 2.0;
        let clients = (0..count).map(|index| {
            let (row, column) = (index / grid.columns, index % grid.columns);
            let x = em * 0.6 + to_f64(column) * grid.cell_width + r * EXTENT;
            let cell_height = grid.row_height - grid.bus_height;
            (x, top + to_f64(row) * grid.row_height + cell_height / 2.0)
        });
        let layout = Self {
            client_radius: r,
            packet_radius: (grid.bus_height / 4.0 - 0.5).max(2.5),
            clients: clients.collect(),
            name_width: grid.cell_width - r * EXTENT * 2.0 - grid.text_size * 0.9,
            ..Self::blank(area, em, Arrangement::Grid(grid))
        };
        let layout = layout.with_server((server_left, server_width), (em, scene.locks.len()), 0.0);
        // Every bus ends at the server.
        let (server_top, bottom) = (top.max(2.0), (height - top).min(height - 2.0));
        let lowest = layout.server.height.max(bottom - server_top);
        let server = Rect { top: (height - lowest) / 2.0, height: lowest, ..layout.server };
        Some(Self { server, ..layout })
    }

    fn heat(area: Area, scene: &Scene) -> Self {
        let em = area.em.min(area.width / 48.0).max(TEXT_MIN_PX.min(area.em));
        let rows = HeatRows::new(area, em, scene);
        let layout = Self {
            client_radius: rows.cell_size / 2.0,
            packet_radius: clamp(rows.row_height / 4.0 - 0.5, 2.5, em * 0.4),
            clients: rows.cells.clone(),
            ..Self::blank(area, em, Arrangement::Heat(rows))
        };
        let server = Rect { left: 0.0, top: 0.0, width: area.width, height: area.height };
        Self { server, ..layout }
    }

    /// Adds the server with as many locks as fit. `extra_em` is added to the height of each row.
    fn with_server(
        self,
        (left, width): (f64, f64),
        (em, locks): (f64, usize),
        extra_em: f64,
    ) -> Self {
        let available = self.height - em * 2.8;
        let with_queue = em * (2.75 + extra_em);
        let has_queues = with_queue * to_f64(locks) <= available;
        let row = if has_queues { with_queue } else { em * (1.6 + extra_em) };
        let rows_max = floor_count((available / row).max(1.0));
        let rows = if locks <= rows_max { locks } else { rows_max.saturating_sub(1) };
        let overflow_row = if rows < locks { em * 1.4 } else { 0.0 };
        let height = em * 2.3 + row * to_f64(rows) + overflow_row;
        Self {
            server: Rect { left, top: (self.height - height) / 2.0, width, height },
            server_rows: rows,
            server_row_height: row,
            has_queues,
            ..self
        }
    }

    pub(super) fn sheet_height(&self) -> f64 {
        self.em * (1.95 + 1.25 * to_f64(self.sheet_rows))
    }

    /// Returns the top of a file's sheet, or `None` if it does not fit.
    pub(super) fn sheet_top(&self, index: usize, files: usize) -> Option<f64> {
        let step = self.height / to_f64(files.max(1));
        let height = self.sheet_height();
        (step >= height + 2.0).then(|| evenly_spaced(index, files, self.height) - height / 2.0)
    }

    /// Returns the index of a client on the stage.
    pub(super) fn index_of(&self, node: NodeId) -> Option<usize> {
        self.nodes.binary_search(&node).ok()
    }

    /// Returns the place of a packet that has travelled this fraction of its link.
    pub(super) fn place_on_link(
        &self,
        from: NodeId,
        to: NodeId,
        fraction: f64,
    ) -> Option<LinkPlace> {
        let is_from_server = from.is_server();
        let index = self.index_of(if is_from_server { to } else { from })?;
        let travelled = if is_from_server { 1.0 - fraction } else { fraction };
        Some(match &self.arrangement {
            Arrangement::Column | Arrangement::NarrowColumn => {
                let at = along(&self.direct_link(index, is_from_server), travelled);
                LinkPlace { at, lane: (index, is_from_server) }
            }
            Arrangement::Grid(grid) => {
                let row = index / grid.columns;
                let at = along(&self.bus_way(grid, index, is_from_server), travelled);
                LinkPlace { at, lane: (row, is_from_server) }
            }
            Arrangement::Heat(rows) => {
                let row = rows.row_of(index);
                let (left, right, y) = rows.gutter(row);
                let offset = self.packet_radius + 0.5;
                let y = if is_from_server { y + offset } else { y - offset };
                LinkPlace {
                    at: (right + (left - right) * travelled, y),
                    lane: (row, is_from_server),
                }
            }
        })
    }

    /// Returns the corners of the link of a column, from the client to the server. Each direction
    /// has its own lane.
    fn direct_link(&self, index: usize, is_from_server: bool) -> Vec<(f64, f64)> {
        let (near, far) = self.link_ends(index);
        let offset = self.lane_offset() * if is_from_server { -1.0 } else { 1.0 };
        let mut corners = vec![near, far];
        if matches!(self.arrangement, Arrangement::NarrowColumn) {
            corners.insert(1, ((far.0 - self.em * NARROW_BEND_EM).max(near.0), near.1));
        }
        corners.iter().map(|(x, y)| (*x, y + offset)).collect()
    }

    /// Returns the corners of the part of a link that belongs to its client alone, from the client.
    pub(super) fn own_link(&self, index: usize, is_from_server: bool) -> Vec<(f64, f64)> {
        match &self.arrangement {
            Arrangement::Column | Arrangement::NarrowColumn => {
                self.direct_link(index, is_from_server)
            }
            Arrangement::Grid(grid) => {
                // Down to the bus.
                let (x, y) = self.clients.get(index).copied().unwrap_or_default();
                let bus = self.bus_y(grid, index, is_from_server);
                vec![(x, y + self.client_radius * EXTENT), (x, bus)]
            }
            Arrangement::Heat(_) => Vec::new(),
        }
    }

    /// Returns the distance of each of the two lanes of a link from its centre line.
    fn lane_offset(&self) -> f64 {
        (self.packet_radius * 0.8).max(3.5)
    }

    /// Returns the ends of the link of a column: at the client, and at the server.
    fn link_ends(&self, index: usize) -> ((f64, f64), (f64, f64)) {
        let at = self.clients.get(index).copied().unwrap_or_default();
        let span = self.server.height * 0.8;
        let offset = evenly_spaced(index, self.clients.len(), span) - span / 2.0;
        let end = (self.server.left, self.server.top + self.server.height / 2.0 + offset);
        let (dx, dy) = (end.0 - at.0, end.1 - at.1);
        let length = dx.hypot(dy).max(1.0);
        let gap = self.client_radius * EXTENT + 3.0;
        if matches!(self.arrangement, Arrangement::NarrowColumn) {
            return ((at.0 + gap, at.1), end);
        }
        ((at.0 + dx / length * gap, at.1 + dy / length * gap), end)
    }

    /// Returns the corners of the way of a grid from a client down to its bus, and along it.
    fn bus_way(&self, grid: &Grid, index: usize, is_from_server: bool) -> [(f64, f64); 3] {
        let (x, y) = self.clients.get(index).copied().unwrap_or_default();
        let lane = self.bus_y(grid, index, is_from_server);
        [(x, y + self.client_radius * EXTENT), (x, lane), (self.server.left, lane)]
    }

    /// Returns the vertical position of a direction's lane of the bus below a client.
    pub(super) fn bus_y(&self, grid: &Grid, index: usize, is_from_server: bool) -> f64 {
        let (_, y) = self.clients.get(index).copied().unwrap_or_default();
        let cell_bottom = y + (grid.row_height - grid.bus_height) / 2.0;
        let quarter = grid.bus_height / 4.0;
        cell_bottom + if is_from_server { quarter * 3.0 } else { quarter }
    }
}

/// Returns the point at a fraction of the length of a line with corners.
fn along(corners: &[(f64, f64)], fraction: f64) -> (f64, f64) {
    let lengths =
        corners.windows(2).map(|pair| (pair[1].0 - pair[0].0).hypot(pair[1].1 - pair[0].1));
    let mut left = fraction * lengths.clone().sum::<f64>();
    for (pair, length) in corners.windows(2).zip(lengths) {
        if left <= length && length > 0.0 {
            let part = left / length;
            let (from, to) = (pair[0], pair[1]);
            return (from.0 + (to.0 - from.0) * part, from.1 + (to.1 - from.1) * part);
        }
        left -= length;
    }
    corners.last().copied().unwrap_or_default()
}

/// Returns the largest grid with names for these clients, or `None` if none fits.
fn fitting_grid(scene: &Scene, (width, height): (f64, f64), em: f64) -> Option<Grid> {
    let names = scene.clients.iter().map(|it| bold_width(it.name.as_str(), 1.0));
    let widest = names.fold(bold_width("0", 1.0), f64::max);
    let activities = scene.clients.iter().map(|it| it.activity.len());
    let has_states = activities.max().is_some();
    // Two lines of text if they are readable, else only names, as large as possible.
    let sizes = |least: f64| {
        let steps = (0..=20_u32).map(move |it| em - (em - least) * f64::from(it) / 20.0);
        steps.filter(move |size| *size >= least)
    };
    let two_lines = sizes((em * 0.8).max(TEXT_MIN_PX)).map(|size| (size, has_states));
    let one_line = sizes(TEXT_MIN_PX.max(em * 0.45)).map(|size| (size, false));
    let mut grids = two_lines.chain(one_line).filter_map(|(text_size, has_activity)| {
        let bus_height = (text_size * 0.95).max(10.0);
        let cell_height = text_size * if has_activity { 2.45 } else { 1.75 };
        let grid = Grid {
            columns: 1,
            cell_width: 0.0,
            row_height: cell_height + bus_height,
            bus_height,
            text_size,
            has_activity,
        };
        let text_width = if has_activity { widest.max(7.5) } else { widest } * text_size;
        let needed = cell_radius(&grid) * EXTENT * 2.0 + text_width + text_size * 0.9;
        let columns = floor_count(width / needed).min(scene.clients.len());
        let rows = scene.clients.len().div_ceil(columns.max(1));
        let fits = columns > 0 && to_f64(rows) * grid.row_height <= height;
        fits.then(|| Grid {
            columns,
            cell_width: (width / to_f64(columns)).min(needed * 1.35),
            ..grid
        })
    });
    grids.next()
}

fn cell_radius(grid: &Grid) -> f64 {
    ((grid.row_height - grid.bus_height) / 2.0 - 0.5) / EXTENT
}

fn sheet_rows(height: f64, em: f64, locks: usize) -> usize {
    let available = height / to_f64(locks.max(1)) - em * 2.2;
    floor_count(available / (em * 1.25)).min(5)
}

/// Rounds down to a count of at least 0.
pub(super) fn floor_count(number: f64) -> usize {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small number")]
    let count = clamp(number, 0.0, 1e6) as usize;
    count
}

/// Returns the centre of one of `count` equal parts of a length.
pub(super) fn evenly_spaced(index: usize, count: usize, length: f64) -> f64 {
    length * (to_f64(index) + 0.5) / to_f64(count.max(1))
}
