//! The floor: a server of one thread that does nothing but the necessary system calls.
//!
//! It has no limits, no events, no config and no error handling. Whatever the hub costs beyond this is
//! the price of its features.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddrV4, TcpStream};

use memchr::{memchr_iter, memrchr};
use rustix::event::epoll::EventFlags;
use rustix::io::Errno;
use rustix::net::SocketFlags;
use socket2::{Domain, Socket, Type};

use crate::poll::Poll;
use crate::{BLOCK, Result, process};

const LISTENER: usize = usize::MAX;
const STDIN: usize = usize::MAX - 1;

/// Runs as `--raw out PORT`, `--raw out-printing PORT` or `--raw in PORT` until it is killed.
pub(crate) fn run(way: &str, port: &str) -> Result<()> {
    process::raise_descriptor_limit()?;
    let listener = listen(port.parse()?)?;
    match way {
        "out" => FanOut::new(listener, false)?.run(),
        "out-printing" => FanOut::new(listener, true)?.run(),
        "in" => Ingest::new(listener)?.run(),
        _ => Err("--raw wants out, out-printing or in".into()),
    }
}

fn listen(port: u16) -> Result<Socket> {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.set_reuse_address(true)?;
    // Accepted sockets inherit this option, which saves a system call for each.
    listener.set_tcp_nodelay(true)?;
    listener.set_nonblocking(true)?;
    listener.bind(&SocketAddrV4::new(Ipv4Addr::LOCALHOST, port).into())?;
    listener.listen(4096)?;
    Ok(listener)
}

/// Accepts the next client, if one is waiting, and greets it as number `count`.
fn accept(listener: &Socket, count: usize) -> Result<Option<TcpStream>> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let mut socket = match rustix::net::accept_with(listener, flags) {
        Ok(socket) => TcpStream::from(socket),
        Err(Errno::AGAIN) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    socket.write_all(format!("220 linehub ready: client {count} of {count}\n").as_bytes())?;
    Ok(Some(socket))
}

/// Copies stdin to every client.
struct FanOut {
    listener: Socket,
    clients: Vec<Receiver>,
    /// The listener and stdin.
    input: Poll,
    /// The clients that could not accept a whole block at least once.
    output: Poll,
    prints: bool,
}

struct Receiver {
    socket: TcpStream,
    /// How much of the current block has been written.
    written: usize,
    watched: bool,
}

impl FanOut {
    fn new(listener: Socket, prints: bool) -> Result<Self> {
        let input = Poll::new()?;
        input.add(&listener, LISTENER, EventFlags::IN)?;
        input.add(io::stdin(), STDIN, EventFlags::IN)?;
        Ok(Self { listener, clients: Vec::new(), input, output: Poll::new()?, prints })
    }

    fn run(mut self) -> Result<()> {
        let mut block = vec![0; BLOCK];
        let mut out = Vec::with_capacity(4 * BLOCK);
        loop {
            let ready: Vec<usize> = self.input.wait(None)?.collect();
            if ready.contains(&LISTENER) {
                while let Some(socket) = accept(&self.listener, self.clients.len() + 1)? {
                    self.clients.push(Receiver { socket, written: 0, watched: false });
                }
            }
            if ready.contains(&STDIN) {
                // Read directly, because std's stdin would copy the block once more.
                match rustix::io::read(io::stdin(), &mut block[..])? {
                    0 => self.input.remove(io::stdin())?,
                    length => {
                        self.relay(&block[..length])?;
                        if self.prints {
                            print_broadcast(&block[..length], &mut out);
                            write_all(&mut out)?;
                        }
                    }
                }
            }
        }
    }

    /// Returns when the block has been written to every client.
    fn relay(&mut self, block: &[u8]) -> Result<()> {
        let mut unfinished = 0;
        for (token, client) in self.clients.iter_mut().enumerate() {
            client.written = 0;
            client.write(block)?;
            if client.written < block.len() {
                unfinished += 1;
                if !client.watched {
                    client.watched = true;
                    let flags = EventFlags::OUT | EventFlags::ET;
                    self.output.add(&client.socket, token, flags)?;
                }
            }
        }
        while unfinished > 0 {
            for token in self.output.wait(None)? {
                let client = &mut self.clients[token];
                if client.written < block.len() {
                    client.write(block)?;
                    unfinished -= usize::from(client.written == block.len());
                }
            }
        }
        Ok(())
    }
}

