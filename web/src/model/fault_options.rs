//! The menu of faults for a target. Each entry that is not available now has a reason.

use leasehold_sim::{Action, Intervention, LinkId, NodeId, PacketAction, PacketId, VirtualTime};

use super::scene::{Client, Condition, Scene};
use crate::model::target::Target;

/// A clock drift beyond what the protocol tolerates, in parts per million.
const DRIFT_PPM: i64 = 200_000;

/// An entry of the menu.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FaultOption {
    /// The label of its button.
    pub(crate) text: String,
    /// Its shortcut, if it has one.
    pub(crate) key: Option<char>,
    pub(crate) action: Action,
    /// Why it is not available now.
    pub(crate) unavailable_reason: Option<String>,
}

/// Returns the faults that apply to a target, given the current scene.
pub(crate) fn fault_options(scene: &Scene, target: Target, lease_ms: u64) -> Vec<FaultOption> {
    match target {
        Target::Node(node) if node.is_server() => server_faults(scene, lease_ms),
        Target::Node(node) => {
            scene.client(node).map_or_else(Vec::new, |client| client_faults(client, lease_ms))
        }
        Target::Link(node) => {
            scene.client(node).map_or_else(Vec::new, |client| link_faults(client, lease_ms))
        }
        Target::Packet(packet) => packet_faults(scene, packet, lease_ms),
        Target::Lock(_) | Target::Record(_) => Vec::new(),
    }
}

/// Returns the intervention that performs the action at the next whole millisecond.
pub(crate) fn intervention_at(now: VirtualTime, action: Action) -> Intervention {
    Intervention::at(now.as_millis() + 1, action)
}

fn fault_option(
    text: impl Into<String>,
    key: Option<char>,
    action: Action,
    unavailable_reason: Option<&str>,
) -> FaultOption {
    FaultOption {
        text: text.into(),
        key,
        action,
        unavailable_reason: unavailable_reason.map(str::to_owned),
    }
}

/// Returns why a node in this condition accepts no fault other than a restart.
const fn node_unavailable_reason(condition: Condition) -> Option<&'static str> {
    match condition {
        Condition::Crashed => Some("it has crashed: restart it first"),
        Condition::NotStarted => Some("it has not started yet"),
        Condition::Running | Condition::Paused | Condition::Finished => None,
    }
}

fn lifecycle_faults(node: NodeId, condition: Condition, lease_ms: u64) -> Vec<FaultOption> {
    let unavailable = node_unavailable_reason(condition);
    let is_dead = condition == Condition::Crashed;
    let running = (!is_dead).then_some("it is running");
    let longer_than_lease_ms = lease_ms + lease_ms * 2 / 5;
    let restart = fault_option("Restart", Some('R'), Action::Restart { node }, running);
    let pause = |ms: u64, key| {
        let text = format!("Pause for {}", VirtualTime::from_millis(ms));
        fault_option(text, key, Action::Pause { node, ms }, unavailable)
    };
    let not_paused = (condition != Condition::Paused).then_some("it is not paused");
    let mut faults = Vec::new();
    if node.is_server() {
        let crash = |keeps_unflushed| Action::Crash { node, keeps_unflushed };
        faults.push(fault_option(
            "Crash, losing unflushed writes",
            Some('C'),
            crash(false),
            unavailable,
        ));
        faults.push(fault_option(
            "Crash, keeping unflushed writes",
            None,
            crash(true),
            unavailable,
        ));
    } else {
        let crash = Action::Crash { node, keeps_unflushed: false };
        faults.push(fault_option("Crash", Some('C'), crash, unavailable));
    }
    faults.extend([restart, pause(lease_ms / 2, None), pause(longer_than_lease_ms, Some('Z'))]);
    faults.push(fault_option("Resume", None, Action::Resume { node }, not_paused));
    faults
}

