//! What the lecturer has on a second window: where one is, what comes next, and the answer that the
//! others have yet to guess.

use leasehold_sim::Protection;

use super::lesson::Phase;
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
    /// What comes next: what is said at the next stop, or how the answer comes out.
    pub(crate) next: String,
    pub(crate) ask: String,
    /// Each with the hands that were raised for it, and a mark at the right one.
    pub(crate) options: Vec<String>,
    pub(crate) why: String,
}

impl Notes {
    /// As things stand; with so many seconds left for raising hands, where that is limited.
    pub(crate) fn of(studio: &Studio, left: Option<u32>) -> Self {
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
        Self {
            title: scenario.title.clone(),
            point: scenario.point.clone(),
            time: format!("{} of {}", film.now(), film.end()),
            caption: studio.caption(),
            next: next(studio, left),
            ask: question.ask.clone(),
            options: options.collect(),
            why: studio.why(),
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

/// What to do next, and what comes of it.
fn next(studio: &Studio, left: Option<u32>) -> String {
    let (lesson, film) = (&studio.lesson, studio.film());
    if lesson.is_on && lesson.phase == Phase::Asked {
        let time = match left {
            None => "take hands with the digits (Backspace takes one back)".to_owned(),
            Some(0) => "the time is up".to_owned(),
            Some(left) => format!("{left} s left for raising hands"),
        };
        return format!("The answer: {time}, then Enter reveals it.");
    }
    if lesson.is_on && lesson.phase == Phase::Revealing {
        return "The run goes on to where the answer shows.".to_owned();
    }
    let stop = lesson.stops.iter().find(|stop| stop.place > film.place());
    if let Some(stop) = stop.filter(|_| lesson.is_on) {
        let sign = if stop.is_question { " (the question)" } else { "" };
        return format!("{}: {}{sign}", stop.at, stop.caption);
    }
    let on = studio.scenario.switches.iter().find(|it| !film.run().without.contains(it));
    match on {
        Some(protection) => {
            let no = Protection::ALL.iter().position(|it| it == protection).unwrap_or(0) + 1;
            let key = if no < 10 { format!(" (Shift {no})") } else { String::new() };
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
    fn the_lecturer_knows_the_answer_and_what_comes_next() {
        let studio = Studio::open(&Link::read("?scenario=gc-pause"));
        let notes = Notes::of(&studio, None);
        assert!(notes.next.contains("client_1 stands still"), "{notes:#?}");
        assert_eq!(notes.options.iter().filter(|it| it.starts_with('✓')).count(), 1);
        assert!(notes.options[1].starts_with('✓'), "it is refused: {notes:#?}");
        assert_eq!(Notes::read(&notes.write()), Some(notes));
        assert_eq!(Notes::read("hello"), None);
    }

    #[test]
    fn at_the_open_question_the_answer_is_next_and_then_what_to_take_away() {
        let mut studio = Studio::open(&Link::read("?scenario=gc-pause"));
        for _ in 0..3 {
            studio.stop(true);
        }
        let next = |studio: &Studio, left| Notes::of(studio, left).next;
        assert!(next(&studio, None).contains("Enter reveals"), "{}", next(&studio, None));
        assert!(next(&studio, Some(12)).contains("12 s left"));
        studio.reveal();
        while studio.player.is_playing {
            studio.tick(100.0);
        }
        assert!(next(&studio, None).starts_with("Take fencing away (Shift 1)"));
        studio.toggle(Protection::Fencing);
        let notes = Notes::of(&studio, None);
        assert!(notes.options[0].starts_with('✓') && !notes.why.contains("takes an append only"));
        assert!(notes.why.contains("without fencing"), "{}", notes.why);
    }
}
