//! A client of the lock server.
