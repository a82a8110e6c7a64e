//! What a server begins with: what the journal holds, the files made equal to it, or, where the
//! journal is gone and the operator accepts that, what is left.

use std::fs::{self, File};
use std::path::Path;

use anyhow::{Context as _, bail};
use leasehold_core::id::{Index, Token};
use leasehold_core::limits::TOKENS_SKIPPED_AFTER_LOSS;
use leasehold_core::service::Start;
use leasehold_core::state::State;
use tracing::{info, warn};

use crate::clock::unix_millis;
use crate::files::FileStore;
use crate::journal::{OpenError, Recovered, RedbJournal};
use crate::state_file;

/// The names of the journal's files in the data folder.
const JOURNAL: &str = "journal.redb";
const TAIL: &str = "journal.tail";

/// Everything that a server stands on.
pub struct Ground {
    /// The journal, ready to be appended to.
    pub journal: RedbJournal,
    /// The files, equal to what the journal says.
    pub files: FileStore,
    /// Where the service is taken up.
    pub start: Start,
    /// Whether what the journal held is lost, so that old leases may still be believed in.
    pub lost: bool,
}

/// Recovers what is in the data folder, or begins anew in an empty one.
///
/// # Errors
/// Where the journal is damaged, or missing beside a state file, and `accept_data_loss` isn't set;
/// where another server uses the folder; where a file can't be made what the journal says.
pub fn recover(dir: &Path, accept_data_loss: bool) -> anyhow::Result<Ground> {
    let path = dir.join(JOURNAL);
    let missing = !path.exists();
    if missing && state_file::exists(dir) {
        if !accept_data_loss {
            bail!(
                "the journal {} is missing beside server_state.json, so what it held is lost; \
                 put it back, or start with --accept-data-loss",
                path.display()
            );
        }
        keep_aside(dir)?;
        return begin_after_loss(dir);
    }
    match RedbJournal::open(dir) {
        Ok((journal, recovered)) => take_up(dir, journal, recovered),
        Err(OpenError::Damaged { why }) => {
            if !accept_data_loss {
                bail!(
                    "the journal {} is damaged ({why}); put a copy of it back, or start with \
                     --accept-data-loss",
                    path.display()
                );
            }
            keep_aside(dir)?;
            begin_after_loss(dir)
        }
        Err(error) => Err(error).with_context(|| format!("can't open {}", path.display())),
    }
}

fn take_up(dir: &Path, journal: RedbJournal, recovered: Recovered) -> anyhow::Result<Ground> {
    let mut files = FileStore::open(&dir.join("files"))?;
    files.repair(&recovered)?;
    let Recovered { state, after, events, .. } = recovered;
    info!(events, sessions = state.sessions().len(), locks = state.locks().len(), "recovered");
    let start = Start { state, after, token_floor: Token::default(), unix_ms: unix_millis() };
    Ok(Ground { journal, files, start, lost: false })
}

/// Begins with what is left: the files as they are, and tokens that nobody has seen.
fn begin_after_loss(dir: &Path) -> anyhow::Result<Ground> {
    let known = state_file::last_known(dir);
    let token_floor =
        Token::new(known.last_token.number().saturating_add(TOKENS_SKIPPED_AFTER_LOSS));
    let index = Index::new(known.index.number().saturating_add(TOKENS_SKIPPED_AFTER_LOSS));
    warn!(%token_floor, "the journal is lost; its sessions and locks are gone");
    let mut files = FileStore::open(&dir.join("files"))?;
    let state = State::after_loss(files.lengths()?, index, token_floor);
    // In one step: a journal without this floor would grant tokens that were granted before.
    RedbJournal::begin(dir, &state)
        .with_context(|| format!("can't begin a journal in {}", dir.display()))?;
    let (journal, _) = RedbJournal::open(dir).context("can't open the new journal")?;
    let start = Start { state, after: index, token_floor, unix_ms: unix_millis() };
    Ok(Ground { journal, files, start, lost: true })
}

/// Keeps what there is of the damaged journal for whoever can still read something from it.
///
/// Both files keep their own names too until a new journal has taken that of the archive: a folder
/// without a journal could be taken for a new one, whose tokens begin at 1. The tail is copied,
/// since the new journal writes over it.
fn keep_aside(dir: &Path) -> anyhow::Result<()> {
    let now = unix_millis();
    let aside = |name: &str| dir.join(format!("{name}.damaged-{now}"));
    let told = |path: &Path| format!("can't keep the damaged journal as {}", path.display());
    if dir.join(TAIL).try_exists()? {
        let aside = aside(TAIL);
        let copied = fs::copy(dir.join(TAIL), &aside)
            .and_then(|_| File::open(&aside).and_then(|file| file.sync_all()));
        if copied.is_err() {
            // What is not whole only takes up room.
            let _ = fs::remove_file(&aside);
        }
        copied.with_context(|| told(&aside))?;
        warn!(aside = %aside.display(), "the tail of the damaged journal is kept");
    }
    if dir.join(JOURNAL).try_exists()? {
        let aside = aside(JOURNAL);
        fs::hard_link(dir.join(JOURNAL), &aside).with_context(|| told(&aside))?;
        warn!(aside = %aside.display(), "the damaged journal is kept");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use leasehold_core::event::{Event, Fact};
    use leasehold_core::id::{Name, SessionNo};
    use leasehold_core::time::{Span, Time};

    use super::*;
    use crate::journal::Journal as _;

    /// A folder whose server was killed, and whose archive is gone.
    fn robbed() -> tempfile::TempDir {
        let (lived, robbed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (mut journal, _) = RedbJournal::open(lived.path()).unwrap();
        let fact = Fact::SessionOpened {
            session_no: SessionNo::new(1),
            client: Name::new("ann").unwrap(),
            lease: Span::from_secs(5),
            id: None,
            nonce: None,
        };
        journal.append(&[Event { index: Index::new(1), at: Time::ZERO, fact }]).unwrap();
        fs::copy(lived.path().join(TAIL), robbed.path().join(TAIL)).unwrap();
        robbed
    }

    #[test]
    fn a_loss_that_is_accepted_is_still_one_when_the_power_fails_meanwhile() {
        let dir = robbed();
        let is_refused = || {
            let refused = recover(dir.path(), false).err().expect("it is damaged").to_string();
            refused.contains("--accept-data-loss")
        };
        assert!(is_refused());
        keep_aside(dir.path()).unwrap();
        assert!(is_refused(), "nothing has been begun");
        let ground = recover(dir.path(), true).unwrap();
        assert!(ground.lost && ground.start.token_floor > Token::default());
        drop(ground);
        assert!(recover(dir.path(), false).is_ok_and(|ground| !ground.lost));
    }
}
