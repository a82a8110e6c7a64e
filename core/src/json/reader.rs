//! The text of JSON: brackets, words, numbers and texts in quotes. Knows nothing of types.

use std::borrow::Cow;

use super::{BadJson, bad};

/// A text, and how far it has been read.
pub(super) struct Reader<'t> {
    pub(super) text: &'t str,
    pub(super) at: usize,
}

impl<'t> Reader<'t> {
    /// The next byte that isn't space; none at the end.
    pub(super) fn peek(&mut self) -> Option<u8> {
        let rest = &self.text.as_bytes()[self.at..];
        let space = rest.iter().take_while(|it| matches!(it, b' ' | b'\t' | b'\n' | b'\r'));
        self.at += space.count();
        self.text.as_bytes().get(self.at).copied()
    }

    /// Goes past this byte, if it is the next one.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    pub(super) fn need(&mut self, byte: u8) -> Result<(), BadJson> {
        if self.take(byte) {
            return Ok(());
        }
        Err(bad(match byte {
            b'{' => "expected an object",
            b'[' => "expected an array",
            b'}' => "expected `,` or `}`",
            b']' => "expected `,` or `]`",
            b':' => "expected `:`",
            _ => "expected a text",
        }))
    }

    /// Goes to the next element of an array or an object; `false` past its end.
    pub(super) fn next(&mut self, end: u8, is_first: &mut bool) -> Result<bool, BadJson> {
        if self.peek() == Some(end) {
            return Ok(false);
        }
        if !std::mem::take(is_first) && !self.take(b',') {
            self.need(end)?;
        }
        Ok(true)
    }

    /// Goes past this word, if it is next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        self.peek();
        self.word_at_once(word)
    }

    fn word_at_once(&mut self, word: &str) -> bool {
        let is_there = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        self.at += if is_there { word.len() } else { 0 };
        is_there
    }

    pub(super) fn bool(&mut self) -> Result<bool, BadJson> {
        if self.word("true") {
            return Ok(true);
        }
        if self.word("false") { Ok(false) } else { Err(bad("expected true or false")) }
    }

    pub(super) fn null(&mut self) -> Result<(), BadJson> {
        if self.word("null") { Ok(()) } else { Err(bad("expected null")) }
    }

    /// A whole number from 0 on.
    pub(super) fn unsigned(&mut self) -> Result<u64, BadJson> {
        let number = self.number()?.parse();
        number.map_err(|_| bad("expected a whole number from 0 on"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, BadJson> {
        self.number()?.parse().map_err(|_| bad("expected a whole number"))
    }

    /// A number of any kind, as it stands there.
    fn number(&mut self) -> Result<&'t str, BadJson> {
        self.peek();
        let start = self.at;
        let has_whole = {
            self.one_of(b"-");
            self.one_of(b"0") || self.digits()
        };
        let has_fraction = !self.one_of(b".") || self.digits();
        let has_exponent = !self.one_of(b"eE") || {
            self.one_of(b"+-");
            self.digits()
        };
        let number = &self.text[start..self.at];
        let is_whole = has_whole && has_fraction && has_exponent;
        if is_whole { Ok(number) } else { Err(bad("expected a number")) }
    }

    fn one_of(&mut self, bytes: &[u8]) -> bool {
        let is_there = self.text.as_bytes().get(self.at).is_some_and(|it| bytes.contains(it));
        self.at += usize::from(is_there);
        is_there
    }

    fn digits(&mut self) -> bool {
        let start = self.at;
        while self.one_of(b"0123456789") {}
        self.at > start
    }

    /// A text in quotes.
    pub(super) fn text(&mut self) -> Result<Cow<'t, str>, BadJson> {
        self.need(b'"')?;
        let mut whole = Cow::Borrowed("");
        loop {
            let rest = &self.text[self.at..];
            let plain = rest.bytes().take_while(|it| *it >= b' ' && !b"\"\\".contains(it)).count();
            whole += &rest[..plain];
            self.at += plain + 1;
            match rest.as_bytes().get(plain) {
                Some(b'"') => return Ok(whole),
                Some(b'\\') => whole.to_mut().push(self.escaped()?),
                Some(_) => return Err(bad("a control character in a text")),
                None => {
                    self.at = self.text.len();
                    return Err(bad("a text without an end"));
                }
            }
        }
    }

    /// The character behind a backslash.
    fn escaped(&mut self) -> Result<char, BadJson> {
        let letter = self.text.as_bytes().get(self.at).copied();
        self.at += usize::from(letter.is_some_and(|it| it.is_ascii()));
        Ok(match letter {
            Some(letter @ (b'"' | b'\\' | b'/')) => char::from(letter),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.unit()?;
                let is_pair = matches!(first, 0xd800..=0xdbff) && self.word_at_once("\\u");
                let second = if is_pair { Some(self.unit()?) } else { None };
                let mut chars = char::decode_utf16(std::iter::once(first).chain(second));
                match (chars.next(), chars.next()) {
                    (Some(Ok(char)), None) => char,
                    _ => return Err(bad("half of a character")),
                }
            }
            Some(_) | None => return Err(bad("an unknown escape")),
        })
    }

    /// Four hex digits.
    fn unit(&mut self) -> Result<u16, BadJson> {
        let digits = self.text.get(self.at..self.at + 4).filter(|it| !it.starts_with('+'));
        self.at += digits.map_or(0, str::len);
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        unit.ok_or_else(|| bad("expected four hex digits"))
    }

    /// Passes over a value, whatever it is. Without recursion: nesting has no bound.
    pub(super) fn skip(&mut self) -> Result<(), BadJson> {
        let mut ends = Vec::new();
        loop {
            match self.peek() {
                Some(b'"') => drop(self.text()?),
                Some(b'{') => {
                    self.at += 1;
                    if !self.take(b'}') {
                        self.name()?;
                        ends.push(b'}');
                        continue;
                    }
                }
                Some(b'[') => {
                    self.at += 1;
                    if !self.take(b']') {
                        ends.push(b']');
                        continue;
                    }
                }
                Some(b't' | b'f') => drop(self.bool()?),
                Some(b'n') => self.null()?,
                Some(_) | None => drop(self.number()?),
            }
            while let Some(&end) = ends.last()
                && !self.take(b',')
            {
                self.need(end)?;
                ends.pop();
            }
            match ends.last() {
                None => return Ok(()),
                Some(b'}') => self.name()?,
                Some(_) => {}
            }
        }
    }

    /// The name of a field, which is passed over, and its colon.
    fn name(&mut self) -> Result<(), BadJson> {
        self.text()?;
        self.need(b':')
    }

    /// The error, with the place at which it came up.
    pub(super) fn place(&self, mut error: BadJson) -> BadJson {
        let lines = self.text.as_bytes()[..self.at].split(|it| *it == b'\n');
        let (line, text) = (1..).zip(lines).last().unwrap_or_default();
        error.0.1.get_or_insert((line, text.len()));
        error
    }
}
