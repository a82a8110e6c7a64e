//! Reads the objects that nearly all datagrams are, several times as fast as any JSON.
//!
//! - It takes a part of JSON: one flat object of whole numbers and texts. Whatever else there is in
//!   it (fractions, `null`, nesting, `\u`, a field that came before) is left to the general reader.
//! - What it takes, it takes as the general reader would: that is tested with millions of bytes.

use std::borrow::Cow;

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Scalar<'a> {
    Number(u64),
    Text(Cow<'a, str>),
}

/// What is still to be read.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Hands each field of the object to `take`, which says whether it had use for it. Unset where
/// somebody else has to read the bytes, from their beginning.
pub(super) fn read<'a>(
    bytes: &'a [u8],
    mut take: impl FnMut(&[u8], Scalar<'a>) -> bool,
) -> Option<()> {
    let mut reader = Reader { bytes, at: 0 };
    reader.expect(b'{')?;
    loop {
        let key = reader.plain_text()?;
        reader.expect(b':')?;
        let value = reader.scalar()?;
        if !take(key, value) {
            return None;
        }
        match reader.next()? {
            b',' => {}
            b'}' => break,
            _ => return None,
        }
    }
    reader.next().is_none().then_some(())
}

impl<'a> Reader<'a> {
    /// The next byte that is no white space.
    fn next(&mut self) -> Option<u8> {
        loop {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
        }
    }

    fn expect(&mut self, wanted: u8) -> Option<()> {
        (self.next()? == wanted).then_some(())
    }

    fn scalar(&mut self) -> Option<Scalar<'a>> {
        match self.next()? {
            b'"' => self.text().map(Scalar::Text),
            digit @ b'0'..=b'9' => self.number(digit).map(Scalar::Number),
            _ => None,
        }
    }

    /// A whole number that begins with `digit`.
    fn number(&mut self, digit: u8) -> Option<u64> {
        let mut number = u64::from(digit - b'0');
        while let Some(digit @ b'0'..=b'9') = self.bytes.get(self.at) {
            if number == 0 {
                return None;
            }
            number = number.checked_mul(10)?.checked_add(u64::from(digit - b'0'))?;
            self.at += 1;
        }
        // A fraction or an exponent comes out as something that is no end.
        Some(number)
    }

    /// A text without escapes, with the quotes around it.
    fn plain_text(&mut self) -> Option<&'a [u8]> {
        self.expect(b'"')?;
        let text = self.run();
        (self.next_raw()? == b'"').then_some(text)
    }

    /// A text whose opening quote was read.
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let first = self.run();
        let mut end = self.next_raw()?;
        let first = std::str::from_utf8(first).ok()?;
        if end == b'"' {
            return Some(Cow::Borrowed(first));
        }
        let mut text = first.to_owned();
        while end == b'\\' {
            text.push(unescaped(self.next_raw()?)?);
            let run = self.run();
            text.push_str(std::str::from_utf8(run).ok()?);
            end = self.next_raw()?;
        }
        (end == b'"').then_some(Cow::Owned(text))
    }

    /// The bytes up to one that can't stand in a text as it is.
    fn run(&mut self) -> &'a [u8] {
        let rest = &self.bytes[self.at..];
        let is_end = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        let len = rest.iter().position(is_end).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    fn next_raw(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }
}

fn unescaped(byte: u8) -> Option<char> {
    Some(match byte {
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'"' | b'\\' | b'/' => char::from(byte),
        _ => return None,
    })
}

#[cfg(test)]
pub(super) mod testing {
    use crate::rng::Rng;

    /// Bytes that matter to a reader of JSON, and some that are never in it.
    const BYTES: &[u8] = b"{}[]\":,0123456789.eE+-\\/ntrbfu \t\n\r\0azAZ\x1f\x7f\xc3\xbc\xff";

    /// One of these texts with up to three bytes changed, put in, taken out or swapped.
    pub(in super::super) fn changed(written: &[&str], rng: &mut Rng) -> Vec<u8> {
        let any = |rng: &mut Rng, len: usize| usize::try_from(rng.below(len as u64)).unwrap();
        let mut bytes = written[any(rng, written.len())].as_bytes().to_vec();
        for _ in 0..rng.below(4) {
            let (at, byte) = (any(rng, bytes.len()), BYTES[any(rng, BYTES.len())]);
            match rng.below(4) {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                2 => drop(bytes.remove(at)),
                _ => {
                    let to = any(rng, bytes.len());
                    bytes.swap(at, to);
                }
            }
        }
        bytes
    }
}
