//! The whole state in the journal, written piece by piece.

use std::sync::Arc;

use leasehold_core::id::{Nonce, SessionId, SessionKey};
use leasehold_core::secret::Secret;
use leasehold_core::state::{SessionSecrets, State};
use redb::{ReadableTable, Table};
use serde::{Deserialize, Serialize};

/// The size of a piece, in bytes: what a commit can take along without being felt, and a little
/// less than a power of two, which is what redb sets aside for it.
const PIECE: usize = 255 << 10;

/// The state and what it leaves out of its own JSON.
#[derive(Serialize, Deserialize)]
struct Whole<S> {
    state: S,
    /// Session number, id and nonce.
    secrets: Vec<(u64, String, Option<String>)>,
}

/// A snapshot that is being written.
#[derive(Clone, Debug)]
pub(super) struct Writing {
    index: u64,
    bytes: Arc<Vec<u8>>,
    next: u32,
}

/// Writes a state down, with what opens its sessions' doors.
pub fn encode_snapshot(state: &State) -> Vec<u8> {
    let secrets = state.secrets().into_iter().map(|secret| {
        let nonce = secret.nonce.map(|nonce| nonce.expose().to_hex());
        (secret.session_id.number(), secret.key.expose().to_hex(), nonce)
    });
    let whole = Whole { state, secrets: secrets.collect() };
    let json = serde_json::to_vec(&whole).expect("a state can be written as JSON");
    let mut bytes = crc32fast::hash(&json).to_le_bytes().to_vec();
    bytes.extend_from_slice(&json);
    bytes
}

/// Reads what [`encode_snapshot`] wrote.
///
/// # Errors
/// Where the bytes were changed.
pub fn decode_snapshot(bytes: &[u8]) -> Result<State, String> {
    let (checksum, json) = bytes.split_at_checked(4).ok_or("a snapshot is cut off")?;
    if checksum != crc32fast::hash(json).to_le_bytes() {
        return Err("the checksum of a snapshot is wrong".to_owned());
    }
    let whole: Whole<State> = serde_json::from_slice(json).map_err(|error| error.to_string())?;
    let secrets: Option<Vec<SessionSecrets>> = whole.secrets.iter().map(secret_of).collect();
    let secrets = secrets.ok_or("a session's id in a snapshot is none")?;
    Ok(whole.state.with_secrets(&secrets))
}

fn secret_of((session_no, id, nonce): &(u64, String, Option<String>)) -> Option<SessionSecrets> {
    Some(SessionSecrets {
        session_id: SessionId::new(*session_no),
        key: Secret::new(SessionKey::from_hex(id)?),
        nonce: match nonce {
            Some(nonce) => Some(Secret::new(Nonce::from_hex(nonce)?)),
            None => None,
        },
    })
}

impl Writing {
    pub(super) fn new(index: u64, bytes: Vec<u8>) -> Self {
        Self { index, bytes: Arc::new(bytes), next: 0 }
    }

    pub(super) const fn index(&self) -> u64 {
        self.index
    }

    /// Writes the next piece. Gives the number of pieces once it was the last.
    pub(super) fn write_next(
        &mut self,
        pieces: &mut Table<'_, (u64, u32), &[u8]>,
    ) -> Result<Option<u32>, redb::Error> {
        let mut chunks = self.bytes.chunks(PIECE).skip(self.next as usize);
        if let Some(chunk) = chunks.next() {
            pieces.insert((self.index, self.next), chunk)?;
            self.next += 1;
        }
        Ok(chunks.next().is_none().then_some(self.next))
    }
}

/// The bytes of the snapshot that covers up to `index`, from its pieces.
pub(super) fn read(
    table: &impl ReadableTable<(u64, u32), &'static [u8]>,
    index: u64,
    pieces: u64,
) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    for piece in 0..u32::try_from(pieces).map_err(|error| error.to_string())? {
        let row = table.get((index, piece)).map_err(|error| error.to_string())?;
        bytes.extend_from_slice(row.ok_or("a piece of a snapshot is missing")?.value());
    }
    Ok(bytes)
}
