//! `server_state.json`: the complete state in readable form.
//!
//! - It is replaced atomically, by a rename, and only its owner can read it. An incomplete new file
//!   is removed at once, or at the next start: it would occupy a disk that is full.
//! - It also contains the position of the log at which it was written, so recovery notices if the
//!   log has lost something since, or is another one. What recovery reads is under a checksum. The
//!   log does not need the file: it may be deleted.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use leasehold_core::id::{LogIndex, SessionId, Token};
use leasehold_core::state::State;
use serde::{Deserialize, Serialize};

use crate::clock::unix_millis;
use crate::log::LogPosition;

/// The name of the file.
pub const FILE_NAME: &str = "server_state.json";
const TEMP_FILE_NAME: &str = "server_state.json.new";

/// What recovery reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastKnown {
    /// The index of the last applied event.
    pub index: LogIndex,
    /// The last granted token.
    pub last_token: Token,
    /// The position in the log. Versions up to 0.1 did not write it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<LogPosition>,
}

/// The result of reading the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateFile {
    /// There is none.
    Missing,
    /// It is intact.
    Intact(LastKnown),
    /// It is damaged. The values are those that are legible, or zero.
    Damaged(LastKnown),
}

/// The contents of the file. The fields that are needed after a loss come first, so that they
/// survive a truncation.
#[derive(Serialize)]
struct Contents<'a> {
    format: u32,
    written_unix_ms: u64,
    #[serde(flatten)]
    last_known: LastKnown,
    /// The checksum of `last_known`.
    checksum: String,
    state: &'a State,
    secrets: Vec<SessionEntry>,
}

#[derive(Deserialize)]
struct ParsedContents {
    #[serde(flatten)]
    last_known: LastKnown,
    checksum: Option<String>,
}

#[derive(Serialize)]
struct SessionEntry {
    #[serde(rename = "session_no")]
    session_id: SessionId,
    #[serde(rename = "session")]
    session_key: String,
}

/// Writes the state at this position of the log, and the session keys, to the file.
///
/// # Errors
/// If the file cannot be written. The previous file is then unchanged.
pub fn write(dir: &Path, state: &State, log: LogPosition) -> io::Result<()> {
    let secrets = state.secrets().into_iter().map(|secret| SessionEntry {
        session_id: secret.session_id,
        session_key: secret.key.expose().to_hex(),
    });
    let last_known =
        LastKnown { index: state.applied_index(), last_token: state.last_token(), log: Some(log) };
    let contents = Contents {
        format: 1,
        written_unix_ms: unix_millis(),
        last_known,
        checksum: checksum(&last_known),
        state,
        secrets: secrets.collect(),
    };
    // An existing temporary file may be a symlink or readable by others, so it is never reused.
    remove_incomplete(dir)?;
    let written = replace(dir, &contents);
    if written.is_err() {
        // The first error is the cause.
        let _ = remove_incomplete(dir);
    }
    written
}

