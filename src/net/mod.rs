//! How peers come in.

pub(crate) mod listener;
