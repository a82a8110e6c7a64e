//! Recovers the server's state at start from the log, and checks it against everything else that
//! knows something about it; or, if the log is lost and the operator accepts that, starts from the
//! files alone.
//!
//! The log's chain, `server_state.json` and the guarded files each prove a state that had been
//! acknowledged. Less than the highest of them is a loss, and is refused.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use leasehold_core::id::{LogIndex, Name, Token};
use leasehold_core::limits::NUMBERS_SKIPPED_AFTER_DATA_LOSS;
use leasehold_core::service::StartParams;
use leasehold_core::state::State;
use tracing::{info, warn};

use crate::clock::{unix_micros, unix_millis};
use crate::data_dir::DataDirLock;
use crate::files::{FileStore, compare_files, extend_checksums, regular_file_lengths};
use crate::log::{
    self, EmbeddedLog, FileChecksums, Genesis, Loaded, LogPosition, OpenError, Recovered, Witness,
    convert,
};
use crate::state_file::{self, LastKnown, StateFile};

/// The directory of the guarded files in the data directory.
pub const FILES: &str = "files";

/// The directory in which a restore prepares a data directory.
pub const RESTORING: &str = "restoring";
/// What the names of replaced parts of a data directory contain.
pub const SET_ASIDE: &str = ".replaced-";

/// The recovered parts of a server.
pub struct RecoveredServer {
    /// The exclusive use of the data directory.
    pub lock: DataDirLock,
    /// The log, ready for appends.
    pub log: EmbeddedLog,
    /// The position of the log.
    pub position: LogPosition,
    /// The files, consistent with the log.
    pub files: FileStore,
    /// The checksums of the files in the log's snapshot.
    pub file_checksums: FileChecksums,
    /// The parameters to start the service with.
    pub start: StartParams,
    /// Whether the contents of the previous log are lost. Clients may then still believe in leases
    /// that the server does not know.
    pub data_lost: bool,
}

/// Why a data directory cannot be used as it is.
#[derive(Debug)]
pub enum Unusable {
    /// Something acknowledged is lost, or cannot be read.
    Loss {
        /// What is lost.
        reason: String,
        /// The largest token and log index that are known.
        known: (Token, LogIndex),
    },
    /// The environment has failed.
    Failure(anyhow::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        Self::Failure(error.into())
    }
}

impl From<OpenError> for Unusable {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Damaged { reason, legible } => Self::Loss { reason, known: legible },
            OpenError::Io(error) => Self::Failure(error.into()),
        }
    }
}

/// Recovers the server in a data directory, or creates a new one in an empty directory.
///
/// # Errors
/// - If the log is damaged, incomplete or missing, and `accept_data_loss` is not set.
/// - If another server uses the directory.
/// - If a file cannot be repaired to match the log.
pub fn recover(dir: &Path, accept_data_loss: bool) -> anyhow::Result<RecoveredServer> {
    let lock = DataDirLock::acquire(dir)?;
    let log_dir = dir.join(log::DIRECTORY);
    match prepare_log(dir) {
        Ok(loaded) => resume(dir, lock, loaded),
        Err(Unusable::Failure(error)) => {
            Err(error).with_context(|| format!("cannot open log {}", log_dir.display()))
        }
        Err(Unusable::Loss { reason, .. }) if !accept_data_loss => bail!(
            "cannot use the log {}: {reason}; restore a copy with `leasehold restore --from \
             COPY`, or start with --accept-data-loss, which ends all sessions",
            log_dir.display()
        ),
        Err(Unusable::Loss { reason, known }) => {
            warn!(%reason, "server starts without the log: its sessions and locks are lost; \
                 remove --accept-data-loss before the next start");
            replace_log(dir, known)?;
            let loaded = log::read(dir, &[]).context("cannot open the new log")?;
            resume(dir, lock, loaded)
        }
    }
}

/// Reads the log of a data directory and checks that nothing acknowledged is missing. Changes
/// nothing.
///
/// # Errors
/// Returns [`Unusable::Loss`] if the log is missing, damaged, or contradicted by
/// `server_state.json` or a guarded file.
pub fn examine(dir: &Path) -> Result<Loaded, Unusable> {
    let mut witnesses = Vec::new();
    let state_file = state_file::read(&dir.join(state_file::FILE_NAME));
    if let StateFile::Intact(LastKnown { log: Some(position), .. }) = state_file {
        witnesses.push(Witness { source: state_file::FILE_NAME.to_owned(), position });
    }
    let mut loaded = log::read(dir, &witnesses)?;
    let recovered = &mut loaded.recovered;
    match state_file {
        StateFile::Missing => {}
        StateFile::Damaged(_) => {
            recovered.notes.push(format!("{} is damaged", state_file::FILE_NAME));
        }
        StateFile::Intact(known) => check_last_known(&known, recovered)?,
    }
    check_files(dir, recovered)?;
    Ok(loaded)
}

