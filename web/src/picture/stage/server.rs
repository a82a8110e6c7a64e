//! The server on the stage, with a row for each lock, and the files beside it.

use leasehold_sim::NodeId;

use super::heat::queue_text;
use super::layout::{Layout, Rect};
use super::{StageInput, client_class, selectable_class};
use crate::model::client_color::node_color;
use crate::model::event_category::EventCategory;
use crate::model::file_views::line_count_text;
use crate::model::scene::{Condition, FileLine, LineFault, Lock, Scene, Server, clock_fault_text};
use crate::model::target::Target;
use crate::picture::shape::{Anchor, Group, Shape, fill_numbers, line, path, rect, rounded, text};
use crate::picture::text_width::{Weight, bold_width, text_width};

/// Draws the server with its locks.
pub(super) fn server_shape(input: &StageInput<'_>, layout: &Layout) -> Shape {
    let (scene, em) = (input.scene, layout.em);
    let Rect { left, top, width, height } = layout.server;
    let (body, state) = server_state(&scene.server);
    let mut shapes = vec![rounded(body, (left, top), (width, height), em * 0.6)];
    let (inner_left, inner_right) = (left + em * 0.8, left + width - em * 0.8);
    let y = top + em * 1.45;
    shapes.push(text("title", (inner_left, y), Anchor::Start, em, "Server"));
    let state_width = inner_right - inner_left - bold_width("Server", em) - em * 0.6;
    let shown_state = Weight::Regular.fit_words(&state, em * 0.85, state_width);
    shapes.push(text("small", (inner_right, y), Anchor::End, em * 0.85, shown_state));
    let rows = layout.server_rows.min(scene.locks.len());
    let mut row_top = top + em * 2.15;
    for lock in &scene.locks[..rows] {
        shapes.push(line("rule", (left, row_top), (left + width, row_top)));
        shapes.extend(lock_row_shapes(input, lock, layout, (inner_left, inner_right, row_top)));
        row_top += layout.server_row_height;
    }
    if rows < scene.locks.len() {
        let more = format!("and {} more locks", scene.locks.len() - rows);
        let y = row_top + em * 0.9;
        shapes.push(text("small", (inner_left, y), Anchor::Start, em * 0.85, more));
    }
    if scene.server.condition == Condition::Crashed {
        let at = (left + width - em * 0.9, top + em * 0.1);
        shapes.extend(EventCategory::cross(at, em * 0.5, "face-mark"));
    }
    let target = Target::Node(NodeId::SERVER);
    Shape::Group(Group {
        class: selectable_class("node", target, input.selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: server_label(scene),
        shapes,
    })
}

/// Returns the class of the server's body, and its state as text.
pub(super) fn server_state(server: &Server) -> (&'static str, String) {
    let body = match server.condition {
        Condition::Crashed => "server crashed",
        Condition::NotStarted => "server not-started",
        Condition::Paused => "server paused",
        Condition::Running | Condition::Finished => "server",
    };
    let state = match server.condition {
        Condition::Crashed => "crashed".to_owned(),
        Condition::NotStarted => "not started yet".to_owned(),
        Condition::Paused => "paused".to_owned(),
        Condition::Running | Condition::Finished => {
            let flush_text =
                if server.unflushed_events == 0 { String::new() } else { "flushing…".to_owned() };
            clock_fault_text(server.clock.ahead_ms, server.clock.rate_ppm).unwrap_or(flush_text)
        }
    };
    (body, state)
}

pub(super) fn server_label(scene: &Scene) -> String {
    let held = scene.locks.iter().filter(|lock| lock.holder.is_some()).count();
    let (_, state) = server_state(&scene.server);
    let separator = if state.is_empty() { "" } else { " " };
    format!("server{separator}{state}; {held} of {} locks held", scene.locks.len())
}

pub(super) fn lock_label(lock: &Lock) -> String {
    let holder = match &lock.holder {
        Some(holder) => format!("held by {} with token {}", holder.client, holder.token),
        None => "free".to_owned(),
    };
    match lock.wait_queue.len() {
        0 => format!("lock {}: {holder}", lock.name),
        count => {
            format!("lock {}: {holder}; {count} waiting: {}", lock.name, lock.wait_queue.join(", "))
        }
    }
}

/// Returns the middle of the first line of a lock's row, or `None` if it has no row.
pub(super) fn lock_row_y(layout: &Layout, index: usize) -> Option<f64> {
    let rows = crate::picture::shape::to_f64(index);
    (index < layout.server_rows)
        .then_some(layout.server.top + layout.em * 2.95 + rows * layout.server_row_height)
}

fn lock_row_shapes(
    input: &StageInput<'_>,
    lock: &Lock,
    layout: &Layout,
    (left, right, top): (f64, f64, f64),
) -> Vec<Shape> {
    let em = layout.em;
    let (size, small) = (em * 0.9, em * 0.78);
    let y = top + em * 1.12;
    // The holder gets the width that the name leaves.
    let name_width = (bold_width(lock.name.as_str(), size) + em * 0.6).min((right - left) * 0.5);
    let name = Weight::Bold.fit(lock.name.as_str(), size, name_width);
    let mut shapes = vec![text("name", (left, y), Anchor::Start, size, name)];
    let mut holder_right = right;
    let waiting = lock.wait_queue.len();
    if waiting > 0 && !layout.has_queues {
        let waiting = format!("+{waiting}");
        shapes.push(text("small", (right, y), Anchor::End, small, waiting.clone()));
        holder_right -= text_width(&waiting, small) + em * 0.35;
    }
    let width = holder_right - left - name_width;
    match &lock.holder {
        Some(holder) => {
            let class = format!("held who-text {}", client_class(input.scene, &holder.client));
            let full = format!("#{} {}", holder.token, holder.client);
            let holder = Weight::Bold.fit(&full, size, width);
            shapes.push(text(class, (holder_right, y), Anchor::End, size, holder));
        }
        None => shapes.push(text("small", (holder_right, y), Anchor::End, size, "free")),
    }
    if layout.has_queues {
        let queue_y = y + em * 1.08;
        if layout.files.is_none() && matches!(layout.arrangement, super::Arrangement::NarrowColumn)
        {
            // Without file sheets, the row shows the number of lines.
            let count = line_count_text(lock.line_count, lock.is_partial_count);
            shapes.push(text("small", (right, queue_y + em * 1.05), Anchor::End, small, count));
        }
        if waiting > 0 {
            let label = "waiting: ";
            let label_width = text_width(label, small);
            let names = queue_text(&lock.wait_queue, small, right - left - label_width);
            let queue = format!("{label}{names}");
            shapes.push(text("small", (left, queue_y), Anchor::Start, small, queue));
        }
    }
    shapes
}

/// Draws a file beside the server: its last lines, each with its token and its client's colour.
pub(super) fn file_sheet(
    input: &StageInput<'_>,
    layout: &Layout,
    index: usize,
    lock: &Lock,
) -> Option<Shape> {
    let (x, width) = layout.files?;
    let em = layout.em;
    let height = layout.sheet_height();
    let top = layout.sheet_top(index, input.scene.locks.len())?;
    let fold = em * 0.7;
    let (right, bottom) = (x + width, top + height);
    let outline =
        fill_numbers("M_ _H_L_ _V_H_Z", &[x, top, right - fold, right, top + fold, bottom, x]);
    let mut shapes = vec![path("sheet", outline)];
    let y = top + em * 1.25;
    let plus = if lock.is_partial_count { "+" } else { "" };
    let count = format!("{plus}{}", lock.line_count);
    let count_width = text_width(&count, em * 0.8) + em * 1.7;
    let title = Weight::Bold.fit(lock.name.as_str(), em * 0.9, width - count_width - em * 0.8);
    shapes.push(text("name", (x + em * 0.7, y), Anchor::Start, em * 0.9, title));
    shapes.push(text("small", (right - em * 1.1, y), Anchor::End, em * 0.8, count));
    let skipped = lock.last_lines.len().saturating_sub(layout.sheet_rows);
    let mut row_top = top + em * 1.75;
    for written in &lock.last_lines[skipped..] {
        shapes.extend(file_line(written, (x, row_top, width), em));
        row_top += em * 1.25;
    }
    let target = Target::Lock(lock.id);
    let count = line_count_text(lock.line_count, lock.is_partial_count);
    Some(Shape::Group(Group {
        class: selectable_class("file", target, input.selected),
        at: (0.0, 0.0),
        target: Some(target),
        label: format!("file {}: {count}", lock.name),
        shapes,
    }))
}

/// Draws one line of a file: a margin in the client's colour, the token, and the client.
fn file_line(written: &FileLine, (left, top, width): (f64, f64, f64), em: f64) -> Vec<Shape> {
    let color = written.client.map(node_color);
    let (size, height) = (em * 0.82, em * 1.15);
    let mut shapes = Vec::new();
    let fault = match written.fault {
        LineFault::None => "",
        LineFault::Stale => ", stale",
        LineFault::Duplicate => ", duplicate",
    };
    let is_wrong = written.fault != LineFault::None;
    if is_wrong {
        shapes.push(rect("wrong-line", (left + 0.5, top), (width - 1.0, height)));
    }
    if let Some(color) = &color {
        shapes.push(rect(format!("who-fill {color}"), (left, top), (em * 0.34, height)));
    }
    let (x, y) = (left + em * 0.8, top + em * 0.86);
    let token = written.token.map_or_else(|| "·".to_owned(), |token| format!("#{token}"));
    let token_width = bold_width(&token, size);
    let token_class = match color {
        _ if is_wrong => "alarm".to_owned(),
        Some(color) => format!("held who-text {color}"),
        None => "written".to_owned(),
    };
    shapes.push(text(token_class, (x, y), Anchor::Start, size, token));
    let name_x = x + token_width + size * 0.4;
    let rest = format!("{}{fault}", written.text);
    let rest = Weight::Regular.fit(&rest, size, left + width - name_x - em * 0.2);
    let class = if is_wrong { "wrong-text" } else { "written" };
    shapes.push(text(class, (name_x, y), Anchor::Start, size, rest));
    shapes
}
