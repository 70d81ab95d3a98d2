//! An actor that dies by a panic never leaves half a hub behind. (A Session's death costs one
//! client: see the Hub's own tests.)

use std::{
    io::{self, Write},
    time::Duration,
};

use linehub::{Config, Outputs, Server, ServerError, events::ServerTranscript};
use tokio::{io::AsyncReadExt, net::TcpStream, time::timeout};

use crate::support::PATIENCE;

/// A stdout at which the first peer makes the Console's Writer panic.
struct Panics;

impl Write for Panics {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        let block = String::from_utf8_lossy(block);
        assert!(!block.contains("New connection"), "this is the test's own panic");
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[actix::test]
async fn a_console_that_panics_ends_the_server_with_an_error() {
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.timeouts.drain = Duration::from_millis(500);
    let transcript = ServerTranscript::new("test", false);
    let server =
        Server::bind(config).unwrap().console(Outputs::new(transcript, Panics, io::sink()));
    let address = server.local_addr();
    let serving = actix::spawn(server.run(std::future::pending()));
    let mut peer = TcpStream::connect(address).await.unwrap();
    let ended = timeout(PATIENCE, serving).await.unwrap().unwrap();
    assert!(matches!(ended, Err(ServerError::ConsoleGone)), "{ended:?}");
    // The peer's connection is closed, too.
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, peer.read_to_end(&mut rest)).await.unwrap();
}
