//! Reads and writes that block, also where the descriptor does not, and writes that do not, also
//! where it does: that mode belongs to the open file (open(2), O_NONBLOCK), and so to every process
//! that shares it.

use std::{
    io::{self, IoSlice},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, poll},
    io::{Errno, ReadWriteFlags, pwritev2, read as read_once, write as write_once},
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

/// Writes what is taken without waiting, whatever the descriptor's mode (pwritev2(2), RWF_NOWAIT).
///
/// # Errors
///
/// The system's own: `WouldBlock` if nothing is taken, others where nobody can tell (a terminal, a
/// pipe before Linux 6.4, files of some file systems).
pub(crate) fn write_at_once(to: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    // Where the others would write: the descriptor's own position.
    const HERE: u64 = u64::MAX;
    Ok(pwritev2(to, &[IoSlice::new(bytes)], HERE, ReadWriteFlags::NOWAIT)?)
}

fn wait(descriptor: &impl AsFd, until: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, until)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
