//! The stage of a crowd: a row for each lock, with its holder and its queue as a list of names, and
//! a cell for each client: the holder first, then the queue. The shade of a cell is the client's
//! remaining lease.

use std::collections::BTreeMap;

use leasehold_sim::{NodeId, VirtualTime};

use super::clients::client_label;
use super::layout::{Layout, floor_count};
use super::server::server_state;
use super::{StageInput, selectable_class};
use crate::model::client_color::node_color;
use crate::model::scene::{Client, Condition, Lock, Scene};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Area, Group, Shape, line, rect, rounded, text, to_f64};
use crate::picture::text_width::{Weight, bold_width, text_width};

/// The height of a row with text, in em.
const ROW_EM: f64 = 1.6;

/// The height of the heading, in em.
const HEADING_EM: f64 = 1.9;

/// The smallest cell, in pixels.
const CELL_MIN_PX: f64 = 3.0;

/// One row: a lock, several locks, or the clients without a lock.
#[derive(Clone, Debug)]
struct HeatRow {
    kind: RowKind,
    /// The indices of the clients.
    members: Vec<usize>,
    top: f64,
    height: f64,
}

#[derive(Clone, Copy, Debug)]
enum RowKind {
    Lock(usize),
    /// This many locks that have no row of their own.
    MoreLocks(usize),
    Idle,
}

/// The rows and cells of a crowd.
#[derive(Clone, Debug)]
pub(super) struct HeatRows {
    rows: Vec<HeatRow>,
    columns: Columns,
    em: f64,
    pub(super) row_height: f64,
    pub(super) cell_size: f64,
    /// The centre of each client's cell.
    pub(super) cells: Vec<(f64, f64)>,
    row_of: Vec<usize>,
}

/// The left edges of the columns of the table.
#[derive(Clone, Copy, Debug)]
struct Columns {
    name: f64,
    holder: f64,
    queue: f64,
    /// The right edge of the text.
    end: f64,
    /// The gutter, in which packets move, is left of the cells.
    cells: f64,
    right: f64,
}

impl Columns {
    fn new(area: Area, em: f64, scene: &Scene) -> Self {
        let size = em * 0.9;
        let names = scene.locks.iter().map(|lock| bold_width(lock.name.as_str(), size));
        let name_width = names.fold(em * 3.0, f64::max).min(area.width * 0.14);
        let clients = scene.clients.iter().map(|it| bold_width(it.name.as_str(), size));
        let holder_width = clients.fold(0.0, f64::max) + bold_width("#000 ", size);
        let holder_width = holder_width.min(area.width * 0.22);
        let name = em * 0.8;
        let holder = name + name_width + em;
        let queue = holder + holder_width + em;
        let cells_left = (area.width * 0.56).max(queue + em * 4.5);
        let gutter = (em * 6.0).min(area.width * 0.12);
        let end = cells_left - gutter;
        // Without enough room, the queue has only its cells.
        let has_queue = end - queue >= em * 6.0;
        let queue = if has_queue { queue } else { end };
        let end = if has_queue { end } else { (holder + holder_width + em * 0.6).min(end) };
        let cells = end + gutter;
        Self { name, holder, queue: queue.min(end), end, cells, right: area.width - em * 0.6 }
    }
}

