//! Runs as files: as JSON, which can be read again; for [ShiViz](https://bestchai.bitbucket.io/shiviz),
//! which draws what happened before what; as a Mermaid sequence diagram.

mod clocks;
mod json;
mod mermaid;
mod shiviz;

pub use json::{BadRecording, Recording, Trace};
pub use mermaid::mermaid;
pub use shiviz::shiviz;