/// Checks what a state file of any version contains.
fn check_last_known(known: &LastKnown, recovered: &Recovered) -> Result<(), Unusable> {
    let last_token = recovered.state.last_token();
    if known.last_token > last_token || known.index > recovered.last_index {
        let reason = format!(
            "{} shows event {} and token {}, but the log ends at event {} and token {last_token}",
            state_file::FILE_NAME,
            known.index,
            known.last_token,
            recovered.state.applied_index(),
        );
        let known = (known.last_token.max(last_token), known.index.max(recovered.last_index));
        return Err(Unusable::Loss { reason, known });
    }
    Ok(())
}

fn check_files(dir: &Path, recovered: &Recovered) -> Result<(), Unusable> {
    let contradictions = compare_files(&dir.join(FILES), recovered)?;
    let Some(first) = contradictions.first() else { return Ok(()) };
    let others = match contradictions.len() - 1 {
        0 => String::new(),
        count => format!(" (and {count} more)"),
    };
    let known = (recovered.state.last_token(), recovered.last_index);
    Err(Unusable::Loss { reason: format!("{first}{others}"), known })
}

/// Reads the log; first creates it in an empty directory, or converts that of an older version.
fn prepare_log(dir: &Path) -> Result<Loaded, Unusable> {
    if !dir.join(log::DIRECTORY).exists() {
        if convert::exists(dir) {
            convert_log(dir)?;
        } else if let Some(evidence) = evidence_of_use(dir)? {
            let reason = format!("it is missing, although {evidence}");
            return Err(Unusable::Loss { reason, known: Default::default() });
        } else {
            create_log(dir, &dir.join(FILES), &State::default(), LogIndex::default(), false)?;
        }
    }
    set_old_log_aside(dir)?;
    examine(dir)
}

/// Reads the log of an older version and checks it against the state file and the files.
///
/// # Errors
/// As [`examine`].
pub fn examine_old(dir: &Path) -> Result<Recovered, Unusable> {
    let old = convert::read(dir)?;
    let recovered = Recovered {
        state: old.state,
        last_index: old.last_index,
        position: LogPosition::default(),
        appends: old.appends,
        file_checksums: FileChecksums::new(),
        event_count: 0,
        follows_data_loss: false,
        notes: Vec::new(),
    };
    match state_file::read(&dir.join(state_file::FILE_NAME)) {
        StateFile::Intact(known) => check_last_known(&known, &recovered)?,
        StateFile::Missing | StateFile::Damaged(_) => {}
    }
    check_files(dir, &recovered)?;
    Ok(recovered)
}

/// Converts the log of an older version. Until the new log exists completely, the old one counts.
///
/// # Errors
/// As [`examine`], or if something cannot be written.
pub fn convert_log(dir: &Path) -> Result<(), Unusable> {
    let Recovered { state, last_index, appends, .. } = examine_old(dir)?;
    // The new log begins with a snapshot, so the appends must be durable in the files.
    FileStore::open(&dir.join(FILES))
        .and_then(|mut files| Ok(files.repair(&state, &appends)?))
        .map_err(Unusable::Failure)?;
    create_log(dir, &dir.join(FILES), &state, last_index, false)?;
    info!(sessions = state.sessions().len(), "server has converted the log of an older version");
    Ok(())
}

fn create_log(
    dir: &Path,
    files: &Path,
    state: &State,
    last_index: LogIndex,
    follows_data_loss: bool,
) -> io::Result<()> {
    let lengths = state.files().iter().map(|(name, file)| (name, file.len()));
    let file_checksums = &extend_checksums(files, lengths, &FileChecksums::new());
    log::create(dir, &Genesis { state, file_checksums, last_index, follows_data_loss })
}

/// Renames the log of an older version once there is a new one.
fn set_old_log_aside(dir: &Path) -> io::Result<()> {
    for name in [convert::DATABASE, convert::TAIL] {
        if dir.join(name).exists() {
            fs::rename(dir.join(name), dir.join(format!("{name}.converted")))?;
        }
    }
    Ok(())
}

/// Returns what shows that a server has used this directory before.
fn evidence_of_use(dir: &Path) -> io::Result<Option<String>> {
    for entry in fs::read_dir(dir)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let is_evidence = name == state_file::FILE_NAME
            || name == RESTORING
            || name.contains(SET_ASIDE)
            // An old version that was stopped at its first start leaves `journal.redb.new`.
            || name.starts_with("journal.") && name != "journal.redb.new";
        if is_evidence {
            return Ok(Some(format!("{name} shows that there was one")));
        }
    }
    let files = regular_file_lengths(&dir.join(FILES))?;
    let used = files.iter().find(|(_, len)| len.is_some_and(|len| len > 0));
    Ok(used.map(|(name, _)| format!("the guarded file {name} shows that there was one")))
}

