//! What the lecturer has on a second window: where one is, what comes next, and the answer that the
//! others have yet to guess.

use leasehold_sim::Protection;

use super::quiz::QuizPhase;
use super::workspace::Workspace;

/// Between two fields of what is sent, and between two options in one of them.
const FIELD_SEPARATOR: char = '\u{1f}';
const OPTION_SEPARATOR: char = '\u{1e}';

/// The notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) title: String,
    pub(crate) point: String,
    pub(crate) time: String,
    pub(crate) caption: String,
    /// What comes next: what is said at the next stop, or how the answer comes out.
    pub(crate) next: String,
    pub(crate) question: String,
    /// Each with the hands that were raised for it, and a mark at the right one.
    pub(crate) options: Vec<String>,
    pub(crate) explanation: String,
}

impl Notes {
    /// As things stand; with so many seconds left for raising hands, where that is limited.
    pub(crate) fn from_workspace(workspace: &Workspace, seconds_left: Option<u32>) -> Self {
        let (scenario, quiz, timeline) =
            (&workspace.scenario, &workspace.quiz, workspace.timeline());
        let question = &scenario.question;
        let options = question.options.iter().enumerate().map(|(index, option)| {
            let mark = if quiz.correct_option() == Some(index) { "✓ " } else { "" };
            let votes = match quiz.votes.get(index) {
                None | Some(0) => String::new(),
                Some(1) => " · 1 hand".to_owned(),
                Some(votes) => format!(" · {votes} hands"),
            };
            format!("{mark}{}{votes}", option.text)
        });
        Self {
            title: scenario.title.clone(),
            point: scenario.point.clone(),
            time: format!("{} of {}", timeline.now(), timeline.end()),
            caption: workspace.caption(),
            next: next_step_text(workspace, seconds_left),
            question: question.text.clone(),
            options: options.collect(),
            explanation: workspace.explanation(),
        }
    }

    /// As it is sent.
    pub(crate) fn encode(&self) -> String {
        let options = self.options.join(&OPTION_SEPARATOR.to_string());
        let Self { title, point, time, caption, next, question, explanation, .. } = self;
        [title, point, time, caption, next, question, &options, explanation]
            .map(String::as_str)
            .join("\u{1f}")
    }

    /// What was sent; nothing where it is something else.
    pub(crate) fn decode(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(FIELD_SEPARATOR).collect();
        let [title, point, time, caption, next, question, options, explanation] =
            fields.try_into().ok()?;
        Some(Self {
            title: title.to_owned(),
            point: point.to_owned(),
            time: time.to_owned(),
            caption: caption.to_owned(),
            next: next.to_owned(),
            question: question.to_owned(),
            options: options.split(OPTION_SEPARATOR).map(str::to_owned).collect(),
            explanation: explanation.to_owned(),
        })
    }
}

/// What to do next, and what comes of it.
fn next_step_text(workspace: &Workspace, seconds_left: Option<u32>) -> String {
    let (quiz, timeline) = (&workspace.quiz, workspace.timeline());
    if quiz.is_enabled && quiz.phase == QuizPhase::Open {
        let time = match seconds_left {
            None => "take hands with the digits (Backspace takes one back)".to_owned(),
            Some(0) => "the time is up".to_owned(),
            Some(seconds_left) => format!("{seconds_left} s left for raising hands"),
        };
        return format!("The answer: {time}, then Enter reveals it.");
    }
    if quiz.is_enabled && quiz.phase == QuizPhase::Revealing {
        return "The run goes on to where the answer shows.".to_owned();
    }
    let stop = quiz.stops.iter().find(|stop| stop.position > timeline.position());
    if let Some(stop) = stop.filter(|_| quiz.is_enabled) {
        let suffix = if stop.is_question { " (the question)" } else { "" };
        return format!("{}: {}{suffix}", stop.at, stop.caption);
    }
    let enabled_protection =
        workspace.scenario.switches.iter().find(|it| !timeline.run().without.contains(it));
    match enabled_protection {
        Some(protection) => {
            let number = Protection::ALL.iter().position(|it| it == protection).unwrap_or(0) + 1;
            let key = if number < 10 { format!(" (Shift {number})") } else { String::new() };
            format!("Take {protection} away{key}, and compare (M). Or it goes on to its end.")
        }
        None => "No more stops: compare (M), or it goes on to its end.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;

    #[test]
    fn notes_show_the_answer_and_the_next_stop() {
        let workspace = Workspace::from_link(&Link::parse("?scenario=gc-pause"));
        let notes = Notes::from_workspace(&workspace, None);
        assert!(notes.next.contains("client_1 stands still"), "{notes:#?}");
        assert_eq!(notes.options.iter().filter(|it| it.starts_with('✓')).count(), 1);
        assert!(notes.options[1].starts_with('✓'), "it is refused: {notes:#?}");
        assert_eq!(Notes::decode(&notes.encode()), Some(notes));
        assert_eq!(Notes::decode("hello"), None);
    }

    #[test]
    fn notes_suggest_the_answer_and_then_a_protection_to_disable() {
        let mut workspace = Workspace::from_link(&Link::parse("?scenario=gc-pause"));
        for _ in 0..3 {
            workspace.go_to_stop(true);
        }
        let next = |workspace: &Workspace, seconds_left| {
            Notes::from_workspace(workspace, seconds_left).next
        };
        assert!(next(&workspace, None).contains("Enter reveals"), "{}", next(&workspace, None));
        assert!(next(&workspace, Some(12)).contains("12 s left"));
        workspace.reveal_answer();
        while workspace.player.is_playing {
            workspace.advance_frame(100.0);
        }
        assert!(next(&workspace, None).starts_with("Take fencing away (Shift 1)"));
        workspace.toggle_protection(Protection::Fencing);
        let notes = Notes::from_workspace(&workspace, None);
        assert!(
            notes.options[0].starts_with('✓')
                && !notes.explanation.contains("takes an append only")
        );
        assert!(notes.explanation.contains("without fencing"), "{}", notes.explanation);
    }
}
