//! Test: two runs that are equal up to an open question look equal.
//!
//! Every text, label, picture and file of the page is compared, so what differs reveals the future.

use std::collections::BTreeSet;

use leasehold_sim::{Importance, NodeId, Protection, RecordId, Scenario, World, library};

use super::workspace_pictures::{PictureSettings, Sizes, WorkspacePictures};
use crate::model::inspector::inspector_fields;
use crate::model::link::Link;
use crate::model::log_rows::{LogFilter, log_rows};
use crate::model::next_steps::NextStep;
use crate::model::notes::Notes;
use crate::model::quiz::QuizPhase;
use crate::model::shortcuts::View;
use crate::model::stop_condition::StopCondition;
use crate::model::target::Target;
use crate::model::workspace::Workspace;

/// Texts of the page, each with the name of the part that it belongs to.
type Texts = Vec<(String, String)>;

/// Opens a scenario at its question.
fn at_question(scenario: &Scenario, without: &BTreeSet<Protection>) -> Workspace {
    let names: Vec<&str> = without.iter().map(|it| it.name()).collect();
    let link = format!("?scenario={}&without={}", scenario.name, names.join(","));
    let mut workspace = Workspace::from_link(&Link::parse(&link));
    while workspace.quiz.phase == QuizPhase::NotReached {
        workspace.go_to_stop(true);
    }
    workspace
}

fn pictures(workspace: &Workspace) -> Texts {
    let settings = PictureSettings {
        sizes: Sizes { stage: (900.0, 320.0), lower: (900.0, 320.0), tape: (900.0, 48.0) },
        timeline_view: View::Gantt,
        is_to_scale: true,
        is_presenting: false,
        reduced_motion: false,
        hovered: None,
    };
    let pictures = WorkspacePictures::new(workspace, settings);
    let named = pictures.names().into_iter();
    named.map(|name| (name.to_owned(), format!("{:?}", pictures.named(name)))).collect()
}

fn panels(workspace: &Workspace, correct: &World) -> Texts {
    let timeline = workspace.timeline();
    let filter = LogFilter { min_importance: Importance::Internal, ..LogFilter::default() };
    let step = timeline.past().len() - timeline.step_records(timeline.position()).len();
    let rows = log_rows(
        timeline.run(),
        timeline.past(),
        step,
        &timeline.violated(),
        (filter, usize::MAX),
        timeline.time_display(),
    );
    let mut texts = vec![
        ("log".to_owned(), format!("{rows:#?}")),
        ("invariants".to_owned(), format!("{:?}", timeline.statuses())),
        ("files".to_owned(), format!("{:?}", timeline.file_views(None, 99))),
        ("compared files".to_owned(), format!("{:?}", timeline.file_views(Some(correct), 99))),
        ("caption".to_owned(), workspace.caption()),
        // With other protections, the text of the goal asks to restore them.
        ("goal".to_owned(), workspace.goal_progress().is_some_and(|it| it.is_reached).to_string()),
        (
            "next steps".to_owned(),
            workspace.next_steps().iter().map(NextStep::label).collect::<Vec<_>>().join("; "),
        ),
        ("digest".to_owned(), timeline.fingerprint().to_string()),
        ("end".to_owned(), timeline.end().to_string()),
        ("whole run".to_owned(), format!("{:?}", workspace.whole_run().map(|it| it.violated))),
    ];
    let mut link = workspace.link_to_now();
    link.without = None;
    texts.push(("link".to_owned(), link.to_query()));
    let mut notes = Notes::from_workspace(workspace, None);
    // The lecturer sees the answer in the notes.
    for option in &mut notes.options {
        *option = option.trim_start_matches("Correct: ").to_owned();
    }
    notes.explanation.clear();
    texts.push(("notes".to_owned(), format!("{notes:#?}")));
    let scene = workspace.scene();
    let clients = (1..).map(NodeId).take(scene.clients.len());
    let mut targets = vec![Target::Node(NodeId::SERVER)];
    targets.extend(clients.flat_map(|node| [Target::Node(node), Target::Link(node)]));
    targets.extend(scene.locks.iter().map(|lock| Target::Lock(lock.id)));
    targets.extend(scene.packets.iter().map(|packet| Target::Packet(packet.id)));
    targets.extend((0..).take(timeline.past().len() + 40).map(|id| Target::Record(RecordId(id))));
    for target in targets {
        let mut fields = inspector_fields(timeline.inspector_context(), &scene, target);
        // A timer that is set belongs to the present: with backoff its time is random.
        // The steps of a client are the protection itself, for those that change its script.
        fields.retain(|field| !["Next retransmit", "Script step"].contains(&field.name));
        texts.push((format!("inspector of {target:?}"), format!("{fields:?}")));
        let faults = workspace.available_faults(target);
        texts.push((format!("faults of {target:?}"), format!("{faults:?}")));
    }
    texts
}

/// Performs what answers with a message.
fn messages(open: impl Fn() -> Workspace) -> Texts {
    let message = |act: &dyn Fn(&mut Workspace)| {
        let mut workspace = open();
        act(&mut workspace);
        let past = workspace.timeline().past().len();
        // Each run is compared with another one, so only the future of the difference counts.
        let is_later = |record: RecordId| record.index().is_some_and(|index| index >= past);
        let divergence = workspace.comparison.as_ref().and_then(|it| it.divergence);
        let divergence = divergence.filter(|(record, _)| is_later(*record));
        let (toast, is_playing) = (&workspace.toast, workspace.player.is_playing);
        format!("{toast:?}, {is_playing}, {}, {divergence:?}", workspace.timeline().position())
    };
    let mut texts = vec![
        ("next violation".to_owned(), message(&|workspace| workspace.go_to_next_violation())),
        ("comparison".to_owned(), message(&|workspace| workspace.toggle_comparison())),
    ];
    for (name, _) in StopCondition::choices(open().timeline().run()) {
        let condition = StopCondition::from_name(&name).unwrap();
        let text = message(&|workspace| workspace.play_until(condition));
        texts.push((format!("play until {name}"), text));
    }
    texts
}

#[test]
fn runs_that_are_equal_up_to_the_question_look_equal() {
    let mut compared = BTreeSet::new();
    for scenario in library() {
        for protection in &scenario.switches {
            let mut without = scenario.without.clone();
            if !without.remove(protection) {
                without.insert(*protection);
            }
            let first = at_question(&scenario, &scenario.without);
            let second = at_question(&scenario, &without);
            if first.timeline().past() != second.timeline().past() {
                continue;
            }
            compared.insert(scenario.name.clone());
            let mut correct = World::new(scenario.run_without(&BTreeSet::new()));
            while correct.step(&mut Vec::new()) {}
            let texts = |workspace: &Workspace, without: &BTreeSet<Protection>| {
                let mut texts = pictures(workspace);
                texts.extend(panels(workspace, &correct));
                texts.extend(messages(|| at_question(&scenario, without)));
                texts
            };
            let (first, second) = (texts(&first, &scenario.without), texts(&second, &without));
            assert_eq!(first.len(), second.len(), "{}: {protection}", scenario.name);
            for ((part, expected), (_, text)) in first.into_iter().zip(second) {
                assert_eq!(text, expected, "{}: {protection} shows in: {part}", scenario.name);
            }
        }
    }
    for name in ["gc-pause", "ghost-acquire", "late-release", "clock-jump", "deadlock"] {
        assert!(compared.contains(name), "{name} is not compared: {compared:?}");
    }
    assert!(compared.len() >= 12, "{compared:?}");
}
