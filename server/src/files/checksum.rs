//! Checksums of the guarded files, for the part of them that the log no longer contains.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::Path;

use leasehold_core::id::Name;
use rustix::fs::OFlags;

use super::open_regular_file;
use crate::log::{FileChecksum, FileChecksums};

/// Returns the checksums of files up to these lengths. Only what they have in addition to
/// `previous` is read. Files that cannot be read that far are omitted.
pub fn extend_checksums<'a>(
    dir: &Path,
    lengths: impl IntoIterator<Item = (&'a Name, u64)>,
    previous: &FileChecksums,
) -> FileChecksums {
    let Ok(dir) = File::open(dir) else { return FileChecksums::new() };
    let mut checksums = FileChecksums::new();
    for (name, len) in lengths {
        let start = previous.get(name).filter(|previous| previous.len <= len);
        let start = start.copied().unwrap_or(FileChecksum { len: 0, crc32: 0 });
        let extended = if start.len == len { Ok(start) } else { extend(&dir, name, start, len) };
        checksums.extend(extended.ok().map(|checksum| (name.clone(), checksum)));
    }
    checksums
}

/// Returns whether a file still begins with the bytes of the checksum.
///
/// # Errors
/// If the file cannot be read.
pub(super) fn matches(dir: &File, name: &Name, expected: FileChecksum) -> io::Result<bool> {
    let start = FileChecksum { len: 0, crc32: 0 };
    Ok(extend(dir, name, start, expected.len)? == expected)
}

fn extend(dir: &File, name: &Name, start: FileChecksum, len: u64) -> io::Result<FileChecksum> {
    let mut file = open_regular_file(dir, name, OFlags::RDONLY)?;
    file.seek(SeekFrom::Start(start.len))?;
    let mut hasher = crc32fast::Hasher::new_with_initial_len(start.crc32, start.len);
    let mut reader = BufReader::with_capacity(64 << 10, file).take(len - start.len);
    let mut chunk = vec![0; 64 << 10];
    let mut found = start.len;
    loop {
        let read = reader.read(&mut chunk)?;
        if read == 0 {
            break;
        }
        hasher.update(&chunk[..read]);
        found += read as u64;
    }
    if found < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(FileChecksum { len, crc32: hasher.finalize() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_continued_and_changes_are_found() {
        let dir = tempfile::tempdir().unwrap();
        let [a, b] = ["a", "b"].map(|name| Name::new(name).unwrap());
        let write = |text: &str| std::fs::write(dir.path().join("a"), text).unwrap();
        let checksums = |len, previous: &_| extend_checksums(dir.path(), [(&a, len)], previous);
        write("one,two,three");
        let first = checksums(4, &FileChecksums::new());
        let continued = checksums(8, &first);
        assert_eq!(continued, checksums(8, &FileChecksums::new()));
        let handle = File::open(dir.path()).unwrap();
        assert!(matches(&handle, &a, first[&a]).unwrap());
        assert!(matches(&handle, &a, continued[&a]).unwrap());
        write("one,tw#,three");
        assert!(matches(&handle, &a, first[&a]).unwrap());
        assert!(!matches(&handle, &a, continued[&a]).unwrap());
        assert!(checksums(14, &continued).is_empty(), "the file is too short");
        assert!(extend_checksums(dir.path(), [(&b, 1)], &continued).is_empty());
    }
}
