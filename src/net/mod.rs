//! How peers come in.

pub mod listener;
