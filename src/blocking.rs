//! Blocking reads and writes, and one non-blocking write, whatever the descriptor's mode.
//!
//! `O_NONBLOCK` belongs to the open file description (open(2)), so every process that shares it
//! shares the mode. These functions therefore neither rely on the mode nor change it.

use std::{
    io::{self, IoSlice},
    os::fd::AsFd,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, ReadWriteFlags, pwritev2, read as read_once, write as write_once},
};

/// Waits until there is something to read, and reads it. Returns 0 at the end of the input.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn read(from: impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match read_once(&from, &mut *buffer) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&from, PollFlags::IN)?,
            result => return Ok(result?),
        }
    }
}

/// Writes all bytes, and waits as long as that takes.
///
/// # Errors
///
/// The operating system's error.
pub(crate) fn write_all(to: impl AsFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match write_once(&to, bytes) {
            Ok(written) => (_, bytes) = bytes.split_at(written),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait(&to, PollFlags::OUT)?,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// How often [`write_while`] asks whether it should go on.
const CHECK_INTERVAL: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// Writes all bytes like [`write_all`], but gives up when the descriptor accepts nothing and `go_on`
/// returns false. The descriptor must be in non-blocking mode, unless it never blocks for long.
///
/// Returns the number of bytes written, and the operating system's error, or `Interrupted` if it gave
/// up.
pub(crate) fn write_while(
    to: impl AsFd,
    bytes: &[u8],
    go_on: &dyn Fn() -> bool,
) -> (usize, io::Result<()>) {
    let mut rest = bytes;
    while !rest.is_empty() {
        let error = match write_once(&to, rest) {
            Ok(0) => io::ErrorKind::WriteZero.into(),
            Ok(written) => {
                (_, rest) = rest.split_at(written);
                continue;
            }
            Err(Errno::INTR) => continue,
            Err(Errno::AGAIN) if go_on() => {
                // Whatever it returns, the next write shows what is the matter.
                let _ = poll(&mut [PollFd::new(&to, PollFlags::OUT)], Some(&CHECK_INTERVAL));
                continue;
            }
            Err(Errno::AGAIN) => io::ErrorKind::Interrupted.into(),
            Err(error) => error.into(),
        };
        return (bytes.len() - rest.len(), Err(error));
    }
    (bytes.len(), Ok(()))
}

/// Writes as many bytes as fit without blocking (pwritev2(2), `RWF_NOWAIT`). Returns their number.
///
/// # Errors
///
/// `WouldBlock` if no byte fits. Another error where the kernel does not support the flag: on a
/// terminal, on a pipe before Linux 6.4, and on the files of some file systems.
pub(crate) fn write_at_once(to: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    // -1: write at the file's current position, and advance it, as write(2) does.
    const CURRENT_POSITION: u64 = u64::MAX;
    Ok(pwritev2(to, &[IoSlice::new(bytes)], CURRENT_POSITION, ReadWriteFlags::NOWAIT)?)
}

fn wait(descriptor: &impl AsFd, until: PollFlags) -> io::Result<()> {
    match poll(&mut [PollFd::new(descriptor, until)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