impl HeatRows {
    pub(super) fn new(area: Area, em: f64, scene: &Scene) -> Self {
        let columns = Columns::new(area, em, scene);
        let rows_max = floor_count((area.height / em - HEADING_EM) / ROW_EM).max(2);
        let width = columns.right - columns.cells;
        let available = area.height - em * (HEADING_EM + 0.3);
        let height_with = |rows: &[HeatRow], cell: f64| -> f64 {
            rows.iter().map(|row| row_height(row.members.len(), cell, width, em)).sum()
        };
        // Rows with many clients have several lines, so fewer rows can be necessary.
        let mut locks_max = rows_max.saturating_sub(1);
        let mut rows = grouped(scene, locks_max);
        while locks_max > 1 && height_with(&rows, CELL_MIN_PX) > available {
            locks_max -= 1;
            rows = grouped(scene, locks_max);
        }
        let mut cell = em * 1.3;
        while cell > CELL_MIN_PX && height_with(&rows, cell) > available {
            cell -= 0.5;
        }
        let mut top = em * HEADING_EM;
        let mut cells = vec![(0.0, 0.0); scene.clients.len()];
        let mut row_of = vec![0; scene.clients.len()];
        let per_line = cells_per_line(width, cell);
        // What is left is for the names in the queues.
        let locks = rows.iter().filter(|row| matches!(row.kind, RowKind::Lock(_))).count();
        let spare = (available - height_with(&rows, cell)).max(0.0) / to_f64(locks.max(1));
        let spare = spare.min(em * 4.5);
        for (row_index, row) in rows.iter_mut().enumerate() {
            row.top = top;
            let is_lock = matches!(row.kind, RowKind::Lock(_));
            row.height = row_height(row.members.len(), cell, width, em);
            row.height += if is_lock { spare } else { 0.0 };
            let first = top + em * ROW_EM / 2.0;
            for (position, client) in row.members.iter().enumerate() {
                let (line, column) = (position / per_line, position % per_line);
                let x = columns.cells + (to_f64(column) + 0.5) * (cell + 1.5);
                cells[*client] = (x, first + to_f64(line) * (cell + 1.5));
                row_of[*client] = row_index;
            }
            top += row.height;
        }
        Self { rows, columns, em, row_height: em * ROW_EM, cell_size: cell, cells, row_of }
    }

    /// Returns the row of a client.
    pub(super) fn row_of(&self, client: usize) -> usize {
        self.row_of.get(client).copied().unwrap_or(0)
    }

    /// Returns the gutter of a row: its ends at the server and at the cells, and its height.
    pub(super) fn gutter(&self, row: usize) -> (f64, f64, f64) {
        let top = self.rows.get(row).map_or(0.0, |row| row.top);
        let margin = self.em * 0.7;
        (self.columns.end + margin, self.columns.cells - margin, top + self.em * ROW_EM / 2.0)
    }
}

fn cells_per_line(width: f64, cell: f64) -> usize {
    floor_count(width / (cell + 1.5)).max(1)
}

fn row_height(members: usize, cell: f64, width: f64, em: f64) -> f64 {
    let lines = members.div_ceil(cells_per_line(width, cell)).max(1);
    em * ROW_EM + to_f64(lines - 1) * (cell + 1.5)
}

/// Groups the clients by the lock that they hold or wait for. At most `locks_max` locks have a row
/// of their own: those with the most clients.
fn grouped(scene: &Scene, locks_max: usize) -> Vec<HeatRow> {
    let names = scene.clients.iter().enumerate().map(|(index, it)| (it.name.as_str(), index));
    let mut index_of: BTreeMap<&str, usize> = BTreeMap::new();
    index_of.extend(names);
    let mut is_grouped = vec![false; scene.clients.len()];
    let mut locks: Vec<(usize, Vec<usize>)> = Vec::new();
    for (lock_index, lock) in scene.locks.iter().enumerate() {
        let holder = lock.holder.iter().map(|holder| holder.client.as_str());
        let names = holder.chain(lock.wait_queue.iter().map(String::as_str));
        let mut members = Vec::new();
        for index in names.filter_map(|name| index_of.get(name).copied()) {
            if !std::mem::replace(&mut is_grouped[index], true) {
                members.push(index);
            }
        }
        locks.push((lock_index, members));
    }
    let mut more = Vec::new();
    if locks.len() > locks_max {
        locks.sort_by_cached_key(|(_, members)| u64::MAX - members.len() as u64);
        more = locks.split_off(locks_max.saturating_sub(1));
        locks.sort_by_cached_key(|(index, _)| *index as u64);
    }
    let row = |kind, members| HeatRow { kind, members, top: 0.0, height: 0.0 };
    let mut rows: Vec<HeatRow> =
        locks.into_iter().map(|(index, members)| row(RowKind::Lock(index), members)).collect();
    if !more.is_empty() {
        let count = more.len();
        let members = more.into_iter().flat_map(|(_, members)| members).collect();
        rows.push(row(RowKind::MoreLocks(count), members));
    }
    let idle = (0..is_grouped.len()).filter(|index| !is_grouped[*index]).collect();
    rows.push(row(RowKind::Idle, idle));
    rows
}

