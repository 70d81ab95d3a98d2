//! The program's own stdin, stdout and stderr, as the rest of it wants them: stdin to be polled, the
//! others without a buffer in between.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    pin::Pin,
    task::{Context, Poll},
    thread,
};

use rustix::{fs::OFlags, pipe::fcntl_setpipe_size};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::unix::pipe,
};

use crate::terminal::Terminal;

/// The size of the pipes at stdin and stdout, in bytes: as much as anybody may ask for (pipe(7)).
const PIPE: usize = 1024 * 1024;

/// stdin as a stream that can be polled. Waiting for it never holds the program.
#[derive(Debug)]
pub struct Stdin(pipe::Receiver);

impl Stdin {
    /// Takes stdin over. A pipe is read by the event loop itself; for everything else (a file, a
    /// device, a socket) a thread that nobody waits for copies it into a pipe.
    ///
    /// # Errors
    ///
    /// The system's own, as when descriptors are short. Must be called within a runtime.
    pub fn open() -> io::Result<Self> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if stdin.metadata()?.file_type().is_fifo()
            && let Some(pipe) = reopen(&stdin)
        {
            return Ok(Self(pipe));
        }
        let (receiver, mut sender) = io::pipe()?;
        let copy = move || {
            // An error ends the input just as its end does.
            let _ = io::copy(&mut &stdin, &mut sender);
        };
        thread::Builder::new().name("stdin".to_owned()).spawn(copy)?;
        pipe::Receiver::from_owned_fd(receiver.into()).map(Self)
    }
}

/// Gives a pipe room for many batches: in the usual 64 KiB its two ends would take turns sleeping.
fn widen(pipe: impl AsFd) {
    // It stays as it is where it is not a pipe, or where the user has many already (pipe(7)).
    let _ = fcntl_setpipe_size(pipe, PIPE);
}

/// The same pipe under a description of its own: making that one non-blocking does not touch the
/// other processes that have the pipe. None where `/proc` does not allow it.
fn reopen(pipe: &File) -> Option<pipe::Receiver> {
    let path = format!("/proc/self/fd/{}", pipe.as_raw_fd());
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
    let pipe = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    pipe::Receiver::from_file(pipe).ok()
}

impl AsyncRead for Stdin {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

/// Where a program's words go.
pub type Output = Box<dyn Write + Send>;

/// stdout and stderr, without a buffer: every write goes straight there. At a terminal what is
/// written goes above the prompt.
///
/// # Errors
///
/// The system's own, as when descriptors are short.
pub fn outputs(terminal: Option<&Terminal>) -> io::Result<(Output, Output)> {
    match terminal {
        Some(terminal) => Ok((Box::new(terminal.printer()), terminal.err_printer())),
        None => {
            let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
            widen(&out);
            Ok((Box::new(out), Box::new(io::stderr())))
        }
    }
}
