//! The components of the page. They receive properties, hold no facts, and emit callbacks.

pub(crate) mod app;
mod commands;
mod comparison;
mod controls;
mod dialog;
mod dialogs;
mod export;
mod figure;
mod handlers;
mod header;
mod keyboard;
mod layout;
mod live_connection;
mod live_header;
mod log;
mod messages;
pub(crate) mod notes_window;
mod overlays;
mod painter;
mod panel_cache;
mod panels;
mod pictures;
mod question;
mod search_dialog;
mod search_handlers;
