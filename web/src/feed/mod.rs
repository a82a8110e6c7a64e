//! Where what is shown comes from.

pub(crate) mod worker;
