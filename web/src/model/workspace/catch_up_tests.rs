//! Runs that are too long to be simulated at once.

use leasehold_sim::{Action, NodeId, Protection, ScriptStep, library};

use super::*;
use crate::model::timeline::Timeline;

/// How long the run is simulated before a test changes it.
const SIMULATED: VirtualTime = VirtualTime::from_millis(330_000);

/// The time at which a test changes the run.
const NOW: VirtualTime = VirtualTime::from_millis(300_000);

/// Returns a scenario whose clients repeat their scripts for a day.
fn day_long_scenario() -> Scenario {
    let mut scenario = Scenario::from_name("five-clients").unwrap();
    scenario.config.ends_ms = 86_400_000;
    for client in &mut scenario.config.clients {
        client.script.push(ScriptStep::Repeat { times: u32::MAX });
    }
    Scenario::from_run("day", &scenario.resolve_run())
}

/// Opens the day-long run at a time far behind what is simulated at once.
fn long_workspace() -> Workspace {
    let mut workspace = Workspace::from_link(&Link::parse(""));
    workspace.open_run(day_long_scenario());
    while workspace.timeline().end() < SIMULATED {
        workspace.advance_frame(0.0);
    }
    workspace.go_to(NOW);
    assert!(!workspace.timeline().is_catching_up());
    workspace
}

/// Advances by frames that have time for the fewest steps possible. Returns their number.
fn catch_up(workspace: &mut Workspace) -> u32 {
    let mut frames = 0;
    while workspace.timeline().is_catching_up() {
        let before = workspace.timeline().last_position();
        assert!(workspace.advance_frame_while(16.0, &mut || false), "progress is drawn");
        let steps = workspace.timeline().last_position() - before;
        assert!(steps <= 50, "a slice of {steps} steps");
        frames += 1;
    }
    frames
}

#[test]
fn every_scenario_is_simulated_at_once() {
    for scenario in library() {
        for without in [None].into_iter().chain(Protection::ALL.map(Some)) {
            let run = scenario.run_without(&without.into_iter().collect());
            let timeline = Timeline::new(run);
            assert!(
                timeline.is_complete(),
                "{} without {without:?}: {} steps are too few",
                scenario.name,
                timeline.last_position()
            );
        }
    }
}

#[test]
fn changed_long_run_reaches_its_time_in_slices() {
    let mut workspace = long_workspace();
    workspace.toggle_protection(Protection::Fencing);
    assert!(workspace.timeline().is_catching_up());
    assert!(workspace.is_simulating(), "frames are needed although the run is paused");
    let first_percent = workspace.timeline().catch_up_percent().unwrap();
    let shown_before = workspace.timeline().now();
    assert!(first_percent < 80, "{first_percent} %");
    for _ in 0..20 {
        workspace.advance_frame_while(16.0, &mut || false);
    }
    assert!(workspace.timeline().catch_up_percent().unwrap() > first_percent);
    assert!(workspace.timeline().now() > shown_before, "the position moves along");
    assert!(catch_up(&mut workspace) > 20);
    assert_eq!(workspace.timeline().now(), NOW);
    let mut expected = Timeline::new(workspace.timeline().run().clone());
    while expected.end() <= NOW {
        expected.simulate_while(&mut || false);
    }
    expected.go_to(NOW);
    let fingerprint = |timeline: &Timeline| timeline.world().unwrap().fingerprint();
    assert_eq!(fingerprint(workspace.timeline()), fingerprint(&expected));
    assert!(!workspace.player.is_playing);
}

#[test]
fn playback_continues_after_catching_up() {
    let mut workspace = long_workspace();
    workspace.player.is_playing = true;
    workspace.reseed(8);
    catch_up(&mut workspace);
    assert_eq!(workspace.timeline().now(), NOW);
    assert!(workspace.player.is_playing);
    workspace.advance_frame(16.0);
    assert!(workspace.timeline().now() > NOW);
}

