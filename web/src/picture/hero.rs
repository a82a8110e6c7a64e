//! The picture of the start screen: the leases of a run that goes wrong without a protection.

use leasehold_sim::{Scenario, VirtualTime};

use super::gantt::{GanttInput, gantt};
use super::shape::{Area, Picture};
use crate::model::lease_view::LeaseView;
use crate::model::timeline::Timeline;

const AREA: Area = Area { width: 600.0, height: 250.0, em: 13.0 };

/// How long after the violation the picture is taken, in microseconds.
const AFTER_US: u64 = 1_200_000;

/// Returns the leases of a scenario without its first protection, shortly after the violation.
pub(crate) fn hero(scenario: &Scenario) -> Picture {
    let mut without = scenario.without.clone();
    without.extend(scenario.switches.first());
    let mut timeline = Timeline::new(scenario.run_without(&without));
    let violation = timeline.violations().first().map(|(_, at, _)| *at);
    let now = violation.unwrap_or_default() + AFTER_US;
    timeline.go_to(now);
    let view = LeaseView::new(&timeline);
    let input = GanttInput { must_fit: true, ..GanttInput::new(&view) };
    let mut picture = gantt(&input, (VirtualTime::START, now + AFTER_US * 4), AREA, None);
    picture.label = format!("Leases of {} without its protection", scenario.title);
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stale_append_is_flagged() {
        let scenario = Scenario::from_name("gc-pause").unwrap();
        let picture = hero(&scenario);
        assert_eq!((picture.width, picture.height), (AREA.width, AREA.height));
        assert!(format!("{picture:?}").contains("S2"), "{picture:?}");
    }
}
