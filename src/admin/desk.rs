//! How the admin side reaches the Hub and the Feed, whatever their types.

use actix::{Actor, Addr, Handler, Recipient, dev::ToEnvelope};

use crate::actors::{
    feed::{Fetch, Position},
    messages::{Ask, Broadcast, ByHttp, Inspect, Kick, ListAfter, Rename, Tell},
};

/// See the [module's documentation](self).
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) broadcast: Recipient<ByHttp<Broadcast>>,
    pub(super) tell: Recipient<ByHttp<Tell>>,
    pub(super) kick: Recipient<ByHttp<Kick>>,
    pub(super) rename: Recipient<Rename>,
    pub(super) ask: Recipient<Ask>,
    pub(super) list: Recipient<ListAfter>,
    pub(super) inspect: Recipient<Inspect>,
    pub(super) position: Recipient<Position>,
    pub(super) fetch: Recipient<Fetch>,
}

impl Desk {
    /// The handle of any actors that handle these messages.
    pub(super) fn new<H, F>(hub: &Addr<H>, feed: &Addr<F>) -> Self
    where
        H: Actor
            + Handler<ByHttp<Broadcast>>
            + Handler<ByHttp<Tell>>
            + Handler<ByHttp<Kick>>
            + Handler<Rename>
            + Handler<Ask>
            + Handler<ListAfter>
            + Handler<Inspect>,
        H::Context: ToEnvelope<H, ByHttp<Broadcast>>
            + ToEnvelope<H, ByHttp<Tell>>
            + ToEnvelope<H, ByHttp<Kick>>
            + ToEnvelope<H, Rename>
            + ToEnvelope<H, Ask>
            + ToEnvelope<H, ListAfter>
            + ToEnvelope<H, Inspect>,
        F: Actor + Handler<Position> + Handler<Fetch>,
        F::Context: ToEnvelope<F, Position> + ToEnvelope<F, Fetch>,
    {
        Self {
            broadcast: hub.clone().recipient(),
            tell: hub.clone().recipient(),
            kick: hub.clone().recipient(),
            rename: hub.clone().recipient(),
            ask: hub.clone().recipient(),
            list: hub.clone().recipient(),
            inspect: hub.clone().recipient(),
            position: feed.clone().recipient(),
            fetch: feed.clone().recipient(),
        }
    }
}
