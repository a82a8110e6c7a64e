//! The font sizes of the texts of a presentation: the largest that fit.
//!
//! Lengths are in hundredths of the width of the largest 16:9 picture that fits on the screen, as
//! in present.css, which has the same numbers. On a screen with another shape there is more space.

use super::shape::to_f64;
use super::text_width::{bold_width, text_width};

/// The normal font size.
const SIZE: f64 = 2.11;

/// The sizes to try, as multiples of the normal size: those of the classes `fit-0` to `fit-3`.
const SCALES: [f64; 4] = [1.0, 0.85, 0.72, 0.6];

/// The inside of the panel beside the stage.
const PANEL_WIDTH: f64 = 40.5;
const PANEL_HEIGHT: f64 = 20.4;

/// The inside of the strip at the top.
const STRIP_WIDTH: f64 = 97.0;

/// The height of a row of buttons.
const BUTTONS: f64 = 2.7;

/// The height of a line, as a multiple of the font size.
const LINE: f64 = 1.17;

/// Returns the class of the largest size at which the height is at most `limit`.
fn largest_fitting(limit: f64, height_at: impl Fn(f64) -> f64) -> &'static str {
    const CLASSES: [&str; 4] = ["fit-0", "fit-1", "fit-2", "fit-3"];
    let index = SCALES.iter().position(|scale| height_at(SIZE * scale) <= limit);
    CLASSES[index.unwrap_or(SCALES.len() - 1)]
}

/// Returns the class of a question with its options. A bar and a count follow each option.
pub(crate) fn question_size(question: &str, options: &[String]) -> &'static str {
    largest_fitting(PANEL_HEIGHT, |size| {
        let option_width = PANEL_WIDTH - 4.2 * size - 1.8;
        let options = options
            .iter()
            .map(|it| lines(it, size, option_width) * size * LINE + 0.45 * size + 0.3);
        bold_lines(question, size, PANEL_WIDTH) * size * LINE + 0.5 + options.sum::<f64>() + BUTTONS
    })
}

/// Returns the class of an explanation with these texts, each in lines of its own.
pub(crate) fn explanation_size(sentence: &str, others: &[&str]) -> &'static str {
    largest_fitting(PANEL_HEIGHT, |size| {
        let small = size * 0.85;
        let others = others.iter().map(|it| lines(it, small, PANEL_WIDTH) * small * LINE + 0.4);
        let head = size * 0.85 * LINE * 2.0 + 0.8;
        head + bold_lines(sentence, size * 1.06, PANEL_WIDTH) * size * LINE
            + others.sum::<f64>()
            + BUTTONS
    })
}

/// Returns the class of a caption, which has one line at the full size, and two at a smaller one.
pub(crate) fn caption_size(caption: &str) -> &'static str {
    // One line of the full size, and two of the second size, have the same height.
    let lines_max = |size: f64| if size < SIZE { 2.0 } else { 1.0 };
    largest_fitting(0.0, |size| {
        let needed = bold_lines(caption, size * 1.05, STRIP_WIDTH);
        (needed - lines_max(size)).max(0.0)
    })
}

/// Returns the class of a title and chips that fit in one line.
pub(crate) fn strip_size(title: &str, chips: &[String]) -> &'static str {
    largest_fitting(STRIP_WIDTH, |size| {
        let chips = chips.iter().map(|it| bold_width(it, size) + size * 1.2 + 0.7);
        bold_width(title, size) + 1.2 + chips.sum::<f64>()
    })
}

/// Returns the number of lines of a wrapped text.
fn lines(text: &str, size: f64, width: f64) -> f64 {
    wrapped_lines(text, size, width, text_width)
}

/// Returns the number of lines of a wrapped bold text.
fn bold_lines(text: &str, size: f64, width: f64) -> f64 {
    wrapped_lines(text, size, width, bold_width)
}

fn wrapped_lines(text: &str, size: f64, width: f64, measure: fn(&str, f64) -> f64) -> f64 {
    let (mut count, mut used) = (1, 0.0);
    for word in text.split(' ') {
        let space = if used > 0.0 { measure(" ", size) } else { 0.0 };
        // A client has a disc before its name, and a name usually has an underscore.
        let disc = if word.contains('_') { size * 1.4 } else { 0.0 };
        let word = measure(word, size) + disc;
        if used + space + word > width && used > 0.0 {
            count += 1;
            used = word;
        } else {
            used += space + word;
        }
    }
    to_f64(count)
}

#[cfg(test)]
mod tests {
    use super::*;
    use leasehold_sim::{Invariant, library};

    #[test]
    fn long_text_has_a_smaller_size() {
        let options = ["it is written".to_owned(), "it is rejected".to_owned()];
        assert_eq!(question_size("What happens?", &options), "fit-0");
        assert_eq!(question_size(&"What happens? ".repeat(30), &options), "fit-3");
        assert_eq!(explanation_size("client_1 resumes", &["because it was paused"]), "fit-0");
    }

    #[test]
    fn questions_of_the_library_fit_beside_the_stage() {
        for scenario in library() {
            let question = &scenario.question;
            let options: Vec<String> = question.options.iter().map(|it| it.text.clone()).collect();
            let size = question_size(&question.text, &options);
            assert!(size <= "fit-2", "{}: {size}", scenario.name);
        }
    }

    #[test]
    fn a_title_with_two_violations_fits_the_strip() {
        let chips = [
            "Fencing off".to_owned(),
            format!("✕ {}", Invariant::S2.heading()),
            format!("✕ {}", Invariant::S4.heading()),
        ];
        assert!(strip_size("5 · GC pause, stale append", &chips) <= "fit-1");
    }
}
