//! A server's data directory, as a user with a shell sees it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::wait::wait_for;

/// A server's data directory.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Refers to the directory at this path, which need not exist yet.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Returns the path of the directory.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of a guarded file.
    pub fn file_path(&self, name: &str) -> PathBuf {
        self.0.join("files").join(name)
    }

    /// Returns the path of the log, a directory.
    pub fn log_path(&self) -> PathBuf {
        self.0.join("log")
    }

    /// Returns the paths of the log's segments, the newest last.
    pub fn segment_paths(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(self.log_path()).expect("the log can be listed");
        let paths = entries.map(|entry| entry.expect("the log can be listed").path());
        let mut segments: Vec<PathBuf> =
            paths.filter(|path| path.extension().is_some_and(|it| it == "segment")).collect();
        segments.sort();
        segments
    }

    /// Returns the path of the state file, which the server writes for people to read.
    pub fn state_path(&self) -> PathBuf {
        self.0.join("server_state.json")
    }

    /// Returns the contents of a guarded file, or an empty string if the file does not exist.
    pub fn contents(&self, name: &str) -> String {
        let bytes = fs::read(self.file_path(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Waits until a guarded file has at least this many lines, and returns its contents.
    ///
    /// # Panics
    /// If the lines do not appear.
    #[track_caller]
    pub fn wait_for_lines(&self, name: &str, count: usize) -> String {
        wait_for(&format!("{count} lines in {name}"), || {
            let contents = self.contents(name);
            (contents.matches('\n').count() >= count).then_some(contents)
        })
    }

    /// Waits until a guarded file has exactly these contents.
    ///
    /// The server acknowledges an append when it is in the log, shortly before it is in the
    /// file. A missing end is therefore waited for; anything else that differs is final.
    ///
    /// # Panics
    /// If the file has other contents, or the missing end does not appear.
    #[track_caller]
    pub fn expect_contents(&self, name: &str, contents: &str) {
        wait_for(&format!("{name} to contain {contents:?}"), || {
            let found = self.contents(name);
            assert!(
                contents.starts_with(&found),
                "{name} should contain\n{contents:?}\nbut contains\n{found:?}"
            );
            (found == contents).then_some(())
        });
    }
}
