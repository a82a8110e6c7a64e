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

    /// Copies the directory, with everything in it, to a path that does not exist.
    pub fn copy_to(&self, path: &Path) {
        copy_directory(&self.0, path);
    }

    /// Returns the paths of all regular files in the directory.
    pub fn all_files(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect_files(&self.0, &mut files);
        files.sort();
        files
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

fn entries(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).expect("the directory can be listed");
    entries.map(|entry| entry.expect("the directory can be listed").path()).collect()
}

fn copy_directory(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a directory can be created");
    for path in entries(from) {
        let to = to.join(path.file_name().expect("an entry has a name"));
        if path.is_dir() {
            copy_directory(&path, &to);
        } else {
            fs::copy(&path, &to).expect("a file can be copied");
        }
    }
}

fn collect_files(path: &Path, files: &mut Vec<PathBuf>) {
    for path in entries(path) {
        if path.is_dir() {
            collect_files(&path, files);
        } else {
            files.push(path);
        }
    }
}
