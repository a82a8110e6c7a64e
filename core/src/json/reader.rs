//! The text of JSON: brackets, words, numbers and texts in quotes. Knows nothing of types.

use std::borrow::Cow;

use super::{BadJson, bad};

/// How deep arrays and objects may stand in each other in what is passed over.
const DEPTH_MAX: u32 = 100;

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
        self.peek();
        let digits = self.number();
        // A leading zero is no JSON, and a plus neither.
        let is_plain = digits.bytes().all(|it| it.is_ascii_digit());
        let is_short = digits == "0" || !digits.starts_with('0');
        let number = digits.parse().ok().filter(|_| is_plain && is_short);
        number.ok_or_else(|| bad("expected a whole number from 0 on"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, BadJson> {
        let is_negative = self.take(b'-');
        if is_negative && !matches!(self.text.as_bytes().get(self.at), Some(b'0'..=b'9')) {
            return Err(bad("expected a whole number"));
        }
        let size = self.unsigned()?;
        let number =
            if is_negative { 0_i64.checked_sub_unsigned(size) } else { i64::try_from(size).ok() };
        number.ok_or_else(|| bad("a number is out of range"))
    }

    /// All that can belong to a number.
    fn number(&mut self) -> &'t str {
        let rest = &self.text[self.at..];
        let is_part = |it: &u8| matches!(it, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let len = rest.bytes().take_while(is_part).count();
        self.at += len;
        &rest[..len]
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

    /// Passes over a value, whatever it is.
    pub(super) fn skip(&mut self, depth: u32) -> Result<(), BadJson> {
        let mut is_first = true;
        match self.peek() {
            _ if depth > DEPTH_MAX => return Err(bad("too many brackets")),
            Some(b'"') => drop(self.text()?),
            Some(b'{') => {
                self.at += 1;
                while self.next(b'}', &mut is_first)? {
                    self.text()?;
                    self.need(b':')?;
                    self.skip(depth + 1)?;
                }
                self.at += 1;
            }
            Some(b'[') => {
                self.at += 1;
                while self.next(b']', &mut is_first)? {
                    self.skip(depth + 1)?;
                }
                self.at += 1;
            }
            Some(b't' | b'f') => drop(self.bool()?),
            Some(b'n') => self.null()?,
            Some(b'-' | b'0'..=b'9') => drop(self.number()),
            Some(_) | None => return Err(bad("expected a value")),
        }
        Ok(())
    }

    /// The error, with the place at which it came up.
    pub(super) fn place(&self, mut error: BadJson) -> BadJson {
        let lines = self.text.as_bytes()[..self.at].split(|it| *it == b'\n');
        let (line, text) = (1..).zip(lines).last().unwrap_or_default();
        error.0.1.get_or_insert((line, text.len()));
        error
    }
}
