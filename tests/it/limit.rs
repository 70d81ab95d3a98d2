//! The session limit is exact, a refused peer learns why, and a freed slot can be used at once.

use std::thread;

use crate::support::{Hub, Peer, heavy};

#[test]
fn admits_exactly_four_of_two_hundred_simultaneous_connections() {
    let _turn = heavy();
    let hub = Hub::start(&[]);
    let address = hub.address;
    let peers: Vec<_> = (0..200)
        .map(|_| {
            thread::spawn(move || {
                let mut peer = Peer::connect(address);
                let line = peer.line();
                (line, peer)
            })
        })
        .collect();
    let peers: Vec<_> = peers.into_iter().map(|peer| peer.join().unwrap()).collect();
    let mut admitted: Vec<_> = peers
        .iter()
        .map(|(line, _)| line.as_str())
        .filter(|line| line.starts_with("220"))
        .collect();
    admitted.sort_unstable();
    let expected: Vec<_> = (1..=4).map(|n| format!("220 linehub ready: client {n} of 4")).collect();
    assert_eq!(admitted, expected);
    let refused = peers
        .iter()
        .filter(|(line, _)| line == "421 Server rejected due to too many clients")
        .count();
    assert_eq!(refused, 196);
}

#[test]
fn a_client_that_reconnects_at_once_always_finds_its_slot_free() {
    let hub = Hub::start(&[]);
    let _others = [hub.peer(), hub.peer(), hub.peer()];
    let mut peer = hub.peer();
    for _ in 0..200 {
        peer.leave();
        peer = hub.peer();
    }
}
