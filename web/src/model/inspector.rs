//! The inspector: fields with names and values that describe the selected target.
//!
//! The fields are computed again at each step, and compared with those of the previous step to mark
//! changes.

use leasehold_core::id::Token;
use leasehold_core::state::Answer;
use leasehold_sim::{
    ClientView, Explainer, LinkId, LockId, NodeId, Record, Run, ScriptActivity, ScriptStep,
    TimeLabels as _, VirtualTime, World,
};

use super::file_views::line_count_text;
use super::scene::{Client, Condition, Scene, clock_fault_text};
use super::time_display::TimeDisplay;
use crate::model::target::Target;

/// A run at one time.
#[derive(Clone, Copy)]
pub(crate) struct InspectorContext<'a> {
    pub(crate) run: &'a Run,
    /// The simulated world; `None` for a live trace.
    pub(crate) world: Option<&'a World>,
    pub(crate) trace: &'a [Record],
    pub(crate) now: VirtualTime,
    pub(crate) time_display: &'a TimeDisplay,
}

/// The number of cached replies that are shown.
const CACHED_REPLIES_SHOWN: usize = 3;

/// A name and a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// The value counts down by itself, so a difference is not marked as a change.
    pub(crate) is_countdown: bool,
}

fn text_field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), is_countdown: false }
}

fn countdown_field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), is_countdown: true }
}

/// Returns the name of a target.
pub(crate) fn target_title(scene: &Scene, target: Target) -> String {
    let client = |node: NodeId| scene.client(node).map_or("?", |client| client.name.as_str());
    match target {
        Target::Node(node) if node.is_server() => "server".to_owned(),
        Target::Node(node) => client(node).to_owned(),
        Target::Link(node) => format!("link to {}", client(node)),
        Target::Lock(lock) => {
            scene.locks.get(usize::from(lock.0)).map_or_else(String::new, |it| it.name.to_string())
        }
        Target::Packet(_) => "packet".to_owned(),
        Target::Record(record) => format!("event {}", record.0),
    }
}

/// Returns the fields of a target.
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
        Target::Packet(_) => packet_fields(context, scene, target),
        Target::Record(record_id) => {
            let explainer =
                Explainer::new(context.run, context.trace).with_time_labels(context.time_display);
            let Some((description, record)) =
                explainer.describe(record_id).zip(explainer.record(record_id))
            else {
                return Vec::new();
            };
            let mut fields = vec![
                text_field("Event", description.sentence()),
                text_field("Time", time_text(context, record)),
                text_field("Rule", record.kind.code_with_cause().replace('_', " ")),
            ];
            fields.extend(description.reason.map(|reason| text_field("Reason", reason)));
            fields.extend(
                record.deciding_protection().map(|it| text_field("Protection", it.sentence())),
            );
            fields
        }
    }
}

/// Returns the time of a record, and the reading of the node's own clock.
fn time_text(context: InspectorContext<'_>, record: &Record) -> String {
    let at = context.time_display.label(record.at);
    format!("{at} (local clock: {} ms)", record.local_ms)
}

