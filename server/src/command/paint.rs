//! Colours, where a person looks: on a terminal, unless `NO_COLOR` is set.

use std::env;
use std::io::{self, IsTerminal};

/// Whether text is coloured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paint {
    on: bool,
}

/// Told apart also by those who see red and green alike.
const HUES: [u8; 6] = [36, 33, 35, 34, 32, 96];

impl Paint {
    pub(crate) fn of_stdout() -> Self {
        Self { on: io::stdout().is_terminal() && is_wanted() }
    }

    pub(crate) fn of_stderr() -> Self {
        Self { on: io::stderr().is_terminal() && is_wanted() }
    }

    #[cfg(test)]
    pub(crate) const fn off() -> Self {
        Self { on: false }
    }

    pub(crate) const fn is_on(self) -> bool {
        self.on
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.sgr("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.sgr("2", text)
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.sgr("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.sgr("33", text)
    }

    /// The colour of a client: the same one wherever its number is the same.
    pub(crate) fn hue(self, number: u64, text: &str) -> String {
        let place = usize::try_from(number % HUES.len() as u64).unwrap_or(0);
        self.sgr(&HUES[place].to_string(), text)
    }

    fn sgr(self, code: &str, text: &str) -> String {
        if self.on { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// As no-color.org has it: set to anything but nothing.
fn is_wanted() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_plain_where_nobody_sees_colours() {
        assert_eq!(Paint::off().bold("a"), "a");
        assert_eq!(Paint { on: true }.error("a"), "\u{1b}[1;31ma\u{1b}[0m");
        assert_ne!(Paint { on: true }.hue(1, "a"), Paint { on: true }.hue(2, "a"));
    }
}
