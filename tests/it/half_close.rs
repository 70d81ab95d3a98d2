//! A client that has said all it had to say still gets what waits for it.

use std::io::Write;

use crate::support::{Hub, heavy};

#[test]
fn megabytes_on_their_way_to_a_leaving_peer_arrive() {
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
    // Its place was free before it saw the close.
    hub.peer();
}
