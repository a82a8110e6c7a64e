//! Export formats: JSON recordings, which can be imported again; logs for
//! [ShiViz](https://bestchai.bitbucket.io/shiviz), which draws the happened-before relation; and
//! Mermaid sequence diagrams.

mod mermaid;
mod recording;
mod shiviz;
mod vector_clocks;

pub use mermaid::mermaid;
pub use recording::{Recording, RecordingError, RecordingHeader};
pub use shiviz::shiviz;
