//! The width of texts, so that nothing is clipped and nothing overlaps.
//!
//! The widths are those of DejaVu Sans, the last font of the page's list. It is wider than the
//! fonts of the other systems, so a text needs at most the width that is computed here, in every
//! browser.

/// The stroke weight of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Weight {
    Regular,
    Bold,
}

/// The part of a line above and below its baseline, as fractions of the font size.
pub(crate) const ASCENT: f64 = 0.93;
pub(crate) const DESCENT: f64 = 0.24;

/// The classes of bold texts. The style sheet sets their weight; a test compares both.
const BOLD_CLASSES: &[&str] = &[
    "aggregate-label",
    "alarm",
    "flag-title",
    "held",
    "letter",
    "name",
    "node-number",
    "overlay-label",
    "tenure-label",
    "title",
];

/// The advance widths of the characters from the space to the tilde, in thousandths of the size.
const REGULAR: [u16; 95] = [
    318, 401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531, 1000, 684, 686, 698, 770, 632,
    575, 775, 752, 295, 295, 656, 557, 863, 748, 787, 603, 787, 695, 635, 611, 732, 684, 989, 685,
    611, 685, 390, 337, 390, 838, 500, 500, 613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579,
    278, 974, 634, 612, 635, 635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
];

const BOLD: [u16; 95] = [
    348, 456, 521, 838, 696, 1002, 872, 306, 457, 457, 523, 838, 380, 415, 380, 365, 696, 696, 696,
    696, 696, 696, 696, 696, 696, 696, 400, 400, 838, 838, 838, 580, 1000, 774, 762, 734, 830, 683,
    683, 821, 837, 372, 372, 775, 637, 995, 837, 850, 733, 850, 770, 720, 682, 812, 774, 1103, 771,
    724, 725, 457, 365, 457, 838, 500, 500, 675, 716, 593, 716, 678, 435, 716, 712, 343, 343, 665,
    343, 1042, 712, 687, 716, 716, 493, 595, 478, 712, 652, 924, 645, 652, 582, 712, 365, 712, 838,
];

/// The width of any other character.
const OTHER: u16 = 1000;

impl Weight {
    /// Returns the weight of a text with these classes.
    pub(crate) fn of_class(class: &str) -> Self {
        let is_bold = class.split(' ').any(|it| BOLD_CLASSES.contains(&it));
        if is_bold { Self::Bold } else { Self::Regular }
    }

    fn advance(self, char: char) -> u16 {
        let table = match self {
            Self::Regular => &REGULAR,
            Self::Bold => &BOLD,
        };
        let index = usize::try_from(u32::from(char)).ok().and_then(|it| it.checked_sub(32));
        match char {
            '·' => 380,
            '–' => 500,
            '−' | '×' => 838,
            _ => index.and_then(|it| table.get(it)).copied().unwrap_or(OTHER),
        }
    }

    /// Returns the width of a text.
    pub(crate) fn width(self, text: &str, size: f64) -> f64 {
        let thousandths: u32 = text.chars().map(|char| u32::from(self.advance(char))).sum();
        f64::from(thousandths) * size / 1_000.0
    }

    /// Returns the text, or as many of its first words as are not wider than `width`.
    pub(crate) fn fit_words(self, text: &str, size: f64, width: f64) -> String {
        let mut words = text;
        while self.width(words, size) > width {
            let Some(end) = words.rfind(' ') else { break };
            words = words[..end].trim_end_matches([',', ' ', '·']);
        }
        self.fit(words, size, width)
    }

    /// Returns the text, shortened with an ellipsis if it is wider than `width`. Returns an empty
    /// text if not even one character fits.
    pub(crate) fn fit(self, text: &str, size: f64, width: f64) -> String {
        if self.width(text, size) <= width {
            return text.to_owned();
        }
        let mut left = width - f64::from(OTHER) * size / 1_000.0;
        let mut shortened = String::new();
        for char in text.chars() {
            left -= f64::from(self.advance(char)) * size / 1_000.0;
            if left < 0.0 {
                break;
            }
            shortened.push(char);
        }
        if !shortened.is_empty() {
            shortened.push('…');
        }
        shortened
    }
}

/// Returns the width of a text of regular weight.
pub(crate) fn text_width(text: &str, size: f64) -> f64 {
    Weight::Regular.width(text, size)
}

/// Returns the width of a bold text.
pub(crate) fn bold_width(text: &str, size: f64) -> f64 {
    Weight::Bold.width(text, size)
}

/// Returns the first of the texts that fits into the width.
pub(crate) fn first_that_fits<'a>(
    weight: Weight,
    texts: &[&'a str],
    size: f64,
    width: f64,
) -> Option<&'a str> {
    texts.iter().copied().find(|text| weight.width(text, size) <= width)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_shortened_to_their_width() {
        assert_eq!(Weight::Regular.fit("client_1", 10.0, 100.0), "client_1");
        let shortened = Weight::Bold.fit("a_very_long_name_indeed", 10.0, 60.0);
        assert!(shortened.ends_with('…'), "{shortened}");
        assert!(bold_width(&shortened, 10.0) <= 60.0, "{shortened}");
        assert_eq!(Weight::Bold.fit("name", 10.0, 12.0), "");
    }

    /// The style sheets decide which texts are bold.
    #[test]
    fn bold_classes_are_those_of_the_style_sheets() {
        let css =
            [include_str!("../../style/picture.css"), include_str!("../../style/timeline.css")]
                .concat();
        let mut found: Vec<&str> = Vec::new();
        for rule in css.split('}') {
            let Some((selectors, declarations)) = rule.split_once('{') else { continue };
            let weight = declarations.split("font-weight:").nth(1);
            let weight = weight.and_then(|it| it.split(';').next()?.trim().parse::<u32>().ok());
            // Without a weight of its own, the next bolder face of a font is used above 500.
            if weight.is_some_and(|it| it > 500) {
                found.extend(selectors.split(',').filter_map(|it| it.trim().rsplit('.').next()));
            }
        }
        found.sort_unstable();
        found.dedup();
        assert_eq!(found, BOLD_CLASSES);
    }
}
