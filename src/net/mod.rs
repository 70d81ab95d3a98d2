//! How peers connect.

pub(crate) mod device;
pub(crate) mod listener;
