//! The devices that the server connects to.

use std::{net::SocketAddr, sync::Arc};

use actix::{Actor, Addr};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::reporter;
use crate::{
    actors::{
        hub::Hub,
        messages::PeerKind,
        session::{Session, Setup},
    },
    config::Config,
    net::{device, socket::Socket},
};

/// Keeps the hub connected to its devices until the returned tasks are dropped.
pub(super) fn connect(
    config: &Config,
    own: SocketAddr,
    setup: &Arc<Setup>,
    hub: &Addr<Hub>,
) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for device in config.connect.iter().cloned() {
        let name = device.name.clone().map(Into::into);
        let kind = PeerKind::Device { name };
        let framing = device.framing(setup.framing);
        let setup = Setup { kind, framing, greeting: false, ..Setup::clone(setup) };
        let setup = Arc::new(setup);
        let serve = move |stream, peer| {
            let ended = CancellationToken::new();
            let session = Session::new(Socket::new(stream), peer, Arc::clone(&setup), None);
            session.until(ended.clone()).start();
            ended
        };
        let report = reporter(hub);
        let keepalive = config.timeouts.clone();
        tasks.spawn_local(async move {
            device::keep_connected(&device, own, &keepalive, serve, report).await;
        });
    }
    tasks
}
