//! Snapshots: the complete state in a file, which replaces the segments before it.
//!
//! A snapshot is written under another name and renamed when it is durable, so it exists completely
//! or not at all. Only then is anything deleted.

use std::io;
use std::sync::Arc;

use leasehold_core::id::{LogIndex, Nonce, SessionId, SessionKey};
use leasehold_core::secret::Secret;
use leasehold_core::state::{SessionSecrets, State};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

use super::format::{index_in_name, number_at, segment_name, snapshot_name};
use super::medium::Medium;
use super::{AppendError, Chain, FileChecksums, LogId, LogPosition, SnapshotWriter};

const MAGIC: u64 = u64::from_le_bytes(*b"lhsnap\0\x01");

/// The length of the header: magic, log id, record, chain value, index, flags, length of the state.
const HEADER_LEN: usize = 64;
/// The length of the checksum at the end.
const FOOTER_LEN: usize = 8;

/// The flag of a snapshot that a log begins with after a loss of data.
const FOLLOWS_DATA_LOSS: u64 = 1;

/// The name of a snapshot that is not complete yet.
const TEMPORARY: &str = "snapshot.new";

/// The size of a write.
const CHUNK: usize = 256 << 10;

/// A snapshot that was read.
pub(super) struct Snapshot {
    pub(super) position: LogPosition,
    pub(super) follows_data_loss: bool,
    pub(super) state: State,
    pub(super) file_checksums: FileChecksums,
}

/// Writes a snapshot to a file.
#[derive(Debug)]
pub(super) struct SnapshotFileWriter {
    pub(super) medium: Arc<dyn Medium>,
}

/// The state, and the secrets that its JSON omits.
#[derive(Serialize, Deserialize)]
struct StateAndSecrets<S> {
    state: S,
    /// Session id, key and nonce.
    secrets: Vec<(u64, String, Option<String>)>,
    /// Absent in logs of versions up to 0.1.
    #[serde(default)]
    file_checksums: FileChecksums,
}

impl SnapshotWriter for SnapshotFileWriter {
    fn write(&self, position: &LogPosition, state: &[u8]) -> Result<(), AppendError> {
        write(&*self.medium, position, false, state)?;
        prune(&*self.medium, position.through.number()).map_err(AppendError::Write)
    }
}

/// Stores a snapshot.
pub(super) fn write(
    medium: &dyn Medium,
    position: &LogPosition,
    follows_data_loss: bool,
    state: &[u8],
) -> Result<(), AppendError> {
    let bytes = encode(position, follows_data_loss, state);
    let store = || {
        let file = medium.create(TEMPORARY, bytes.len() as u64)?;
        for (number, chunk) in bytes.chunks(CHUNK).enumerate() {
            file.write_at(chunk, (number * CHUNK) as u64)?;
        }
        Ok(file)
    };
    let file = store().map_err(|error| {
        // An incomplete snapshot is useless and occupies disk space.
        let _ = medium.remove(TEMPORARY);
        AppendError::Write(error)
    })?;
    file.sync().map_err(AppendError::Flush)?;
    let name = snapshot_name(position.through.number());
    medium.rename(TEMPORARY, &name).map_err(AppendError::Write)?;
    medium.sync_names().map_err(AppendError::Flush)
}

/// Deletes the segments and snapshots that the snapshot at `index` replaces.
pub(super) fn prune(medium: &dyn Medium, index: u64) -> io::Result<()> {
    let names = medium.list()?;
    let snapshots = names.iter().filter_map(|name| index_in_name(name, ".snapshot"));
    for old in snapshots.filter(|old| *old < index) {
        medium.remove(&snapshot_name(old))?;
    }
    let mut segments: Vec<u64> =
        names.iter().filter_map(|name| index_in_name(name, ".segment")).collect();
    segments.sort_unstable();
    for pair in segments.windows(2).filter(|pair| 0 < pair[0] && pair[1] <= index + 1) {
        medium.remove(&segment_name(pair[0] - 1))?;
    }
    Ok(())
}

/// Encodes a state with the secrets of its sessions and the checksums of its files.
pub fn encode_state(state: &State, file_checksums: FileChecksums) -> Vec<u8> {
    let secrets = state.secrets().into_iter().map(|secret| {
        let nonce = secret.nonce.map(|nonce| nonce.expose().to_hex());
        (secret.session_id.number(), secret.key.expose().to_hex(), nonce)
    });
    let contents = StateAndSecrets { state, secrets: secrets.collect(), file_checksums };
    serde_json::to_vec(&contents).expect("a state can be serialized")
}

/// Decodes what [`encode_state`] encoded.
///
/// # Errors
/// If the bytes are not a state.
pub fn decode_state(json: &[u8]) -> Result<(State, FileChecksums), String> {
    let contents: StateAndSecrets<State> =
        serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let secrets: Option<Vec<SessionSecrets>> = contents.secrets.iter().map(parse_secrets).collect();
    let secrets = secrets.ok_or("a session key or nonce is malformed")?;
    Ok((contents.state.with_secrets(&secrets), contents.file_checksums))
}

fn parse_secrets(
    (session_id, key, nonce): &(u64, String, Option<String>),
) -> Option<SessionSecrets> {
    Some(SessionSecrets {
        session_id: SessionId::new(*session_id),
        key: Secret::new(SessionKey::from_hex(key)?),
        nonce: match nonce {
            Some(nonce) => Some(Secret::new(Nonce::from_hex(nonce)?)),
            None => None,
        },
    })
}

fn encode(position: &LogPosition, follows_data_loss: bool, state: &[u8]) -> Vec<u8> {
    let id = position.log_id.0.to_le_bytes();
    let fields = [
        MAGIC,
        number_at(&id, 0),
        number_at(&id, 8),
        position.record,
        position.chain.0,
        position.through.number(),
        if follows_data_loss { FOLLOWS_DATA_LOSS } else { 0 },
        state.len() as u64,
    ];
    let mut bytes = Vec::with_capacity(HEADER_LEN + state.len() + FOOTER_LEN);
    for field in fields {
        bytes.extend_from_slice(&field.to_le_bytes());
    }
    bytes.extend_from_slice(state);
    let checksum = XxHash3_64::oneshot(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Decodes a snapshot file.
///
/// # Errors
/// If it is not intact.
pub(super) fn decode(bytes: &[u8]) -> Result<Snapshot, String> {
    let (contents, checksum) = bytes.split_last_chunk::<8>().ok_or("it is truncated")?;
    if contents.len() < HEADER_LEN || XxHash3_64::oneshot(contents) != u64::from_le_bytes(*checksum)
    {
        return Err("its checksum is wrong".to_owned());
    }
    let field = |number: usize| number_at(contents, number * 8);
    if field(0) != MAGIC || field(7) != (contents.len() - HEADER_LEN) as u64 {
        return Err("it is of another version, which this program does not know".to_owned());
    }
    let position = LogPosition {
        log_id: LogId(u128::from(field(2)) << 64 | u128::from(field(1))),
        record: field(3),
        chain: Chain(field(4)),
        through: LogIndex::new(field(5)),
    };
    let (state, file_checksums) = decode_state(&contents[HEADER_LEN..])?;
    if state.applied_index() > position.through {
        return Err("its state is of a later index than its header".to_owned());
    }
    let follows_data_loss = field(6) & FOLLOWS_DATA_LOSS != 0;
    Ok(Snapshot { position, follows_data_loss, state, file_checksums })
}