/// Removes the new file that a crash or a full disk has left incomplete, if there is one.
///
/// # Errors
/// If it cannot be removed.
pub fn remove_incomplete(dir: &Path) -> io::Result<()> {
    match fs::remove_file(dir.join(TEMP_FILE_NAME)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn replace(dir: &Path, contents: &Contents<'_>) -> io::Result<()> {
    let path = dir.join(TEMP_FILE_NAME);
    write_contents(&path, contents)?;
    fs::rename(&path, dir.join(FILE_NAME))?;
    File::open(dir)?.sync_all()
}

fn write_contents(path: &Path, contents: &Contents<'_>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, contents)?;
    file.write_all(b"\n")?;
    file.into_inner()?.sync_all()
}

/// Reads the file of this name.
pub fn read(path: &Path) -> StateFile {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return StateFile::Missing,
        bytes => bytes.unwrap_or_default(),
    };
    let parsed = serde_json::from_slice(&bytes).ok().filter(|parsed: &ParsedContents| {
        let expected = parsed.last_known.log.map(|_| checksum(&parsed.last_known));
        parsed.checksum == expected
    });
    if let Some(parsed) = parsed {
        return StateFile::Intact(parsed.last_known);
    }
    let text = String::from_utf8_lossy(&bytes);
    StateFile::Damaged(LastKnown {
        index: LogIndex::new(largest_value_of(&text, "\"index\":")),
        last_token: Token::new(largest_value_of(&text, "\"last_token\":")),
        log: None,
    })
}

fn checksum(last_known: &LastKnown) -> String {
    let json = serde_json::to_vec(last_known).expect("numbers can be serialized");
    format!("{:08x}", crc32fast::hash(&json))
}

/// Returns the largest number that follows `key` in the text. For a damaged file the largest is the
/// safe choice: skipped values are harmless, and reused values are not. Numbers that no server
/// assigns are ignored.
fn largest_value_of(text: &str, key: &str) -> u64 {
    let rest = text.split(key).skip(1);
    let number = |rest: &str| {
        let rest = rest.trim_start();
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    rest.filter_map(number).filter(|number| *number < 1 << 53).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use leasehold_core::event::{Event, EventKind};
    use leasehold_core::id::{Name, Nonce, SessionKey};
    use leasehold_core::secret::Secret;
    use leasehold_core::time::{Millis, Time};

    use super::*;

    fn state() -> State {
        let mut state = State::after_data_loss(BTreeMap::new(), LogIndex::new(41), Token::new(7));
        state.apply(&Event {
            index: LogIndex::new(42),
            at: Time::from_millis(5),
            kind: EventKind::SessionOpened {
                session_id: SessionId::new(1),
                client: Name::new("ann").unwrap(),
                lease: Millis::from_secs(5),
                key: Some(Secret::new(SessionKey::from_entropy(0xabc))),
                nonce: Some(Secret::new(Nonce::new(0xdef))),
            },
        });
        state
    }

    #[test]
    fn file_holds_all_secrets_and_only_its_owner_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        // A file that another program left there is neither followed nor left readable.
        symlink(dir.path().join("elsewhere"), dir.path().join(TEMP_FILE_NAME)).unwrap();
        write(dir.path(), &state(), LogPosition::default()).unwrap();
        fs::write(dir.path().join(TEMP_FILE_NAME), "left by a crash").unwrap();
        write(dir.path(), &state(), LogPosition::default()).unwrap();
        let path = dir.path().join(FILE_NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            !dir.path().join("elsewhere").exists() && !dir.path().join(TEMP_FILE_NAME).exists()
        );
        let json: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(json["format"], 1);
        assert_eq!(json["state"]["sessions"]["1"]["client"], "ann");
        assert_eq!(json["secrets"][0]["session_no"], 1);
        assert_eq!(json["secrets"][0]["session"], format!("{:032x}", 0xabc));
        let position = Some(LogPosition::default());
        let known = LastKnown { log: position, ..last_known(42, 7) };
        assert_eq!(read(&dir.path().join(FILE_NAME)), StateFile::Intact(known));
    }

    #[test]
    fn failed_write_leaves_no_incomplete_file() {
        let dir = tempfile::tempdir().unwrap();
        // Renaming a file to the name of a directory fails, after the file was written.
        fs::create_dir(dir.path().join(FILE_NAME)).unwrap();
        assert!(write(dir.path(), &state(), LogPosition::default()).is_err());
        assert!(!dir.path().join(TEMP_FILE_NAME).exists());
        fs::write(dir.path().join(TEMP_FILE_NAME), "left by a crash").unwrap();
        remove_incomplete(dir.path()).unwrap();
        remove_incomplete(dir.path()).unwrap();
        assert!(!dir.path().join(TEMP_FILE_NAME).exists());
    }

    #[test]
    fn damaged_file_yields_the_values_that_are_still_legible() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(read(&dir.path().join(FILE_NAME)), StateFile::Missing);
        write(dir.path(), &state(), LogPosition::default()).unwrap();
        let path = dir.path().join(FILE_NAME);
        let contents = fs::read_to_string(&path).unwrap();
        for (damaged, index, last_token) in [
            (contents[..contents.len() / 2].to_owned(), 42, 7),
            (contents.replacen("\"index\": 42", "\"index\": #", 1), 42, 7),
            (contents.replacen("\"record\": 0", "\"record\": 1", 1), 42, 7),
            (contents.replacen("\"last_token\": 7", "\"last_token\": 6", 1), 42, 7),
            ("\"last_token\": 12, \"last_token\":9, \"index\": ".to_owned(), 0, 12),
            ("\0\0\0".to_owned(), 0, 0),
            (String::new(), 0, 0),
        ] {
            fs::write(&path, &damaged).unwrap();
            let expected = StateFile::Damaged(last_known(index, last_token));
            assert_eq!(read(&path), expected, "{damaged}");
        }
    }

    #[test]
    fn file_of_an_older_version_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(FILE_NAME);
        fs::write(&path, r#"{"format": 1, "index": 42, "last_token": 7, "state": {}}"#).unwrap();
        assert_eq!(read(&path), StateFile::Intact(last_known(42, 7)));
    }

    fn last_known(index: u64, last_token: u64) -> LastKnown {
        LastKnown { index: LogIndex::new(index), last_token: Token::new(last_token), log: None }
    }
}