fn clock_faults(node: NodeId, condition: Condition, lease_ms: u64) -> Vec<FaultOption> {
    let unavailable = node_unavailable_reason(condition);
    let ms = i64::try_from(lease_ms + lease_ms / 2).unwrap_or(i64::MAX);
    let skew = |ms| Action::Skew { node, ms };
    let drift = |ppm| Action::Drift { node, ppm };
    let jump = VirtualTime::from_millis(lease_ms + lease_ms / 2);
    vec![
        fault_option("Clock 20 % slow", Some('T'), drift(-DRIFT_PPM), unavailable),
        fault_option("Clock 20 % fast", None, drift(DRIFT_PPM), unavailable),
        fault_option("Correct the clock", None, drift(0), unavailable),
        fault_option(format!("Jump the wall clock forward by {jump}"), None, skew(ms), unavailable),
        fault_option(format!("Jump the wall clock back by {jump}"), None, skew(-ms), unavailable),
    ]
}

fn server_faults(scene: &Scene, lease_ms: u64) -> Vec<FaultOption> {
    let (node, condition) = (NodeId::SERVER, scene.server.condition);
    let mut faults = lifecycle_faults(node, condition, lease_ms);
    let is_isolated = scene.clients.iter().all(|client| client.is_cut_off == (true, true));
    faults.extend(isolation_faults(node, is_isolated));
    let unavailable = node_unavailable_reason(condition);
    faults.push(fault_option(
        "Fail the next flush",
        None,
        Action::FailFlush { keeps_unflushed: false },
        unavailable,
    ));
    faults.push(fault_option(
        "Fail the next write (disk full)",
        None,
        Action::FailWrites { count: 1 },
        unavailable,
    ));
    let delay_ms = lease_ms / 5;
    let slow_flush_text = format!("Slow down flushes by {}", VirtualTime::from_millis(delay_ms));
    faults.push(fault_option(
        slow_flush_text,
        None,
        Action::SlowDisk { by_ms: delay_ms },
        unavailable,
    ));
    faults.extend(clock_faults(node, condition, lease_ms));
    faults
}

fn client_faults(client: &Client, lease_ms: u64) -> Vec<FaultOption> {
    let mut faults = lifecycle_faults(client.node, client.condition, lease_ms);
    faults.extend(isolation_faults(client.node, client.is_cut_off == (true, true)));
    faults.extend(clock_faults(client.node, client.condition, lease_ms));
    faults
}

fn isolation_faults(node: NodeId, is_isolated: bool) -> [FaultOption; 2] {
    let (isolate_reason, rejoin_reason) = if is_isolated {
        (Some("it is partitioned"), None)
    } else {
        (None, Some("it is not partitioned"))
    };
    let key = |is_key: bool| is_key.then_some('N');
    [
        fault_option(
            "Partition (both directions)",
            key(!is_isolated),
            Action::Isolate { node },
            isolate_reason,
        ),
        fault_option("Heal partition", key(is_isolated), Action::Rejoin { node }, rejoin_reason),
    ]
}

fn link_faults(client: &Client, lease_ms: u64) -> Vec<FaultOption> {
    let (to_server, to_client) = client.is_cut_off;
    let to_server_link = LinkId { from: client.node, to: NodeId::SERVER };
    let to_client_link = LinkId { from: NodeId::SERVER, to: client.node };
    let mut faults = isolation_faults(client.node, to_server && to_client).to_vec();
    for (link, is_cut, direction) in [
        (to_server_link, to_server, "link to the server"),
        (to_client_link, to_client, "link to the client"),
    ] {
        if is_cut {
            faults.push(fault_option(
                format!("Heal {direction}"),
                None,
                Action::Heal { link },
                None,
            ));
        } else {
            faults.push(fault_option(format!("Cut {direction}"), None, Action::Cut { link }, None));
        }
    }
    let degrade = |link, loss_ppm, delay_us| Action::Degrade { link, loss_ppm, delay_us };
    let delay_us = lease_ms * 1_000 / 10;
    let delay_text = format!("Add {} latency to the server", VirtualTime::from_micros(delay_us));
    faults.push(fault_option(
        "Drop half of the packets it sends",
        None,
        degrade(to_server_link, 500_000, 0),
        None,
    ));
    faults.push(fault_option(
        "Drop half of the packets it receives",
        None,
        degrade(to_client_link, 500_000, 0),
        None,
    ));
    faults.push(fault_option(delay_text, None, degrade(to_server_link, 0, delay_us), None));
    faults
}

