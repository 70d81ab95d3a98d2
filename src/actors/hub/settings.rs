//! What the Hub is configured with.

use std::{sync::Arc, time::Duration};

use actix::Recipient;

use crate::{
    actors::messages::Observed,
    desk::{histogram::Histogram, names::Names, roster::Roster},
};

/// What the Hub is configured with.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// How many clients there may be at once. Devices do not count.
    pub(crate) max_clients: usize,
    /// How long a client waits for a slot before it is refused.
    pub(crate) slot: Duration,
    /// The names of clients, by address.
    pub(crate) names: Names,
    /// How long a session that is kicked may take to end.
    pub(crate) stall: Duration,
    /// Where the times of broadcasts are observed, if anybody needs that.
    pub(crate) latency: Option<Arc<Histogram>>,
    /// The Feed, which observes everything, if anybody needs that.
    pub(crate) feed: Option<Recipient<Observed>>,
    /// Where the sessions are listed for the operator's completion, if anybody needs that.
    pub(crate) roster: Option<Roster>,
}
