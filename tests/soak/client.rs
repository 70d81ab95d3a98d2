//! One client's connection, from connecting to the end.

use std::{cell::RefCell, io, net::SocketAddr, rc::Rc, time::Duration};

use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpSocket, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::oneshot,
    time::{sleep, timeout},
};

use crate::{
    account::End,
    ledger::Ledger,
    plan::{Kind, Plan},
};

/// The exact line that a full hub sends.
const REFUSAL: &[u8] = b"421 Server rejected due to too many clients\n";

/// How long a staller does not read: longer than the server waits for it.
const STALL: Duration = Duration::from_secs(8);

/// One client, with its account in the ledger.
struct Client {
    ledger: Rc<RefCell<Ledger>>,
    kind: Kind,
    plan: Plan,
    port: u16,
    number: u64,
}

/// How the connection ended for the reading side.
enum Closed {
    Refused,
    Orderly,
    /// EOF in the middle of a line.
    Truncated,
    Broken,
}

/// Connects, does what this kind of client does, and records how it ended.
pub(crate) async fn visit(
    server: SocketAddr,
    ledger: Rc<RefCell<Ledger>>,
    kind: Kind,
    mut rng: fastrand::Rng,
) -> Result<(), String> {
    let plan = Plan::new(kind, &mut rng);
    // Rejected sockets are kept until one is accepted, so that each attempt gets another port.
    let mut rejected = Vec::new();
    let (socket, port, number) = loop {
        let (socket, port) =
            socket(plan.small_buffer).map_err(|error| format!("socket: {error}"))?;
        let opened = ledger.borrow_mut().open(port, kind, plan.style);
        match opened {
            Some(number) => break (socket, port, number),
            None => rejected.push(socket),
        }
    };
    let client = Client { ledger, kind, plan, port, number };
    let mut stream = socket.connect(server).await.map_err(|error| format!("connect: {error}"))?;
    let end = client.stay(&mut stream, &mut rng).await?;
    drop(stream);
    client.ledger.borrow_mut().ended(port, end)
}

fn socket(small_buffer: bool) -> io::Result<(TcpSocket, u16)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if small_buffer {
        socket.set_recv_buffer_size(4096)?;
        socket.set_tcp_mss(1000)?;
    }
    socket.set_tcp_nodelay(true)?;
    socket.set_nonblocking(true)?;
    let socket = TcpSocket::from_std_stream(socket.into());
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let port = socket.local_addr()?.port();
    Ok((socket, port))
}

impl Client {
    async fn stay(&self, stream: &mut TcpStream, rng: &mut fastrand::Rng) -> Result<End, String> {
        let Some(reset) = self.plan.reset else {
            return self.converse(stream, rng).await;
        };
        match timeout(reset, self.converse(stream, rng)).await {
            Ok(ended) => ended,
            Err(_) => {
                stream.set_zero_linger().map_err(|error| format!("linger: {error}"))?;
                Ok(End::Reset)
            }
        }
    }

    /// Sends and receives at the same time, until the server closes the connection.
    async fn converse(
        &self,
        stream: &mut TcpStream,
        rng: &mut fastrand::Rng,
    ) -> Result<End, String> {
        let (reader, writer) = stream.split();
        let (admit, admitted) = oneshot::channel();
        let mut sending = std::pin::pin!(self.send_all(writer, rng, admitted));
        let mut receiving = std::pin::pin!(self.receive_all(reader, admit));
        let (closed, left) = tokio::select! {
            closed = &mut receiving => (closed?, None),
            left = &mut sending => (receiving.await?, Some(left)),
        };
        let (closed, left) = match (closed, left) {
            // The kernel reports a socket error once: here the write got it, and the read got EOF.
            (Closed::Truncated, Some(Err(_))) => (Closed::Broken, None),
            (Closed::Truncated, _) => {
                return Err("the connection ended in the middle of a line".into());
            }
            (closed, left) => (closed, left.and_then(Result::ok)),
        };
        Ok(match (closed, left) {
            (Closed::Refused, _) => End::Refused,
            (Closed::Orderly, Some(broadcasts)) => End::Left(broadcasts),
            (Closed::Orderly | Closed::Truncated | Closed::Broken, _) => End::ClosedByServer,
        })
    }

