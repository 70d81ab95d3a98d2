//! Whatever a client does, the hub keeps working and gets the slot back.

use std::io::Read;

use crate::support::{Hub, Peer, heavy, wait_until};

/// Checks that all four slots are free and that lines still pass in both directions.
fn assert_still_works(hub: &mut Hub) {
    let mut peers: Vec<Peer> = (0..4)
        .map(|_| {
            // The hub may take a moment to notice that a peer was reset.
            wait_until("a slot is free", || {
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

/// Pseudo-random bytes (a linear congruential generator).
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
fn survives_binary_noise_and_nuls() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.send(noise(1_000_000));
    peer.send(b"\n\0\0\0\n");
    hub.program.out.find("Client message = \\u{0}\\u{0}\\u{0}");
    peer.half_close();
    // Some of the noise is telnet requests, which the hub declines.
    let mut declined = Vec::new();
    peer.stream().read_to_end(&mut declined).unwrap();
    assert!(declined.chunks(3).all(|answer| matches!(answer, [0xff, 0xfc | 0xfe, _])));
    assert_still_works(&mut hub);
}

#[test]
fn reads_a_line_sent_one_byte_at_a_time() {
    let mut hub = Hub::start(&[]);
    let mut peer = hub.peer();
    peer.stream().set_nodelay(true).unwrap();
    for byte in "né👍🏽\r".bytes() {
        peer.send([byte]);
        // A whole line of another peer between two bytes makes each byte a read of its own.
        let mut other = hub.peer();
        other.send("in between\n");
        hub.program.out.find("neewteb ni");
        other.leave();
    }
    peer.send("\n");
    assert!(hub.program.out.find("👍").ends_with(" = 👍🏽én"));
    drop(peer);
    assert_still_works(&mut hub);
}

#[test]
fn survives_thousands_of_immediate_resets() {
    let _turn = heavy();
    let mut hub = Hub::start(&[]);
    let times = if cfg!(debug_assertions) { 1000 } else { 5000 };
    for _ in 0..times {
        Peer::connect(hub.address).reset();
    }
    assert_still_works(&mut hub);
}

#[test]
fn a_partial_line_before_a_reset_is_not_a_line() {
    let mut hub = Hub::start(&[]);
    for _ in 0..20 {
        let mut peer = hub.peer();
        peer.send("a whole line\nhalf a l");
        hub.program.out.find("Client message = enil elohw a");
        peer.reset();
        let ended = hub.program.out.next();
        assert!(ended.starts_with("> Closing connection"), "{ended}");
    }
    assert_still_works(&mut hub);
}

#[test]
fn silent_peers_and_partial_lines_hold_no_buffers() {
    let mut hub = Hub::start(&["--max-sessions", "160"]);
    let mut peers = Vec::new();
    for partial_line in ["", "half a l"] {
        for _ in 0..70 {
            let mut peer = hub.peer();
            peer.send(format!("a whole line\n{partial_line}"));
            // Once this line is printed, the partial line after it has been read, too.
            hub.program.out.find("Client message = enil elohw a");
            peers.push(peer);
        }
        let mut other = hub.peer();
        other.send("my turn\n");
        hub.program.out.find("Client message = nrut ym");
    }
    for mut peer in peers.drain(70..) {
        peer.send("ine\n");
        hub.program.out.find("Client message = enil a flah");
    }
    assert_still_works(&mut hub);
}

#[test]
fn discards_an_endless_line_in_bounded_memory() {
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
    assert_still_works(&mut hub);
}

#[test]
fn closes_a_silent_peer_after_the_idle_timeout() {
    let mut hub = Hub::with_config("[timeouts]\nidle = \"200ms\"\n", &["--max-sessions", "4"]);
    let mut silent: Vec<Peer> = (0..4).map(|_| hub.peer()).collect();
    for peer in &mut silent {
        assert_eq!(peer.rest(), "", "an orderly close");
    }
    assert!(hub.program.err.next().contains("sent nothing for longer than timeouts.idle"));
    assert_still_works(&mut hub);
}