fn packet_faults(scene: &Scene, id: PacketId, lease_ms: u64) -> Vec<FaultOption> {
    let Some(packet) = scene.packets.iter().find(|packet| packet.id == id) else {
        return Vec::new();
    };
    let packet_action = |fate| Action::Packet { packet: packet.selector, packet_action: fate };
    let longer_than_lease_ms = lease_ms + lease_ms * 2 / 5;
    let delay = |delay_ms: u64, key| {
        let text = format!("Delay by {}", VirtualTime::from_millis(delay_ms));
        fault_option(text, key, packet_action(PacketAction::Delay { by_ms: delay_ms }), None)
    };
    vec![
        fault_option("Drop packet", Some('X'), packet_action(PacketAction::Drop), None),
        fault_option(
            "Duplicate packet",
            Some('D'),
            packet_action(PacketAction::Duplicate { after_ms: 300 }),
            None,
        ),
        fault_option(
            format!("Duplicate after {}", VirtualTime::from_millis(longer_than_lease_ms)),
            None,
            packet_action(PacketAction::Duplicate { after_ms: longer_than_lease_ms }),
            None,
        ),
        delay(1_000, None),
        delay(longer_than_lease_ms, Some('Y')),
        fault_option("Deliver now", None, packet_action(PacketAction::Deliver), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    fn timeline_at(ms: u64) -> Timeline {
        let mut timeline =
            Timeline::new(Scenario::from_name("five-clients").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(ms));
        timeline
    }

    #[test]
    fn every_offered_fault_changes_the_run() {
        let timeline = timeline_at(700);
        let scene = timeline.scene();
        let packet = scene.packets.iter().max_by_key(|packet| packet.arrives_at).unwrap().id;
        let targets = [
            Target::Node(NodeId(1)),
            Target::Node(NodeId::SERVER),
            Target::Link(NodeId(2)),
            Target::Packet(packet),
        ];
        // These take effect only when something is written or flushed afterwards, or not at all.
        let has_no_visible_effect = |action: &Action| {
            matches!(action, Action::FailFlush { .. } | Action::FailWrites { .. })
                || matches!(action, Action::Drift { ppm: 0, .. })
        };
        let mut injected = 0;
        for target in targets {
            for fault in fault_options(&scene, target, 10_000) {
                if fault.unavailable_reason.is_some() || has_no_visible_effect(&fault.action) {
                    continue;
                }
                let fork =
                    timeline.fork(intervention_at(timeline.now(), fault.action.clone())).unwrap();
                assert_ne!(fork.fingerprint(), timeline.fingerprint(), "{}", fault.text);
                injected += 1;
            }
        }
        assert!(injected > 25, "{injected}");
    }

    #[test]
    fn unavailable_fault_gives_its_reason() {
        let timeline = timeline_at(700);
        let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
        let mut fork = timeline.fork(intervention_at(timeline.now(), crash)).unwrap();
        fork.go_to(timeline.now() + 10_000);
        let scene = fork.scene();
        let all = fault_options(&scene, Target::Node(NodeId(1)), 10_000);
        let find = |text: &str| all.iter().find(|fault| fault.text.starts_with(text)).unwrap();
        assert_eq!(
            find("Crash").unavailable_reason.as_deref(),
            Some("it has crashed: restart it first")
        );
        assert_eq!(find("Restart").unavailable_reason, None);
    }

    #[test]
    fn menu_entries_have_distinct_keys() {
        let timeline = timeline_at(700);
        let scene = timeline.scene();
        for target in [Target::Node(NodeId(1)), Target::Link(NodeId(1)), Target::Node(NodeId(0))] {
            let mut keys: Vec<char> = fault_options(&scene, target, 10_000)
                .iter()
                .filter_map(|fault| fault.key)
                .collect();
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), count, "{target:?}");
        }
    }
}
