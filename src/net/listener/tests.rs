//! The listener on the loopback interface.

use std::{cell::RefCell, net::TcpStream as StdStream};

use socket2::SockRef;
use tokio::{task::yield_now, time::timeout};

use super::*;

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A listening socket at a free port, and where that is.
fn listening(timeouts: &Timeouts) -> (TcpListener, SocketAddr) {
    let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0)), 4, timeouts).unwrap();
    let address = listener.local_addr().unwrap();
    (TcpListener::from_std(listener).unwrap(), address)
}

/// One connection that such a listener has accepted, and its other end.
async fn accepted(keepalive: Option<u64>, stall: u64) -> (TcpStream, StdStream) {
    let keepalive = keepalive.map(Duration::from_secs);
    let stall = Duration::from_secs(stall);
    let (listener, address) = listening(&Timeouts { keepalive, stall, ..Timeouts::default() });
    let theirs = StdStream::connect(address).unwrap();
    let (ours, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    (ours, theirs)
}

#[tokio::test]
async fn accepted_connections_send_without_delay_and_probe_silent_peers() {
    let (stream, _theirs) = accepted(Some(60), 10).await;
    assert!(stream.nodelay().unwrap());
    let socket = SockRef::from(&stream);
    assert!(socket.keepalive().unwrap());
    assert_eq!(socket.tcp_keepalive_time().unwrap(), Duration::from_secs(60));
    assert_eq!(socket.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
    assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
}

#[tokio::test]
async fn a_dead_peer_is_noticed_just_as_soon_when_lines_are_on_their_way_to_it() {
    let (stream, _theirs) = accepted(Some(60), 10).await;
    let unacknowledged = SockRef::from(&stream).tcp_user_timeout().unwrap();
    assert_eq!(unacknowledged, Some(Duration::from_secs(90)));
}

#[tokio::test]
async fn a_peer_that_may_stall_for_long_is_not_taken_for_dead_before() {
    let (stream, _theirs) = accepted(Some(60), 600).await;
    let unacknowledged = SockRef::from(&stream).tcp_user_timeout().unwrap();
    assert_eq!(unacknowledged, Some(Duration::from_secs(600)));
}

#[tokio::test]
async fn probes_are_a_second_apart_at_least() {
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

#[tokio::test]
async fn newcomers_are_limited_and_the_next_is_accepted_when_one_is_no_newcomer_any_more() {
    let (listener, address) = listening(&Timeouts::default());
    let theirs: Vec<_> = (0..=NEWCOMERS).map(|_| StdStream::connect(address).unwrap()).collect();
    let newcomers = RefCell::new(Vec::new());
    let serve = |stream, peer, newcomer| newcomers.borrow_mut().push((peer, newcomer, stream));
    let mut accepting = Box::pin(accept(listener, serve, |sentence| panic!("{sentence}")));
    // Accepts until there are so many, and then some more if it can.
    let mut accept_until = async |count| {
        let there = async {
            while newcomers.borrow().len() < count {
                yield_now().await;
            }
            for _ in 0..100 {
                yield_now().await;
            }
        };
        tokio::select! {
            () = &mut accepting => panic!("it accepts for ever"),
            there = timeout(PATIENCE, there) => there.unwrap(),
        }
    };
    accept_until(NEWCOMERS).await;
    assert_eq!(newcomers.borrow().len(), NEWCOMERS);
    let (_peer, newcomer, _stream) = newcomers.borrow_mut().remove(0);
    drop(newcomer);
    accept_until(NEWCOMERS).await;
    let last = theirs.last().unwrap().local_addr().unwrap();
    assert_eq!(newcomers.borrow().last().unwrap().0, last);
}

#[test]
fn an_ipv4_peer_of_a_dual_stack_listener_reads_as_ipv4() {
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:4444".parse().unwrap();
    assert_eq!(canonical(mapped), "127.0.0.1:4444".parse().unwrap());
    let other: SocketAddr = "[::1]:4444".parse().unwrap();
    assert_eq!(canonical(other), other);
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
