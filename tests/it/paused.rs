//! How long a server in this process takes to stop, by a clock that is paused: exactly.

use std::{
    io::{self, Write},
    sync::mpsc,
    time::Duration,
};

use linehub::{Config, Outputs, Server, events::ServerTranscript};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::oneshot,
    time::{Instant, pause, timeout},
};

use crate::support::PATIENCE;

/// A stdout that is stuck from the first line of a client on, until the test ends.
struct Sticks {
    /// Tells that it is stuck.
    stuck: Option<oneshot::Sender<()>>,
    /// Fails when the test ends.
    end: mpsc::Receiver<()>,
}

impl Write for Sticks {
    fn write(&mut self, block: &[u8]) -> io::Result<usize> {
        if String::from_utf8_lossy(block).contains("Client message") {
            drop(self.stuck.take());
            let _ = self.end.recv();
        }
        Ok(block.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[actix::test]
async fn a_stuck_stdout_delays_stopping_for_drain_at_most() {
    let drain = Duration::from_secs(7);
    let mut config = Config::default();
    config.server.bind = [127, 0, 0, 1].into();
    config.server.port = 0;
    config.timeouts.drain = drain;
    let (stuck, is_stuck) = oneshot::channel();
    let (_until_the_end, end) = mpsc::channel();
    let server = Server::bind(config).unwrap().console(Outputs::new(
        ServerTranscript::new("test", false),
        Sticks { stuck: Some(stuck), end },
        io::sink(),
    ));
    let address = server.local_addr();
    let (stop, stopped) = oneshot::channel();
    let serving = actix::spawn(server.run(async { stopped.await.unwrap() }));
    let mut peer = TcpStream::connect(address).await.unwrap();
    peer.write_all(b"never printed\n").await.unwrap();
    assert!(timeout(PATIENCE, is_stuck).await.unwrap().is_err());

    pause();
    let start = Instant::now();
    stop.send(()).unwrap();
    timeout(PATIENCE, serving).await.unwrap().unwrap().unwrap();
    let passed = start.elapsed();
    // The server also waits this long for the `stopped` event to be printed, because stdout may recover.
    assert!(passed >= drain && passed < drain + Duration::from_secs(1), "{passed:?}");
}
