//! A peer whose side of the connection the test drives.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
    time::Duration,
};

use socket2::SockRef;

use super::{PATIENCE, wait_until};

/// A peer over a plain socket.
pub(crate) struct Peer {
    reader: BufReader<TcpStream>,
}

impl Peer {
    pub(crate) fn connect(address: SocketAddr) -> Self {
        Self::of(TcpStream::connect(address).unwrap())
    }

    pub(crate) fn of(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// Reads the greeting and expects that the peer is admitted.
    pub(crate) fn greeted(mut self) -> Self {
        let greeting = self.line();
        assert!(greeting.starts_with("220 linehub ready: client "), "{greeting}");
        self
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        self.reader.get_ref()
    }

    /// The peer's own address: the one that the hub reports.
    pub(crate) fn address(&self) -> SocketAddr {
        self.stream().local_addr().unwrap()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).unwrap();
    }

    pub(crate) fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.reader.get_mut().write_all(bytes.as_ref())
    }

    /// Sends lines until nothing more can be written: the hub's pipe, its queues and the socket buffers
    /// are full.
    pub(crate) fn fill(&mut self) {
        self.stream().set_nonblocking(true).unwrap();
        let block = "never read\n".repeat(1000);
        let mut refused = 0;
        wait_until("it is full", || {
            refused = if self.try_send(&block).is_err() { refused + 1 } else { 0 };
            (refused > 100).then_some(())
        });
        self.stream().set_nonblocking(false).unwrap();
    }

    /// The next line without its line end, or an empty string at the end of the stream.
    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.strip_suffix('\n').unwrap_or(&line).to_owned()
    }

    /// Everything that arrives until the hub closes.
    pub(crate) fn rest(&mut self) -> String {
        self.try_rest().unwrap()
    }

    pub(crate) fn try_rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        self.reader.read_to_string(&mut rest).map(|_| rest)
    }

    /// The next `count` bytes.
    pub(crate) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.reader.read_exact(&mut bytes).unwrap();
        bytes
    }

    /// Closes the sending side.
    pub(crate) fn half_close(&mut self) {
        self.stream().shutdown(Shutdown::Write).unwrap();
    }

    /// Closes the sending side, then reads until the hub closes.
    pub(crate) fn leave(mut self) -> String {
        self.half_close();
        self.rest()
    }

    /// Closes with a reset.
    pub(crate) fn reset(self) {
        SockRef::from(self.stream()).set_linger(Some(Duration::ZERO)).unwrap();
    }
}
