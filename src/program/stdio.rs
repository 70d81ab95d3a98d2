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

/// The size of the pipe at stdout, in bytes: as much as anybody may ask for (pipe(7)).
const PIPE: usize = 1024 * 1024;

/// stdin as a stream that can be polled. Waiting for it never holds the program.
#[derive(Debug)]
pub struct Stdin {
    pipe: pipe::Receiver,
    /// What the reading that fills the pipe has failed with.
    failure: Failure,
}

type Failure = Arc<OnceLock<io::Error>>;

impl Stdin {
    /// Takes stdin over. A pipe is read by the event loop itself; for everything else (a file, a
    /// device, a socket) a thread that nobody waits for copies it into a pipe.
    ///
    /// # Errors
    ///
    /// The system's own, as when descriptors are short. Must be called within a runtime.
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
        // The sender goes with the thread: the stream ends once it is known what with.
        let copy = move || copy(&stdin, &sender, &failed);
        thread::Builder::new().name("stdin".to_owned()).spawn(copy)?;
        Ok(Self { pipe: pipe::Receiver::from_owned_fd(receiver.into())?, failure })
    }
}

/// Copies all there is, until nobody wants it.
///
/// Not with [`io::copy`]: that would splice, which holds on to the pipe while it waits for more, and
/// so stops whoever reads the pipe.
fn copy(from: &File, to: &io::PipeWriter, failure: &Failure) {
    let mut buffer = vec![0; BATCH];
    loop {
        match blocking::read(from, &mut buffer) {
            Ok(0) => return,
            Ok(length) => {
                let some = buffer.get(..length).unwrap_or_default();
                if blocking::write_all(to, some).is_err() {
                    return;
                }
            }
            Err(error) => {
                // Nobody else has set it.
                let _ = failure.set(error);
                return;
            }
        }
    }
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
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.pipe).poll_read(cx, buf))?;
        match self.failure.get() {
            Some(failure) if buf.filled().len() == before => Poll::Ready(Err(again(failure))),
            _ => Poll::Ready(Ok(())),
        }
    }
}

/// The same error, for one who may ask again.
fn again(error: &io::Error) -> io::Error {
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
    let _ = fcntl_setpipe_size(&out, PIPE);
    let err = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    let unbuffered = Straight(out.try_clone()?);
    Ok(Outputs::new(renderer, unbuffered, Straight(err)).nonblocking(Some(out)))
}

/// Takes all of what is written, however long that takes.
struct Straight(File);

impl Write for Straight {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        blocking::write_all(&self.0, bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
