//! What the page knows, and how it changes. Pure, so it is tested natively.

pub(crate) mod bars;
pub(crate) mod film;
pub(crate) mod player;
pub(crate) mod scene;
