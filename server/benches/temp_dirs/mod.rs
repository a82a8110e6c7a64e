//! Temporary directories for benches.

#![allow(dead_code, reason = "each bench uses only a part of this module")]

use std::path::Path;

use tempfile::TempDir;

/// The directory of Linux's in-memory file system.
const MEMORY_FS_DIR: &str = "/dev/shm";

/// Returns a directory in memory, or on disk if there is no in-memory file system.
pub(crate) fn in_memory() -> TempDir {
    if Path::new(MEMORY_FS_DIR).is_dir() { temp_dir_in(MEMORY_FS_DIR) } else { on_disk() }
}

/// Returns a directory on the disk of the build.
pub(crate) fn on_disk() -> TempDir {
    temp_dir_in(env!("CARGO_TARGET_TMPDIR"))
}

fn temp_dir_in(parent: &str) -> TempDir {
    tempfile::tempdir_in(parent).expect("cannot create a temporary directory")
}
