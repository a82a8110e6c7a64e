//! Folders for what a bench stores, gone when it ends.

#![allow(dead_code, reason = "each bench uses its part of this")]

use std::path::Path;

use tempfile::TempDir;

/// Where Linux has a file system in memory.
const MEMORY_FS_DIR: &str = "/dev/shm";

/// In memory; on the disk where there is no file system in memory.
pub(crate) fn in_memory() -> TempDir {
    if Path::new(MEMORY_FS_DIR).is_dir() { temp_dir_in(MEMORY_FS_DIR) } else { on_disk() }
}

/// On the disk that the build is on.
pub(crate) fn on_disk() -> TempDir {
    temp_dir_in(env!("CARGO_TARGET_TMPDIR"))
}

fn temp_dir_in(parent: &str) -> TempDir {
    tempfile::tempdir_in(parent).expect("a temporary folder can be made")
}
