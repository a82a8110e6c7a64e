//! Tests of the leases.

use super::*;
use crate::model::timeline::Timeline;
use leasehold_sim::{Protection, Scenario};

const AREA: Area = Area { width: 824.0, height: 238.0, em: 13.0 };

fn timeline(scenario: &str, without: &[Protection], at_ms: u64) -> Timeline {
    let scenario = Scenario::from_name(scenario).unwrap();
    let mut timeline = Timeline::new(scenario.run_without(&without.iter().copied().collect()));
    timeline.go_to(VirtualTime::from_millis(at_ms));
    timeline
}

fn picture(scenario: &str, without: &[Protection], at_ms: u64) -> Picture {
    let timeline = timeline(scenario, without, at_ms);
    let view = LeaseView::new(&timeline);
    gantt(&GanttInput::new(&view), (VirtualTime::START, timeline.end()), AREA, None)
}

fn texts(picture: &Picture) -> Vec<String> {
    crate::picture::audit::placed(&picture.shapes).into_iter().filter_map(|it| it.text).collect()
}

#[test]
fn tenures_show_tokens_and_the_future_is_hidden() {
    let early = picture("gc-pause", &[], 5_000);
    let holds = "client_1 holds the lock with token 1";
    assert!(early.labels().iter().any(|it| it.starts_with(holds)));
    assert!(!early.labels().iter().any(|it| it.contains("client_2")), "{:?}", early.labels());
    let late = picture("gc-pause", &[], 30_000);
    assert!(late.labels().iter().any(|it| it.starts_with("client_1 is refused with token 1")));
}

/// Two runs that agree up to now look the same, whatever happens later.
#[test]
fn nothing_depends_on_the_future() {
    let with = picture("gc-pause", &[], 15_900);
    let without = picture("gc-pause", &[Protection::Fencing], 15_900);
    assert_eq!(with, without);
}

#[test]
fn rows_keep_their_place_from_the_start_to_the_end() {
    let names = |at_ms| {
        let picture = picture("five-clients", &[], at_ms);
        let placed = crate::picture::audit::placed(&picture.shapes);
        let rows = placed.into_iter().filter(|it| it.class == "row-name" || it.class == "name");
        (picture.height, rows.map(|it| (it.text, it.bounds)).collect::<Vec<_>>())
    };
    let first = names(0);
    assert_eq!(first.1.len(), 8, "three locks and five clients: {first:?}");
    for at_ms in (1_000..20_000).step_by(1_000) {
        assert_eq!(names(at_ms), first, "{at_ms}");
    }
}

#[test]
fn violation_is_a_flag_in_words() {
    let shown = texts(&picture("gc-pause", &[Protection::Fencing], 30_000));
    for expected in
        ["S2 · token went backwards: 1 after 2", "S4 · client_1 writes without the lock"]
    {
        assert!(shown.iter().any(|it| it == expected), "{expected}: {shown:?}");
    }
    let before = texts(&picture("gc-pause", &[Protection::Fencing], 10_000));
    assert!(!before.iter().any(|it| it.starts_with('S')), "{before:?}");
}

#[test]
fn paused_client_is_labelled_as_far_as_it_is_known() {
    let shown = |at_ms| texts(&picture("gc-pause", &[], at_ms)).join("; ");
    let during = shown(12_000);
    assert!(during.contains("paused for 10 s, would still act"), "{during}");
    assert!(!during.contains("resumes"), "{during}");
    let after = shown(17_000);
    assert!(after.contains("paused for 14 s") && after.contains("resumes"), "{after}");
    assert!(after.contains("lease expired"), "{after}");
    assert!(after.contains("appends with #1"), "its stale append is on its row: {after}");
}

#[test]
fn belief_that_outlives_its_tenure_is_hatched() {
    let scenario = Scenario::from_name("slow-clock").unwrap();
    let expected = scenario.expected.iter().find(|it| !it.violated.is_empty()).unwrap();
    let without: Vec<Protection> = expected.without.iter().copied().collect();
    let wrong = picture("slow-clock", &without, scenario.config.ends_ms);
    let (wrong_text, right) = (format!("{wrong:?}"), picture("gc-pause", &[], 30_000));
    assert!(wrong_text.contains("false-hatch"));
    assert!(texts(&wrong).iter().any(|it| it == "2 believers"));
    assert!(!format!("{right:?}").contains("false-hatch"));
}

/// Only the differences between the runs are outlined.
#[test]
fn other_run_is_outlined_over_this_one() {
    let scenario = Scenario::from_name("gc-pause").unwrap();
    let timeline = timeline("gc-pause", &[], 30_000);
    let mut other = timeline.with_run(scenario.run_without(&[Protection::Fencing].into()));
    other.go_to(timeline.now());
    let (own_intervals, other_intervals) = (timeline.intervals(), other.intervals());
    let view = LeaseView::new(&timeline);
    let draw_over = |overlay| {
        let input = GanttInput { overlay: Some(overlay), ..GanttInput::new(&view) };
        format!("{:?}", gantt(&input, (VirtualTime::START, timeline.end()), AREA, None))
    };
    assert!(
        draw_over(&other_intervals).contains("overlay-mark"),
        "the append that fencing refuses is missing"
    );
    assert!(!draw_over(&own_intervals).contains("overlay"), "identical runs have no outline");
}

#[test]
fn all_rows_fit_while_presenting() {
    for scenario in ["five-clients", "thundering-herd"] {
        let timeline = timeline(scenario, &[], 40_000);
        let view = LeaseView::new(&timeline);
        let area = Area::new((1_264.0, 280.0), true);
        let input = GanttInput { must_fit: true, ..GanttInput::new(&view) };
        let picture = gantt(&input, (VirtualTime::START, timeline.end()), area, None);
        assert!(picture.height <= 280.5, "{scenario}: {}", picture.height);
    }
}

/// Every mark says what it is, to screen readers and on its card alike.
#[test]
fn every_target_has_a_card_with_its_label() {
    for (scenario, without) in
        [("gc-pause", vec![Protection::Fencing]), ("partition", vec![]), ("client-crash", vec![])]
    {
        let timeline = timeline(scenario, &without, 60_000);
        let view = LeaseView::new(&timeline);
        let input = GanttInput::new(&view);
        let picture = gantt(&input, (VirtualTime::START, timeline.end()), AREA, None);
        let mut targets = 0;
        for shape in &picture.shapes {
            let Shape::Group(Group { target: Some(target), label, .. }) = shape else { continue };
            let card = card_for(&input, *target);
            let card = card.unwrap_or_else(|| panic!("{scenario}: no card for {label}"));
            assert!(!card.title.is_empty() && !card.lines.is_empty(), "{card:?}");
            assert!(!label.is_empty(), "{scenario}: {target:?}");
            targets += 1;
        }
        assert!(targets > 5, "{scenario}: {targets}");
    }
}
