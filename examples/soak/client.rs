//! A client: what the different kinds of them do, from connecting to the end.

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
    books::{Books, End},
    script::Style,
};

/// What a full hub says, to the letter.
const REFUSAL: &[u8] = b"421 Server rejected due to too many clients\n";

/// Longer than a client that does not read is kept.
const STALL: Duration = Duration::from_secs(8);

/// The kinds of clients that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Says something now and then, and leaves.
    Talker,
    /// Sends as many lines as it can, and leaves.
    Flooder,
    /// Sends noise and over-long lines, and leaves.
    Junk,
    /// Sends one line that has no end, and leaves.
    Endless,
    /// Sends a byte at a time.
    Trickler,
    /// Says nothing, and leaves.
    Silent,
    /// Reads slowly.
    Slow,
    /// Does not read for a long time.
    Staller,
    /// Talks and resets the connection in the middle of it.
    Resetter,
    /// Resets the connection at once.
    Ghost,
    /// Comes when all others have gone.
    Guest,
}

impl Kind {
    /// Any kind but the guest: one in 100 holds the operator up.
    pub fn any(rng: &mut fastrand::Rng) -> Self {
        match rng.u8(..200) {
            0..60 => Self::Talker,
            60..80 => Self::Flooder,
            80..105 => Self::Junk,
            105..110 => Self::Endless,
            110..120 => Self::Trickler,
            120..145 => Self::Silent,
            145..150 => Self::Slow,
            150..152 => Self::Staller,
            152..180 => Self::Resetter,
            _ => Self::Ghost,
        }
    }

    /// Whether the server may let it go because it does not read.
    pub fn may_stall(self) -> bool {
        matches!(self, Self::Slow | Self::Staller)
    }
}

/// What one client is going to do.
struct Plan {
    style: Style,
    lines: u64,
    /// Lines that it sends at once, at most.
    chunk: u64,
    /// Milliseconds between them, at most.
    pause: u64,
    /// Whether it sends a byte at a time.
    trickle: bool,
    /// Whether it sends before it has been admitted.
    eager: bool,
    /// Whether its last line has no LF.
    unfinished: bool,
    /// Whether the system may buffer next to nothing for it.
    narrow: bool,
    /// How long it stays when it has sent everything.
    stay: Duration,
    /// When it resets the connection.
    reset: Option<Duration>,
}

impl Plan {
    fn of(kind: Kind, rng: &mut fastrand::Rng) -> Self {
        let plan = Self {
            style: Style::Tidy,
            lines: 0,
            chunk: 20,
            pause: 50,
            trickle: false,
            eager: rng.u8(..4) == 0,
            unfinished: rng.bool(),
            narrow: false,
            stay: Duration::from_millis(rng.u64(..1000)),
            reset: None,
        };
        let some = rng.u64(..200);
        match kind {
            Kind::Talker | Kind::Slow => Self { lines: some, ..plan },
            Kind::Flooder => Self { lines: 400 * some, chunk: 500, pause: 0, ..plan },
            Kind::Junk => Self { style: Style::Junk, lines: some, ..plan },
            Kind::Endless => {
                let style = Style::Endless(rng.usize(10_000..4_000_000));
                Self { style, lines: 1, unfinished: true, ..plan }
            }
            Kind::Trickler => Self { lines: some / 20, trickle: true, ..plan },
            Kind::Silent => Self { stay: 3 * plan.stay, ..plan },
            Kind::Staller => Self { lines: some, narrow: rng.u8(..4) > 0, ..plan },
            Kind::Resetter => {
                let reset = Some(Duration::from_millis(rng.u64(..1000)));
                let pause = if rng.bool() { 0 } else { plan.pause };
                Self { lines: u64::MAX, chunk: 200, pause, unfinished: false, reset, ..plan }
            }
            Kind::Ghost => Self { reset: Some(Duration::ZERO), eager: rng.bool(), ..plan },
            Kind::Guest => {
                let stay = Duration::from_secs(2);
                Self { lines: 10, eager: false, stay, ..plan }
            }
        }
    }
}

/// One client, from before it connects to its end, with its account.
struct Client {
    books: Rc<RefCell<Books>>,
    kind: Kind,
    plan: Plan,
    port: u16,
    number: u64,
}

/// Why a client no longer listens.
enum Closed {
    Refused,
    Orderly,
    /// As an orderly end, but in the middle of a line.
    Torn,
    Broken,
}

