//! The web console's server and the HTTP API, seen from outside.

mod ask;
mod docs;
mod events;
mod limits;
mod metrics;
mod requests;
mod safety;
mod start;
pub(crate) mod web;
