//! What a server begins with: what the journal holds, the files made equal to it, or, where the
//! journal is gone and the operator accepts that, what is left.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, bail};
use leasehold_core::id::{LogIndex, Token};
use leasehold_core::limits::TOKENS_SKIPPED_AFTER_DATA_LOSS;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use tracing::{info, warn};

use crate::clock::unix_millis;
use crate::files::FileStore;
use crate::journal::{OpenError, Recovered, RedbJournal};
use crate::state_file;

/// The names of the journal's files in the data folder.
const JOURNAL_FILE: &str = "journal.redb";
const TAIL_FILE: &str = "journal.tail";

/// Everything that a server stands on.
pub struct RecoveredServer {
    /// The journal, ready to be appended to.
    pub log: RedbJournal,
    /// The files, equal to what the journal says.
    pub files: FileStore,
    /// Where the service is taken up.
    pub start: StartParams,
    /// Whether what the journal held is lost, so that old leases may still be believed in.
    pub data_lost: bool,
}

/// Recovers what is in the data folder, or begins anew in an empty one.
///
/// # Errors
/// Where the journal is damaged, or missing beside a state file, and `accept_data_loss` isn't set;
/// where another server uses the folder; where a file can't be made what the journal says.
pub fn recover(dir: &Path, accept_data_loss: bool) -> anyhow::Result<RecoveredServer> {
    let path = dir.join(JOURNAL_FILE);
    let is_missing = !path.exists();
    if is_missing && state_file::exists(dir) {
        if !accept_data_loss {
            bail!(
                "the journal {} is missing beside server_state.json, so what it held is lost; \
                 put it back, or start with --accept-data-loss",
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
                    "the journal {} is damaged ({reason}); put a copy of it back, or start with \
                     --accept-data-loss",
                    path.display()
                );
            }
            preserve_damaged_journal(dir)?;
            start_after_data_loss(dir)
        }
        Err(error) => Err(error).with_context(|| format!("can't open {}", path.display())),
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

/// Begins with what is left: the files as they are, and tokens that nobody has seen.
fn start_after_data_loss(dir: &Path) -> anyhow::Result<RecoveredServer> {
    let last_known = state_file::last_known(dir);
    let token_floor =
        Token::new(last_known.last_token.number().saturating_add(TOKENS_SKIPPED_AFTER_DATA_LOSS));
    let index =
        LogIndex::new(last_known.index.number().saturating_add(TOKENS_SKIPPED_AFTER_DATA_LOSS));
    warn!(%token_floor, "the journal is lost; its sessions and locks are gone");
    let mut files = FileStore::open(&dir.join("files"))?;
    let state = State::after_data_loss(files.file_lengths()?, index, token_floor);
    // In one step: a journal without this floor would grant tokens that were granted before.
    RedbJournal::create(dir, &state)
        .with_context(|| format!("can't begin a journal in {}", dir.display()))?;
    let (log, _) = RedbJournal::open(dir).context("can't open the new journal")?;
    let start = StartParams { state, index_floor: index, token_floor, unix_ms: unix_millis() };
    Ok(RecoveredServer { log, files, start, data_lost: true })
}

/// Keeps what there is of the damaged journal for whoever can still read something from it.
///
/// Both files keep their own names too until a new journal has taken that of the archive: a folder
/// without a journal could be taken for a new one, whose tokens begin at 1. The tail is copied,
/// since the new journal writes over it.
fn preserve_damaged_journal(dir: &Path) -> anyhow::Result<()> {
    let now = unix_millis();
    let backup_path = |name: &str| dir.join(format!("{name}.damaged-{now}"));
    let copy_error = |path: &Path| format!("can't keep the damaged journal as {}", path.display());
    if dir.join(TAIL_FILE).try_exists()? {
        let backup = backup_path(TAIL_FILE);
        let copied = fs::copy(dir.join(TAIL_FILE), &backup)
            .and_then(|_| File::open(&backup).and_then(|file| file.sync_all()));
        if copied.is_err() {
            // What is not whole only takes up room.
            let _ = fs::remove_file(&backup);
        }
        copied.with_context(|| copy_error(&backup))?;
        warn!(aside = %backup.display(), "the tail of the damaged journal is kept");
    }
    if dir.join(JOURNAL_FILE).try_exists()? {
        let backup = backup_path(JOURNAL_FILE);
        fs::hard_link(dir.join(JOURNAL_FILE), &backup).with_context(|| copy_error(&backup))?;
        warn!(aside = %backup.display(), "the damaged journal is kept");
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

    /// A folder whose server was killed, and whose archive is gone.
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
            let error = recover(dir.path(), false).err().expect("it is damaged").to_string();
            error.contains("--accept-data-loss")
        };
        assert!(is_refused());
        preserve_damaged_journal(dir.path()).unwrap();
        assert!(is_refused(), "nothing has been begun");
        let recovered = recover(dir.path(), true).unwrap();
        assert!(recovered.data_lost && recovered.start.token_floor > Token::default());
        drop(recovered);
        assert!(recover(dir.path(), false).is_ok_and(|recovered| !recovered.data_lost));
    }
}
