//! A client that has closed its sending side still receives what is queued for it.

use std::io::Write;

use crate::support::{Hub, heavy};

#[test]
fn a_leaving_peer_still_receives_megabytes_of_queued_lines() {
    let _turn = heavy();
    let mut hub = Hub::with_config("[limits]\noutbox = \"32 MiB\"\n", &["--max-sessions", "1"]);
    let mut peer = hub.peer();
    let block = "0123456789abcde\n".repeat(4096);
    let mut stdin = hub.program.stdin.take().unwrap();
    for _ in 0..256 {
        stdin.write_all(block.as_bytes()).unwrap();
    }
    stdin.write_all(b"the last line\n").unwrap();
    hub.program.out.find("the last line");
    peer.send("goodbye");
    peer.half_close();
    hub.program.out.find("eybdoog");
    let rest = peer.rest();
    assert_eq!(rest.len(), 256 * block.len() + "the last line\n".len());
    assert!(rest.ends_with("the last line\n"));
    // Its slot was free before it saw the close.
    hub.peer();
}
