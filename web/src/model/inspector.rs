//! What the inspector says of a thing: rows of names and values, made anew at each step, so that
//! what has changed can be told from what has not.

use leasehold_core::state::Answer;
use leasehold_sim::{Explainer, LockId, NodeId, Record, Run, VirtualTime, World};

use super::scene::{Client, Condition, Scene, clock_fault_text};
use crate::model::target::Target;

/// The run at a moment, as the inspector looks at it.
#[derive(Clone, Copy)]
pub(crate) struct InspectorContext<'a> {
    pub(crate) run: &'a Run,
    /// Unset where it was seen of a real server.
    pub(crate) world: Option<&'a World>,
    pub(crate) trace: &'a [Record],
    pub(crate) now: VirtualTime,
}

/// How many kept answers are told of.
const CACHED_REPLIES_SHOWN: usize = 3;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// It runs down by itself: that it differs is no change.
    pub(crate) is_countdown: bool,
}

fn text_field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), is_countdown: false }
}

fn countdown_field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), is_countdown: true }
}

/// What the thing is called.
pub(crate) fn target_title(scene: &Scene, target: Target) -> String {
    let client = |node: NodeId| scene.client(node).map_or("?", |client| client.name.as_str());
    match target {
        Target::Node(node) if node.is_server() => "server".to_owned(),
        Target::Node(node) => client(node).to_owned(),
        Target::Link(node) => format!("link of {}", client(node)),
        Target::Lock(lock) => {
            scene.locks.get(usize::from(lock.0)).map_or_else(String::new, |it| it.name.to_string())
        }
        Target::Packet(_) => "packet".to_owned(),
        Target::Record(record) => format!("event {}", record.0),
    }
}

/// Its rows.
pub(crate) fn inspector_fields(
    context: InspectorContext<'_>,
    scene: &Scene,
    target: Target,
) -> Vec<Field> {
    let now = context.now;
    match target {
        Target::Node(node) if node.is_server() => server_fields(context, scene),
        Target::Node(node) => {
            scene.client(node).map_or_else(Vec::new, |it| client_fields(context, scene, it, now))
        }
        Target::Link(node) => link_fields(context, scene, node),
        Target::Lock(lock_id) => lock_fields(context, scene, lock_id),
        Target::Packet(_) => packet_fields(scene, target, now),
        Target::Record(record_id) => {
            let explainer = Explainer::new(context.run, context.trace);
            let Some((description, record)) =
                explainer.describe(record_id).zip(explainer.record(record_id))
            else {
                return Vec::new();
            };
            let mut fields = vec![
                text_field("what", description.sentence()),
                text_field("when", format!("{}; its own clock: {} ms", record.at, record.local_ms)),
                text_field("rule", record.kind.code_with_cause().replace('_', " ")),
            ];
            fields.extend(description.reason.map(|reason| text_field("because", reason)));
            fields.extend(
                record.deciding_protection().map(|it| text_field("protection", it.sentence())),
            );
            fields
        }
    }
}

fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::NotStarted => "not started yet",
        Condition::Running => "runs",
        Condition::Paused => "stands still",
        Condition::Crashed => "crashed",
        Condition::Finished => "has finished",
    }
}

