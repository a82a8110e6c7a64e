//! What can be done to whom: the menu of faults, each with the reason where it can't be done now.

use leasehold_sim::{Action, Fate, Intervention, LinkNo, Moment, NodeNo, PacketNo};

use super::scene::{Client, Condition, Scene};
use crate::picture::shape::Target;

/// A slower clock than any protocol allows for, in parts per million.
const DRIFT_PPM: i64 = 200_000;

/// One entry of the menu.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Fault {
    /// What is done, as on a button.
    pub(crate) text: String,
    /// The key for it, where there is one.
    pub(crate) key: Option<char>,
    pub(crate) action: Action,
    /// Why it can't be done now.
    pub(crate) barred: Option<String>,
}

/// What can be done to this, at a moment at which all is as in the scene.
pub(crate) fn faults(scene: &Scene, target: Target, lease_ms: u64) -> Vec<Fault> {
    match target {
        Target::Node(node) if node.is_server() => of_server(scene, lease_ms),
        Target::Node(node) => {
            scene.client(node).map_or_else(Vec::new, |client| of_client(client, lease_ms))
        }
        Target::Link(node) => {
            scene.client(node).map_or_else(Vec::new, |client| of_link(client, lease_ms))
        }
        Target::Packet(packet) => of_packet(scene, packet, lease_ms),
        Target::Lock(_) | Target::Record(_) => Vec::new(),
    }
}

/// The intervention that does it now: at a whole millisecond that has not come yet.
pub(crate) fn at(now: Moment, action: Action) -> Intervention {
    Intervention::at(now.as_millis() + 1, action)
}

fn fault(
    text: impl Into<String>,
    key: Option<char>,
    action: Action,
    barred: Option<&str>,
) -> Fault {
    Fault { text: text.into(), key, action, barred: barred.map(str::to_owned) }
}

/// Why nothing can be done to a node in this condition, but for starting it.
const fn barred(condition: Condition) -> Option<&'static str> {
    match condition {
        Condition::Dead => Some("it has crashed: restart it first"),
        Condition::NotStarted => Some("it has not started yet"),
        Condition::Up | Condition::Paused | Condition::Finished => None,
    }
}

fn life(node: NodeNo, condition: Condition, lease_ms: u64) -> Vec<Fault> {
    let dead = barred(condition);
    let is_dead = condition == Condition::Dead;
    let alive = (!is_dead).then_some("it runs");
    let long = lease_ms + lease_ms * 2 / 5;
    let restart = fault("Restart", Some('R'), Action::Restart { node }, alive);
    let pause = |ms: u64, key| {
        let text = format!("Pause for {}", Moment::from_millis(ms));
        fault(text, key, Action::Pause { node, ms }, dead)
    };
    let still = (condition != Condition::Paused).then_some("it does not stand still");
    let mut faults = Vec::new();
    if node.is_server() {
        let crash = |keeps_unflushed| Action::Crash { node, keeps_unflushed };
        faults.push(fault("Crash, losing what is not flushed", Some('C'), crash(false), dead));
        faults.push(fault("Crash, keeping what is written", None, crash(true), dead));
    } else {
        let crash = Action::Crash { node, keeps_unflushed: false };
        faults.push(fault("Crash", Some('C'), crash, dead));
    }
    faults.extend([restart, pause(lease_ms / 2, None), pause(long, Some('Z'))]);
    faults.push(fault("Go on", None, Action::Resume { node }, still));
    faults
}

fn clock(node: NodeNo, condition: Condition, lease_ms: u64) -> Vec<Fault> {
    let dead = barred(condition);
    let ms = i64::try_from(lease_ms + lease_ms / 2).unwrap_or(i64::MAX);
    let skew = |ms| Action::Skew { node, ms };
    let drift = |ppm| Action::Drift { node, ppm };
    let jump = Moment::from_millis(lease_ms + lease_ms / 2);
    vec![
        fault("Clock 20 % slow", Some('T'), drift(-DRIFT_PPM), dead),
        fault("Clock 20 % fast", None, drift(DRIFT_PPM), dead),
        fault("Clock right again", None, drift(0), dead),
        fault(format!("Wall clock forward by {jump}"), None, skew(ms), dead),
        fault(format!("Wall clock back by {jump}"), None, skew(-ms), dead),
    ]
}

fn of_server(scene: &Scene, lease_ms: u64) -> Vec<Fault> {
    let (node, condition) = (NodeNo::SERVER, scene.server.condition);
    let mut faults = life(node, condition, lease_ms);
    let is_off = scene.clients.iter().all(|client| client.cut == (true, true));
    faults.extend(isolation(node, is_off));
    let dead = barred(condition);
    faults.push(fault("The next flush fails", None, Action::FailFlush { keeps: false }, dead));
    faults.push(fault("The disk is full, once", None, Action::FailWrites { count: 1 }, dead));
    let by_ms = lease_ms / 5;
    let slow = format!("A flush takes {} longer", Moment::from_millis(by_ms));
    faults.push(fault(slow, None, Action::SlowDisk { by_ms }, dead));
    faults.extend(clock(node, condition, lease_ms));
    faults
}

