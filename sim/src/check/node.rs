//! How a node is, as far as the records tell.

use crate::trace::RecordKind;

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is so or not, apart from the others")]
pub(super) struct NodeStatus {
    pub(super) started: bool,
    pub(super) alive: bool,
    pub(super) paused: bool,
    pub(super) finished: bool,
}

impl NodeStatus {
    /// Takes in what has become of it.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for what becomes of nodes alone")]
    pub(super) fn update(&mut self, kind: &RecordKind) {
        match kind {
            RecordKind::Started | RecordKind::Restarted => {
                (self.started, self.alive, self.finished) = (true, true, false);
            }
            RecordKind::Crashed { .. } => (self.alive, self.paused) = (false, false),
            RecordKind::Paused { .. } => self.paused = true,
            RecordKind::Resumed => self.paused = false,
            RecordKind::Finished => self.finished = true,
            _ => {}
        }
    }
}
