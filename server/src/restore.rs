//! Checks a data directory without changing it, and restores one from a copy.
//!
//! A copy is older than what clients have seen. So a restored server has no sessions and no locks,
//! continues with tokens and log indices that no client has seen, and waits until every lease has
//! expired. What the restore replaces is kept.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use leasehold_core::id::{LogIndex, Name, Token};

use crate::data_dir::DataDirLock;
use crate::files::{FileStore, regular_file_lengths};
use crate::log::{self, LogPosition, Recovered, convert};
use crate::recovery::{
    FILES, Floors, RESTORING, Unusable, convert_log, create_log_after_loss, examine, examine_old,
    install, remove_dir_if_exists, set_aside,
};
use crate::state_file::{self, StateFile};

/// Checks a data directory. Returns a description of its contents, one line per item.
///
/// # Errors
/// If something is lost or damaged, or another process uses the directory.
pub fn verify(dir: &Path) -> anyhow::Result<Vec<String>> {
    let _lock = DataDirLock::acquire(dir)?;
    let mut lines = Vec::new();
    let recovered = if dir.join(log::DIRECTORY).exists() {
        let loaded = explain(examine(dir), dir)?;
        let LogPosition { log_id, record, .. } = loaded.recovered.position;
        let segments = loaded.segment_count;
        lines
            .push(format!("log {log_id}: intact up to record {record}, segments read: {segments}"));
        loaded.recovered
    } else if convert::exists(dir) {
        lines.push("log of an older version: intact; the next start converts it".to_owned());
        explain(examine_old(dir), dir)?
    } else {
        bail!("{} contains no log", dir.display());
    };
    let state = &recovered.state;
    lines.push(format!(
        "state: event {}, token {}, {} sessions, {} locks",
        state.applied_index(),
        state.last_token(),
        state.sessions().len(),
        state.locks().len()
    ));
    lines.push(match state_file::read(&dir.join(state_file::FILE_NAME)) {
        StateFile::Missing => format!("{}: missing, which is harmless", state_file::FILE_NAME),
        StateFile::Damaged(_) => format!("{}: damaged", state_file::FILE_NAME),
        StateFile::Intact(known) => {
            format!("{}: event {}, agrees with the log", state_file::FILE_NAME, known.index)
        }
    });
    let bytes: u64 = state.files().values().map(leasehold_core::state::File::len).sum();
    lines.push(format!("files: {} files, {bytes} bytes", state.files().len()));
    let differing = differing_files(&dir.join(FILES), &recovered)?;
    lines.extend(recovered.notes.iter().map(|note| format!("note: {note}")));
    lines.extend(
        differing.iter().map(|name| {
            format!("note: {name} differs from the log, and the next start corrects it")
        }),
    );
    lines.push("nothing that was acknowledged is missing".to_owned());
    Ok(lines)
}

/// Returns the files that do not contain all bytes that the log still has, or different ones.
fn differing_files(files: &Path, recovered: &Recovered) -> anyhow::Result<Vec<Name>> {
    let mut differing: Vec<Name> = Vec::new();
    for append in &recovered.appends {
        if differing.last() == Some(&append.file) {
            continue;
        }
        let mut found = vec![0; append.data.bytes().len()];
        let read = File::open(files.join(append.file.as_str()))
            .and_then(|file| file.read_exact_at(&mut found, append.offset));
        match read {
            Err(error) if !is_absence(&error) => {
                return Err(error).with_context(|| format!("cannot read {}", append.file));
            }
            Ok(()) if found == append.data.bytes() => {}
            Ok(()) | Err(_) => differing.push(append.file.clone()),
        }
    }
    differing.sort();
    differing.dedup();
    Ok(differing)
}

fn is_absence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof)
}

/// Restores a data directory from a copy of one, which is not changed. Returns a description of
/// what was done and what is lost, one line per item.
///
/// # Errors
/// If the copy is not intact, or something cannot be written. The data directory is then unchanged,
/// or refuses to start until the restore is repeated.
pub fn restore(from: &Path, dir: &Path) -> anyhow::Result<Vec<String>> {
    let _copy_lock = DataDirLock::acquire(from)?;
    fs::create_dir_all(dir)
        .with_context(|| format!("cannot create data directory {}", dir.display()))?;
    let (from_path, dir_path) = (from.canonicalize()?, dir.canonicalize()?);
    ensure!(
        !from_path.starts_with(&dir_path) && !dir_path.starts_with(&from_path),
        "--from must be a copy outside of the data directory"
    );
    let _lock = DataDirLock::acquire(dir)?;
    let prepared = dir.join(RESTORING);
    remove_dir_if_exists(&prepared)?;
    let mut lines = match prepare(from, dir, &prepared) {
        Ok(lines) => lines,
        Err(error) => {
            remove_dir_if_exists(&prepared)?;
            return Err(error);
        }
    };
    let parts = [log::DIRECTORY, convert::DATABASE, convert::TAIL, state_file::FILE_NAME, FILES];
    let kept = set_aside(dir, &parts)?;
    install(&prepared, dir, &[FILES, log::DIRECTORY])?;
    lines.extend(kept.iter().map(|path| format!("kept: {}", path.display())));
    lines.push("restored; the first start waits until every lease has expired".to_owned());
    Ok(lines)
}

