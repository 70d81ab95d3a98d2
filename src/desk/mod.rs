//! The operator's desk: commands, names, and what is listed about the sessions.

pub(crate) mod command;
pub(crate) mod gauges;
pub(crate) mod histogram;
pub(crate) mod names;
pub(crate) mod roster;
pub(crate) mod table;
pub(crate) mod tally;