fn condition_text(condition: Condition) -> &'static str {
    match condition {
        Condition::NotStarted => "not started yet",
        Condition::Running => "running",
        Condition::Paused => "paused",
        Condition::Crashed => "crashed",
        Condition::Finished => "finished",
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
    let believed = |(lock, token): (LockId, Token)| format!("{} #{token}", lock_name(lock));
    let own_view =
        match context.world.and_then(|world| Some((world, world.client_view(client.node)?))) {
            Some((world, view)) => {
                let current = view
                    .beliefs
                    .iter()
                    .filter(|it| world.time_of_reading(client.node, it.until) > world.now());
                current.map(|it| believed((it.lock, it.token))).collect::<Vec<_>>()
            }
            None => client.belief.iter().map(|it| believed((it.lock, it.token))).collect(),
        };
    let own_view = if own_view.is_empty() { "nothing".to_owned() } else { own_view.join(", ") };
    let held = scene.locks.iter().filter_map(|lock| {
        let holder = lock.holder.as_ref().filter(|it| it.node == client.node)?;
        Some(format!("{} #{}", lock.name, holder.token))
    });
    let held: Vec<String> = held.collect();
    let server_view = if held.is_empty() { "nothing".to_owned() } else { held.join(", ") };
    let remaining = |lease: Option<super::scene::LeaseTerm>| {
        lease.map_or_else(|| "–".to_owned(), |lease| lease.remaining_text(now))
    };
    let mut fields = vec![
        text_field("State", condition_text(client.condition)),
        text_field(
            if context.world.is_some() {
                "Holds (client's view)"
            } else {
                "Believes to hold (inferred)"
            },
            own_view,
        ),
        text_field("Holds (server's view)", server_view),
        countdown_field("Lease (server)", remaining(client.server_lease)),
        countdown_field(
            if context.world.is_some() { "Belief (client's clock)" } else { "Belief (inferred)" },
            remaining(client.belief.map(|belief| belief.term)),
        ),
        text_field("Activity", client.activity.clone()),
    ];
    if let Some(world) = context.world {
        fields.extend(client_library_fields(world, client, now));
    }
    if let Some(view) = context.world.and_then(|world| world.client_view(client.node)) {
        let (index, count) = (current_step(view), view.steps.len());
        let step = view.steps.get(index).map_or("–".to_owned(), step_text);
        fields.push(text_field(
            "Script step",
            format!("{} of {count}: {step}", (index + 1).min(count)),
        ));
    }
    fields.extend(
        clock_fault_text(client.clock.ahead_ms, client.clock.rate_ppm)
            .map(|it| text_field("Clock", it)),
    );
    fields
}

/// Returns the state of the client library, and the replies that the server has cached for it.
fn client_library_fields(world: &World, client: &Client, now: VirtualTime) -> Vec<Field> {
    let mut fields = Vec::new();
    let library = world.client_view(client.node).and_then(|view| view.client);
    let time_until = |at| {
        let at = world.time_of_reading(client.node, at);
        let remaining = at.as_micros().saturating_sub(now.as_micros()) / 1_000;
        format!("in {remaining} ms")
    };
    if let Some(library) = library {
        // A paused client sends no heartbeats.
        if let Some(at) = library.next_heartbeat().filter(|_| client.condition != Condition::Paused)
        {
            fields.push(countdown_field("Next heartbeat", time_until(at)));
        }
        let mut pending = library.pending_requests();
        if let Some(first) = pending.next() {
            let (op, attempt) = (first.operation.op(), first.attempt.number() + 1);
            let request_name = op.code().replace('_', " ");
            let more = match pending.count() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            fields.push(text_field(
                "Pending request",
                format!("{request_name}, attempt {attempt}{more}"),
            ));
            fields.push(countdown_field("Next retransmit", time_until(first.retransmit_at)));
        }
    }
    let state = world.server().state;
    let session = state.and_then(|state| super::scene::latest_session(state, &client.name));
    if let Some((_, session)) = session {
        let replies = session.replies.entries();
        let latest =
            replies.iter().rev().take(CACHED_REPLIES_SHOWN).map(|reply| answer_text(&reply.answer));
        let latest: Vec<String> = latest.collect();
        let more = if replies.len() > latest.len() { ", …" } else { "" };
        let shown = if latest.is_empty() {
            "none".to_owned()
        } else {
            format!("{}{more}", latest.join(", "))
        };
        fields.push(text_field("Cached replies (server)", shown));
    }
    fields
}

/// Describes a cached reply.
fn answer_text(answer: &Answer) -> String {
    match answer {
        Answer::Granted { lock, token } => format!("granted {lock} #{token}"),
        Answer::Cancelled { lock } => format!("left the queue of {lock}"),
        Answer::Released { lock } => format!("released {lock}"),
        Answer::Appended { file, .. } => format!("appended to {file}"),
        Answer::Refused(refusal) => format!("refused: {}", refusal.code().replace('_', " ")),
    }
}

