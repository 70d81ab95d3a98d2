//! The operator's desk: what the operator calls the clients.

pub(crate) mod names;
