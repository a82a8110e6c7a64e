//! A wrapper for session keys, nonces and MAC keys, so that they are not disclosed by accident.
//!
//! - It does not implement `Serialize`: writing a secret takes a call of [`Secret::expose`].
//! - `Debug` prints a placeholder, never the value.

use std::fmt;

/// A value that must not be logged, streamed or displayed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps `value`.
    pub const fn new(value: T) -> Self {
        Self(value)
    }

    /// Returns the value. Every call is a potential leak, and should be easy to find in a review.
    pub const fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}