/// Returns the index of the step that the client performs. While it works, its script is already at
/// the next step.
fn current_step(view: ClientView<'_>) -> usize {
    let previous = view.script_step.checked_sub(1);
    let is_work = |index: &usize| {
        matches!(view.activity, ScriptActivity::Working(_))
            && matches!(view.steps.get(*index), Some(ScriptStep::Work { .. }))
    };
    previous.filter(is_work).unwrap_or(view.script_step)
}

fn step_text(step: &ScriptStep) -> String {
    match step {
        ScriptStep::Acquire { lock, or_release: Some(other), .. } => {
            format!("acquire {lock}, or release {other} and retry")
        }
        ScriptStep::Acquire { lock, wait_ms: 0, .. } => format!("acquire {lock}, polling"),
        ScriptStep::Acquire { lock, .. } => format!("acquire {lock}"),
        ScriptStep::Work { ms } => format!("work for {}", VirtualTime::from_millis(*ms)),
        ScriptStep::Append { file, check: true, .. } => {
            format!("check the lease, then append to {file}")
        }
        ScriptStep::Append { file, .. } => format!("append to {file}"),
        ScriptStep::Release { lock } => format!("release {lock}"),
        ScriptStep::Read { file, .. } => format!("read {file}"),
        ScriptStep::Close => "close the session".to_owned(),
        ScriptStep::Repeat { .. } => "repeat from the start".to_owned(),
    }
}

fn server_fields(context: InspectorContext<'_>, scene: &Scene) -> Vec<Field> {
    let mut fields = vec![text_field("State", condition_text(scene.server.condition))];
    if let Some(counts) = scene.server.counts {
        fields.extend([
            text_field("Open sessions", counts.sessions.to_string()),
            text_field("Locks held", counts.held.to_string()),
            text_field("Waiters", counts.waiting.to_string()),
            text_field("Last token", counts.last_token.to_string()),
            text_field("Log index", counts.index.to_string()),
        ]);
    }
    fields.extend(
        scene.wait_cycles.iter().map(|cycle| text_field("Deadlock", wait_cycle_text(scene, cycle))),
    );
    if let Some(world) = context.world {
        let view = world.server();
        fields
            .push(text_field("Durable log index", view.durable_state.applied_index().to_string()));
        fields.push(text_field("Events not flushed", view.unflushed.to_string()));
    }
    if scene.more_locks > 0 {
        fields.push(text_field("Locks not shown", scene.more_locks.to_string()));
    }
    let clock = scene.server.clock;
    fields
        .extend(clock_fault_text(clock.ahead_ms, clock.rate_ppm).map(|it| text_field("Clock", it)));
    fields
}

/// Describes a wait-for cycle, such as "client_1 waits for file_1, which client_2 holds; …".
pub(crate) fn wait_cycle_text(scene: &Scene, cycle: &[(NodeId, LockId)]) -> String {
    let client = |node: NodeId| scene.client(node).map_or("?", |client| client.name.as_str());
    let holders = cycle.iter().cycle().skip(1);
    let waits = cycle.iter().zip(holders).map(|((waiter, lock), (holder, _))| {
        let lock = scene.locks.get(usize::from(lock.0)).map_or("?", |it| it.name.as_str());
        format!("{} waits for {lock}, which {} holds", client(*waiter), client(*holder))
    });
    waits.collect::<Vec<_>>().join("; ")
}

