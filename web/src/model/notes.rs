//! What the lecturer has on a second window: where one is, what comes next, and the answer that the
//! others have yet to guess.

use super::studio::Studio;

/// Between two fields of what is sent, and between two options in one of them.
const FIELD: char = '\u{1f}';
const OPTION: char = '\u{1e}';

/// The notes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notes {
    pub(crate) title: String,
    pub(crate) point: String,
    pub(crate) time: String,
    pub(crate) caption: String,
    /// What is said at the next stop.
    pub(crate) next: String,
    pub(crate) ask: String,
    /// Each with the hands that were raised for it, and a mark at the right one.
    pub(crate) options: Vec<String>,
    pub(crate) why: String,
}

impl Notes {
    /// As things stand.
    pub(crate) fn of(studio: &Studio) -> Self {
        let (scenario, lesson, film) = (&studio.scenario, &studio.lesson, studio.film());
        let question = &scenario.question;
        let options = question.options.iter().enumerate().map(|(no, option)| {
            let mark = if lesson.right() == Some(no) { "✓ " } else { "" };
            let hands = match lesson.votes.get(no) {
                None | Some(0) => String::new(),
                Some(1) => " · 1 hand".to_owned(),
                Some(hands) => format!(" · {hands} hands"),
            };
            format!("{mark}{}{hands}", option.text)
        });
        let next = lesson.stops.iter().find(|stop| stop.place > film.place());
        let next = next.map(|stop| {
            let sign = if stop.is_question { " (the question)" } else { "" };
            format!("{}: {}{sign}", stop.at, stop.caption)
        });
        Self {
            title: scenario.title.clone(),
            point: scenario.point.clone(),
            time: format!("{} of {}", film.now(), film.end()),
            caption: studio.caption(),
            next: next.unwrap_or_else(|| "No more stops: it goes on to its end.".to_owned()),
            ask: question.ask.clone(),
            options: options.collect(),
            why: question.why.clone(),
        }
    }

    /// As it is sent.
    pub(crate) fn write(&self) -> String {
        let options = self.options.join(&OPTION.to_string());
        let Self { title, point, time, caption, next, ask, why, .. } = self;
        [title, point, time, caption, next, ask, &options, why].map(String::as_str).join("\u{1f}")
    }

    /// What was sent; nothing where it is something else.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let fields: Vec<&str> = text.split(FIELD).collect();
        let [title, point, time, caption, next, ask, options, why] = fields.try_into().ok()?;
        Some(Self {
            title: title.to_owned(),
            point: point.to_owned(),
            time: time.to_owned(),
            caption: caption.to_owned(),
            next: next.to_owned(),
            ask: ask.to_owned(),
            options: options.split(OPTION).map(str::to_owned).collect(),
            why: why.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::link::Link;

    #[test]
    fn the_lecturer_knows_the_answer_and_what_comes_next() {
        let studio = Studio::open(&Link::read("?scenario=gc-pause"));
        let notes = Notes::of(&studio);
        assert!(notes.next.contains("client_1 stands still"), "{notes:#?}");
        assert_eq!(notes.options.iter().filter(|it| it.starts_with('✓')).count(), 1);
        assert!(notes.options[1].starts_with('✓'), "it is refused: {notes:#?}");
        assert_eq!(Notes::read(&notes.write()), Some(notes));
        assert_eq!(Notes::read("hello"), None);
    }
}
