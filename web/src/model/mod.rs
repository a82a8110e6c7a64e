//! What the page knows, and how it changes. Pure, so it is tested natively.

pub(crate) mod bars;
pub(crate) mod compare;
pub(crate) mod faults;
pub(crate) mod fields;
pub(crate) mod files;
pub(crate) mod film;
pub(crate) mod footage;
pub(crate) mod goal;
pub(crate) mod hunt;
pub(crate) mod keys;
pub(crate) mod lesson;
pub(crate) mod link;
pub(crate) mod log;
pub(crate) mod notes;
pub(crate) mod player;
pub(crate) mod scene;
pub(crate) mod studio;
pub(crate) mod until;