    /// Sends what the plan says, then leaves. Returns how many broadcasts the server had printed by
    /// then.
    async fn send_all(
        &self,
        mut writer: WriteHalf<'_>,
        rng: &mut fastrand::Rng,
        admitted: oneshot::Receiver<()>,
    ) -> io::Result<u64> {
        let Plan { lines, chunk, pause, stay, reset, .. } = self.plan;
        if !self.plan.eager && admitted.await.is_err() {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let mut sent = 0;
        while sent < lines {
            let next = lines.min(sent + 1 + rng.u64(..chunk));
            self.send(sent..next, &mut writer).await?;
            sent = next;
            if pause > 0 {
                sleep(Duration::from_millis(rng.u64(..pause))).await;
            }
        }
        sleep(stay).await;
        if reset.is_some() {
            return std::future::pending().await;
        }
        let broadcasts = self.ledger.borrow().broadcasts();
        writer.shutdown().await?;
        Ok(broadcasts)
    }

    /// Sends these lines, and records each in the ledger once it is sent completely.
    async fn send(
        &self,
        lines: std::ops::Range<u64>,
        writer: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let Plan { style, trickle, .. } = self.plan;
        let mut wire = Vec::new();
        let mut ends = Vec::new();
        for number in lines.clone() {
            self.ledger.borrow().script().line(self.number, number, style, &mut wire);
            // Without its LF an empty last line would not be a line.
            let is_last = number + 1 == self.plan.lines;
            let is_empty = wire == b"\n" || wire.ends_with(b"\n\n");
            if self.plan.unfinished && is_last && !is_empty {
                wire.pop();
                self.ledger.borrow_mut().unfinished(self.port, number);
            }
            ends.push(wire.len());
        }
        let mut written = 0;
        while written < wire.len() {
            let rest = wire.split_at(written).1;
            let next = if trickle { rest.split_at(1).0 } else { rest };
            written += writer.write(next).await?;
            let whole = ends.partition_point(|&end| end <= written) as u64;
            self.ledger.borrow_mut().sent(self.port, lines.start + whole);
            if trickle {
                sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Reads the greeting and then broadcasts, and checks each line in the ledger.
    async fn receive_all(
        &self,
        mut reader: ReadHalf<'_>,
        admit: oneshot::Sender<()>,
    ) -> Result<Closed, String> {
        let mut text = Vec::with_capacity(64 * 1024);
        let Some(greeting) = greeting(&mut reader, &mut text).await else {
            return Ok(Closed::Broken);
        };
        if greeting == REFUSAL {
            while let Ok(1..) = reader.read_buf(&mut text).await {}
            return if text.is_empty() {
                Ok(Closed::Refused)
            } else {
                Err("data after 421".into())
            };
        }
        if !greeting.starts_with(b"220 linehub ready: client ") {
            return Err(format!("greeted with {:?}", String::from_utf8_lossy(&greeting)));
        }
        // Fails if the client is eager: then nobody waits for it.
        let _ = admit.send(());
        if self.kind == Kind::Staller {
            sleep(STALL).await;
        }
        loop {
            let end = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
            for line in text.split_at(end).0.split_inclusive(|&byte| byte == b'\n') {
                self.ledger.borrow_mut().received(self.port, line)?;
            }
            text.drain(..end);
            let read = if self.kind == Kind::Slow {
                sleep(Duration::from_millis(5)).await;
                (&mut reader).take(8 * 1024).read_buf(&mut text).await
            } else {
                reader.read_buf(&mut text).await
            };
            match read {
                Ok(0) if text.is_empty() => return Ok(Closed::Orderly),
                Ok(0) => return Ok(Closed::Truncated),
                Ok(_) => {}
                Err(_) => return Ok(Closed::Broken),
            }
        }
    }
}

/// Reads the first line; what follows it stays in `text`. Returns `None` if the connection ends before
/// the line does.
async fn greeting(reader: &mut ReadHalf<'_>, text: &mut Vec<u8>) -> Option<Vec<u8>> {
    loop {
        if let Some(end) = memchr::memchr(b'\n', text) {
            return Some(text.drain(..=end).collect());
        }
        if !matches!(reader.read_buf(text).await, Ok(1..)) {
            return None;
        }
    }
}
