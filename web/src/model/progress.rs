//! What the user has done with the scenarios: remembered by the browser, on this machine alone.

use std::collections::BTreeMap;

use super::quiz::QuizPhase;
use super::workspace::Workspace;

/// How far the user came in a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Achievement {
    /// The run was seen to its end, or to its answer.
    Seen,
    /// The question was answered before the answer was shown.
    Predicted,
    /// The goal of the puzzle was reached.
    Solved,
}

impl Achievement {
    const ALL: [Self; 3] = [Self::Seen, Self::Predicted, Self::Solved];

    /// Returns the word for it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Seen => "seen",
            Self::Predicted => "predicted",
            Self::Solved => "solved",
        }
    }
}

/// The best achievement in each scenario, by the scenario's name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress(BTreeMap<String, Achievement>);

impl Progress {
    /// Parses what [`Self::encode`] returned. Unknown parts are skipped.
    pub(crate) fn parse(text: &str) -> Self {
        let parse_entry = |entry: &str| {
            let (scenario, name) = entry.split_once(':')?;
            let achievement = Achievement::ALL.into_iter().find(|it| it.name() == name)?;
            Some((scenario.to_owned(), achievement))
        };
        let mut entries = BTreeMap::new();
        entries.extend(text.split(',').filter_map(parse_entry));
        Self(entries)
    }

    /// Returns the progress as a text to store.
    pub(crate) fn encode(&self) -> String {
        let entries: Vec<String> =
            self.0.iter().map(|(scenario, it)| format!("{scenario}:{}", it.name())).collect();
        entries.join(",")
    }

    pub(crate) fn of(&self, scenario: &str) -> Option<Achievement> {
        self.0.get(scenario).copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the number of scenarios with an achievement.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Notes what the user has just achieved. Returns whether that is new.
    pub(crate) fn observe(&mut self, workspace: &Workspace) -> bool {
        let Some(achievement) = current_achievement(workspace) else { return false };
        let name = &workspace.scenario.name;
        let is_new = self.of(name) < Some(achievement);
        if is_new {
            self.0.insert(name.clone(), achievement);
        }
        is_new
    }
}

fn current_achievement(workspace: &Workspace) -> Option<Achievement> {
    if !workspace.is_library_scenario() {
        return None;
    }
    if workspace.scenario.goal.is_some()
        && workspace.goal_progress().is_some_and(|it| it.is_reached)
    {
        return Some(Achievement::Solved);
    }
    let quiz = &workspace.quiz;
    let is_answered = quiz.is_enabled && quiz.phase == QuizPhase::Answered;
    if is_answered && quiz.last_vote().is_some() {
        return Some(Achievement::Predicted);
    }
    let timeline = workspace.timeline();
    let has_ended = timeline.is_at_end() && !timeline.past().is_empty();
    (is_answered || has_ended).then_some(Achievement::Seen)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;

    fn open(scenario: &str) -> Workspace {
        Workspace::from_link(&Link::parse(&format!("?scenario={scenario}")))
    }

    #[test]
    fn run_is_new_then_seen_then_predicted() {
        let mut progress = Progress::default();
        let mut workspace = open("gc-pause");
        assert!(!progress.observe(&workspace));
        let end = workspace.timeline().end();
        workspace.go_to(end);
        assert!(progress.observe(&workspace));
        assert_eq!(progress.of("gc-pause"), Some(Achievement::Seen));
        assert!(!progress.observe(&workspace), "only news are stored");
        let mut workspace = open("gc-pause");
        while workspace.quiz.phase != QuizPhase::Open {
            workspace.go_to_stop(true);
        }
        workspace.quiz.vote(0, true);
        assert!(!progress.observe(&workspace));
        let end = workspace.timeline().end();
        workspace.go_to(end);
        assert!(progress.observe(&workspace));
        assert_eq!(progress.of("gc-pause"), Some(Achievement::Predicted));
    }

    #[test]
    fn stored_text_is_read_again_and_nonsense_is_skipped() {
        let text = "gc-pause:seen,sandbox:solved";
        let progress = Progress::parse(text);
        assert_eq!((progress.encode().as_str(), progress.len()), (text, 2));
        assert_eq!(Progress::parse("x,,a:b,gc-pause:seen").len(), 1);
        assert!(Progress::parse("").is_empty());
    }

    #[test]
    fn achievements_are_ordered() {
        assert!(None < Some(Achievement::Seen) && Achievement::Predicted < Achievement::Solved);
    }
}