fn resume(dir: &Path, lock: DataDirLock, loaded: Loaded) -> anyhow::Result<RecoveredServer> {
    let (log, recovered) = log::resume(dir, loaded).context("cannot write the log")?;
    let mut files = FileStore::open(&dir.join(FILES))?;
    files.repair(&recovered.state, &recovered.appends)?;
    for note in &recovered.notes {
        warn!("recovery of the log: {note}");
    }
    let Recovered { state, last_index, position, file_checksums, .. } = recovered;
    let events = recovered.event_count;
    info!(events, sessions = state.sessions().len(), locks = state.locks().len(), "recovered");
    let data_lost = recovered.follows_data_loss;
    let start = StartParams {
        state,
        index_floor: last_index,
        token_floor: Token::default(),
        unix_ms: unix_millis(),
    };
    Ok(RecoveredServer { lock, log, position, files, file_checksums, start, data_lost })
}

/// Replaces the log by one that starts from the files as they are, with tokens and log indices that
/// no client has seen. The old log is kept.
fn replace_log(dir: &Path, known: (Token, LogIndex)) -> anyhow::Result<()> {
    let floors = Floors::default().above(known.0, known.1).above_state_files(dir)?;
    let files = dir.join(FILES);
    let prepared = dir.join(RESTORING);
    remove_dir_if_exists(&prepared)?;
    fs::create_dir(&prepared)?;
    create_log_after_loss(&prepared, &files, &floors)?;
    let old_parts = [log::DIRECTORY, convert::DATABASE, convert::TAIL, state_file::FILE_NAME];
    for path in set_aside(dir, &old_parts)? {
        warn!(path = %path.display(), "server keeps what is replaced");
    }
    install(&prepared, dir, &[log::DIRECTORY])
}

/// Returns the lengths of the regular files in a directory. After a loss, nothing else is known
/// about them.
fn file_lengths(dir: &Path) -> io::Result<Vec<(Name, u64)>> {
    let mut lengths = Vec::new();
    for (name, len) in regular_file_lengths(dir)? {
        if let Some(len) = len {
            lengths.push((name, len));
        } else {
            warn!(%name, "server ignores an entry of files/: not a regular file");
        }
    }
    Ok(lengths)
}

/// Creates a log in a directory that starts from the files in another one, after a loss.
///
/// # Errors
/// If it cannot be written.
pub fn create_log_after_loss(dir: &Path, files: &Path, floors: &Floors) -> anyhow::Result<()> {
    let state = State::after_data_loss(file_lengths(files)?, floors.index, floors.token);
    create_log(dir, files, &state, floors.index, true)
        .with_context(|| format!("cannot create a log in {}", dir.display()))
}

/// The token and the log index above which a server continues after a loss.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// The largest token that may have been granted.
    pub token: Token,
    /// The largest log index that may have been assigned.
    pub index: LogIndex,
}

impl Default for Floors {
    /// The wall clock in microseconds: tokens are granted more slowly, so those of two starts
    /// after a loss never overlap, even if nothing else is known.
    fn default() -> Self {
        let now = unix_micros();
        Self { token: Token::new(now), index: LogIndex::new(now) }
    }
}

impl Floors {
    /// Raises the floors far above a token and a log index that were seen.
    #[must_use]
    pub fn above(self, token: Token, index: LogIndex) -> Self {
        let skip = |number: u64| number.saturating_add(NUMBERS_SKIPPED_AFTER_DATA_LOSS);
        Self {
            token: self.token.max(Token::new(skip(token.number()))),
            index: self.index.max(LogIndex::new(skip(index.number()))),
        }
    }

    /// Raises the floors above what the state files in a directory contain, current and set aside.
    ///
    /// # Errors
    /// If the directory cannot be read.
    pub fn above_state_files(mut self, dir: &Path) -> io::Result<Self> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(state_file::FILE_NAME)
                && let StateFile::Intact(known) | StateFile::Damaged(known) =
                    state_file::read(&entry.path())
            {
                self = self.above(known.last_token, known.index);
            }
        }
        Ok(self)
    }
}

/// Renames parts of a data directory, so that they are kept and no longer used.
///
/// # Errors
/// If a part cannot be renamed.
pub fn set_aside(dir: &Path, names: &[&str]) -> anyhow::Result<Vec<PathBuf>> {
    let now = unix_millis();
    let mut kept = Vec::new();
    for name in names {
        let (from, to) = (dir.join(name), dir.join(format!("{name}{SET_ASIDE}{now}")));
        if from.exists() {
            fs::rename(&from, &to)
                .with_context(|| format!("cannot keep {} aside", from.display()))?;
            kept.push(to);
        }
    }
    Ok(kept)
}

/// Moves prepared parts into a data directory, in this order, and removes the rest.
///
/// # Errors
/// If a part cannot be moved.
pub fn install(prepared: &Path, dir: &Path, names: &[&str]) -> anyhow::Result<()> {
    for name in names {
        fs::rename(prepared.join(name), dir.join(name))
            .with_context(|| format!("cannot move {name} to {}", dir.display()))?;
    }
    fs::File::open(dir)?.sync_all()?;
    remove_dir_if_exists(prepared)
}

/// Removes a directory with its contents.
///
/// # Errors
/// If that fails.
pub fn remove_dir_if_exists(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
