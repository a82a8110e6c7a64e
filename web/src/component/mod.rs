//! The page as components: they take what is to be shown, hold no facts, and tell what is wanted.

mod above;
mod acts;
pub(crate) mod app;
mod compare;
mod controls;
mod derived;
mod dialog;
mod dialogs;
mod draw;
mod exports;
mod hands;
mod header;
mod hunting;
mod keyboard;
mod live;
mod live_head;
mod log;
pub(crate) mod notes;
mod page;
mod paint;
mod panels;
mod pictures;
mod question;
mod search;
