//! Decodes interventions from JSON. Their encoding is derived.

use leasehold_core::deserialize_from_fields;
use leasehold_core::fields::{Error, Fields, FromFields, unknown_variant};

use super::{Action, Intervention, PacketAction, PacketSelector};
use crate::trace::LinkId;

deserialize_from_fields!(Intervention, Action, PacketSelector, PacketAction);

impl FromFields for Intervention {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let at_ms = fields.take_optional("at_ms")?;
        Ok(Self { at_ms, action: Action::from_fields(fields)? })
    }
}

impl FromFields for Action {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("action")?;
        Ok(match &*tag {
            "crash" => Self::Crash {
                node: fields.take("node")?,
                keeps_unflushed: fields.take_or("keeps_unflushed", false)?,
            },
            "restart" => Self::Restart { node: fields.take("node")? },
            "pause" => Self::Pause { node: fields.take("node")?, ms: fields.take("ms")? },
            "resume" => Self::Resume { node: fields.take("node")? },
            "cut" => Self::Cut { link: take_link(fields)? },
            "heal" => Self::Heal { link: take_link(fields)? },
            "isolate" => Self::Isolate { node: fields.take("node")? },
            "rejoin" => Self::Rejoin { node: fields.take("node")? },
            "skew" => Self::Skew { node: fields.take("node")?, ms: fields.take("ms")? },
            "drift" => Self::Drift { node: fields.take("node")?, ppm: fields.take("ppm")? },
            "degrade" => Self::Degrade {
                link: take_link(fields)?,
                loss_ppm: fields.take("loss_ppm")?,
                delay_us: fields.take("delay_us")?,
            },
            "packet" => Self::Packet {
                packet: PacketSelector::from_fields(fields)?,
                packet_action: PacketAction::from_fields(fields)?,
            },
            "fail_flush" => Self::FailFlush { keeps_unflushed: fields.take_or("keeps", false)? },
            "fail_writes" => Self::FailWrites { count: fields.take("count")? },
            "slow_disk" => Self::SlowDisk { by_ms: fields.take("by_ms")? },
            "calm" => Self::EndFaults,
            _ => return Err(unknown_variant(&tag)),
        })
    }
}

impl FromFields for PacketSelector {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        Ok(Self {
            link: take_link(fields)?,
            message: fields.take("message")?,
            nth: fields.take("nth")?,
        })
    }
}

impl FromFields for PacketAction {
    fn from_fields(fields: &mut Fields<'_>) -> Result<Self, Error> {
        let tag = fields.take_tag("fate")?;
        Ok(match &*tag {
            "drop" => Self::Drop,
            "duplicate" => Self::Duplicate { after_ms: fields.take_or("after_ms", 0)? },
            "delay" => Self::Delay { by_ms: fields.take("by_ms")? },
            "deliver" => Self::Deliver,
            _ => return Err(unknown_variant(&tag)),
        })
    }
}

fn take_link(fields: &mut Fields<'_>) -> Result<LinkId, Error> {
    Ok(LinkId { from: fields.take("from")?, to: fields.take("to")? })
}
