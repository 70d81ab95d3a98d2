//! The clients of a run: connecting them, and bringing them in step with the publisher.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ChildStdin;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::{BLOCK, Result};

/// How long a server may take to listen, and how often it is tried.
const START_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(5);

/// How many connections may wait for their greeting. Far below any backlog, far above what one
/// wake-up of the server takes.
const IN_FLIGHT: usize = 128;

/// A server that does not greet gets no more than this at once: ncat's backlog is ten, and what does
/// not fit is tried again after a second.
const UNGREETED: usize = 8;

const PROBE: &[u8] = b"probe\n";
const IN_STEP: &[u8] = b"ready\n";

/// A block of whole lines of `line` bytes each, LF included: letters, so that every server treats
/// them as text.
pub(crate) fn block_of_lines(line: usize) -> Vec<u8> {
    let mut block: Vec<u8> = (b'a'..=b'z').cycle().take(BLOCK / line * line).collect();
    block.chunks_mut(line).for_each(|line| line[line.len() - 1] = b'\n');
    block
}

/// The first client, as soon as the server listens.
pub(crate) fn connect_first(contender: &Contender) -> Result<TcpStream> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match TcpStream::connect(contender.address) {
            // A port that nobody listens to may be given to the very socket that tries to connect
            // to it, and TCP connects it with itself.
            Ok(socket) if socket.local_addr()? == contender.address => {}
            Ok(mut socket) => {
                read_greeting(contender, &mut socket)?;
                return Ok(socket);
            }
            Err(_) if Instant::now() < deadline => {}
            Err(error) => return Err(format!("{} does not listen: {error}", contender.kind).into()),
        }
        if let Some(status) = contender.exit()? {
            return Err(format!("{} has ended: {status}", contender.kind).into());
        }
        thread::sleep(RETRY);
    }
}

/// So many clients, each greeted, in three system calls for a client. Still this thread is the
/// busier side: over loopback, the kernel does the server's half of the handshake in it, too.
pub(crate) fn connect(contender: &Contender, count: usize) -> Result<Vec<TcpStream>> {
    let mut sockets = Vec::with_capacity(count);
    for connected in 0..count + IN_FLIGHT {
        if connected < count {
            sockets.push(connect_one(contender.address)?);
            if !contender.greets() && connected % UNGREETED == 0 {
                thread::sleep(RETRY);
            }
        }
        if let Some(socket) = connected.checked_sub(IN_FLIGHT).and_then(|at| sockets.get_mut(at)) {
            read_greeting(contender, socket)?;
        }
    }
    Ok(sockets)
}

fn connect_one(address: SocketAddr) -> Result<TcpStream> {
    TcpStream::connect(address).map_err(|error| format!("cannot connect: {error}").into())
}

fn read_greeting(contender: &Contender, socket: &mut TcpStream) -> Result<()> {
    if !contender.greets() {
        return Ok(());
    }
    let mut greeting = Vec::new();
    let mut part = [0; 128];
    while greeting.last() != Some(&b'\n') {
        match socket.read(&mut part)? {
            0 => return Err(format!("{} closed a connection", contender.kind).into()),
            length => greeting.extend_from_slice(&part[..length]),
        }
    }
    if !greeting.starts_with(b"220 ") {
        let said = String::from_utf8_lossy(&greeting).into_owned();
        return Err(format!("{} refused a client: {}", contender.kind, said.trim_end()).into());
    }
    Ok(())
}

/// Returns when every client gets what is published, and has read all that was published so far.
/// Leaves the sockets non-blocking.
pub(crate) fn bring_in_step(
    contender: &Contender,
    stdin: &mut ChildStdin,
    sockets: &mut [TcpStream],
) -> Result<()> {
    if !contender.greets() {
        probe(stdin, sockets)?;
    }
    stdin.write_all(IN_STEP)?;
    for socket in sockets {
        read_until_in_step(socket)?;
        socket.set_nonblocking(true)?;
    }
    Ok(())
}

/// Publishes lines until one has reached every client: only then has a server that does not greet
/// accepted them all.
fn probe(stdin: &mut ChildStdin, sockets: &mut [TcpStream]) -> Result<()> {
    let mut byte = [0];
    for socket in sockets {
        socket.set_nonblocking(true)?;
        while let Err(error) = socket.read_exact(&mut byte) {
            if error.kind() != ErrorKind::WouldBlock {
                return Err(error.into());
            }
            stdin.write_all(PROBE)?;
            thread::sleep(RETRY);
        }
        socket.set_nonblocking(false)?;
    }
    Ok(())
}

fn read_until_in_step(socket: &mut TcpStream) -> Result<()> {
    let mut seen = Vec::new();
    let mut part = vec![0; 4096];
    while !seen.ends_with(IN_STEP) {
        match socket.read(&mut part)? {
            0 => return Err("the server closed a connection".into()),
            length => seen.extend_from_slice(&part[..length]),
        }
    }
    Ok(())
}
