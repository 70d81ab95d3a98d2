//! How peers connect.

pub(crate) mod listener;
