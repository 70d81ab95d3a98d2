//! How peers connect, and the socket of a connection.

pub(crate) mod device;
pub(crate) mod keepalive;
pub(crate) mod listener;
pub(crate) mod lookup;
pub(crate) mod socket;
