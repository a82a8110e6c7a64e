//! The labels of a scene and of the inspector do not contradict each other, at any step of any
//! scenario.

use std::collections::BTreeMap;

use leasehold_core::client::LockClient;
use leasehold_sim::{
    Explainer, LockId, NodeId, Protection, RecordId, RecordKind, Run, Scenario, ScriptActivity,
    VirtualTime, World, library,
};

use super::{Client, Condition, Scene};
use crate::model::inspector::inspector_fields;
use crate::model::target::Target;
use crate::model::timeline::Timeline;

/// Each run of the library: as it is, and without each protection that a scenario is about.
fn runs() -> Vec<(String, Run)> {
    let mut runs = Vec::new();
    for scenario in library() {
        for expected in &scenario.expected {
            let name = format!("{} without {:?}", scenario.name, expected.without);
            runs.push((name, scenario.run_without(&expected.without)));
        }
    }
    runs
}

/// Returns the locks that an activity names after these words.
fn locks_after<'a>(activity: &'a str, words: &str) -> Vec<&'a str> {
    let Some((_, rest)) = activity.split_once(words) else { return Vec::new() };
    rest.split(", ").take_while(|name| !name.contains(' ')).collect()
}

/// Returns the inspector's value of a field.
fn field(timeline: &Timeline, scene: &Scene, target: Target, name: &str) -> Option<String> {
    let fields = inspector_fields(timeline.inspector_context(), scene, target);
    fields.into_iter().find(|field| field.name == name).map(|field| field.value)
}

fn check_session(client: &Client, world: &World, context: &str) {
    let Client { condition, activity, server_lease, .. } = client;
    let view = world.client_view(client.node).unwrap();
    // A client without a session has no lease, unless only the server knows of it.
    let has_no_session = ["no session", "opening a session"].contains(&activity.as_str());
    assert!(!has_no_session || server_lease.is_none(), "{context}, but it has a lease");
    if activity.contains("idle") {
        let mut pending = view.client.into_iter().flat_map(LockClient::pending_requests);
        assert_eq!(view.activity, ScriptActivity::Inactive, "{context}");
        assert!(pending.next().is_none(), "{context}, but a request is pending");
    }
    assert!(activity != "finished" || *condition == Condition::Finished, "{context}");
    assert!(*condition != Condition::Finished || !activity.contains("working"), "{context}");
}

fn check_tenures(client: &Client, scene: &Scene, (own, by_server): (&str, &str), context: &str) {
    let Client { name, condition, activity, .. } = client;
    let is_up = matches!(condition, Condition::Running | Condition::Finished);
    let holds = locks_after(activity, "holds ");
    assert!(!is_up || holds.is_empty() == (own == "nothing"), "{context}, but own view: {own}");
    for lock in holds.iter().filter(|_| !activity.contains("believes it holds")) {
        assert!(own.contains(lock) && by_server.contains(lock), "{context}: {own}; {by_server}");
        let holder =
            scene.locks.iter().find(|it| it.name.as_str() == *lock).unwrap().holder.clone();
        assert_eq!(holder.map(|it| it.client), Some(name.to_string()), "{context}");
        assert!(client.holds_lock && client.server_lease.is_some(), "{context}, without a lease");
    }
    assert!(client.belief.is_none() || own != "nothing", "{context}, but a belief is drawn");
    let mut queues = scene.locks.iter().flat_map(|lock| &lock.wait_queue);
    let is_queued = queues.any(|it| it == name.as_str());
    assert!(!is_up || is_queued == activity.contains("queued for"), "{context}: {is_queued}");
}

