//! The clients of a run: connects them and synchronises them with the publisher.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::ChildStdin;
use std::thread;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::{BLOCK, Result};

/// How long a server may take until it listens, and the time between two attempts to connect.
const START_LIMIT: Duration = Duration::from_secs(10);
const RETRY: Duration = Duration::from_millis(5);

/// How many connections may wait for their greeting: far fewer than fit in any backlog, and far more
/// than a server accepts per wake-up.
const IN_FLIGHT: usize = 128;

/// How many connections a server without a greeting gets at once. The backlog of ncat holds ten, and
/// the kernel retries a connection that does not fit only after a second.
const UNGREETED: usize = 8;

const PROBE: &[u8] = b"probe\n";
const SYNC: &[u8] = b"ready\n";

/// A block of whole lines of `line` bytes each, LF included. They consist of letters, so that every
/// server treats them as text.
pub(crate) fn block_of_lines(line: usize) -> Vec<u8> {
    let mut block: Vec<u8> = (b'a'..=b'z').cycle().take(BLOCK / line * line).collect();
    block.chunks_mut(line).for_each(|line| line[line.len() - 1] = b'\n');
    block
}

/// Connects the first client as soon as the server listens.
pub(crate) fn connect_first(contender: &Contender) -> Result<TcpStream> {
    let deadline = Instant::now() + START_LIMIT;
    loop {
        match TcpStream::connect(contender.address) {
            // While no program listens, the kernel may choose this same port for the connecting socket,
            // which then connects to itself.
            Ok(socket) if socket.local_addr()? == contender.address => {}
            Ok(mut socket) => {
                read_greeting(contender, &mut socket)?;
                return Ok(socket);
            }
            Err(_) if Instant::now() < deadline => {}
            Err(error) => return Err(format!("{} does not listen: {error}", contender.kind).into()),
        }
        if let Some(status) = contender.exit()? {
            return Err(format!("{} ended with {status}", contender.kind).into());
        }
        thread::sleep(RETRY);
    }
}

/// Connects `count` clients and reads their greetings, with three system calls for each. This thread is
/// still busier than the server: over loopback, the kernel runs both halves of a handshake in it.
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
        let greeting = String::from_utf8_lossy(&greeting);
        return Err(format!("{} refused a client: {}", contender.kind, greeting.trim_end()).into());
    }
    Ok(())
}

/// Returns once every client receives what is published and has read everything published so far.
/// Leaves the sockets non-blocking.
pub(crate) fn synchronise(
    contender: &Contender,
    stdin: &mut ChildStdin,
    sockets: &mut [TcpStream],
) -> Result<()> {
    if !contender.greets() {
        probe(stdin, sockets)?;
    }
    stdin.write_all(SYNC)?;
    for socket in sockets {
        read_until_sync(socket)?;
        socket.set_nonblocking(true)?;
    }
    Ok(())
}

/// Publishes lines until every client has received one, which shows that a server without a greeting
/// has accepted them all.
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

fn read_until_sync(socket: &mut TcpStream) -> Result<()> {
    let mut seen = Vec::new();
    let mut part = vec![0; 4096];
    while !seen.ends_with(SYNC) {
        match socket.read(&mut part)? {
            0 => return Err("the server closed a connection".into()),
            length => seen.extend_from_slice(&part[..length]),
        }
    }
    Ok(())
}
