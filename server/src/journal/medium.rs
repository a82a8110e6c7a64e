//! What the journal is written on: a file that is really there before it is written to, and that
//! one server has at a time.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use redb::StorageBackend;

use super::OpenError;

/// Something that a journal can be opened on, again and again.
pub trait Medium: Debug + Send + Sync + 'static {
    /// Opens it. The last one that was opened is not used any more by then.
    ///
    /// # Errors
    /// Where it can't be had.
    fn open(&self) -> io::Result<Box<dyn StorageBackend>>;
}

/// A file in the data folder.
#[derive(Debug)]
pub struct FileMedium {
    file: Arc<File>,
    /// Locked for as long as this lives. The folder, not the file: the file is made under another
    /// name and takes the place of an old one, and two who make it must not miss each other.
    folder: Arc<File>,
}

impl FileMedium {
    /// Opens the file of this name in a data folder. What is read from it is what the disk holds:
    /// a flush that has failed leaves in memory what was to be flushed, and there it looks like
    /// all else (Rebello et al., "Can Applications Recover from fsync Failures?", 2020).
    ///
    /// # Errors
    /// Where it isn't there, or can't be flushed, or another server has the folder.
    pub fn open(dir: &Path, name: &str) -> Result<Self, OpenError> {
        let folder = lock(dir)?;
        let file = OpenOptions::new().read(true).write(true).open(dir.join(name))?;
        file.sync_data()?;
        forget(&file)?;
        Ok(Self { file: Arc::new(file), folder })
    }

    /// Makes a file of this name in a data folder, for [`FileMedium::rename`] when it is complete.
    ///
    /// # Errors
    /// Where it can't be made, or another server has the folder.
    pub fn create(dir: &Path, name: &str) -> Result<Self, OpenError> {
        let folder = lock(dir)?;
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(true).mode(0o600);
        Ok(Self { file: Arc::new(options.open(dir.join(name))?), folder })
    }

    /// Opens the file of this name beside another one, which is locked for both. It is made, and
    /// empty, where it isn't there.
    ///
    /// # Errors
    /// Where that fails.
    pub fn beside(&self, dir: &Path, name: &str) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let options = options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = Arc::new(options.open(dir.join(name))?);
        self.folder.sync_all()?;
        Ok(Self { file, folder: Arc::clone(&self.folder) })
    }

    /// Gives the file its proper name, for good. What had that name before is gone then.
    ///
    /// # Errors
    /// Where that fails.
    pub fn rename(&self, dir: &Path, from: &str, to: &str) -> io::Result<()> {
        fs::rename(dir.join(from), dir.join(to))?;
        self.folder.sync_all()
    }
}

impl Medium for FileMedium {
    fn open(&self) -> io::Result<Box<dyn StorageBackend>> {
        Ok(Box::new(FileBackend(Arc::clone(&self.file))))
    }
}

fn lock(dir: &Path) -> Result<Arc<File>, OpenError> {
    let folder = File::open(dir)?;
    match folder.try_lock() {
        Ok(()) => Ok(Arc::new(folder)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

#[derive(Debug)]
struct FileBackend(Arc<File>);

impl StorageBackend for FileBackend {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let before = self.0.metadata()?.len();
        if len <= before {
            return self.0.set_len(len);
        }
        // A hole would be filled later, in the middle of a commit, when there may be no room.
        reserve(&self.0, before, len - before).inspect_err(|_| {
            // What little there was may have been taken. That it can't be given back is no worse.
            let _ = self.0.set_len(before);
        })
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}

/// Keeps nothing in memory of what is on the disk.
#[cfg(target_os = "linux")]
fn forget(file: &File) -> io::Result<()> {
    use rustix::io::Errno;
    match rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed) {
        // Then there is no way to do it.
        Ok(()) | Err(Errno::NOSYS | Errno::OPNOTSUPP | Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn forget(_: &File) -> io::Result<()> {
    Ok(())
}

/// Makes a file longer by `len` bytes that are really there.
#[cfg(target_os = "linux")]
fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    use rustix::io::Errno;
    match rustix::io::retry_on_intr(|| fallocate(file, FallocateFlags::empty(), offset, len)) {
        Ok(()) => Ok(()),
        Err(Errno::OPNOTSUPP | Errno::NOSYS) => file.set_len(offset + len),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(file: &File, offset: u64, len: u64) -> io::Result<()> {
    file.set_len(offset + len)
}
