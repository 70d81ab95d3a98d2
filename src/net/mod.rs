//! How peers connect.

pub mod listener;