fn client_fields(
    context: InspectorContext<'_>,
    scene: &Scene,
    client: &Client,
    now: VirtualTime,
) -> Vec<Field> {
    let lock_name = |lock: LockId| {
        scene.locks.get(usize::from(lock.0)).map_or_else(String::new, |it| it.name.to_string())
    };
    let own_view = client.belief.map_or_else(
        || "no".to_owned(),
        |belief| format!("yes: {} #{}", lock_name(belief.lock), belief.token),
    );
    let held = scene.locks.iter().filter_map(|lock| {
        let holder = lock.holder.as_ref().filter(|it| it.client == client.name.as_str())?;
        Some(format!("{} #{}", lock.name, holder.token))
    });
    let held: Vec<String> = held.collect();
    let server_view =
        if held.is_empty() { "no".to_owned() } else { format!("yes: {}", held.join(", ")) };
    let remaining = |lease: Option<super::scene::LeaseTerm>| {
        lease.map_or_else(|| "–".to_owned(), |lease| lease.remaining_text(now))
    };
    let mut fields = vec![
        text_field("is", condition_text(client.condition)),
        text_field(
            if context.world.is_some() { "holds? (own view)" } else { "may believe so?" },
            own_view,
        ),
        text_field("holds? (server)", server_view),
        countdown_field("lease (server)", remaining(client.server_lease)),
        countdown_field(
            if context.world.is_some() { "belief (own clock)" } else { "belief (inferred)" },
            remaining(client.belief.map(|belief| belief.term)),
        ),
        text_field("does", client.activity.clone()),
    ];
    if let Some(world) = context.world {
        fields.extend(client_library_fields(world, client, now));
    }
    let view = context.world.and_then(|world| world.client_view(client.node));
    let script = context.run.config.clients.get(usize::from(client.node.0) - 1);
    if let (Some(view), Some(config)) = (view, script) {
        let step = config.script.get(view.script_step).map_or("–".to_owned(), step_text);
        let count = config.script.len();
        fields.push(text_field(
            "script",
            format!("{} of {count}: {step}", (view.script_step + 1).min(count)),
        ));
    }
    fields.extend(
        clock_fault_text(client.clock.ahead_ms, client.clock.rate_ppm)
            .map(|it| text_field("clock", it)),
    );
    fields
}

/// What its library is about, and what the server keeps for it.
fn client_library_fields(world: &World, client: &Client, now: VirtualTime) -> Vec<Field> {
    let mut fields = Vec::new();
    let library = world.client_view(client.node).and_then(|view| view.client);
    let time_until = |at| {
        let at = world.time_of_reading(client.node, at);
        let remaining = at.as_micros().saturating_sub(now.as_micros()) / 1_000;
        format!("in {remaining} ms")
    };
    if let Some(library) = library {
        // Who stands still sends none, whatever is due.
        if let Some(at) = library.next_heartbeat().filter(|_| client.condition != Condition::Paused)
        {
            fields.push(countdown_field("next heartbeat", time_until(at)));
        }
        let mut pending = library.pending_requests();
        if let Some(first) = pending.next() {
            let (op, tries) = (first.operation.op(), first.attempt.number() + 1);
            let what = op.code().replace('_', " ");
            let more = match pending.count() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            fields.push(text_field("no answer yet", format!("{what}, try {tries}{more}")));
            fields.push(countdown_field("asks again", time_until(first.retransmit_at)));
        }
    }
    let state = world.server().state;
    let session = state.and_then(|state| super::scene::latest_session(state, &client.name));
    if let Some((_, session)) = session {
        let replies = session.replies.entries();
        let last =
            replies.iter().rev().take(CACHED_REPLIES_SHOWN).map(|reply| answer_text(&reply.answer));
        let last: Vec<String> = last.collect();
        let more = if replies.len() > last.len() { ", …" } else { "" };
        let shown =
            if last.is_empty() { "none".to_owned() } else { format!("{}{more}", last.join(", ")) };
        fields.push(text_field("answers kept (server)", shown));
    }
    fields
}

/// An answer that the server keeps, so that it is given again and nothing is done twice.
fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Granted { lock, token } => format!("granted {lock} #{token}"),
        Answer::Cancelled { lock } => format!("left the line for {lock}"),
        Answer::Released { lock } => format!("freed {lock}"),
        Answer::Appended { file, .. } => format!("written to {file}"),
        Answer::Refused(refusal) => format!("refused: {}", refusal.code().replace('_', " ")),
    }
}

/// A step of a script, as one says it.
fn step_text(step: &leasehold_sim::ScriptStep) -> String {
    use leasehold_sim::ScriptStep;
    match step {
        ScriptStep::Acquire { lock, wait_ms: 0, .. } => format!("get {lock}, asking again"),
        ScriptStep::Acquire { lock, .. } => format!("get {lock}"),
        ScriptStep::Work { ms } => format!("work for {}", VirtualTime::from_millis(*ms)),
        ScriptStep::Append { file, check: true, .. } => format!("look, then append to {file}"),
        ScriptStep::Append { file, .. } => format!("append to {file}"),
        ScriptStep::Release { lock } => format!("give {lock} back"),
        ScriptStep::Close => "close the session".to_owned(),
        ScriptStep::Repeat { .. } => "begin again".to_owned(),
    }
}