fn of_client(client: &Client, lease_ms: u64) -> Vec<Fault> {
    let mut faults = life(client.node, client.condition, lease_ms);
    faults.extend(isolation(client.node, client.cut == (true, true)));
    faults.extend(clock(client.node, client.condition, lease_ms));
    faults
}

fn isolation(node: NodeNo, is_off: bool) -> [Fault; 2] {
    let (off, on) =
        if is_off { (Some("it is cut off"), None) } else { (None, Some("it is not cut off")) };
    let key = |is_key: bool| is_key.then_some('N');
    [
        fault("Cut off, both ways", key(!is_off), Action::Isolate { node }, off),
        fault("Heal", key(is_off), Action::Rejoin { node }, on),
    ]
}

fn of_link(client: &Client, lease_ms: u64) -> Vec<Fault> {
    let (to_server, to_client) = client.cut;
    let there = LinkNo { from: client.node, to: NodeNo::SERVER };
    let back = LinkNo { from: NodeNo::SERVER, to: client.node };
    let mut faults = isolation(client.node, to_server && to_client).to_vec();
    for (link, is_cut, words) in
        [(there, to_server, "towards the server"), (back, to_client, "towards the client")]
    {
        if is_cut {
            faults.push(fault(format!("Heal {words}"), None, Action::Heal { link }, None));
        } else {
            faults.push(fault(format!("Cut {words}"), None, Action::Cut { link }, None));
        }
    }
    let worse = |link, loss_ppm, delay_us| Action::Degrade { link, loss_ppm, delay_us };
    let delay_us = lease_ms * 1_000 / 10;
    let slower = format!("{} slower towards the server", Moment::from_micros(delay_us));
    faults.push(fault("Half of what it sends is lost", None, worse(there, 500_000, 0), None));
    faults.push(fault("Half of what it should get is lost", None, worse(back, 500_000, 0), None));
    faults.push(fault(slower, None, worse(there, 0, delay_us), None));
    faults
}

fn of_packet(scene: &Scene, no: PacketNo, lease_ms: u64) -> Vec<Fault> {
    let Some(packet) = scene.packets.iter().find(|packet| packet.no == no) else {
        return Vec::new();
    };
    let does = |fate| Action::Packet { packet: packet.name, fate };
    let long = lease_ms + lease_ms * 2 / 5;
    let delay = |by_ms: u64, key| {
        let text = format!("Hold up for {}", Moment::from_millis(by_ms));
        fault(text, key, does(Fate::Delay { by_ms }), None)
    };
    vec![
        fault("Lose it", Some('X'), does(Fate::Drop), None),
        fault("Make two of it", Some('D'), does(Fate::Duplicate { after_ms: 300 }), None),
        fault(
            format!("A copy {} later", Moment::from_millis(long)),
            None,
            does(Fate::Duplicate { after_ms: long }),
            None,
        ),
        delay(1_000, None),
        delay(long, Some('Y')),
        fault("Deliver it at once", None, does(Fate::Deliver), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    fn film_at(ms: u64) -> Film {
        let mut film = Film::new(Scenario::named("five-clients").unwrap().run());
        film.go_to(Moment::from_millis(ms));
        film
    }

    #[test]
    fn whatever_is_offered_can_be_done_and_is_seen() {
        let film = film_at(700);
        let scene = film.scene();
        let packet = scene.packets.iter().max_by_key(|packet| packet.arrives).unwrap().no;
        let targets = [
            Target::Node(NodeNo(1)),
            Target::Node(NodeNo::SERVER),
            Target::Link(NodeNo(2)),
            Target::Packet(packet),
        ];
        // These show only when something is written, or lost, afterwards.
        let silent = |action: &Action| {
            matches!(action, Action::FailFlush { .. } | Action::FailWrites { .. })
                || matches!(action, Action::Drift { ppm: 0, .. })
        };
        let mut done = 0;
        for target in targets {
            for fault in faults(&scene, target, 10_000) {
                if fault.barred.is_some() || silent(&fault.action) {
                    continue;
                }
                let run_fork = film.fork(at(film.now(), fault.action.clone())).unwrap();
                assert_ne!(run_fork.fingerprint(), film.fingerprint(), "{}", fault.text);
                done += 1;
            }
        }
        assert!(done > 25, "{done}");
    }

    #[test]
    fn what_can_not_be_done_says_why() {
        let film = film_at(700);
        let crash = Action::Crash { node: NodeNo(1), keeps_unflushed: false };
        let mut fork = film.fork(at(film.now(), crash)).unwrap();
        fork.go_to(film.now() + 10_000);
        let scene = fork.scene();
        let all = faults(&scene, Target::Node(NodeNo(1)), 10_000);
        let find = |text: &str| all.iter().find(|fault| fault.text.starts_with(text)).unwrap();
        assert_eq!(find("Crash").barred.as_deref(), Some("it has crashed: restart it first"));
        assert_eq!(find("Restart").barred, None);
    }

    #[test]
    fn no_two_entries_of_a_menu_have_the_same_key() {
        let film = film_at(700);
        let scene = film.scene();
        for target in [Target::Node(NodeNo(1)), Target::Link(NodeNo(1)), Target::Node(NodeNo(0))] {
            let mut keys: Vec<char> =
                faults(&scene, target, 10_000).iter().filter_map(|fault| fault.key).collect();
            let count = keys.len();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), count, "{target:?}");
        }
    }
}
