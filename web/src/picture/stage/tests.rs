//! Tests of the stage.

use super::*;
use crate::model::scene::{Condition, Holder, Lock};
use crate::model::timeline::Timeline;
use crate::picture::audit::{AREAS, expect_none};
use leasehold_core::id::{Name, Token};
use leasehold_sim::Scenario;

const AREA: Area = Area { width: 760.0, height: 300.0, em: 13.0 };

fn timeline(scenario: &str, at_ms: u64) -> Timeline {
    let mut timeline = Timeline::new(Scenario::from_name(scenario).unwrap().resolve_run());
    timeline.go_to(VirtualTime::from_millis(at_ms));
    timeline
}

fn picture(scenario: &str, at_ms: u64) -> Picture {
    let timeline = timeline(scenario, at_ms);
    stage(&StageInput::new(&timeline.scene(), timeline.now()), AREA)
}

#[test]
fn every_node_file_and_packet_is_drawn_and_labelled() {
    let picture = picture("five-clients", 650);
    let labels = picture.labels();
    for name in ["client_1, ", "client_5, ", "server", "file file_3", "link between client_2"] {
        assert!(labels.iter().any(|label| label.starts_with(name)), "{name}: {labels:#?}");
    }
    assert!(labels.iter().any(|label| label.starts_with("packet ")), "{labels:#?}");
}

#[test]
fn belief_that_outlives_the_lease_is_marked() {
    let contains = |picture: &Picture, class: &str| format!("{picture:?}").contains(class);
    assert!(!contains(&picture("gc-pause", 5_000), "arc gap"));
    let scenario = Scenario::from_name("slow-clock").unwrap();
    let without = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
    let mut timeline = Timeline::new(scenario.run_without(&without.without));
    let mut marked = false;
    for ms in (0..timeline.end().as_millis()).step_by(50) {
        timeline.go_to(VirtualTime::from_millis(ms));
        let scene = timeline.scene();
        marked |= contains(&stage(&StageInput::new(&scene, timeline.now()), AREA), "arc gap");
    }
    assert!(marked);
}

/// A scene with this many clients: each lock has a holder and a queue.
fn crowd(clients: usize, locks: u8) -> Scene {
    let mut scene = timeline("five-clients", 3_000).scene();
    let (client, lock) = (scene.clients[0].clone(), scene.locks[0].clone());
    let name = |index: usize| Name::new(&format!("client_{}", index + 1)).unwrap();
    let nodes = (1..=255).map(NodeId).take(clients.min(250));
    scene.clients = nodes
        .enumerate()
        .map(|(index, node)| Client {
            node,
            name: name(index),
            condition: match index % 17 {
                3 => Condition::Crashed,
                5 => Condition::Paused,
                _ => Condition::Running,
            },
            is_cut_off: (index % 11 == 4, index % 23 == 4),
            ..client.clone()
        })
        .collect();
    scene.locks = (0..locks)
        .map(|id| Lock {
            id: LockId(id),
            name: Name::new(&format!("file_{id}")).unwrap(),
            holder: Some(Holder {
                client: format!("client_{}", id + 1),
                node: NodeId(id + 1),
                token: Token::new(1_000 + u64::from(id)),
            }),
            wait_queue: (usize::from(locks)..clients.min(250) * 3 / 4)
                .filter(|index| index % usize::from(locks) == usize::from(id))
                .map(|index| name(index).to_string())
                .collect(),
            ..lock.clone()
        })
        .collect();
    scene.packets.clear();
    scene
}

#[test]
fn crowds_of_every_size_fit_without_overlap() {
    for clients in [1, 2, 3, 5, 7, 8, 9, 10, 12, 20, 30, 45, 60, 100, 180, 250] {
        for locks in [1, 3, 10] {
            let scene = crowd(clients, locks);
            for (size, is_presenting) in AREAS {
                let area = Area::new(size, is_presenting);
                let input = StageInput::new(&scene, VirtualTime::from_millis(3_000));
                let what = format!("{clients} clients, {locks} locks, {area:?}");
                let picture = stage(&input, area);
                expect_none(&what, &picture);
                let nodes = picture.shapes.iter().filter(|shape| {
                    matches!(shape, Shape::Group(Group { target: Some(Target::Node(_)), .. }))
                });
                assert_eq!(nodes.count(), clients + 1, "{what}");
            }
        }
    }
}

#[test]
fn five_thirty_and_three_hundred_clients_have_a_design_each() {
    let design = |clients| {
        let scene = crowd(clients, 3);
        match Layout::new(Area::new((824.0, 238.0), false), &scene).arrangement {
            Arrangement::Column => "column",
            Arrangement::NarrowColumn => "narrow column",
            Arrangement::Grid(_) => "grid",
            Arrangement::Heat(_) => "heat",
        }
    };
    assert_eq!((design(5), design(30), design(250)), ("column", "grid", "heat"));
}

#[test]
fn packets_that_would_cover_each_other_are_one_with_a_count() {
    let timeline = timeline("five-clients", 650);
    let mut scene = timeline.scene();
    let packet = scene.packets[0].clone();
    for id in 1..40 {
        let mut copy = packet.clone();
        copy.id.0 += 1_000 + id;
        scene.packets.push(copy);
    }
    let picture = stage(&StageInput::new(&scene, timeline.now()), AREA);
    let labels = picture.labels();
    assert!(labels.iter().any(|it| it.starts_with("40 packets, packet ")), "{labels:#?}");
}

#[test]
fn deadlock_is_drawn_and_named() {
    let timeline = timeline("five-clients", 3_000);
    let scene = timeline.scene();
    let wait_cycle = [(NodeId(1), LockId(1)), (NodeId(2), LockId(0))];
    let input = StageInput { wait_cycle: &wait_cycle, ..StageInput::new(&scene, timeline.now()) };
    let picture = stage(&input, AREA);
    let (one, two) = (&scene.locks[1].name, &scene.locks[0].name);
    let expected = format!(
        "deadlock: client_1 waits for {one}, held by client_2; client_2 waits for {two}, held by client_1"
    );
    assert!(picture.label.ends_with(&expected), "{}", picture.label);
    let text = format!("{picture:?}");
    assert_eq!(text.matches("\"cycle-ring\"").count(), 2);
    assert_eq!(text.matches("\"wait-arrow head\"").count(), 2);
    expect_none("deadlock", &picture);
}

#[test]
fn cards_describe_nodes_links_and_locks() {
    let timeline = timeline("gc-pause", 1_900);
    let scene = timeline.scene();
    let input = StageInput::new(&scene, timeline.now());
    let card = card_for(&input, Target::Node(NodeId(1))).unwrap();
    assert_eq!((&*card.title, card.client), ("client_1", Some(NodeId(1))));
    assert!(card.lines.iter().any(|it| it.starts_with("remaining lease: ")), "{card:?}");
    let card = card_for(&input, Target::Lock(LockId(0))).unwrap();
    assert!(card.lines[0].contains("held by client_1 with token 1"), "{card:?}");
    assert_eq!(card_for(&input, Target::Node(NodeId(9))), None);
}
