//! The lock server as a library.
