//! Runs as files: as JSON, which can be read again; for [ShiViz](https://bestchai.bitbucket.io/shiviz),
//! which draws what happened before what; as a Mermaid sequence diagram.

mod mermaid;
mod recording;
mod shiviz;
mod vector_clocks;

pub use mermaid::mermaid;
pub use recording::{Recording, RecordingError, RecordingHeader};
pub use shiviz::shiviz;
