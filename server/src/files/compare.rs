//! Compares the guarded files with the log, without changing either.
//!
//! Bytes are written to a file only after they are durable in the log. So bytes in a file that the
//! log does not account for prove that the log has lost something, unless another program has
//! written them; they are never a reason to truncate the file.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use leasehold_core::id::Name;
use rustix::fs::OFlags;

use super::{checksum, open_regular_file};
use crate::log::Recovered;

/// How a guarded file contradicts the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FileContradiction {
    /// It has more bytes than were ever appended, according to the log.
    #[error(
        "guarded file {name} has {found} bytes, but the log accounts for {logged}: the log has \
         lost acknowledged appends, or another program has renamed or written the file; if it was \
         renamed, move it out of the directory"
    )]
    Unaccounted {
        /// The name of the file.
        name: Name,
        /// The length according to the log.
        logged: u64,
        /// The length of the file.
        found: u64,
    },
    /// Its first bytes, which the log no longer contains, were changed.
    #[error(
        "guarded file {name} was changed in its first {len} bytes, which the log no longer \
         contains; restore the file from a copy"
    )]
    Changed {
        /// The name of the file.
        name: Name,
        /// The number of bytes that had this checksum.
        len: u64,
    },
    /// It lacks bytes that the log no longer contains, because a snapshot covers them.
    #[error(
        "guarded file {name} has only {found} bytes, and the log no longer contains the bytes \
         before {expected}; restore the file from a copy"
    )]
    Truncated {
        /// The name of the file.
        name: Name,
        /// The length that the file should have at least.
        expected: u64,
        /// The length of the file.
        found: u64,
    },
}

/// Returns the contradictions between the files in a directory and the log. Entries that are not
/// regular files are ignored. Reads all files.
///
/// # Errors
/// If the directory or a file cannot be read.
pub fn compare_files(dir: &Path, recovered: &Recovered) -> io::Result<Vec<FileContradiction>> {
    let mut found = regular_file_lengths(dir)?;
    let mut first_appends = BTreeMap::new();
    for append in &recovered.appends {
        first_appends.entry(&append.file).or_insert(append.offset);
    }
    let mut contradictions = Vec::new();
    for (name, file) in recovered.state.files() {
        let Some(found) = found.remove(name).unwrap_or(Some(0)) else { continue };
        let logged = file.len();
        let expected = first_appends.get(name).copied().unwrap_or(logged);
        if found > logged {
            let name = name.clone();
            contradictions.push(FileContradiction::Unaccounted { name, logged, found });
        } else if found < expected {
            let name = name.clone();
            contradictions.push(FileContradiction::Truncated { name, expected, found });
        } else if let Some(checksum) = recovered.file_checksums.get(name)
            && !checksum::matches(&File::open(dir)?, name, *checksum)?
        {
            let (name, len) = (name.clone(), checksum.len);
            contradictions.push(FileContradiction::Changed { name, len });
        }
    }
    let others = found.into_iter().filter_map(|(name, found)| Some((name, found?)));
    contradictions.extend(
        others
            .filter(|(_, found)| *found > 0)
            .map(|(name, found)| FileContradiction::Unaccounted { name, logged: 0, found }),
    );
    Ok(contradictions)
}

/// Returns the lengths of the files in a directory, or `None` for those that are not regular
/// files. A directory that does not exist is empty.
///
/// # Errors
/// If the directory cannot be read.
pub fn regular_file_lengths(dir: &Path) -> io::Result<BTreeMap<Name, Option<u64>>> {
    let dir = match File::open(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        dir => dir?,
    };
    let mut lengths = BTreeMap::new();
    for entry in rustix::fs::Dir::read_from(&dir)? {
        let entry = entry?;
        let Some(name) = entry.file_name().to_str().ok().and_then(|it| Name::new(it).ok()) else {
            continue;
        };
        let metadata = open_regular_file(&dir, &name, OFlags::RDONLY).and_then(|it| it.metadata());
        let len = metadata.ok().map(|metadata| metadata.len());
        lengths.insert(name, len);
    }
    Ok(lengths)
}
