//! The state of the page and its changes.
//!
//! - Nothing here performs I/O or touches the browser, so all of it is tested natively.
//! - Nothing here names `picture` or `component`.

pub(crate) mod comparison;
pub(crate) mod event_category;
pub(crate) mod fault_options;
pub(crate) mod file_views;
pub(crate) mod goal_progress;
pub(crate) mod inspector;
pub(crate) mod intervals;
pub(crate) mod link;
pub(crate) mod live_trace;
pub(crate) mod log_rows;
pub(crate) mod notes;
pub(crate) mod player;
pub(crate) mod quiz;
pub(crate) mod scene;
pub(crate) mod shortcuts;
pub(crate) mod step_filter;
pub(crate) mod stop_condition;
pub(crate) mod target;
pub(crate) mod time_display;
pub(crate) mod timeline;
pub(crate) mod violation_search;
pub(crate) mod workspace;
