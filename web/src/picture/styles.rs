//! Tests of the style sheets of pictures: every shape has one look.

use std::collections::{BTreeMap, BTreeSet};

use leasehold_sim::{VirtualTime, library};

use super::audit::placed;
use super::gantt::{GanttInput, gantt};
use super::load::load;
use super::shape::Area;
use super::stage::{StageInput, stage};
use crate::model::lease_view::LeaseView;
use crate::model::timeline::Timeline;

/// A selector: the classes that a shape must have, and the properties that the rule sets.
type Rule = (BTreeSet<String>, BTreeSet<String>);

/// Returns the rules about shapes alone, without those about their groups.
fn rules() -> Vec<Rule> {
    let css =
        concat!(include_str!("../../style/picture.css"), include_str!("../../style/timeline.css"));
    // Without comments and media queries, which are last.
    let css: String = css.split("@media").map(|it| it.split("}\n}").last().unwrap_or(it)).collect();
    let mut rules = Vec::new();
    for rule in css.split('}') {
        let rule = rule.rsplit("*/").next().unwrap_or(rule);
        let Some((selectors, declarations)) = rule.split_once('{') else { continue };
        let properties: BTreeSet<String> = declarations
            .split(';')
            .filter_map(|it| Some(it.split_once(':')?.0.trim().to_owned()))
            .collect();
        for selector in selectors.split(',') {
            let Some(own) = selector.trim().strip_prefix(".picture .") else { continue };
            if !own.contains([' ', ':', '[']) {
                rules.push((own.split('.').map(str::to_owned).collect(), properties.clone()));
            }
        }
    }
    rules
}

/// Returns the classes of shapes in pictures of all scenarios.
fn used_classes() -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for scenario in library() {
        let mut timeline = Timeline::new(scenario.resolve_run());
        let end = timeline.end();
        for tenth in 0..=10 {
            timeline.go_to(VirtualTime::from_micros(end.as_micros() * tenth / 10));
            let (scene, view) = (timeline.scene(), LeaseView::new(&timeline));
            let area = Area::new((824.0, 238.0), false);
            let range = (VirtualTime::START, end);
            let pictures = [
                stage(&StageInput::new(&scene, view.now), area),
                gantt(&GanttInput::new(&view), range, area, None),
                load(&view, range, area),
            ];
            let shapes = pictures.iter().flat_map(|picture| placed(&picture.shapes));
            used.extend(shapes.map(|shape| shape.class));
        }
    }
    used
}

/// If two rules of the same weight set the same property of a shape, their order decides, which
/// is easily overlooked: the arcs of beliefs were once filled like the bars of beliefs.
#[test]
fn no_two_rules_of_the_same_weight_set_a_property() {
    let rules = rules();
    assert!(rules.len() > 60, "{rules:?}");
    let mut conflicts = BTreeSet::new();
    for class in used_classes() {
        let classes: BTreeSet<String> = class.split(' ').map(str::to_owned).collect();
        let mut winners: BTreeMap<&str, Vec<&Rule>> = BTreeMap::new();
        for rule in rules.iter().filter(|(own, _)| own.is_subset(&classes)) {
            for property in &rule.1 {
                let winners = winners.entry(property).or_default();
                let weight = winners.first().map_or(0, |it| it.0.len());
                if rule.0.len() > weight {
                    winners.clear();
                }
                if rule.0.len() >= weight && !winners.iter().any(|it| it.0 == rule.0) {
                    winners.push(rule);
                }
            }
        }
        for (property, winners) in winners {
            if winners.len() > 1 {
                let names: Vec<_> = winners.iter().map(|it| &it.0).collect();
                conflicts.insert(format!("{property} of {class:?}: {names:?}"));
            }
        }
    }
    assert!(conflicts.is_empty(), "{conflicts:#?}");
}