fn link_fields(context: InspectorContext<'_>, scene: &Scene, node: NodeId) -> Vec<Field> {
    let direction_state = |from, to| {
        let link = context.world.map(|world| world.link(LinkId { from, to })).unwrap_or_default();
        let (loss, delay_ms) = (link.loss_ppm / 10_000, link.delay_us / 1_000);
        match (link.is_cut, loss, delay_ms) {
            (true, ..) => "cut".to_owned(),
            (false, 0, 0) => "up".to_owned(),
            (false, _, 0) => format!("degraded: {loss} % of packets lost"),
            (false, _, _) => format!("degraded: {loss} % of packets lost, {delay_ms} ms slower"),
        }
    };
    let packets_on_link = scene.packets.iter().filter(|packet| {
        let link = packet.selector.link;
        link.from == node || link.to == node
    });
    if context.world.is_none() {
        return vec![text_field("State", "unknown: only the server's events are visible")];
    }
    let network = context.run.config.network;
    let (min, max) = (network.latency_min_us / 1_000, network.latency_max_us / 1_000);
    vec![
        text_field("To the server", direction_state(node, NodeId::SERVER)),
        text_field("To the client", direction_state(NodeId::SERVER, node)),
        text_field("Packets in flight", packets_on_link.count().to_string()),
        text_field("Latency", format!("{min} to {max} ms")),
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
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    };
    let holder = lock.holder.as_ref();
    vec![
        text_field("Held by", holder.map_or("none".to_owned(), |it| it.client.clone())),
        text_field("Token", holder.map_or("–".to_owned(), |it| it.token.to_string())),
        text_field("Believed to be held by", join_or_none(believers)),
        text_field(
            "Wait queue",
            join_or_none(lock.wait_queue.iter().map(String::as_str).collect()),
        ),
        text_field("File", line_count_text(lock.line_count, lock.is_partial_count)),
    ]
}

fn packet_fields(context: InspectorContext<'_>, scene: &Scene, target: Target) -> Vec<Field> {
    let InspectorContext { now, time_display, .. } = context;
    let found = scene.packets.iter().find(|packet| Target::Packet(packet.id) == target);
    let Some(packet) = found else {
        return vec![text_field("State", "no longer in flight")];
    };
    let link = packet.selector.link;
    let name = |node: NodeId| {
        scene.client(node).map_or_else(|| "server".to_owned(), |client| client.name.to_string())
    };
    let lock = scene.locks.get(usize::from(packet.lock.0));
    let mut fields = vec![
        text_field("Message", packet.message.code()),
        text_field("From", name(link.from)),
        text_field("To", name(link.to)),
    ];
    fields.extend(lock.map(|lock| text_field("Lock", lock.name.to_string())));
    if !packet.number.is_zero() {
        fields.push(text_field("Value", packet.number.to_string()));
    }
    let remaining = packet.arrives_at.as_micros().saturating_sub(now.as_micros()) / 1_000;
    fields.push(text_field("Sent", time_display.label(packet.sent_at)));
    fields.push(countdown_field("Arrives in", format!("{remaining} ms")));
    fields
}

/// Pairs each field with its previous value, if that was different.
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
        assert_eq!(value(&fields, "State"), "paused");
        assert_eq!(value(&fields, "Holds (server's view)"), "nothing");
        let (timeline, scene) = at(3_000);
        let fields =
            inspector_fields(timeline.inspector_context(), &scene, Target::Node(NodeId(1)));
        assert_eq!(value(&fields, "Holds (client's view)"), "file_0 #1");
        assert_eq!(value(&fields, "Holds (server's view)"), "file_0 #1");
    }

    #[test]
    fn pending_requests_and_cached_replies_are_shown() {
        let mut timeline = Timeline::new(Scenario::from_name("lost-reply").unwrap().resolve_run());
        let (mut attempts, mut has_cached_reply) = (0, false);
        for ms in (0..20_000).step_by(50) {
            timeline.go_to(VirtualTime::from_millis(ms));
            let fields = inspector_fields(
                timeline.inspector_context(),
                &timeline.scene(),
                Target::Node(NodeId(1)),
            );
            let value_of =
                |name: &str| fields.iter().find(|it| it.name == name).map(|it| &it.value);
            if let Some(waiting) = value_of("Pending request").filter(|it| it.starts_with("append"))
            {
                attempts = attempts.max(waiting.split(' ').nth(3).unwrap().parse().unwrap());
            }
            has_cached_reply |= value_of("Cached replies (server)")
                .is_some_and(|it| it.contains("appended to file_0"));
        }
        assert_eq!((attempts, has_cached_reply), (2, true), "the reply was lost, and sent again");
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
        let token = changed.iter().find(|(field, _)| field.name == "Token").unwrap();
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