fn check_client(timeline: &Timeline, world: &World, scene: &Scene, client: &Client) {
    let activity = &client.activity;
    let context = format!("{} at {}: {activity:?}", client.name, timeline.now());
    let value =
        |name: &str| field(timeline, scene, Target::Node(client.node), name).unwrap_or_default();
    check_session(client, world, &context);
    let views = (value("Holds (client's view)"), value("Holds (server's view)"));
    check_tenures(client, scene, (&views.0, &views.1), &context);
    let step = value("Script step");
    let is_in_step = |words: &str, steps: [&str; 2]| {
        !activity.contains(words) || steps.iter().any(|it| step.contains(it))
    };
    assert!(is_in_step("working", ["work", "append"]), "{context}: {step}");
    assert!(is_in_step("backing off", ["acquire", "poll"]), "{context}: {step}");
    let link = |name| field(timeline, scene, Target::Link(client.node), name).unwrap();
    let states = [link("To the server"), link("To the client")];
    for (is_cut, state) in [client.is_cut_off.0, client.is_cut_off.1].into_iter().zip(states) {
        assert_eq!(is_cut, state == "cut", "{context}: {state}");
    }
}

fn check_lock(timeline: &Timeline, scene: &Scene, lock: LockId) {
    let value = |name: &str| field(timeline, scene, Target::Lock(lock), name).unwrap();
    let (holder, token) = (value("Held by"), value("Token"));
    assert_eq!(holder == "none", token == "–", "{holder} under {token}");
    let deadlock = field(timeline, scene, Target::Node(NodeId::SERVER), "Deadlock");
    assert_eq!(deadlock.is_some(), !scene.wait_cycles.is_empty());
}

#[test]
fn labels_of_a_step_do_not_contradict_each_other() {
    for (name, run) in runs() {
        let mut timeline = Timeline::new(run);
        for position in 0..=timeline.last_position() {
            timeline.go_to_position(position);
            let (scene, world) = (timeline.scene(), timeline.world().unwrap());
            for client in &scene.clients {
                check_client(&timeline, world, &scene, client);
            }
            for lock in &scene.locks {
                check_lock(&timeline, &scene, lock.id);
            }
        }
        assert!(timeline.is_at_end(), "{name}");
    }
}

/// Words that a sentence contains only if the run has what they are about.
#[test]
fn sentences_name_only_what_the_run_has() {
    let mut seen: BTreeMap<&str, u32> = BTreeMap::new();
    for (name, run) in runs() {
        let outcome = run.execute();
        let explainer = Explainer::new(&run, &outcome.trace);
        for (id, record) in (0..).map(RecordId).zip(&outcome.trace) {
            let description = explainer.describe(id).unwrap();
            let text = format!("{} {:?}", description.sentence(), description.reason);
            if matches!(record.kind, RecordKind::FaultsEnded) {
                assert_eq!(text.contains("faults end"), run.has_faults(), "{name}: {text}");
            }
            assert!(!text.contains("current: 0"), "{name}: {text}");
            assert!(run.has_faults() || !text.contains("a fault"), "{name}: {text}");
            assert!(!text.contains("at random"), "{name} loses nothing at random: {text}");
            *seen.entry(record.kind.code()).or_default() += 1;
        }
    }
    for kind in ["calmed", "request_refused", "lost", "file_read", "degraded"] {
        assert!(seen.contains_key(kind), "{kind} does not occur: {seen:?}");
    }
}

#[test]
fn deadlock_is_part_of_the_scene_and_named_by_the_server() {
    let scenario = Scenario::from_name("deadlock").unwrap();
    let mut timeline = Timeline::new(scenario.run_without(&[Protection::LockOrder].into()));
    timeline.go_to(VirtualTime::from_millis(8_000));
    let scene = timeline.scene();
    let cycle = vec![(NodeId(1), LockId(1)), (NodeId(2), LockId(0))];
    assert_eq!(scene.wait_cycles, [cycle]);
    assert_eq!(
        field(&timeline, &scene, Target::Node(NodeId::SERVER), "Deadlock").as_deref(),
        Some(
            "client_1 waits for file_1, which client_2 holds; \
             client_2 waits for file_0, which client_1 holds"
        )
    );
    let activity = &scene.client(NodeId(1)).unwrap().activity;
    assert_eq!(activity, "holds file_0, queued for file_1, position 1");
    timeline.go_to(VirtualTime::from_millis(1_000));
    assert!(timeline.scene().wait_cycles.is_empty());
}
