//! What is done to a run, as it is read: the fields of all actions, side by side.

use serde::de::value::Error;

use super::{Action, Fate, Intervention, PacketName};
use crate::message::Message;
use crate::trace::{LinkNo, NodeNo};

/// What may stand in an intervention.
#[derive(Default)]
pub(super) struct Flat {
    at_ms: Option<u64>,
    action: String,
    node: Option<NodeNo>,
    keeps_unflushed: bool,
    keeps: bool,
    /// A pause is never negative, but a clock is set back too.
    ms: Option<i64>,
    ppm: Option<i64>,
    from: Option<NodeNo>,
    to: Option<NodeNo>,
    loss_ppm: Option<u64>,
    delay_us: Option<u64>,
    message: Option<Message>,
    nth: Option<u32>,
    fate: Option<String>,
    after_ms: u64,
    by_ms: Option<u64>,
    count: Option<u32>,
}

fields!(Flat {
    at_ms,
    action,
    node,
    keeps_unflushed,
    keeps,
    ms,
    ppm,
    from,
    to,
    loss_ppm,
    delay_us,
    message,
    nth,
    fate,
    after_ms,
    by_ms,
    count,
});

impl TryFrom<Flat> for Intervention {
    type Error = Error;

    fn try_from(flat: Flat) -> Result<Self, Error> {
        Ok(Self { at_ms: flat.at_ms, action: flat.try_into()? })
    }
}

impl TryFrom<Flat> for Action {
    type Error = Error;

    fn try_from(mut flat: Flat) -> Result<Self, Error> {
        let Flat { keeps_unflushed, keeps, .. } = flat;
        Ok(match tag!(flat.action, "action").as_str() {
            "crash" => Self::Crash { node: need!(flat.node)?, keeps_unflushed },
            "restart" => take!(flat, Self::Restart { node }),
            "pause" => take!(flat, Self::Pause { node, ms: need_narrow!(flat.ms)? }),
            "resume" => take!(flat, Self::Resume { node }),
            "cut" => Self::Cut { link: flat.link()? },
            "heal" => Self::Heal { link: flat.link()? },
            "isolate" => take!(flat, Self::Isolate { node }),
            "rejoin" => take!(flat, Self::Rejoin { node }),
            "skew" => take!(flat, Self::Skew { node, ms }),
            "drift" => take!(flat, Self::Drift { node, ppm }),
            "degrade" => take!(flat, Self::Degrade { link: flat.link()?, loss_ppm, delay_us }),
            "packet" => Self::Packet { packet: flat.packet()?, fate: flat.fate()? },
            "fail_flush" => Self::FailFlush { keeps },
            "fail_writes" => take!(flat, Self::FailWrites { count }),
            "slow_disk" => take!(flat, Self::SlowDisk { by_ms }),
            "calm" => Self::Calm,
            word => return unknown!("action", word),
        })
    }
}

impl Flat {
    fn link(&mut self) -> Result<LinkNo, Error> {
        Ok(LinkNo { from: need!(self.from)?, to: need!(self.to)? })
    }

    fn packet(&mut self) -> Result<PacketName, Error> {
        Ok(PacketName { link: self.link()?, message: need!(self.message)?, nth: need!(self.nth)? })
    }

    fn fate(&mut self) -> Result<Fate, Error> {
        Ok(match need!(self.fate)?.as_str() {
            "drop" => Fate::Drop,
            "duplicate" => Fate::Duplicate { after_ms: self.after_ms },
            "delay" => take!(self, Fate::Delay { by_ms }),
            "deliver" => Fate::Deliver,
            word => return unknown!("fate", word),
        })
    }
}
