//! The areas of the page: the messages that each part of it handles, its state, and its changes.
//!
//! - Each area has an enum of messages, a struct of state, and one `update` that handles every
//!   message of its enum. [`PageState`] owns the areas and routes messages to them.
//! - Areas share the [`Workspace`](crate::model::workspace::Workspace), and nothing else. An area
//!   that wants something from another sends it a message with [`Context::send`].
//! - Nothing here touches the browser. What the browser must do is returned as [`Effect`]s, and
//!   what it can be asked is in the [`Environment`]. So all of this is tested natively.
//!
//! From an event to the screen, each step has one name: a listener *parses* an event into a
//! message, an area *updates* its state and *applies* the change to the workspace, the workspace
//! *refreshes* what it derives from that, components and pictures are *drawn* from the result, and
//! pictures are *painted* into the document.

pub(crate) mod address;
pub(crate) mod compare;
pub(crate) mod context;
pub(crate) mod effect;
pub(crate) mod inject;
pub(crate) mod layout;
pub(crate) mod live;
pub(crate) mod message;
pub(crate) mod page_state;
pub(crate) mod panels;
pub(crate) mod player;
pub(crate) mod present;
#[cfg(test)]
mod present_tests;
pub(crate) mod question;
pub(crate) mod scenario;
pub(crate) mod search;
pub(crate) mod selection;
pub(crate) mod share;
pub(crate) mod start;
#[cfg(test)]
mod start_tests;
#[cfg(test)]
mod tests;
pub(crate) mod timeline;
pub(crate) mod tour;
pub(crate) mod why;
