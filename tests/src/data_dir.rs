//! The data folder, as somebody with a shell sees it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::log::wait_for;

/// A server's data folder.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path, which need not be there yet.
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Where a guarded file is.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join("files").join(name)
    }

    /// Where the journal is.
    pub fn journal(&self) -> PathBuf {
        self.0.join("journal.redb")
    }

    /// Where the state is written down for people.
    pub fn state(&self) -> PathBuf {
        self.0.join("server_state.json")
    }

    /// What is in a guarded file; nothing where there is none.
    pub fn contents(&self, name: &str) -> String {
        let bytes = fs::read(self.file(name)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Panics unless this, to the byte, is what a guarded file holds.
    ///
    /// An append is acknowledged when it is in the journal, a moment before it is in the file; so
    /// what is still missing at its end is waited for. Anything that should not be there is final.
    #[track_caller]
    pub fn expect(&self, name: &str, contents: &str) {
        wait_for(&format!("{name} to hold {contents:?}"), || {
            let found = self.contents(name);
            assert!(
                contents.starts_with(&found),
                "{name} should hold\n{contents:?}\nand holds\n{found:?}"
            );
            (found == contents).then_some(())
        });
    }
}