/// Draws the table and the cells.
pub(super) fn heat_shapes(input: &StageInput<'_>, layout: &Layout, rows: &HeatRows) -> Vec<Shape> {
    let (scene, em) = (input.scene, rows.em);
    let mut shapes = vec![heading(input, layout, rows)];
    for row in &rows.rows {
        let y = row.top + em * (ROW_EM / 2.0 + 0.32);
        let size = em * 0.9;
        let columns = rows.columns;
        match row.kind {
            RowKind::Lock(index) => {
                if let Some(lock) = scene.locks.get(index) {
                    shapes.push(lock_group(input, lock, rows, (row.top, row.height, y)));
                }
            }
            RowKind::MoreLocks(count) => {
                let label = format!("and {count} more locks");
                let label = Weight::Regular.fit(&label, size, columns.end - columns.name);
                shapes.push(text("small", (columns.name, y), Anchor::Start, size, label));
            }
            RowKind::Idle => {
                let count = row.members.len() + scene.more_clients;
                let label = format!("no lock: {count} clients");
                let label = Weight::Regular.fit(&label, size, columns.end - columns.name);
                shapes.push(text("small", (columns.name, y), Anchor::Start, size, label));
            }
        }
    }
    for (index, client) in scene.clients.iter().enumerate() {
        if let Some(at) = rows.cells.get(index) {
            shapes.push(cell(client, *at, rows.cell_size, input));
        }
    }
    shapes
}

