//! Base64 (RFC 4648): bytes as letters, for JSON and for addresses.
//!
//! What is read must be exactly what would be written, so no bytes have two forms.

/// Which letters, and whether the end is filled up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alphabet {
    /// With `+` and `/`, filled up with `=`.
    Standard,
    /// With `-` and `_`, which addresses may have, and not filled up.
    Address,
}

impl Alphabet {
    const fn letter(self, six: u32) -> char {
        let byte = (six & 63) as u8;
        char::from_u32(match (byte, self) {
            (0..26, _) => (b'A' + byte) as u32,
            (26..52, _) => (b'a' + byte - 26) as u32,
            (52..62, _) => (b'0' + byte - 52) as u32,
            (62, Self::Standard) => '+' as u32,
            (62, Self::Address) => '-' as u32,
            (_, Self::Standard) => '/' as u32,
            (_, Self::Address) => '_' as u32,
        })
        .expect("all of them are letters")
    }

    const fn six(self, letter: u8) -> Option<u32> {
        Some(match (letter, self) {
            (b'A'..=b'Z', _) => (letter - b'A') as u32,
            (b'a'..=b'z', _) => (letter - b'a') as u32 + 26,
            (b'0'..=b'9', _) => (letter - b'0') as u32 + 52,
            (b'+', Self::Standard) | (b'-', Self::Address) => 62,
            (b'/', Self::Standard) | (b'_', Self::Address) => 63,
            _ => return None,
        })
    }
}

/// The letters for these bytes.
pub fn encode(bytes: &[u8], alphabet: Alphabet) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for three in bytes.chunks(3) {
        let bits = (0..3).fold(0, |bits, no| bits << 8 | u32::from(*three.get(no).unwrap_or(&0)));
        for no in 0..=three.len() {
            text.push(alphabet.letter(bits >> (18 - 6 * no)));
        }
        if alphabet == Alphabet::Standard {
            text.extend(std::iter::repeat_n('=', 3 - three.len()));
        }
    }
    text
}

/// The bytes of these letters; none where they are not well formed.
pub fn decode(text: &str, alphabet: Alphabet) -> Option<Vec<u8>> {
    let letters = match alphabet {
        Alphabet::Standard => text.trim_end_matches('='),
        Alphabet::Address => text,
    };
    let filled = letters.len().next_multiple_of(4);
    if alphabet == Alphabet::Standard && text.len() != filled {
        return None;
    }
    let mut bytes = Vec::with_capacity(filled / 4 * 3);
    for four in letters.as_bytes().chunks(4) {
        let mut bits = 0;
        for no in 0..4 {
            bits = bits << 6 | four.get(no).map_or(Some(0), |letter| alphabet.six(*letter))?;
        }
        let [_, three @ ..] = u32::to_be_bytes(bits);
        // One letter alone has no byte, and what is left over of the last one is nothing.
        let (whole, rest) = three.split_at(four.len() - 1);
        if whole.is_empty() || rest.iter().any(|byte| *byte != 0) {
            return None;
        }
        bytes.extend_from_slice(whole);
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_standard_hold() {
        let examples = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in examples {
            assert_eq!(encode(bytes.as_bytes(), Alphabet::Standard), text);
            assert_eq!(decode(text, Alphabet::Standard).unwrap(), bytes.as_bytes());
            let bare = text.trim_end_matches('=');
            assert_eq!(encode(bytes.as_bytes(), Alphabet::Address), bare);
            assert_eq!(decode(bare, Alphabet::Address).unwrap(), bytes.as_bytes());
        }
    }

    #[test]
    fn all_bytes_come_back() {
        for alphabet in [Alphabet::Standard, Alphabet::Address] {
            for len in 0..600_usize {
                let bytes: Vec<u8> = (0..len).map(|no| (no * 151 + len).to_le_bytes()[0]).collect();
                assert_eq!(decode(&encode(&bytes, alphabet), alphabet).unwrap(), bytes);
            }
        }
    }

    #[test]
    fn what_nobody_writes_is_not_read() {
        let bad =
            ["Z", "Zg", "Zg=", "Zg===", "Zh==", "Zm9=", "Zm9v=", "Zm9v====", "=", "Zm-_", "Zm\n8="];
        for text in bad {
            assert_eq!(decode(text, Alphabet::Standard), None, "{text}");
        }
        for text in ["Z", "Zh", "Zm9", "Zg==", "Zm+/", "Zmé"] {
            assert_eq!(decode(text, Alphabet::Address), None, "{text}");
        }
    }
}
