//! Checks a data directory without changing it, and restores one from a copy.
