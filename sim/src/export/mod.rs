//! Export formats: JSON recordings, which can be imported again; logs for
//! [ShiViz](https://bestchai.bitbucket.io/shiviz), which draws the happened-before relation;
//! Mermaid sequence diagrams; and Rust tests.

mod mermaid;
mod recording;
mod rust_test;
mod shiviz;
mod vector_clocks;

pub use mermaid::mermaid;
pub use recording::{Recording, RecordingError, RecordingHeader};
pub use rust_test::rust_test;
pub use shiviz::shiviz;
