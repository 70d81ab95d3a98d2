//! Whatever a client does, the hub goes on doing its job, and gets the place back.

use crate::support::{Hub, Peer, heavy, wait_until};

/// All four places can be taken, and a line still goes each way.
fn still_does_its_job(hub: &mut Hub) {
    let mut peers: Vec<Peer> = (0..4)
        .map(|_| {
            // A peer that was reset may take a moment to be noticed.
            wait_until("there is a place", || {
                let mut peer = Peer::connect(hub.address);
                peer.line().starts_with("220").then_some(peer)
            })
        })
        .collect();
    hub.program.enter("are you there?");
    for peer in &mut peers {
        assert_eq!(peer.line(), "are you there?");
    }
    peers[3].send("we are\n");
    hub.program.out.find("Client message = era ew");
    for peer in peers {
        assert_eq!(peer.leave(), "");
    }
}

/// Bytes of every value in no order (a linear congruential generator).
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        })
        .collect()
}

#[test]
fn binary_noise_and_nuls() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send(noise(1_000_000));
    peer.send(b"\n\0\0\0\n");
    hub.program.out.find("Client message = \\u{0}\\u{0}\\u{0}");
    assert_eq!(peer.leave(), "");
    still_does_its_job(&mut hub);
}

#[test]
fn a_byte_at_a_time() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.stream().set_nodelay(true).unwrap();
    for byte in "né👍🏽\r".bytes() {
        peer.send([byte]);
        // One read each: a whole line of another peer is taken in between.
        let mut other = hub.peer();
        other.send("in between\n");
        hub.program.out.find("neewteb ni");
        other.leave();
    }
    peer.send("\n");
    assert!(hub.program.out.find("👍").ends_with(" = 👍🏽én"));
    drop(peer);
    still_does_its_job(&mut hub);
}

#[test]
fn connecting_and_resetting() {
    let _turn = heavy();
    let mut hub = Hub::start(&[]);
    let times = if cfg!(debug_assertions) { 1000 } else { 5000 };
    for _ in 0..times {
        Peer::connect(hub.address).reset();
    }
    still_does_its_job(&mut hub);
}

#[test]
fn a_reset_in_the_middle_of_a_line() {
    let mut hub = Hub::start(&[]);
    for _ in 0..20 {
        let mut peer = hub.peer();
        peer.send("a whole line\nhalf a l");
        hub.program.out.find("Client message = enil elohw a");
        peer.reset();
        let ended = hub.program.out.next();
        assert!(ended.starts_with("> Closing connection"), "{ended}");
    }
    still_does_its_job(&mut hub);
}

#[test]
fn more_silent_peers_and_peers_with_half_a_line_than_there_are_buffers() {
    let mut hub = Hub::start(&["--max-sessions", "160"]);
    let mut holders = Vec::new();
    for begun in ["", "half a l"] {
        for _ in 0..70 {
            let mut peer = hub.peer();
            peer.send(format!("a whole line\n{begun}"));
            // What came with this line has been read when it has been printed.
            hub.program.out.find("Client message = enil elohw a");
            holders.push(peer);
        }
        let mut other = hub.peer();
        other.send("my turn\n");
        hub.program.out.find("Client message = nrut ym");
    }
    for mut peer in holders.drain(70..) {
        peer.send("ine\n");
        hub.program.out.find("Client message = enil a flah");
    }
    still_does_its_job(&mut hub);
}

#[test]
fn a_line_without_an_end() {
    let _turn = heavy();
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    let megabytes = if cfg!(debug_assertions) { 20 } else { 100 };
    let block = vec![b'x'; 1 << 20];
    for _ in 0..megabytes {
        peer.send(&block);
    }
    peer.send("\nshort\n");
    hub.program.out.find("Client message = trohs");
    let report = hub.program.err.next();
    let bytes = megabytes << 20;
    assert!(report.contains(&format!("discarded a line of {bytes} bytes")), "{report}");
    let memory = hub.program.status("VmHWM");
    assert!(memory < 16 * 1024, "{memory} KiB");
    assert_eq!(peer.leave(), "");
    still_does_its_job(&mut hub);
}

#[test]
fn a_peer_that_says_nothing_is_let_go_if_the_configuration_says_so() {
    let mut hub = Hub::with_config("[timeouts]\nidle = \"200ms\"\n", &["--max-sessions", "4"]);
    let mut silent: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    for peer in &mut silent {
        assert_eq!(peer.rest(), "", "an orderly close");
    }
    assert!(hub.program.err.next().contains("sent nothing for longer than timeouts.idle"));
    still_does_its_job(&mut hub);
}
