//! The status of a node, derived from the records.

#[derive(Clone, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "the flags are independent")]
pub(super) struct NodeStatus {
    pub(super) started: bool,
    pub(super) alive: bool,
    pub(super) paused: bool,
    pub(super) finished: bool,
}

impl NodeStatus {
    pub(super) const fn start(&mut self) {
        (self.started, self.alive, self.finished) = (true, true, false);
    }

    pub(super) const fn crash(&mut self) {
        (self.alive, self.paused) = (false, false);
    }
}
