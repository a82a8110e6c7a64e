//! Colours and emphasis, on terminals only and unless `NO_COLOR` is set.

use std::env;
use std::io::{self, IsTerminal};

/// Adds terminal escape sequences to text, or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Style {
    enabled: bool,
}

/// Foreground colours that people with red-green colour blindness can distinguish.
const CLIENT_COLORS: [u8; 6] = [36, 33, 35, 34, 32, 96];

impl Style {
    pub(crate) fn for_stdout() -> Self {
        Self { enabled: io::stdout().is_terminal() && is_color_allowed() }
    }

    pub(crate) fn for_stderr() -> Self {
        Self { enabled: io::stderr().is_terminal() && is_color_allowed() }
    }

    #[cfg(test)]
    pub(crate) const fn plain() -> Self {
        Self { enabled: false }
    }

    pub(crate) const fn is_enabled(self) -> bool {
        self.enabled
    }

    pub(crate) fn bold(self, text: &str) -> String {
        self.escape("1", text)
    }

    pub(crate) fn dim(self, text: &str) -> String {
        self.escape("2", text)
    }

    pub(crate) fn error(self, text: &str) -> String {
        self.escape("1;31", text)
    }

    pub(crate) fn warning(self, text: &str) -> String {
        self.escape("33", text)
    }

    /// Colours text by the number of a client. Equal numbers have equal colours.
    pub(crate) fn client(self, number: u64, text: &str) -> String {
        let index = usize::try_from(number % CLIENT_COLORS.len() as u64).unwrap_or(0);
        self.escape(&CLIENT_COLORS[index].to_string(), text)
    }

    fn escape(self, code: &str, text: &str) -> String {
        if self.enabled { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

/// Follows no-color.org: a `NO_COLOR` that is not empty disables colours.
fn is_color_allowed() -> bool {
    env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_plain_unless_colours_are_enabled() {
        assert_eq!(Style::plain().bold("a"), "a");
        let style = Style { enabled: true };
        assert_eq!(style.error("a"), "\u{1b}[1;31ma\u{1b}[0m");
        assert_ne!(style.client(1, "a"), style.client(2, "a"));
    }
}