/// Appends the transcript of the operator's lines to `out`.
fn print_broadcast(block: &[u8], out: &mut Vec<u8>) {
    let mut start = 0;
    for end in memchr_iter(b'\n', block) {
        out.extend_from_slice(b"> Enter message to send to all clients : ");
        out.extend_from_slice(&block[start..=end]);
        start = end + 1;
    }
}

impl Receiver {
    fn write(&mut self, block: &[u8]) -> Result<()> {
        match self.socket.write(&block[self.written..]) {
            Ok(length) => self.written += length,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            // The client has disconnected: count the rest as written.
            Err(_) => self.written = block.len(),
        }
        Ok(())
    }
}

/// Copies the clients' lines to stdout, reversed and with a prefix.
struct Ingest {
    listener: Socket,
    clients: Vec<Sender>,
    poll: Poll,
}

struct Sender {
    socket: TcpStream,
    prefix: String,
    /// The start of a line whose end has not arrived yet.
    partial: Vec<u8>,
}

impl Ingest {
    fn new(listener: Socket) -> Result<Self> {
        let poll = Poll::new()?;
        poll.add(&listener, LISTENER, EventFlags::IN)?;
        Ok(Self { listener, clients: Vec::new(), poll })
    }

    fn run(mut self) -> Result<()> {
        let mut block = vec![0; BLOCK];
        let mut out = Vec::with_capacity(4 * BLOCK);
        loop {
            let ready: Vec<usize> = self.poll.wait(None)?.collect();
            for token in ready {
                if token == LISTENER {
                    self.accept_all()?;
                    continue;
                }
                let client = &mut self.clients[token];
                match client.socket.read(&mut block) {
                    Ok(0) | Err(_) => self.poll.remove(&client.socket)?,
                    Ok(length) => client.receive(&block[..length], &mut out),
                }
                if out.len() >= BLOCK {
                    write_all(&mut out)?;
                }
            }
            write_all(&mut out)?;
        }
    }

    fn accept_all(&mut self) -> Result<()> {
        while let Some(socket) = accept(&self.listener, self.clients.len() + 1)? {
            self.poll.add(&socket, self.clients.len(), EventFlags::IN)?;
            let prefix = format!("> [{}] Client message = ", socket.peer_addr()?);
            self.clients.push(Sender { socket, prefix, partial: Vec::new() });
        }
        Ok(())
    }
}

impl Sender {
    /// Appends the transcript of `block` to `out`.
    fn receive(&mut self, mut block: &[u8], out: &mut Vec<u8>) {
        let Some(last) = memrchr(b'\n', block) else {
            self.partial.extend_from_slice(block);
            return;
        };
        if !self.partial.is_empty() {
            let first = memchr_iter(b'\n', block).next().unwrap_or(last);
            self.partial.extend_from_slice(&block[..=first]);
            block = &block[first + 1..];
            let line = std::mem::take(&mut self.partial);
            self.print(&line[..line.len() - 1], out);
        }
        let mut start = 0;
        for end in memchr_iter(b'\n', block) {
            self.print(&block[start..end], out);
            start = end + 1;
        }
        self.partial.extend_from_slice(&block[start..]);
    }

    fn print(&self, line: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(self.prefix.as_bytes());
        let start = out.len();
        out.extend_from_slice(line);
        out[start..].reverse();
        out.push(b'\n');
    }
}

/// Writes to stdout directly, because std's stdout would search for line ends and copy.
fn write_all(out: &mut Vec<u8>) -> Result<()> {
    let mut rest = &out[..];
    while !rest.is_empty() {
        let written = rustix::io::write(io::stdout(), rest)?;
        rest = &rest[written..];
    }
    out.clear();
    Ok(())
}
