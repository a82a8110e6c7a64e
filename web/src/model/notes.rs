//! The lecturer's notes, shown in a second window: the current position, the next step, and the
//! answer that the audience does not see yet.
//!
//! The marks of the options and the explanation are the only texts of the page that contain the
//! answer of an open question. They are in a window of their own, which the lecturer opens.

use super::quiz::QuizPhase;
use super::shortcuts::protection_key;
use super::workspace::Workspace;

/// Separators of the encoded notes: between fields, and between the options of one field.
const FIELD_SEPARATOR: char = '\u{1f}';
const OPTION_SEPARATOR: char = '\u{1e}';

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) title: String,
    pub(crate) point: String,
    pub(crate) time: String,
    pub(crate) caption: String,
    /// The next stop, or how to reveal the answer.
    pub(crate) next: String,
    pub(crate) question: String,
    /// The options, each with its votes; the correct one has a check mark.
    pub(crate) options: Vec<String>,
    pub(crate) explanation: String,
}

impl Notes {
    /// Builds the notes for the current state. `seconds_left` is the time left for voting, if it is
    /// limited.
    pub(crate) fn from_workspace(workspace: &Workspace, seconds_left: Option<u32>) -> Self {
        let (scenario, quiz, timeline) =
            (&workspace.scenario, &workspace.quiz, workspace.timeline());
        let question = &scenario.question;
        let options = question.options.iter().enumerate().map(|(index, option)| {
            let mark = if quiz.correct_option() == Some(index) { "Correct: " } else { "" };
            let votes = match quiz.votes.get(index) {
                None | Some(0) => String::new(),
                Some(1) => " · 1 vote".to_owned(),
                Some(votes) => format!(" · {votes} votes"),
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

    /// Encodes the notes for the channel to the second window.
    pub(crate) fn encode(&self) -> String {
        let options = self.options.join(&OPTION_SEPARATOR.to_string());
        let Self { title, point, time, caption, next, question, explanation, .. } = self;
        [title, point, time, caption, next, question, &options, explanation]
            .map(String::as_str)
            .join(&FIELD_SEPARATOR.to_string())
    }

    /// Decodes notes. Returns `None` for any other text.
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

/// Describes the next step of the lecture.
fn next_step_text(workspace: &Workspace, seconds_left: Option<u32>) -> String {
    let (quiz, timeline) = (&workspace.quiz, workspace.timeline());
    if quiz.is_enabled && quiz.phase == QuizPhase::Open {
        let time = match seconds_left {
            None => "count votes with the digit keys (Backspace undoes one)".to_owned(),
            Some(0) => "time is up".to_owned(),
            Some(seconds_left) => format!("{seconds_left} s left to vote"),
        };
        return format!("Question: {time}. Enter reveals the answer.");
    }
    if quiz.is_enabled && quiz.phase == QuizPhase::Revealing {
        return "The run plays on until it shows the answer.".to_owned();
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
            let key = protection_key(*protection);
            format!("Disable {protection} ({key}) and compare (M), or play to the end.")
        }
        None => "No more stops. Compare (M), or play to the end.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;
    use leasehold_sim::Protection;

    #[test]
    fn notes_show_the_answer_and_the_next_stop() {
        let workspace = Workspace::from_link(&Link::parse("?scenario=gc-pause"));
        let notes = Notes::from_workspace(&workspace, None);
        assert!(notes.next.contains("client_1 is paused"), "{notes:#?}");
        assert_eq!(notes.options.iter().filter(|it| it.starts_with("Correct: ")).count(), 1);
        assert!(notes.options[1].starts_with("Correct: "), "the append is refused: {notes:#?}");
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
        assert!(next(&workspace, None).starts_with("Disable fencing (Shift 1)"));
        workspace.toggle_protection(Protection::Fencing);
        let notes = Notes::from_workspace(&workspace, None);
        assert!(
            notes.options[0].starts_with("Correct: ")
                && notes.explanation != workspace.scenario.question.explanation
        );
        assert!(notes.explanation.contains("without fencing"), "{}", notes.explanation);
    }
}
