//! Pictures as geometry. Pure, so that they can be tested natively and exported as files.

pub(crate) mod axis;
pub(crate) mod gantt;
mod lanes;
pub(crate) mod reconciler;
pub(crate) mod shape;
pub(crate) mod spacetime;
pub(crate) mod stage;
mod stage_layout;
pub(crate) mod stage_packets;
pub(crate) mod symbol;
pub(crate) mod tape;
pub(crate) mod workspace_pictures;
