//! What the inspector says of a thing: rows of names and values, made anew at each step, so that
//! what has changed can be told from what has not.

use leasehold_core::state::Answer;
use leasehold_sim::{LockNo, Moment, NodeNo, Record, Run, Teller, World};

use super::scene::{Client, Condition, Scene};
use crate::picture::shape::Target;
use crate::picture::stage::clock_text;

/// The run at a moment, as the inspector looks at it.
#[derive(Clone, Copy)]
pub(crate) struct Sight<'a> {
    pub(crate) run: &'a Run,
    /// Unset where it was seen of a real server.
    pub(crate) world: Option<&'a World>,
    pub(crate) trace: &'a [Record],
    pub(crate) now: Moment,
}

/// How many kept answers are told of.
const REPLIES_SHOWN: usize = 3;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    /// It runs down by itself: that it differs is no change.
    pub(crate) runs: bool,
}

fn field(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), runs: false }
}

fn running(name: &'static str, value: impl Into<String>) -> Field {
    Field { name, value: value.into(), runs: true }
}

/// What the thing is called.
pub(crate) fn title(scene: &Scene, target: Target) -> String {
    let client = |node: NodeNo| scene.client(node).map_or("?", |client| client.name.as_str());
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
pub(crate) fn fields(sight: Sight<'_>, scene: &Scene, target: Target) -> Vec<Field> {
    let now = sight.now;
    match target {
        Target::Node(node) if node.is_server() => server(sight, scene),
        Target::Node(node) => {
            scene.client(node).map_or_else(Vec::new, |it| client(sight, scene, it, now))
        }
        Target::Link(node) => link(sight, scene, node),
        Target::Lock(no) => lock(sight, scene, no),
        Target::Packet(_) => packet(scene, target, now),
        Target::Record(no) => {
            let teller = Teller::new(sight.run, sight.trace);
            let Some((told, record)) = teller.tell(no).zip(teller.record(no)) else {
                return Vec::new();
            };
            let mut fields = vec![
                field("what", told.sentence()),
                field("when", format!("{}; its own clock: {} ms", record.at, record.local_ms)),
                field("rule", record.kind.word().replace('_', " ")),
            ];
            fields.extend(told.because.map(|because| field("because", because)));
            fields.extend(record.protection().map(|it| field("protection", it.sentence())));
            fields
        }
    }
}

fn condition(condition: Condition) -> &'static str {
    match condition {
        Condition::NotStarted => "not started yet",
        Condition::Up => "runs",
        Condition::Paused => "stands still",
        Condition::Dead => "crashed",
        Condition::Finished => "has finished",
    }
}

fn client(sight: Sight<'_>, scene: &Scene, client: &Client, now: Moment) -> Vec<Field> {
    let lock_name = |lock: LockNo| {
        scene.locks.get(usize::from(lock.0)).map_or_else(String::new, |it| it.name.to_string())
    };
    let own = client.belief.map_or_else(
        || "no".to_owned(),
        |belief| format!("yes: {} #{}", lock_name(belief.lock), belief.token),
    );
    let held = scene.locks.iter().filter_map(|lock| {
        let holder = lock.holder.as_ref().filter(|it| it.client == client.name.as_str())?;
        Some(format!("{} #{}", lock.name, holder.token))
    });
    let held: Vec<String> = held.collect();
    let truly = if held.is_empty() { "no".to_owned() } else { format!("yes: {}", held.join(", ")) };
    let left = |term: Option<super::scene::Term>| {
        term.map_or_else(|| "–".to_owned(), |term| term.left_text(now))
    };
    let mut fields = vec![
        field("is", condition(client.condition)),
        field(if sight.world.is_some() { "holds? (own view)" } else { "may believe so?" }, own),
        field("holds? (server)", truly),
        running("lease (server)", left(client.truth)),
        running(
            if sight.world.is_some() { "belief (own clock)" } else { "belief (inferred)" },
            left(client.belief.map(|belief| belief.term)),
        ),
        field("does", client.doing.clone()),
    ];
    if let Some(world) = sight.world {
        fields.extend(library(world, client, now));
    }
    let view = sight.world.and_then(|world| world.client_view(client.node));
    let script = sight.run.config.clients.get(usize::from(client.node.0) - 1);
    if let (Some(view), Some(config)) = (view, script) {
        let step = config.script.get(view.step).map_or("–".to_owned(), step_text);
        let count = config.script.len();
        fields.push(field("script", format!("{} of {count}: {step}", (view.step + 1).min(count))));
    }
    fields.extend(
        clock_text(client.clock.ahead_ms, client.clock.rate_ppm).map(|it| field("clock", it)),
    );
    fields
}

