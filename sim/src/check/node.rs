//! How a node is, as far as the records tell.

use crate::trace::Kind;

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is so or not, apart from the others")]
pub(super) struct Node {
    pub(super) started: bool,
    pub(super) alive: bool,
    pub(super) paused: bool,
    pub(super) finished: bool,
}

impl Node {
    /// Takes in what has become of it.
    #[allow(clippy::wildcard_enum_match_arm, reason = "called for what becomes of nodes alone")]
    pub(super) fn take(&mut self, kind: &Kind) {
        match kind {
            Kind::Started | Kind::Restarted => {
                (self.started, self.alive, self.finished) = (true, true, false);
            }
            Kind::Crashed { .. } => (self.alive, self.paused) = (false, false),
            Kind::Paused { .. } => self.paused = true,
            Kind::Resumed => self.paused = false,
            Kind::Finished => self.finished = true,
            _ => {}
        }
    }
}
