//! Reads and writes that block, also where the descriptor does not: that mode belongs to the open
//! file (open(2), O_NONBLOCK), and so to every process that shares it.

use std::{io, os::fd::AsFd};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, read as read_once, write as write_once},
};

/// Reads what there is, but waits for the first byte. Nothing: there will be no more.
///
/// # Errors
///
/// The system's own.
pub(crate) fn read(from: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match read_once(&from, &mut *buffer) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&from, PollFlags::IN)?,
            result => return Ok(result?),
        }
    }
}

/// Writes all of it.
///
/// # Errors
///
/// The system's own.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_once(&to, bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&to, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn wait(descriptor: &impl AsFd, until: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, until)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