/// What its library is about, and what the server keeps for it.
fn library(world: &World, client: &Client, now: Moment) -> Vec<Field> {
    let mut fields = Vec::new();
    let library = world.client_view(client.node).and_then(|view| view.library);
    let wait = |at| {
        let at = world.moment_when(client.node, at);
        let left = at.as_micros().saturating_sub(now.as_micros()) / 1_000;
        format!("in {left} ms")
    };
    if let Some(library) = library {
        // Who stands still sends none, whatever is due.
        if let Some(at) = library.next_beat().filter(|_| client.condition != Condition::Paused) {
            fields.push(running("next heartbeat", wait(at)));
        }
        let mut pending = library.pending();
        if let Some(first) = pending.next() {
            let (op, tries) = (first.operation.op(), first.attempt.number() + 1);
            let what = op.word().replace('_', " ");
            let more = match pending.count() {
                0 => String::new(),
                more => format!(", and {more} more"),
            };
            fields.push(field("no answer yet", format!("{what}, try {tries}{more}")));
            fields.push(running("asks again", wait(first.next_at)));
        }
    }
    let state = world.server().state;
    let session = state.and_then(|state| super::scene::session_of(state, &client.name));
    if let Some((_, session)) = session {
        let kept = session.replies.kept();
        let last = kept.iter().rev().take(REPLIES_SHOWN).map(|kept| answer_text(&kept.answer));
        let last: Vec<String> = last.collect();
        let more = if kept.len() > last.len() { ", …" } else { "" };
        let shown =
            if last.is_empty() { "none".to_owned() } else { format!("{}{more}", last.join(", ")) };
        fields.push(field("answers kept (server)", shown));
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
fn step_text(step: &leasehold_sim::Step) -> String {
    use leasehold_sim::Step;
    match step {
        Step::Acquire { lock, wait_ms: 0, .. } => format!("get {lock}, asking again"),
        Step::Acquire { lock, .. } => format!("get {lock}"),
        Step::Work { ms } => format!("work for {}", Moment::from_millis(*ms)),
        Step::Append { file, check: true, .. } => format!("look, then append to {file}"),
        Step::Append { file, .. } => format!("append to {file}"),
        Step::Release { lock } => format!("give {lock} back"),
        Step::Close => "close the session".to_owned(),
        Step::Repeat { .. } => "begin again".to_owned(),
    }
}

fn server(sight: Sight<'_>, scene: &Scene) -> Vec<Field> {
    let mut fields = vec![field("is", condition(scene.server.condition))];
    if let Some(counts) = scene.server.counts {
        fields.extend([
            field("sessions", counts.sessions.to_string()),
            field("locks held", counts.held.to_string()),
            field("waiting", counts.waiting.to_string()),
            field("last token", counts.last_token.to_string()),
            field("events", counts.index.to_string()),
        ]);
    }
    if let Some(world) = sight.world {
        let view = world.server();
        fields.push(field("on disk, up to event", view.stored.index().to_string()));
        fields.push(field("not flushed yet", view.unflushed.to_string()));
    }
    let clock = scene.server.clock;
    fields.extend(clock_text(clock.ahead_ms, clock.rate_ppm).map(|it| field("clock", it)));
    fields
}

fn link(sight: Sight<'_>, scene: &Scene, node: NodeNo) -> Vec<Field> {
    let Some(client) = scene.client(node) else { return Vec::new() };
    let way = |is_cut| if is_cut { "cut" } else { "whole" };
    let on_it = scene.packets.iter().filter(|packet| {
        let link = packet.name.link;
        link.from == node || link.to == node
    });
    if sight.world.is_none() {
        return vec![field("is", "not seen: only the server tells what it does")];
    }
    let network = sight.run.config.network;
    let (min, max) = (network.latency_min_us / 1_000, network.latency_max_us / 1_000);
    vec![
        field("towards the server", way(client.cut.0)),
        field("towards the client", way(client.cut.1)),
        field("packets on it", on_it.count().to_string()),
        field("a packet takes", format!("{min} to {max} ms")),
    ]
}

fn lock(sight: Sight<'_>, scene: &Scene, no: LockNo) -> Vec<Field> {
    let Some(lock) = scene.locks.get(usize::from(no.0)) else { return Vec::new() };
    let believers = scene.clients.iter().filter(|client| {
        client.belief.is_some_and(|belief| belief.lock == no && belief.term.until > sight.now)
    });
    let believers: Vec<&str> = believers.map(|client| client.name.as_str()).collect();
    let or_none = |names: Vec<&str>| {
        if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
    };
    let holder = lock.holder.as_ref();
    vec![
        field("held by", holder.map_or("nobody".to_owned(), |it| it.client.clone())),
        field("token", holder.map_or("–".to_owned(), |it| it.token.to_string())),
        field("believed to be held by", or_none(believers)),
        field("in line", or_none(lock.line.iter().map(String::as_str).collect())),
        field("lines in its file", lock.lines.to_string()),
    ]
}

fn packet(scene: &Scene, target: Target, now: Moment) -> Vec<Field> {
    let found = scene.packets.iter().find(|packet| Target::Packet(packet.no) == target);
    let Some(packet) = found else {
        return vec![field("is", "no longer on its way")];
    };
    let link = packet.name.link;
    let name = |node: NodeNo| {
        scene.client(node).map_or_else(|| "server".to_owned(), |client| client.name.to_string())
    };
    let lock = scene.locks.get(usize::from(packet.lock.0));
    let mut fields = vec![
        field("says", packet.message.word()),
        field("from", name(link.from)),
        field("to", name(link.to)),
    ];
    fields.extend(lock.map(|lock| field("about", lock.name.to_string())));
    if packet.number > 0 {
        fields.push(field("number", packet.number.to_string()));
    }
    let left = packet.arrives.as_micros().saturating_sub(now.as_micros()) / 1_000;
    fields.push(field("sent", packet.sent_at.to_string()));
    fields.push(running("arrives in", format!("{left} ms")));
    fields
}

/// A field and what its value was one step before, where that differs.
pub(crate) fn with_changes(now: Vec<Field>, before: &[Field]) -> Vec<(Field, Option<String>)> {
    let was = |field: &Field| {
        let old = before.iter().find(|old| old.name == field.name)?;
        (!field.runs && old.value != field.value).then(|| old.value.clone())
    };
    now.into_iter()
        .map(|field| {
            let was = was(&field);
            (field, was)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::film::Film;
    use leasehold_sim::Scenario;

    fn at(ms: u64) -> (Film, Scene) {
        let mut film = Film::new(Scenario::named("gc-pause").unwrap().run());
        film.go_to(Moment::from_millis(ms));
        let scene = film.scene();
        (film, scene)
    }

    fn value(fields: &[Field], name: &str) -> String {
        fields.iter().find(|field| field.name == name).unwrap().value.clone()
    }

    #[test]
    fn own_view_and_the_servers_are_side_by_side() {
        let (film, scene) = at(12_000);
        let fields = fields(film.sight(), &scene, Target::Node(NodeNo(1)));
        assert_eq!(value(&fields, "is"), "stands still");
        assert_eq!(value(&fields, "holds? (server)"), "no");
        let (film, scene) = at(3_000);
        let fields = super::fields(film.sight(), &scene, Target::Node(NodeNo(1)));
        assert_eq!(value(&fields, "holds? (own view)"), "yes: file_0 #1");
        assert_eq!(value(&fields, "holds? (server)"), "yes: file_0 #1");
    }

    #[test]
    fn what_a_client_waits_for_and_what_is_kept_for_it_is_told() {
        let mut film = Film::new(Scenario::named("lost-reply").unwrap().run());
        let (mut tries, mut kept) = (0, false);
        for ms in (0..20_000).step_by(50) {
            film.go_to(Moment::from_millis(ms));
            let fields = fields(film.sight(), &film.scene(), Target::Node(NodeNo(1)));
            let told = |name: &str| fields.iter().find(|it| it.name == name).map(|it| &it.value);
            if let Some(waiting) = told("no answer yet").filter(|it| it.starts_with("append")) {
                tries = tries.max(waiting.split(' ').nth(3).unwrap().parse().unwrap());
            }
            kept |=
                told("answers kept (server)").is_some_and(|it| it.contains("written to file_0"));
        }
        assert_eq!((tries, kept), (2, true), "its answer was lost, and given once more");
    }

    #[test]
    fn what_changed_is_told_and_what_runs_down_is_not() {
        let (before, early) = at(300);
        let (film, scene) = at(900);
        let target = Target::Lock(LockNo(0));
        let old = fields(before.sight(), &early, target);
        let changed = with_changes(fields(film.sight(), &scene, target), &old);
        let token = changed.iter().find(|(field, _)| field.name == "token").unwrap();
        assert_eq!(token.1.as_deref(), Some("–"));
        let node = Target::Node(NodeNo(1));
        let (film_2, scene_2) = at(901);
        let changed = with_changes(
            fields(film_2.sight(), &scene_2, node),
            &fields(film.sight(), &scene, node),
        );
        assert!(changed.iter().all(|(_, was)| was.is_none()), "{changed:?}");
    }
}
