//! Appending to a guarded file: only by the lock's holder, under its current token (S4).

use super::LockServer;
use super::request::Ask;
use crate::data::Data;
use crate::event::Fact;
use crate::id::{Name, Token};
use crate::refusal::{Bound, Refusal};
use crate::state::File;
use crate::wire::Status;

impl LockServer {
    pub(super) fn append(
        &mut self,
        ask: &Ask,
        file: &Name,
        token: Token,
        data: &Data,
        stale: bool,
    ) {
        let fenced = self.protections.fencing;
        let tenure = if fenced { self.check_tenure(ask.session_no, file, token) } else { Ok(()) };
        let checked = tenure
            .and(if stale { Err(Refusal::StaleSeq) } else { Ok(()) })
            .and_then(|()| self.check_room(file, data));
        let offset = match checked {
            Ok(offset) => offset,
            Err(refusal) => {
                self.refuse(ask, refusal);
                return;
            }
        };
        self.record(Fact::FileAppended {
            file: file.clone(),
            session_no: ask.session_no,
            client: ask.client.clone(),
            token,
            offset,
            data: data.clone(),
            asked: ask.asked,
        });
        self.answer(ask, Status::Appended { file: file.clone(), offset, len: data.len() });
    }

    /// Where the bytes would go, if there is room for them.
    pub(super) fn check_room(&self, file: &Name, data: &Data) -> Result<u64, Refusal> {
        let bounds = &self.config.bounds;
        let known = self.state.files().get(file);
        if known.is_none() && self.state.files().len() >= bounds.files_max {
            return Err(Refusal::Overloaded { bound: Bound::Files });
        }
        let offset = known.map_or(0, File::len);
        if offset.saturating_add(data.len()) > bounds.file_len_max {
            return Err(Refusal::TooLarge { limit: bounds.file_len_max });
        }
        if self.blocked.contains(file) {
            return Err(Refusal::StorageFailed);
        }
        Ok(offset)
    }
}
