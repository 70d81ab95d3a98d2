//! A refused peer receives the whole refusal and blocks nobody.

use crate::support::{Hub, Peer, heavy, wait_until};

const REFUSAL: &str = "421 Server rejected due to too many clients\n";

/// A hub with one slot, and the peer that occupies it.
fn full_hub() -> (Hub, Peer) {
    let hub = Hub::start(&["--max-sessions", "1"]);
    let peer = hub.peer();
    (hub, peer)
}

#[test]
fn a_peer_that_sends_a_megabyte_before_it_reads_still_gets_the_refusal() {
    let (hub, _holder) = full_hub();
    for _ in 0..30 {
        let mut peer = Peer::connect(hub.address);
        // The hub has closed its sending side by now, but still reads all of it.
        peer.send("I would like to say something\n".repeat(40_000));
        assert_eq!(peer.rest(), REFUSAL);
    }
}

#[test]
fn reports_a_refusal_on_stderr_in_one_line() {
    let (hub, _holder) = full_hub();
    let mut peer = Peer::connect(hub.address);
    assert_eq!(peer.rest(), REFUSAL);
    let expected = format!("hub-server: refused {}: too many clients", peer.address());
    assert_eq!(hub.program.err.next(), expected);
}

#[test]
fn five_hundred_silent_connections_block_no_other_client_and_are_soon_closed() {
    let _turn = heavy();
    let (hub, mut holder) = full_hub();
    hub.program.out.find("New connection");
    let before = hub.program.descriptors();
    let silent: Vec<Peer> = (0..500).map(|_| Peer::connect(hub.address)).collect();
    holder.send("still here\n");
    hub.program.out.find("ereh llits");
    wait_until("they are closed", || (hub.program.descriptors() <= before).then_some(()));
    for mut peer in silent {
        assert_eq!(peer.rest(), REFUSAL);
    }
    drop(holder.leave());
    hub.peer();
}
