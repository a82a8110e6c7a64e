//! The components of the page, and the painter of the pictures.
//!
//! - [`app`] owns the state of the page and passes it on; [`page_view`] draws it.
//! - Every other component draws from properties that can be compared, holds no facts, and emits
//!   callbacks. The callbacks are created once, so a component whose properties are unchanged is
//!   not drawn again.
//! - [`host`] performs the effects; [`keyboard`] parses keys; [`painter`] paints the pictures.

pub(crate) mod app;
mod callbacks;
mod caption;
mod comparison;
mod controls;
mod dialog;
mod dropdown;
mod figure;
mod files;
mod header;
mod host;
mod icon;
mod inspector;
mod invariants;
mod key_hint;
mod keyboard;
mod live_bar;
mod log;
mod log_search;
mod next_steps;
pub(crate) mod notes_window;
mod page_history;
mod page_view;
mod painter;
mod protections;
mod question;
mod scenario_bar;
mod scenario_card;
mod seed_menu;
mod side_view;
mod stage_panel;
mod start;
mod strip;
mod terms;
mod thumbnail;
mod timeline_panel;
mod toasts;
mod tour;
mod who;
mod why;
