//! The state of the page and its changes.
//!
//! - Nothing here performs I/O or touches the browser, so all of it is tested natively.
//! - Nothing here names `picture` or `component`.

pub(crate) mod cause_chain;
pub(crate) mod client_color;
pub(crate) mod client_names;
pub(crate) mod comparison;
mod correct_run;
pub(crate) mod event_category;
pub(crate) mod fault_options;
pub(crate) mod file_views;
pub(crate) mod flags;
pub(crate) mod glossary;
pub(crate) mod goal_progress;
pub(crate) mod inspector;
pub(crate) mod intervals;
pub(crate) mod lease_view;
pub(crate) mod link;
pub(crate) mod live_trace;
pub(crate) mod log_rows;
pub(crate) mod log_search;
pub(crate) mod next_steps;
pub(crate) mod notes;
pub(crate) mod panel_data;
pub(crate) mod player;
pub(crate) mod progress;
pub(crate) mod protection_labels;
pub(crate) mod quiz;
pub(crate) mod scene;
pub(crate) mod shortcuts;
pub(crate) mod step_filter;
pub(crate) mod stop_condition;
pub(crate) mod target;
pub(crate) mod time_display;
pub(crate) mod timeline;
pub(crate) mod toggle;
pub(crate) mod tour;
pub(crate) mod violation_search;
pub(crate) mod workspace;