fn server_fields(context: InspectorContext<'_>, scene: &Scene) -> Vec<Field> {
    let mut fields = vec![text_field("is", condition_text(scene.server.condition))];
    if let Some(counts) = scene.server.counts {
        fields.extend([
            text_field("sessions", counts.sessions.to_string()),
            text_field("locks held", counts.held.to_string()),
            text_field("waiting", counts.waiting.to_string()),
            text_field("last token", counts.last_token.to_string()),
            text_field("events", counts.index.to_string()),
        ]);
    }
    if let Some(world) = context.world {
        let view = world.server();
        fields.push(text_field(
            "on disk, up to event",
            view.durable_state.applied_index().to_string(),
        ));
        fields.push(text_field("not flushed yet", view.unflushed.to_string()));
    }
    let clock = scene.server.clock;
    fields
        .extend(clock_fault_text(clock.ahead_ms, clock.rate_ppm).map(|it| text_field("clock", it)));
    fields
}

fn link_fields(context: InspectorContext<'_>, scene: &Scene, node: NodeId) -> Vec<Field> {
    let Some(client) = scene.client(node) else { return Vec::new() };
    let direction_state = |is_cut| if is_cut { "cut" } else { "whole" };
    let packets_on_link = scene.packets.iter().filter(|packet| {
        let link = packet.selector.link;
        link.from == node || link.to == node
    });
    if context.world.is_none() {
        return vec![text_field("is", "not seen: only the server tells what it does")];
    }
    let network = context.run.config.network;
    let (min, max) = (network.latency_min_us / 1_000, network.latency_max_us / 1_000);
    vec![
        text_field("towards the server", direction_state(client.is_cut_off.0)),
        text_field("towards the client", direction_state(client.is_cut_off.1)),
        text_field("packets on it", packets_on_link.count().to_string()),
        text_field("a packet takes", format!("{min} to {max} ms")),
    ]
}

