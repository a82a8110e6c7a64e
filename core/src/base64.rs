//! Bytes as letters: base64, as RFC 4648 has it.
//!
//! - What is read is what would be written: nothing else stands for the same bytes.

/// A way of writing: the alphabet, and whether the end is filled up.
#[derive(Clone, Copy, Debug)]
pub struct Base64 {
    alphabet: &'static [u8; 64],
    is_padded: bool,
}

/// The standard alphabet, padded: what the wire has.
pub const STANDARD: Base64 = Base64 {
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    is_padded: true,
};

/// The alphabet that an address may have, not padded.
pub const OF_ADDRESSES: Base64 = Base64 {
    alphabet: b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    is_padded: false,
};

impl Base64 {
    /// The letters that stand for these bytes.
    pub fn encode(self, bytes: &[u8]) -> String {
        let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
        for chunk in bytes.chunks(3) {
            let bits = (0..3).fold(0, |bits: u32, at| {
                bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0))
            });
            for at in 0..4 {
                if at <= chunk.len() {
                    text.push(char::from(self.alphabet[(bits >> (18 - 6 * at) & 63) as usize]));
                } else if self.is_padded {
                    text.push('=');
                }
            }
        }
        text
    }

    /// The bytes that these letters stand for, where they are well formed.
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        let letters = if self.is_padded {
            if !text.len().is_multiple_of(4) {
                return None;
            }
            let short = text.strip_suffix('=').unwrap_or(text);
            short.strip_suffix('=').unwrap_or(short)
        } else {
            text
        };
        let mut bytes = Vec::with_capacity(letters.len() / 4 * 3 + 2);
        for chunk in letters.as_bytes().chunks(4) {
            let mut bits = 0_u32;
            for letter in chunk {
                bits = bits << 6 | u32::from(self.value(*letter)?);
            }
            bits <<= 6 * (4 - chunk.len());
            let [_, whole @ ..] = bits.to_be_bytes();
            let (kept, rest) = whole.split_at(chunk.len() - 1);
            if kept.is_empty() || rest.iter().any(|it| *it != 0) {
                return None;
            }
            bytes.extend(kept);
        }
        Some(bytes)
    }

    fn value(self, letter: u8) -> Option<u8> {
        match letter {
            b'A'..=b'Z' => Some(letter - b'A'),
            b'a'..=b'z' => Some(letter - b'a' + 26),
            b'0'..=b'9' => Some(letter - b'0' + 52),
            _ if letter == self.alphabet[62] => Some(62),
            _ if letter == self.alphabet[63] => Some(63),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_that_of_the_rfc() {
        let pairs = [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg=="),
            ("fooba", "Zm9vYmE="),
            ("foobar", "Zm9vYmFy"),
        ];
        for (bytes, text) in pairs {
            assert_eq!(STANDARD.encode(bytes.as_bytes()), text);
            assert_eq!(STANDARD.decode(text).as_deref(), Some(bytes.as_bytes()));
            let short = text.trim_end_matches('=');
            assert_eq!(OF_ADDRESSES.encode(bytes.as_bytes()), short);
            assert_eq!(OF_ADDRESSES.decode(short).as_deref(), Some(bytes.as_bytes()));
        }
    }

    #[test]
    fn all_bytes_come_back_and_both_alphabets_are_used_to_their_ends() {
        let bytes: Vec<u8> = (0..=255).collect();
        for way in [STANDARD, OF_ADDRESSES] {
            for len in 0..bytes.len() {
                let text = way.encode(&bytes[..len]);
                assert_eq!(way.decode(&text).as_deref(), Some(&bytes[..len]));
            }
        }
        assert_eq!(STANDARD.encode(&[0xfb, 0xff]), "+/8=");
        assert_eq!(OF_ADDRESSES.encode(&[0xfb, 0xff]), "-_8");
    }

    #[test]
    fn what_nobody_would_write_is_not_read() {
        for text in
            ["Zg", "Zg=", "Zg===", "Z===", "====", "Zh==", "Zm9=", "Zg==Zg==", "-_8=", "Z g="]
        {
            assert_eq!(STANDARD.decode(text), None, "{text}");
        }
        for text in ["Zg==", "Z", "Zh", "+/8", "Zm9vY"] {
            assert_eq!(OF_ADDRESSES.decode(text), None, "{text}");
        }
    }
}