fn heading(input: &StageInput<'_>, layout: &Layout, rows: &HeatRows) -> Shape {
    let (em, columns) = (rows.em, rows.columns);
    let target = Target::Node(NodeId::SERVER);
    let (class, state) = server_state(&input.scene.server);
    let width = columns.end - 2.0;
    let y = em * 1.25;
    let mut shapes = vec![
        rounded(class, (2.0, 2.0), (width, layout.height - 4.0), em * 0.5),
        text("title", (columns.name, y), Anchor::Start, em, "Server"),
    ];
    let state_left = columns.name + bold_width("Server", em) + em;
    let state = Weight::Regular.fit(&state, em * 0.85, columns.end - state_left - em * 0.5);
    shapes.push(text("small", (state_left, y), Anchor::Start, em * 0.85, state));
    let legend = [
        "Holder first, then the queue; a darker cell has more of its lease left",
        "Holder, then queue; darker: more lease left",
        "Holder, then queue",
    ];
    let size = em * 0.8;
    let legend = legend.iter().find(|it| text_width(it, size) <= columns.right - columns.cells);
    if let Some(legend) = legend {
        shapes.push(text("small", (columns.cells, y), Anchor::Start, size, *legend));
    }
    Shape::Group(Group {
        class: selectable_class("node", target, input.selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: super::server::server_label(input.scene),
        shapes,
    })
}

fn lock_group(
    input: &StageInput<'_>,
    lock: &Lock,
    rows: &HeatRows,
    (top, height, y): (f64, f64, f64),
) -> Shape {
    let (em, columns) = (rows.em, rows.columns);
    let (size, target) = (em * 0.9, Target::Lock(lock.id));
    let name = Weight::Bold.fit(lock.name.as_str(), size, columns.holder - columns.name - em * 0.4);
    let row_size = (columns.end - 4.0, height);
    let mut shapes = vec![
        rect("hit-area", (2.0, top), row_size),
        line("rule", (2.0, top), (columns.end, top)),
        text("name", (columns.name, y), Anchor::Start, size, name),
    ];
    let holder_width = columns.queue.min(columns.end) - columns.holder - em * 0.5;
    if let Some(holder) = &lock.holder {
        let color = super::client_class(input.scene, &holder.client);
        let holder = format!("#{} {}", holder.token, holder.client);
        let holder = Weight::Bold.fit(&holder, size, holder_width);
        let class = format!("held who-text {color}");
        shapes.push(text(class, (columns.holder, y), Anchor::Start, size, holder));
    } else {
        let free = Weight::Regular.fit("free", size, holder_width);
        shapes.push(text("small", (columns.holder, y), Anchor::Start, size, free));
    }
    let width = columns.end - columns.queue - em * 0.5;
    if width > em * 3.0 {
        let small = size * 0.92;
        let lines_max = floor_count((height - em * 0.5) / (small * 1.25)).max(1);
        let mut line_y = y;
        for names in queue_lines(&lock.wait_queue, small, width, lines_max) {
            shapes.push(text("small", (columns.queue, line_y), Anchor::Start, small, names));
            line_y += small * 1.25;
        }
    }
    Shape::Group(Group {
        class: selectable_class("row-label", target, input.selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: super::server::lock_label(lock),
        shapes,
    })
}

/// Lists the clients of a queue: as many names as fit, then how many more there are.
pub(super) fn queue_text(queue: &[String], size: f64, width: f64) -> String {
    let mut shown = String::new();
    for (index, name) in queue.iter().enumerate() {
        let separator = if index == 0 { "" } else { ", " };
        let next = format!("{shown}{separator}{name}");
        let rest = queue.len() - index - 1;
        let suffix = if rest == 0 { String::new() } else { format!(" +{rest}") };
        if text_width(&format!("{next}{suffix}"), size) > width {
            let left = queue.len() - index;
            let shortened =
                if index == 0 { format!("{left} waiting") } else { format!("{shown} +{left}") };
            return Weight::Regular.fit(&shortened, size, width);
        }
        shown = next;
    }
    shown
}

/// Lists the clients of a queue in at most `lines_max` lines.
fn queue_lines(queue: &[String], size: f64, width: f64, lines_max: usize) -> Vec<String> {
    let (mut lines, mut rest) = (Vec::new(), queue);
    while !rest.is_empty() {
        if lines.len() + 1 == lines_max {
            lines.push(queue_text(rest, size, width));
            return lines;
        }
        let mut line = String::new();
        let mut taken = 0;
        for name in rest {
            let next = format!("{line}{name}, ");
            if taken > 0 && text_width(&next, size) > width {
                break;
            }
            (line, taken) = (next, taken + 1);
        }
        rest = &rest[taken..];
        let end = if rest.is_empty() { ", " } else { " " };
        lines.push(Weight::Regular.fit(line.trim_end_matches(end), size, width));
    }
    lines
}

/// Draws the cell of a client.
fn cell(client: &Client, at: (f64, f64), size: f64, input: &StageInput<'_>) -> Shape {
    let target = Target::Node(client.node);
    let half = size / 2.0;
    let class = cell_class(client, input.now);
    let mut shapes = vec![rounded(class, (-half, -half), (size, size), (size * 0.2).min(3.0))];
    match client.condition {
        Condition::Crashed => {
            let (a, b) = (half * 0.5, -half * 0.5);
            shapes.push(line("cell-mark", (b, b), (a, a)));
            shapes.push(line("cell-mark", (b, a), (a, b)));
        }
        Condition::Paused => {
            let x = half * 0.3;
            shapes.push(line("cell-mark", (-x, -half * 0.5), (-x, half * 0.5)));
            shapes.push(line("cell-mark", (x, -half * 0.5), (x, half * 0.5)));
        }
        Condition::NotStarted | Condition::Running | Condition::Finished => {}
    }
    let base = if client.holds_lock { "node cell-node holds" } else { "node cell-node" };
    Shape::Group(Group {
        class: format!(
            "{} {}",
            selectable_class(base, target, input.selected),
            node_color(client.node)
        )
        .into(),
        at,
        target: Some(target),
        label: client_label(client, input.now),
        shapes,
    })
}

/// Returns the class of a cell, with the shade of its remaining lease.
fn cell_class(client: &Client, now: VirtualTime) -> &'static str {
    match client.condition {
        Condition::Crashed => return "cell crashed",
        Condition::Paused => return "cell paused",
        Condition::NotStarted => return "cell not-started",
        Condition::Running | Condition::Finished => {}
    }
    let remaining = client.server_lease.map_or(0.0, |lease| lease.remaining_fraction(now));
    match remaining {
        it if it <= 0.0 => "cell heat-0",
        it if it <= 0.25 => "cell heat-1",
        it if it <= 0.5 => "cell heat-2",
        it if it <= 0.75 => "cell heat-3",
        _ => "cell heat-4",
    }
}