/// Prepares the parts that the restore installs. Returns a description of what is lost.
fn prepare(from: &Path, dir: &Path, prepared: &Path) -> anyhow::Result<Vec<String>> {
    copy_parts(from, prepared)?;
    if convert::exists(prepared) && !prepared.join(log::DIRECTORY).exists() {
        explain(convert_log(prepared), from)?;
    }
    ensure!(prepared.join(log::DIRECTORY).exists(), "{} contains no log", from.display());
    let copy = explain(examine(prepared), from)?.recovered;
    let files = prepared.join(FILES);
    FileStore::open(&files)?.repair(&copy.state, &copy.appends)?;
    let floors = current_floors(dir)?
        .above(copy.state.last_token(), copy.last_index)
        .above_state_files(prepared)?
        .above_state_files(dir)?;
    let (index, token) = (copy.state.applied_index(), copy.state.last_token());
    let (sessions, locks) = (copy.state.sessions().len(), copy.state.locks().len());
    let mut lines = vec![
        format!("the copy ends at event {index} and token {token}"),
        format!("lost: {sessions} sessions and {locks} locks of the copy, and everything after it"),
    ];
    lines.extend(lost_bytes(&dir.join(FILES), &files)?);
    lines.push(format!("tokens continue after {}", floors.token));
    remove_dir_if_exists(&prepared.join(log::DIRECTORY))?;
    create_log_after_loss(prepared, &files, &floors)?;
    Ok(lines)
}

/// Returns floors above everything that the data directory still shows.
fn current_floors(dir: &Path) -> anyhow::Result<Floors> {
    let known = if dir.join(log::DIRECTORY).exists() {
        examine(dir).map(|loaded| loaded.recovered)
    } else if convert::exists(dir) {
        examine_old(dir)
    } else {
        return Ok(Floors::default());
    };
    match known {
        Ok(recovered) => {
            Ok(Floors::default().above(recovered.state.last_token(), recovered.last_index))
        }
        Err(Unusable::Loss { known: (token, index), .. }) => {
            Ok(Floors::default().above(token, index))
        }
        Err(Unusable::Failure(error)) => Err(error).context("cannot read the data directory"),
    }
}

/// Describes the bytes of the guarded files that the copy does not have.
fn lost_bytes(current: &Path, copy: &Path) -> io::Result<Vec<String>> {
    let copied = regular_file_lengths(copy)?;
    let mut lines = Vec::new();
    for (name, len) in regular_file_lengths(current)? {
        let (len, copied) = (len.unwrap_or(0), copied.get(&name).copied().flatten().unwrap_or(0));
        if len > copied {
            lines.push(format!("lost: {} bytes of {name} after byte {copied}", len - copied));
        }
    }
    Ok(lines)
}

/// Copies the parts of a data directory that exist.
fn copy_parts(from: &Path, to: &Path) -> anyhow::Result<()> {
    fs::create_dir(to).with_context(|| format!("cannot create {}", to.display()))?;
    for name in [convert::DATABASE, convert::TAIL, state_file::FILE_NAME] {
        copy_if_regular(&from.join(name), &to.join(name))?;
    }
    for name in [log::DIRECTORY, FILES] {
        if !from.join(name).is_dir() {
            continue;
        }
        fs::create_dir(to.join(name))?;
        for entry in fs::read_dir(from.join(name))? {
            let entry = entry?;
            copy_if_regular(&entry.path(), &to.join(name).join(entry.file_name()))?;
        }
    }
    Ok(())
}

fn copy_if_regular(from: &Path, to: &Path) -> anyhow::Result<()> {
    match fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata if !metadata.as_ref().is_ok_and(fs::Metadata::is_file) => return Ok(()),
        Ok(_) | Err(_) => {}
    }
    fs::copy(from, to)
        .and_then(|_| File::open(to)?.sync_all())
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

/// Turns a loss into an error that names the directory.
fn explain<T>(result: Result<T, Unusable>, dir: &Path) -> anyhow::Result<T> {
    result.map_err(|unusable| match unusable {
        Unusable::Loss { reason, known: (token, index) } => {
            let legible = if (token, index) == (Token::default(), LogIndex::default()) {
                String::new()
            } else {
                format!(" (legible up to event {index} and token {token})")
            };
            anyhow::anyhow!("{} is not intact: {reason}{legible}", dir.display())
        }
        Unusable::Failure(error) => error.context(format!("cannot read {}", dir.display())),
    })
}