/// Connects, does what this kind does, and enters how it ended.
pub async fn visit(
    server: SocketAddr,
    books: Rc<RefCell<Books>>,
    kind: Kind,
    mut rng: fastrand::Rng,
) -> Result<(), String> {
    let plan = Plan::of(kind, &mut rng);
    // Held until the connection is there: so each try gives another port.
    let mut tried = Vec::new();
    let (socket, port, number) = loop {
        let (socket, port) = socket(plan.narrow).map_err(|error| format!("socket: {error}"))?;
        let opened = books.borrow_mut().open(port, kind, plan.style);
        match opened {
            Some(number) => break (socket, port, number),
            None => tried.push(socket),
        }
    };
    let client = Client { books, kind, plan, port, number };
    let mut stream = socket.connect(server).await.map_err(|error| format!("connect: {error}"))?;
    let end = client.stay(&mut stream, &mut rng).await?;
    drop(stream);
    client.books.borrow_mut().ended(port, end)
}

fn socket(narrow: bool) -> io::Result<(TcpSocket, u16)> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    if narrow {
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

    /// Talks and listens at once, until the server closes the connection.
    async fn converse(
        &self,
        stream: &mut TcpStream,
        rng: &mut fastrand::Rng,
    ) -> Result<End, String> {
        let (reader, writer) = stream.split();
        let (admit, admitted) = oneshot::channel();
        let mut talking = std::pin::pin!(self.talk(writer, rng, admitted));
        let mut listening = std::pin::pin!(self.listen(reader, admit));
        let (closed, left) = tokio::select! {
            closed = &mut listening => (closed?, None),
            left = &mut talking => (listening.await?, Some(left)),
        };
        let (closed, left) = match (closed, left) {
            // The write has taken the socket's error, and reading was left with the end.
            (Closed::Torn, Some(Err(_))) => (Closed::Broken, None),
            (Closed::Torn, _) => return Err("an orderly end in the middle of a line".into()),
            (closed, left) => (closed, left.and_then(Result::ok)),
        };
        Ok(match (closed, left) {
            (Closed::Refused, _) => End::Refused,
            (Closed::Orderly, Some(broadcasts)) => End::Left(broadcasts),
            (Closed::Orderly | Closed::Torn | Closed::Broken, _) => End::LetGo,
        })
    }

    /// Sends what the plan says, then leaves. Returns how many broadcasts there had been by then.
    async fn talk(
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
            let upto = lines.min(sent + 1 + rng.u64(..chunk));
            self.send(sent..upto, &mut writer).await?;
            sent = upto;
            if pause > 0 {
                sleep(Duration::from_millis(rng.u64(..pause))).await;
            }
        }
        sleep(stay).await;
        if reset.is_some() {
            return std::future::pending().await;
        }
        let broadcasts = self.books.borrow().broadcasts();
        writer.shutdown().await?;
        Ok(broadcasts)
    }

    /// Sends these lines, and enters each in the books as soon as all of it is sent.
    async fn send(
        &self,
        lines: std::ops::Range<u64>,
        writer: &mut WriteHalf<'_>,
    ) -> io::Result<()> {
        let Plan { style, trickle, .. } = self.plan;
        let mut wire = Vec::new();
        let mut ends = Vec::new();
        for number in lines.clone() {
            self.books.borrow().script().line(self.number, number, style, &mut wire);
            // A last line without LF that is empty would be none.
            let is_last = number + 1 == self.plan.lines;
            let is_empty = wire == b"\n" || wire.ends_with(b"\n\n");
            if self.plan.unfinished && is_last && !is_empty {
                wire.pop();
                self.books.borrow_mut().unfinished(self.port, number);
            }
            ends.push(wire.len());
        }
        let mut written = 0;
        while written < wire.len() {
            let end = if trickle { written + 1 } else { wire.len() };
            written += writer.write(wire.get(written..end).unwrap_or_default()).await?;
            let whole = ends.partition_point(|&end| end <= written) as u64;
            self.books.borrow_mut().sent(self.port, lines.start + whole);
            if trickle {
                sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }

    /// Reads the greeting and then what the operator says, and enters each line in the books.
    async fn listen(
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
            return if text.is_empty() { Ok(Closed::Refused) } else { Err("more than 421".into()) };
        }
        if !greeting.starts_with(b"220 linehub ready: client ") {
            return Err(format!("greeted with {:?}", String::from_utf8_lossy(&greeting)));
        }
        // Who is eager does not wait for it.
        let _ = admit.send(());
        if self.kind == Kind::Staller {
            sleep(STALL).await;
        }
        loop {
            let end = memchr::memrchr(b'\n', &text).map_or(0, |last| last + 1);
            for line in text.get(..end).unwrap_or_default().split_inclusive(|&byte| byte == b'\n') {
                self.books.borrow_mut().heard(self.port, line)?;
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
                Ok(0) => return Ok(Closed::Torn),
                Ok(_) => {}
                Err(_) => return Ok(Closed::Broken),
            }
        }
    }
}

/// Reads the first line; what came after it stays in `text`. None if there is no whole one.
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
