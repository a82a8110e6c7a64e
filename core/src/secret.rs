//! What must not get out by accident: session ids, nonces, keys.
//!
//! - No `Serialize`: whoever writes a secret down does so by name, through [`Secret::expose`].
//! - `Debug` shows that there is one, never what it is.

use std::fmt;

/// Something that opens doors.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Keeps `value` from being shown.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// The secret itself. Each call is a place to look at when something leaked.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
