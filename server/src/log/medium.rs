//! What a log is stored on: a directory of files that are allocated before they are written.

use std::fmt::Debug;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A directory of files. Tests replace it by one that injects faults.
pub trait Medium: Debug + Send + Sync + 'static {
    /// Returns the names of the files.
    ///
    /// # Errors
    /// If the directory cannot be read.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Reads a file, from the disk and not from memory where the system permits that: after a
    /// failed flush, memory may contain what the disk does not.
    ///
    /// # Errors
    /// If the file cannot be read.
    fn read(&self, name: &str) -> io::Result<Vec<u8>>;

    /// Creates a file of this length, which consists of zeros and whose space is allocated. An
    /// existing file of this name is replaced.
    ///
    /// # Errors
    /// If there is no space, for example.
    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn LogFile>>;

    /// Opens a file for writing.
    ///
    /// # Errors
    /// If it does not exist or cannot be opened.
    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>>;

    /// Renames a file. An existing file of the new name is replaced.
    ///
    /// # Errors
    /// If that fails.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If that fails.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Makes the names of the files durable.
    ///
    /// # Errors
    /// If the flush fails.
    fn sync_names(&self) -> io::Result<()>;
}

/// A file of the log.
pub trait LogFile: Debug + Send + Sync {
    /// Writes bytes at an offset, within the length of the file.
    ///
    /// # Errors
    /// If the write fails; part of it may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Reads bytes at an offset, within the length of the file.
    ///
    /// # Errors
    /// If the read fails.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()>;

    /// Makes everything durable that was written.
    ///
    /// # Errors
    /// If the flush fails.
    fn sync(&self) -> io::Result<()>;
}

/// A directory of the file system.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    file: File,
}

impl Directory {
    /// Opens a directory.
    ///
    /// # Errors
    /// If it does not exist or cannot be opened.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: File::open(path)? })
    }

    /// Creates a directory that only its owner can read: the log contains secrets.
    ///
    /// # Errors
    /// If it exists or cannot be created.
    pub fn create(path: &Path) -> io::Result<Self> {
        DirBuilder::new().mode(0o700).create(path)?;
        Self::open(path)
    }
}

impl Medium for Directory {
    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let path = self.path.join(name);
        drop_cached_pages(&File::open(&path)?)?;
        fs::read(path)
    }

    fn create(&self, name: &str, len: u64) -> io::Result<Arc<dyn LogFile>> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        let file = options.open(self.path.join(name))?;
        allocate(&file, len)?;
        Ok(Arc::new(file))
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn LogFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

impl LogFile for File {
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<()> {
        self.read_exact_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }
}

/// Flushes the file and drops its pages from memory.
#[cfg(target_os = "linux")]
fn drop_cached_pages(file: &File) -> io::Result<()> {
    use rustix::io::Errno;
    // A file system that is mounted read-only has nothing to flush.
    match rustix::fs::fdatasync(file) {
        Ok(()) | Err(Errno::ROFS) => {}
        Err(error) => return Err(error.into()),
    }
    match rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        // Not every file system supports it.
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn drop_cached_pages(_: &File) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    if len == 0 {
        return Ok(());
    }
    match rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), 0, len)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(len),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn allocate(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}
