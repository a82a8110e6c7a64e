//! Recovers the server's state at start: from the log, with the files repaired to match it; or, if
//! the log is lost and the operator accepts that, from the files alone.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, bail};
use leasehold_core::id::{LogIndex, Token};
use leasehold_core::limits::NUMBERS_SKIPPED_AFTER_DATA_LOSS;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use tracing::{info, warn};

use crate::clock::unix_millis;
use crate::files::FileStore;
use crate::journal::{OpenError, Recovered, RedbJournal};
use crate::state_file;

/// The names of the log's files in the data directory.
const JOURNAL_FILE: &str = "journal.redb";
const TAIL_FILE: &str = "journal.tail";

/// The recovered parts of a server.
pub struct RecoveredServer {
    /// The log, ready for appends.
    pub log: RedbJournal,
    /// The files, consistent with the log.
    pub files: FileStore,
    /// The parameters to start the service with.
    pub start: StartParams,
    /// Whether the contents of the log are lost. Clients may then still believe in leases that the
    /// server does not know.
    pub data_lost: bool,
}

/// Recovers the server in a data directory, or creates a new one in an empty directory.
///
/// # Errors
/// - If the log is damaged, or missing beside a state file, and `accept_data_loss` is not set.
/// - If another server uses the directory.
/// - If a file cannot be repaired to match the log.
pub fn recover(dir: &Path, accept_data_loss: bool) -> anyhow::Result<RecoveredServer> {
    let path = dir.join(JOURNAL_FILE);
    let is_missing = !path.exists();
    if is_missing && state_file::exists(dir) {
        if !accept_data_loss {
            bail!(
                "the log {} is missing, though server_state.json shows that there was one; \
                 restore it, or start with --accept-data-loss",
                path.display()
            );
        }
        preserve_damaged_journal(dir)?;
        return start_after_data_loss(dir);
    }
    match RedbJournal::open(dir) {
        Ok((log, recovered)) => restore_from_log(dir, log, recovered),
        Err(OpenError::Damaged { reason }) => {
            if !accept_data_loss {
                bail!(
                    "the log {} is damaged ({reason}); restore a copy, or start with \
                     --accept-data-loss",
                    path.display()
                );
            }
            preserve_damaged_journal(dir)?;
            start_after_data_loss(dir)
        }
        Err(error) => Err(error).with_context(|| format!("cannot open log {}", path.display())),
    }
}

fn restore_from_log(
    dir: &Path,
    log: RedbJournal,
    recovered: Recovered,
) -> anyhow::Result<RecoveredServer> {
    let mut files = FileStore::open(&dir.join("files"))?;
    files.repair(&recovered)?;
    let Recovered { state, last_index, event_count: events, .. } = recovered;
    info!(events, sessions = state.sessions().len(), locks = state.locks().len(), "recovered");
    let start = StartParams {
        state,
        index_floor: last_index,
        token_floor: Token::default(),
        unix_ms: unix_millis(),
    };
    Ok(RecoveredServer { log, files, start, data_lost: false })
}

/// Starts from the files as they are, with tokens and log indices that no client has seen.
fn start_after_data_loss(dir: &Path) -> anyhow::Result<RecoveredServer> {
    let last_known = state_file::last_known(dir);
    let token_floor =
        Token::new(last_known.last_token.number().saturating_add(NUMBERS_SKIPPED_AFTER_DATA_LOSS));
    let index =
        LogIndex::new(last_known.index.number().saturating_add(NUMBERS_SKIPPED_AFTER_DATA_LOSS));
    warn!(%token_floor, "server starts without the lost log: its sessions and locks are gone; \
         remove --accept-data-loss before the next start");
    let mut files = FileStore::open(&dir.join("files"))?;
    let state = State::after_data_loss(files.file_lengths()?, index, token_floor);
    // The new log contains the token floor from the start: a log without it would grant tokens
    // again.
    RedbJournal::create(dir, &state)
        .with_context(|| format!("cannot create a log in {}", dir.display()))?;
    let (log, _) = RedbJournal::open(dir).context("cannot open the new log")?;
    let start = StartParams { state, index_floor: index, token_floor, unix_ms: unix_millis() };
    Ok(RecoveredServer { log, files, start, data_lost: true })
}

/// Preserves the damaged log, so that an operator can still extract data from it.
///
/// The files also keep their own names until a new log replaces the archive: a directory without a
/// log could be mistaken for a new one, whose tokens start at 1. The tail is copied, because the
/// new log overwrites it.
fn preserve_damaged_journal(dir: &Path) -> anyhow::Result<()> {
    let now = unix_millis();
    let backup_path = |name: &str| dir.join(format!("{name}.damaged-{now}"));
    let copy_error = |path: &Path| format!("cannot preserve the damaged log as {}", path.display());
    if dir.join(TAIL_FILE).try_exists()? {
        let backup = backup_path(TAIL_FILE);
        let copied = fs::copy(dir.join(TAIL_FILE), &backup)
            .and_then(|_| File::open(&backup).and_then(|file| file.sync_all()));
        if copied.is_err() {
            // An incomplete copy is useless and occupies disk space.
            let _ = fs::remove_file(&backup);
        }
        copied.with_context(|| copy_error(&backup))?;
        warn!(backup = %backup.display(), "server preserves a copy of the tail of the damaged log");
    }
    if dir.join(JOURNAL_FILE).try_exists()? {
        let backup = backup_path(JOURNAL_FILE);
        fs::hard_link(dir.join(JOURNAL_FILE), &backup).with_context(|| copy_error(&backup))?;
        warn!(backup = %backup.display(), "server preserves the damaged log");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use leasehold_core::event::{Event, EventKind};
    use leasehold_core::id::{Name, SessionId};
    use leasehold_core::time::{Millis, Time};

    use super::*;
    use crate::journal::Log as _;

    /// Returns a data directory whose server was killed and whose archive is missing.
    fn dir_without_archive() -> tempfile::TempDir {
        let (original, copy) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut log, _) = RedbJournal::open(original.path()).unwrap();
        let kind = EventKind::SessionOpened {
            session_id: SessionId::new(1),
            client: Name::new("ann").unwrap(),
            lease: Millis::from_secs(5),
            key: None,
            nonce: None,
        };
        log.append(&[Event { index: LogIndex::new(1), at: Time::ZERO, kind }]).unwrap();
        fs::copy(original.path().join(TAIL_FILE), copy.path().join(TAIL_FILE)).unwrap();
        copy
    }

    #[test]
    fn accepted_data_loss_is_still_reported_after_a_power_cut() {
        let dir = dir_without_archive();
        let is_refused = || {
            let error = recover(dir.path(), false).err().expect("the log is damaged").to_string();
            error.contains("--accept-data-loss")
        };
        assert!(is_refused());
        preserve_damaged_journal(dir.path()).unwrap();
        assert!(is_refused(), "no new log has been created");
        let recovered = recover(dir.path(), true).unwrap();
        assert!(recovered.data_lost && recovered.start.token_floor > Token::default());
        drop(recovered);
        assert!(recover(dir.path(), false).is_ok_and(|recovered| !recovered.data_lost));
    }
}
