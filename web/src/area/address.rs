//! The address of the page: the moment that it shows, and its entries in the browser's history.
//!
//! Each run has an entry of its own, so that the browser's Back and Forward lead from run to run.
//! The moment within a run replaces the address of its entry, so that a reload keeps it.

use super::context::Context;
use super::live::LiveMsg;
use super::start::StartMsg;
use super::tour::TourMsg;
use crate::model::link::{LINK_LEN_MAX, Link};
use crate::model::workspace::{RunId, Workspace};

/// How long after a change the moment is written into the address, in milliseconds: while the run
/// is paused, and while it plays. Browsers limit the number of changes to about 20 a second.
pub(super) const PAUSED_MOMENT_MS: u32 = 100;
pub(super) const PLAYING_MOMENT_MS: u32 = 1_000;

/// An entry of the browser's history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    /// The query of the URL.
    pub(crate) query: String,
    /// The run, to be found again without its query.
    pub(crate) run: RunId,
    /// The query that describes the run completely. It differs from `query` if it is too long for a
    /// URL; the browser stores it with the entry.
    pub(crate) full_query: String,
    /// Whether to add an entry. If not, the current one is replaced.
    pub(crate) is_new: bool,
}

impl Address {
    pub(super) fn of(workspace: &Workspace, is_new: bool) -> Self {
        let link = workspace.address();
        let full_query = link.to_query();
        let query = if full_query.len() <= LINK_LEN_MAX {
            full_query.clone()
        } else {
            link.without_run().to_query()
        };
        Self { query, run: workspace.run_id(), full_query, is_new }
    }
}

impl Address {
    /// Returns the address of the start screen, as a new entry.
    pub(super) fn of_start(workspace: &Workspace) -> Self {
        let query = String::new();
        Self { full_query: query.clone(), query, run: workspace.run_id(), is_new: true }
    }
}

/// What identifies the moment on the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Moment {
    run: RunId,
    revision: u64,
    now_us: u64,
}

impl Moment {
    pub(super) fn of(workspace: &Workspace) -> Self {
        Self {
            run: workspace.run_id(),
            revision: workspace.revision,
            now_us: workspace.timeline().now().as_micros(),
        }
    }
}

/// Shows an entry of the browser's history. `run` is unset if another page load has made the entry.
pub(super) fn show_entry(run: Option<RunId>, query: &str, cx: &mut Context<'_>) {
    let link = Link::parse(query);
    cx.send(TourMsg::Abandon);
    if link == Link::default() {
        cx.send(StartMsg::Show);
        return;
    }
    cx.send(StartMsg::Hide);
    if link.is_live {
        cx.send(LiveMsg::Enter);
        return;
    }
    cx.workspace.player.is_playing = false;
    if run.is_some_and(|run| cx.workspace.reopen(run)) {
        return;
    }
    cx.workspace.open_link(&link);
    cx.update_address();
}