fn lock_fields(context: InspectorContext<'_>, scene: &Scene, lock_id: LockId) -> Vec<Field> {
    let Some(lock) = scene.locks.get(usize::from(lock_id.0)) else { return Vec::new() };
    let believers = scene.clients.iter().filter(|client| {
        client
            .belief
            .is_some_and(|belief| belief.lock == lock_id && belief.term.until > context.now)
    });
    let believers: Vec<&str> = believers.map(|client| client.name.as_str()).collect();
    let join_or_none = |names: Vec<&str>| {
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let holder = lock.holder.as_ref();
    vec![
        text_field("held by", holder.map_or("nobody".to_owned(), |it| it.client.clone())),
        text_field("token", holder.map_or("–".to_owned(), |it| it.token.to_string())),
        text_field("believed to be held by", join_or_none(believers)),
        text_field("in line", join_or_none(lock.wait_queue.iter().map(String::as_str).collect())),
        text_field("lines in its file", lock.line_count.to_string()),
    ]
}

fn packet_fields(scene: &Scene, target: Target, now: VirtualTime) -> Vec<Field> {
    let found = scene.packets.iter().find(|packet| Target::Packet(packet.id) == target);
    let Some(packet) = found else {
        return vec![text_field("is", "no longer on its way")];
    };
    let link = packet.selector.link;
    let name = |node: NodeId| {
        scene.client(node).map_or_else(|| "server".to_owned(), |client| client.name.to_string())
    };
    let lock = scene.locks.get(usize::from(packet.lock.0));
    let mut fields = vec![
        text_field("says", packet.message.code()),
        text_field("from", name(link.from)),
        text_field("to", name(link.to)),
    ];
    fields.extend(lock.map(|lock| text_field("about", lock.name.to_string())));
    if packet.number > 0 {
        fields.push(text_field("number", packet.number.to_string()));
    }
    let remaining = packet.arrives_at.as_micros().saturating_sub(now.as_micros()) / 1_000;
    fields.push(text_field("sent", packet.sent_at.to_string()));
    fields.push(countdown_field("arrives in", format!("{remaining} ms")));
    fields
}

/// A field and what its value was one step before, where that differs.
pub(crate) fn with_changes(now: Vec<Field>, before: &[Field]) -> Vec<(Field, Option<String>)> {
    let previous_value = |field: &Field| {
        let previous = before.iter().find(|previous| previous.name == field.name)?;
        (!field.is_countdown && previous.value != field.value).then(|| previous.value.clone())
    };
    now.into_iter()
        .map(|field| {
            let previous = previous_value(&field);
            (field, previous)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::timeline::Timeline;
    use leasehold_sim::Scenario;

    fn at(ms: u64) -> (Timeline, Scene) {
        let mut timeline = Timeline::new(Scenario::from_name("gc-pause").unwrap().resolve_run());
        timeline.go_to(VirtualTime::from_millis(ms));
        let scene = timeline.scene();
        (timeline, scene)
    }

    fn value(fields: &[Field], name: &str) -> String {
        fields.iter().find(|field| field.name == name).unwrap().value.clone()
    }

    #[test]
    fn own_view_and_server_view_are_both_shown() {
        let (timeline, scene) = at(12_000);
        let fields =
            inspector_fields(timeline.inspector_context(), &scene, Target::Node(NodeId(1)));
        assert_eq!(value(&fields, "is"), "stands still");
        assert_eq!(value(&fields, "holds? (server)"), "no");
        let (timeline, scene) = at(3_000);
        let fields =
            super::inspector_fields(timeline.inspector_context(), &scene, Target::Node(NodeId(1)));
        assert_eq!(value(&fields, "holds? (own view)"), "yes: file_0 #1");
        assert_eq!(value(&fields, "holds? (server)"), "yes: file_0 #1");
    }

    #[test]
    fn pending_requests_and_cached_replies_are_shown() {
        let mut timeline = Timeline::new(Scenario::from_name("lost-reply").unwrap().resolve_run());
        let (mut tries, mut has_cached_reply) = (0, false);
        for ms in (0..20_000).step_by(50) {
            timeline.go_to(VirtualTime::from_millis(ms));
            let fields = inspector_fields(
                timeline.inspector_context(),
                &timeline.scene(),
                Target::Node(NodeId(1)),
            );
            let value_of =
                |name: &str| fields.iter().find(|it| it.name == name).map(|it| &it.value);
            if let Some(waiting) = value_of("no answer yet").filter(|it| it.starts_with("append")) {
                tries = tries.max(waiting.split(' ').nth(3).unwrap().parse().unwrap());
            }
            has_cached_reply |= value_of("answers kept (server)")
                .is_some_and(|it| it.contains("written to file_0"));
        }
        assert_eq!(
            (tries, has_cached_reply),
            (2, true),
            "its answer was lost, and given once more"
        );
    }

    #[test]
    fn changes_are_marked_but_countdowns_are_not() {
        let (before, early_scene) = at(300);
        let (timeline, scene) = at(900);
        let target = Target::Lock(LockId(0));
        let previous_fields = inspector_fields(before.inspector_context(), &early_scene, target);
        let changed = with_changes(
            inspector_fields(timeline.inspector_context(), &scene, target),
            &previous_fields,
        );
        let token = changed.iter().find(|(field, _)| field.name == "token").unwrap();
        assert_eq!(token.1.as_deref(), Some("–"));
        let node = Target::Node(NodeId(1));
        let (timeline_2, scene_2) = at(901);
        let changed = with_changes(
            inspector_fields(timeline_2.inspector_context(), &scene_2, node),
            &inspector_fields(timeline.inspector_context(), &scene, node),
        );
        assert!(changed.iter().all(|(_, was)| was.is_none()), "{changed:?}");
    }
}
