//! A file system of a few megabytes, which a test can fill.

use std::env;
use std::fs::{self, File};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::log::log;

/// A file system in memory. Unmounted when dropped.
pub struct SmallDisk(TempDir);

impl SmallDisk {
    /// Mounts a file system of 64 MiB. Returns `None` if the variable `LEASEHOLD_SKIP_MOUNT` is
    /// set: mounting needs the privileges of root.
    ///
    /// # Panics
    /// If it cannot be mounted.
    pub fn mount() -> Option<Self> {
        if env::var_os("LEASEHOLD_SKIP_MOUNT").is_some() {
            log("disk", "skipped because LEASEHOLD_SKIP_MOUNT is set");
            return None;
        }
        let directory = TempDir::with_prefix("leasehold-").expect("a temporary directory");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64m", "none"]).arg(directory.path());
        assert!(
            mount.status().is_ok_and(|status| status.success()),
            "cannot mount a tmpfs: run as root, or set LEASEHOLD_SKIP_MOUNT"
        );
        Some(Self(directory))
    }

    /// Returns where the file system is mounted.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Fills all space with one file.
    ///
    /// # Panics
    /// If that file cannot be created.
    pub fn fill(&self) {
        let ballast = File::options().write(true).create(true).truncate(false).open(self.ballast());
        let ballast = ballast.expect("a file on the small disk");
        let chunk = [0; 4_096];
        let mut offset = ballast.metadata().expect("an open file").len();
        while ballast.write_at(&chunk, offset).is_ok_and(|len| len == chunk.len()) {
            offset += 4_096;
        }
        log("disk", format_args!("full, with {offset} bytes of ballast"));
    }

    /// Frees this much space after [`SmallDisk::fill`].
    ///
    /// # Panics
    /// If the disk is not filled.
    pub fn free_bytes(&self, bytes: u64) {
        let ballast = File::options().write(true).open(self.ballast()).expect("a full disk");
        let len = ballast.metadata().expect("an open file").len();
        ballast.set_len(len.saturating_sub(bytes)).expect("a shorter file");
    }

    /// Frees all space that [`SmallDisk::fill`] has taken.
    ///
    /// # Panics
    /// If the disk is not filled.
    pub fn free(&self) {
        fs::remove_file(self.ballast()).expect("a full disk");
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily, because the server may still be running if the test has failed.
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}
