//! Pictures as geometry. Pure, so that they can be tested natively and exported as files.

#[cfg(test)]
mod audit;
pub(crate) mod axis;
pub(crate) mod card;
mod causal_cones;
pub(crate) mod exported;
pub(crate) mod gantt;
pub(crate) mod hero;
#[cfg(test)]
mod hidden_future;
pub(crate) mod icon;
mod labels;
mod lanes;
pub(crate) mod load;
#[cfg(test)]
mod path_bounds;
pub(crate) mod presented_text;
pub(crate) mod reconciler;
pub(crate) mod shape;
pub(crate) mod spacetime;
pub(crate) mod stage;
#[cfg(test)]
mod styles;
pub(crate) mod symbol;
pub(crate) mod tape;
pub(crate) mod text_width;
pub(crate) mod thumbnail;
mod who;
pub(crate) mod workspace_pictures;
