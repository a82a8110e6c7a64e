//! What is drawn, as geometry: pure, so it is tested natively, and so it can be saved as a file.

pub(crate) mod axis;
pub(crate) mod gantt;
mod lanes;
pub(crate) mod shape;
pub(crate) mod spacetime;
pub(crate) mod stage;
mod stage_layout;
pub(crate) mod stage_packets;
pub(crate) mod symbol;
pub(crate) mod tape;
