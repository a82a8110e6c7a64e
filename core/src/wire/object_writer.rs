//! Writes flat JSON objects field by field, without an intermediate value: this is on the path of
//! every datagram.

use serde::Serialize;

/// Appends one JSON object to a buffer.
pub(super) struct ObjectWriter<'a> {
    out: &'a mut Vec<u8>,
    first: bool,
}

impl<'a> ObjectWriter<'a> {
    pub(super) fn begin(out: &'a mut Vec<u8>) -> Self {
        out.push(b'{');
        Self { out, first: true }
    }

    pub(super) fn write_number(&mut self, key: &str, number: u64) {
        self.write_key(key);
        self.out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
    }

    /// Writes a string that contains no character to escape: a name, a code, hex digits, base64.
    pub(super) fn write_plain(&mut self, key: &str, value: &str) {
        self.write_key(key);
        self.out.push(b'"');
        self.out.extend_from_slice(value.as_bytes());
        self.out.push(b'"');
    }

    /// Writes any string, with the escapes that it needs.
    pub(super) fn write_escaped<T: Serialize + ?Sized>(&mut self, key: &str, value: &T) {
        self.write_key(key);
        serde_json::to_writer(&mut *self.out, value).expect("writing to a vector cannot fail");
    }

    pub(super) fn finish(self) {
        self.out.push(b'}');
    }

    fn write_key(&mut self, key: &str) {
        if !std::mem::take(&mut self.first) {
            self.out.push(b',');
        }
        self.out.push(b'"');
        self.out.extend_from_slice(key.as_bytes());
        self.out.extend_from_slice(b"\":");
    }
}
