//! `server_state.json`: the whole state for people, by rename and readable by its owner alone.
//!
//! Nothing rests on it but one thing: where the journal is lost, it tells which tokens and which
//! places in history may have been seen.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use leasehold_core::id::{Index, SessionNo, Token};
use leasehold_core::state::State;
use serde::{Deserialize, Serialize};

use crate::clock::unix_millis;

const NAME: &str = "server_state.json";
const NEW: &str = "server_state.json.new";

/// What was known when the file was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct LastKnown {
    /// The last place in history.
    pub index: Index,
    /// The last token.
    pub last_token: Token,
}

/// The file. What has to be found also when the end is lost comes first.
#[derive(Serialize)]
struct Whole<'a> {
    format: u32,
    written_unix_ms: u64,
    index: Index,
    last_token: Token,
    state: &'a State,
    secrets: Vec<Capability>,
}

#[derive(Serialize)]
struct Capability {
    session_no: SessionNo,
    session: String,
}

/// Writes the state, with the ids of the sessions.
///
/// # Errors
/// Where the file can't be written; the old one is there then as it was.
pub fn write(dir: &Path, state: &State) -> io::Result<()> {
    let capabilities = state.secrets().into_iter().map(|secret| Capability {
        session_no: secret.session_no,
        session: secret.id.expose().to_hex(),
    });
    let whole = Whole {
        format: 1,
        written_unix_ms: unix_millis(),
        index: state.index(),
        last_token: state.last_token(),
        state,
        secrets: capabilities.collect(),
    };
    let path = dir.join(NEW);
    // A new file each time: one that was left there may be readable by others.
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let mut file = BufWriter::new(file);
    serde_json::to_writer_pretty(&mut file, &whole)?;
    file.write_all(b"\n")?;
    file.into_inner()?.sync_all()?;
    fs::rename(&path, dir.join(NAME))?;
    File::open(dir)?.sync_all()
}

/// Whether there is one: a server has been here.
pub fn exists(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// What the file tells, as far as it can be read; zeros where it can't be read at all.
pub fn last_known(dir: &Path) -> LastKnown {
    let bytes = fs::read(dir.join(NAME)).unwrap_or_default();
    serde_json::from_slice(&bytes).unwrap_or_else(|_| {
        let text = String::from_utf8_lossy(&bytes);
        LastKnown {
            index: Index::new(largest(&text, "\"index\":")),
            last_token: Token::new(largest(&text, "\"last_token\":")),
        }
    })
}

/// The largest number that follows `key` anywhere. Of a damaged file that is the safe side: what
/// is skipped is lost, and what is given twice does harm.
fn largest(text: &str, key: &str) -> u64 {
    let rest = text.split(key).skip(1);
    let number = |rest: &str| {
        let rest = rest.trim_start();
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
        rest[..end].parse().ok()
    };
    rest.filter_map(number).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use leasehold_core::event::{Event, Fact};
    use leasehold_core::id::{Name, Nonce, SessionId};
    use leasehold_core::secret::Secret;
    use leasehold_core::time::{Span, Time};

    use super::*;

    fn state() -> State {
        let mut state = State::after_loss(BTreeMap::new(), Index::new(41), Token::new(7));
        state.apply(&Event {
            index: Index::new(42),
            at: Time::from_millis(5),
            fact: Fact::SessionOpened {
                session_no: SessionNo::new(1),
                client: Name::new("ann").unwrap(),
                lease: Span::from_secs(5),
                id: Some(Secret::new(SessionId::from_entropy(0xabc))),
                nonce: Some(Secret::new(Nonce::new(0xdef))),
            },
        });
        state
    }

    #[test]
    fn it_tells_its_owner_everything_and_others_nothing() {
        let dir = tempfile::tempdir().unwrap();
        // What somebody has left there is neither written through nor kept readable.
        symlink(dir.path().join("elsewhere"), dir.path().join(NEW)).unwrap();
        write(dir.path(), &state()).unwrap();
        fs::write(dir.path().join(NEW), "left by a crash").unwrap();
        write(dir.path(), &state()).unwrap();
        let path = dir.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!dir.path().join("elsewhere").exists() && !dir.path().join(NEW).exists());
        let told: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        assert_eq!(told["format"], 1);
        assert_eq!(told["state"]["sessions"]["1"]["client"], "ann");
        assert_eq!(told["secrets"][0]["session_no"], 1);
        assert_eq!(told["secrets"][0]["session"], format!("{:032x}", 0xabc));
        assert_eq!(last_known(dir.path()), known(42, 7));
    }

    #[test]
    fn a_damaged_one_tells_what_is_left_of_it() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(last_known(dir.path()), LastKnown::default());
        write(dir.path(), &state()).unwrap();
        let path = dir.path().join(NAME);
        let whole = fs::read_to_string(&path).unwrap();
        for (damaged, index, last_token) in [
            (whole[..whole.len() / 2].to_owned(), 42, 7),
            (whole.replacen("\"index\": 42", "\"index\": #", 1), 42, 7),
            ("\"last_token\": 12, \"last_token\":9, \"index\": ".to_owned(), 0, 12),
            ("\0\0\0".to_owned(), 0, 0),
            (String::new(), 0, 0),
        ] {
            fs::write(&path, &damaged).unwrap();
            assert_eq!(last_known(dir.path()), known(index, last_token), "{damaged}");
        }
    }

    fn known(index: u64, last_token: u64) -> LastKnown {
        LastKnown { index: Index::new(index), last_token: Token::new(last_token) }
    }
}
