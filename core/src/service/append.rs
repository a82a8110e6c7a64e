//! Appends to a guarded file: only by the lock's holder, under its current token (S4).

use super::LockServer;
use super::dispatch::RequestContext;
use crate::data::Data;
use crate::event::EventKind;
use crate::id::{Name, Token};
use crate::refusal::{Limit, Refusal};
use crate::state::File;
use crate::wire::Status;

impl LockServer {
    pub(super) fn append(
        &mut self,
        context: &RequestContext,
        file: &Name,
        token: Token,
        data: &Data,
        stale: bool,
    ) {
        let fenced = self.protections.fencing;
        let tenure =
            if fenced { self.check_tenure(context.session_id, file, token) } else { Ok(()) };
        let checked = tenure
            .and(if stale { Err(Refusal::StaleSeq) } else { Ok(()) })
            .and_then(|()| self.check_file_capacity(file, data));
        let offset = match checked {
            Ok(offset) => offset,
            Err(refusal) => {
                self.refuse(context, refusal);
                return;
            }
        };
        self.record(EventKind::FileAppended {
            file: file.clone(),
            session_id: context.session_id,
            client: context.client.clone(),
            token,
            offset,
            data: data.clone(),
            request_id: context.request_id,
        });
        self.reply_to(context, Status::Appended { file: file.clone(), offset, len: data.len() });
    }

    /// Returns the offset of an append to this file, or why the file cannot take it.
    pub(super) fn check_file_capacity(&self, file: &Name, data: &Data) -> Result<u64, Refusal> {
        let limits = &self.config.limits;
        let existing_file = self.state.files().get(file);
        if existing_file.is_none() && self.state.files().len() >= limits.files_max {
            return Err(Refusal::Overloaded { limit: Limit::Files });
        }
        let offset = existing_file.map_or(0, File::len);
        if offset.saturating_add(data.len()) > limits.file_len_max {
            return Err(Refusal::TooLarge { limit: limits.file_len_max });
        }
        if self.unwritable_files.contains(file) {
            return Err(Refusal::StorageFailed);
        }
        Ok(offset)
    }
}
