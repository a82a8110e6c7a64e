//! `server_state.json`: the whole state for people, by rename and readable by its owner alone.
//!
//! Nothing rests on it but one thing: where the journal is lost, it tells which tokens and which
//! places in history may have been seen.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use leasehold_core::id::{Index, Token};
use leasehold_core::state::State;
use serde_json::{Value, json};

use crate::clock::unix_millis;

const NAME: &str = "server_state.json";
const NEW: &str = "server_state.json.new";

/// What was known when the file was written.
#[derive(Clone, Copy, Debug, Default)]
pub struct LastKnown {
    /// The last place in history.
    pub index: Index,
    /// The last token.
    pub last_token: Token,
}

/// Writes the state, with the ids of the sessions.
///
/// # Errors
/// Where the file can't be written; the old one is there then as it was.
pub fn write(dir: &Path, state: &State) -> std::io::Result<()> {
    let secrets: Vec<Value> = state
        .secrets()
        .into_iter()
        .map(|it| json!({"session_no": it.session_no, "session": it.id.expose().to_hex()}))
        .collect();
    let whole = json!({
        "format": 1,
        "written_unix_ms": unix_millis(),
        "index": state.index(),
        "last_token": state.last_token(),
        "state": state,
        "secrets": secrets,
    });
    let path = dir.join(NEW);
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    serde_json::to_writer_pretty(&mut file, &whole)?;
    file.write_all(b"\n")?;
    file.sync_all()?;
    fs::rename(&path, dir.join(NAME))
}

/// Whether there is one: a server has been here.
pub fn exists(dir: &Path) -> bool {
    dir.join(NAME).exists()
}

/// What the file tells, as far as it can be read.
pub fn last_known(dir: &Path) -> LastKnown {
    let read = fs::read(dir.join(NAME)).ok();
    let whole: Option<Value> = read.and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let number = |key| whole.as_ref().and_then(|whole| whole.get(key)?.as_u64()).unwrap_or(0);
    LastKnown { index: Index::new(number("index")), last_token: Token::new(number("last_token")) }
}
