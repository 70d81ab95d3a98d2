//! The listener on the loopback interface.

use std::{cell::RefCell, net::TcpStream as StdStream};

use socket2::SockRef;
use tokio::{task::yield_now, time::timeout};

use super::*;

/// The time-out of every wait: longer than anything takes, even on a busy machine.
const WAIT_LIMIT: Duration = Duration::from_secs(30);

/// A listening socket at a free port, and its address.
fn listening(timeouts: &Timeouts) -> (TcpListener, SocketAddr) {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 4, timeouts).unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListener::from_std(listener).unwrap(), address)
}

/// An accepted connection, and its other end.
async fn accepted(keepalive: Option<u64>, stall: u64) -> (TcpStream, StdStream) {
    let keepalive = keepalive.map(Duration::from_secs);
    let stall = Duration::from_secs(stall);
    let (listener, address) = listening(&Timeouts { keepalive, stall, ..Timeouts::default() });
    let theirs = StdStream::connect(address).unwrap();
    let (ours, _) = timeout(WAIT_LIMIT, listener.accept()).await.unwrap().unwrap();
    (ours, theirs)
}

#[tokio::test]
async fn accepted_connections_send_without_delay_and_probe_silent_peers() {
    let (stream, _theirs) = accepted(Some(60), 10).await;
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(socket.out_of_band_inline().unwrap(), "urgent data keeps its position");
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
}

#[tokio::test]
async fn detects_a_dead_peer_just_as_soon_while_data_is_unacknowledged() {
    let (stream, _theirs) = accepted(Some(60), 10).await;
    let unacknowledged = SockRef::from(&stream).tcp_user_timeout().unwrap();
    assert_eq!(unacknowledged, Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn waits_for_acknowledgements_at_least_as_long_as_the_stall_timeout() {
    let (stream, _theirs) = accepted(Some(60), 600).await;
    let unacknowledged = SockRef::from(&stream).tcp_user_timeout().unwrap();
    assert_eq!(unacknowledged, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn probes_are_at_least_a_second_apart() {
    let (stream, _theirs) = accepted(Some(2), 10).await;
    let socket = SockRef::from(&stream);
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(1));
}

#[tokio::test]
async fn without_keepalive_silent_peers_are_not_probed() {
    let (stream, _theirs) = accepted(None, 10).await;
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(!socket.keepalive().unwrap());
    assert_eq!(socket.tcp_user_timeout().unwrap(), None);
}

/// Pending connections in these tests.
const MAX_PENDING: usize = 256;

#[tokio::test]
async fn caps_pending_connections() {
    let (listener, address) = listening(&Timeouts::default());
    let theirs: Vec<_> = (0..=MAX_PENDING).map(|_| StdStream::connect(address).unwrap()).collect();
    let pending = RefCell::new(Vec::new());
    let serve = |stream, peer, permit| pending.borrow_mut().push((peer, permit, stream));
    let mut accepting =
        Box::pin(accept(listener, MAX_PENDING, serve, |sentence| panic!("{sentence}")));
    // Accepts `count` connections, and more if it can.
    let mut accept_until = async |count| {
        let enough = async {
            while pending.borrow().len() < count {
                yield_now().await;
            }
            for _ in 0..100 {
                yield_now().await;
            }
        };
        tokio::select! {
            () = &mut accepting => panic!("accepting has ended"),
            enough = timeout(WAIT_LIMIT, enough) => enough.unwrap(),
        }
    };
    accept_until(MAX_PENDING).await;
    assert_eq!(pending.borrow().len(), MAX_PENDING);
    let (_peer, permit, _stream) = pending.borrow_mut().remove(0);
    drop(permit);
    accept_until(MAX_PENDING).await;
    let last = theirs.last().unwrap().local_addr().unwrap();
    assert_eq!(pending.borrow().last().unwrap().0, last);
}

fn fault(error: Errno) -> Fault {
    Fault::of(&error.into())
}

#[test]
fn errors_of_the_new_connection_are_the_peers_fault() {
    for error in [
        Errno::CONNABORTED,
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::INTR,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::NONET,
        Errno::NOPROTOOPT,
        Errno::OPNOTSUPP,
        Errno::PERM,
        Errno::PROTO,
        Errno::TIMEDOUT,
    ] {
        assert_eq!(fault(error), Fault::Peer, "{error}");
    }
}

#[test]
fn shortages_and_unknown_errors_are_the_systems_fault() {
    for error in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::IO] {
        assert_eq!(fault(error), Fault::System, "{error}");
    }
    assert_eq!(Fault::of(&io::ErrorKind::Other.into()), Fault::System);
}
