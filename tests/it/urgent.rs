//! TCP urgent data is ordinary data, and what follows it is not delayed.

use rustix::process::Signal;
use socket2::SockRef;

use crate::support::{Hub, Peer, wait_until};

/// How many clients send urgent data at once. About a third of them would be stuck.
const CLIENTS: usize = 60;

/// Sends `ab`, an urgent `!`, and the rest of the line.
fn send_line(peer: &mut Peer) {
    // Separate segments, or the kernel may read past the mark by itself.
    peer.stream().set_nodelay(true).unwrap();
    peer.send("ab");
    assert_eq!(SockRef::from(peer.stream()).send_out_of_band(b"!").unwrap(), 1);
    peer.send("c\n");
}

/// Stops the hub while clients send, so that everything has arrived before it reads.
fn while_stopped(hub: &Hub, send: impl FnOnce()) {
    hub.program.signal(Signal::STOP);
    wait_until("the hub has stopped", || (hub.program.state() == 'T').then_some(()));
    send();
    hub.program.signal(Signal::CONT);
}

#[test]
fn urgent_data_keeps_its_position_in_the_line() {
    let hub = Hub::start(&[]);
    let mut peer = hub.peer();
    send_line(&mut peer);
    hub.program.out.find("Client message = c!ba");
}

#[test]
fn what_follows_urgent_data_does_not_wait_for_more() {
    let hub = Hub::start(&["--max-sessions", "100"]);
    let mut peers: Vec<Peer> = (0..CLIENTS).map(|_| hub.peer()).collect();
    for round in 0..3 {
        while_stopped(&hub, || peers.iter_mut().for_each(send_line));
        for _ in 0..CLIENTS {
            let line = hub.program.out.find("Client message = ");
            assert!(line.ends_with("= c!ba"), "round {round}: {line}");
        }
    }
}
