//! The program's stdin as an asynchronous stream, and its stdout and stderr without buffers.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::{FileTypeExt, OpenOptionsExt},
    },
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    thread,
};

use rustix::{fs::OFlags, pipe::fcntl_setpipe_size};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::unix::pipe,
};

use crate::{Outputs, blocking, events::Render, terminal::Terminal, wire::lines::BATCH};

/// The size to ask for if stdout is a pipe, in bytes. It is the largest that an unprivileged process
/// may set (pipe(7)).
const PIPE_SIZE: usize = 1024 * 1024;

/// stdin as an asynchronous stream. A read that is waiting does not delay the program's end.
#[derive(Debug)]
pub struct Stdin {
    pipe: pipe::Receiver,
    /// The error that stopped the thread which fills the pipe.
    failure: Failure,
}

type Failure = Arc<OnceLock<io::Error>>;

impl Stdin {
    /// Opens stdin. The event loop reads a pipe directly. Anything else (a file, a device, a socket)
    /// is copied into a pipe by a detached thread. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// The operating system's error, for example if there are too few descriptors.
    pub fn open() -> io::Result<Self> {
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        let failure = Failure::default();
        if stdin.metadata()?.file_type().is_fifo()
            && let Some(pipe) = reopen(&stdin)
        {
            return Ok(Self { pipe, failure });
        }
        let (receiver, sender) = io::pipe()?;
        let failed = Arc::clone(&failure);
        // The thread drops the sender last, so the stream ends after any error has been stored.
        let copy = move || copy(&stdin, &sender, &failed);
        thread::Builder::new().name("stdin".to_owned()).spawn(copy)?;
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(receiver.into())?, failure })
    }
}

/// Copies until the input ends or the reader of the pipe is gone.
///
/// [`io::copy`] will not do: it splices, and a splice that waits for input holds the pipe's lock, so
/// that even a non-blocking reader of the pipe would block.
fn copy(from: &File, to: &io::PipeWriter, failure: &Failure) {
    let mut buffer = vec![0; BATCH];
    loop {
        match blocking::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let (bytes, _) = buffer.split_at(length);
                if blocking::write_all(to, bytes).is_err() {
                    return;
                }
            }
            Err(error) => {
                // This cannot fail: no other thread sets it.
                let _ = failure.set(error);
                return;
            }
        }
    }
}

/// Opens the pipe again, which gives it an open file description of its own. Making that one
/// non-blocking does not affect other processes that share the pipe. Returns None if `/proc` does not
/// allow it.
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
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buf))?;
        match self.failure.get() {
            Some(failure) if buf.filled().len() == before => Poll::Ready(Err(copy_of(failure))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// Copies an error, because a caller may read again after it.
fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Outputs that render with `renderer`, and write to stdout and stderr without a buffer. At a terminal
/// they write above the prompt.
///
/// # Errors
///
/// The system's, if it runs out of descriptors.
pub fn outputs<E: 'static>(
    renderer: Box<dyn Render<E>>,
    terminal: Option<&Terminal>,
) -> io::Result<Outputs<E>> {
    if let Some(terminal) = terminal {
        return Ok(Outputs::new(renderer, terminal.printer(), terminal.err_printer()));
    }
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // With the usual 64 KiB, the two ends of a pipe would take turns sleeping. This fails if stdout is
    // not a pipe, or if the user has many already (pipe(7)); then it stays as it is.
    let _ = fcntl_setpipe_size(&out, PIPE_SIZE);
    let err = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let unbuffered = UnbufferedFd(out.try_clone()?);
    Ok(Outputs::new(renderer, unbuffered, UnbufferedFd(err)).nonblocking(Some(out)))
}

/// Writes without a buffer. Each write blocks until all its bytes are written.
struct UnbufferedFd(File);

impl Write for UnbufferedFd {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking::write_all(&self.0, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