#[test]
fn fault_in_a_long_run_shows_its_effect_at_once() {
    let mut workspace = long_workspace();
    let past = workspace.timeline().past().len();
    let crash = Action::Crash { node: NodeId(1), keeps_unflushed: false };
    workspace.inject_fault(crash, "Crash");
    let timeline = workspace.timeline();
    assert!(!timeline.is_catching_up());
    assert_eq!(timeline.now(), NOW + 1_000);
    assert!(timeline.past().len() > past);
    let steps = timeline.last_position() - timeline.position();
    assert!(steps < 5_000, "{steps} steps of the future are simulated at once");
}

#[test]
fn input_while_catching_up_replaces_the_destination_or_waits() {
    let mut workspace = long_workspace();
    workspace.toggle_protection(Protection::Fencing);
    // A fault would happen at an unexpected time.
    workspace.inject_fault(Action::Pause { node: NodeId(1), ms: 1_000 }, "Pause");
    assert!(workspace.toast.take().unwrap().text.contains("still being simulated"));
    assert!(workspace.timeline().run().interventions.is_empty());
    // A link and another change refer to the destination.
    assert_eq!(workspace.link_to_now().time, Some(NOW));
    workspace.toggle_protection(Protection::Dedupe);
    assert_eq!(workspace.timeline().wanted_time(), NOW);
    // Undo returns to what is simulated already.
    workspace.undo();
    workspace.undo();
    assert!(!workspace.timeline().is_catching_up());
    assert_eq!(workspace.timeline().now(), NOW);
    // Going elsewhere replaces the destination.
    workspace.redo();
    assert!(workspace.timeline().is_catching_up());
    workspace.go_to(VirtualTime::from_millis(2_000));
    assert!(!workspace.timeline().is_catching_up());
    assert_eq!(workspace.timeline().now(), VirtualTime::from_millis(2_000));
    workspace.advance_frame_while(16.0, &mut || false);
    assert_eq!(workspace.timeline().now(), VirtualTime::from_millis(2_000));
}

#[test]
fn playback_that_overtakes_the_simulation_waits_for_it() {
    let mut workspace = Workspace::from_link(&Link::parse(""));
    workspace.open_run(day_long_scenario());
    let end = workspace.timeline().end();
    workspace.go_to(end + 60_000_000);
    assert!(workspace.timeline().is_catching_up());
    catch_up(&mut workspace);
    assert_eq!(workspace.timeline().now(), end + 60_000_000);
}

#[test]
fn other_run_of_a_comparison_catches_up_and_diverges() {
    let mut workspace = long_workspace();
    workspace.toggle_protection(Protection::Heartbeats);
    catch_up(&mut workspace);
    workspace.toggle_comparison();
    let catches_up =
        |workspace: &Workspace| workspace.comparison.as_ref().unwrap().other.is_catching_up();
    assert!(catches_up(&workspace));
    while catches_up(&workspace) {
        assert!(workspace.is_simulating());
        workspace.advance_frame(16.0);
    }
    let comparison = workspace.comparison.as_ref().unwrap();
    assert_eq!(comparison.other.now(), workspace.timeline().now());
    assert!(comparison.divergence.is_some());
}

#[test]
fn files_are_compared_once_the_correct_run_is_simulated() {
    let mut workspace = Workspace::from_link(&Link::parse("?scenario=gc-pause&without=fencing"));
    let end = workspace.timeline().end();
    workspace.go_to(end);
    workspace.compares_files = true;
    assert!(workspace.correct_world().is_none() && workspace.is_simulating());
    let revision = workspace.revision;
    let mut frames = 0;
    while workspace.is_simulating() {
        workspace.advance_frame_while(16.0, &mut || false);
        frames += 1;
    }
    assert!(frames > 2 && workspace.revision > revision, "{frames} frames");
    let world = workspace.correct_world().unwrap();
    assert!(world.is_over() && world.run().without.is_empty());
    workspace.compares_files = false;
    assert!(workspace.correct_world().is_none() && !workspace.is_simulating());
}
