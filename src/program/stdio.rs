//! The program's stdin as an asynchronous stream, and its stdout and stderr without buffers.

use std::{
    fs::{self, File},
    io::{self, IsTerminal, Write},
    os::fd::AsFd,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll, ready},
    thread,
};

use rustix::{
    fs::{FileType, Mode, OFlags, fcntl_getfl, fstat, open},
    io::Errno,
    pipe::fcntl_setpipe_size,
};
use tokio::{
    io::{AsyncRead, ReadBuf},
    net::unix::pipe,
};

use crate::{
    Outputs, blocking,
    config::Color,
    events::{Colors, Render},
    terminal::Terminal,
    wire::lines::BATCH,
};

/// The size to ask for if stdout is a pipe, in bytes. It is the largest that an unprivileged process
/// may set (pipe(7)).
const PIPE_SIZE: usize = 1024 * 1024;

/// The descriptor 0, by name. Opening it opens the same file again.
const STDIN: &str = "/proc/self/fd/0";

/// stdin as an asynchronous stream. A read that is waiting does not delay the program's end.
///
/// A stdin that was closed from the start has no input, and that is not an error. Under nohup it is a device
/// that is only open for writing.
#[derive(Debug)]
pub struct Stdin {
    /// None if there is no input.
    pipe: Option<pipe::Receiver>,
    /// The error that stopped the thread which fills the pipe.
    failure: Failure,
    /// Whether the pipe is a named FIFO that does not end with its last writer.
    follows_fifo: bool,
    /// Whether what has been read ends in the middle of a line.
    mid_line: bool,
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
        if !is_readable()? {
            return Ok(Self::of(None));
        }
        let stdin = File::from(io::stdin().as_fd().try_clone_to_owned()?);
        if is_fifo(&stdin)
            && let Ok(pipe) = reopen()
        {
            return Ok(Self::of(Some(pipe)));
        }
        let (receiver, sender) = io::pipe()?;
        let opened = Self::of(Some(pipe::Receiver::from_owned_fd(receiver.into())?));
        let failed = Arc::clone(&opened.failure);
        // The thread drops the sender last, so the stream ends after any error has been stored.
        let copy = move || copy(&stdin, &sender, &failed);
        thread::Builder::new().name("stdin".to_owned()).spawn(copy)?;
        Ok(opened)
    }

    fn of(pipe: Option<pipe::Receiver>) -> Self {
        Self { pipe, failure: Failure::default(), follows_fifo: false, mid_line: false }
    }

    /// Makes a named FIFO an input that does not end: when its last writer has closed it, which also
    /// ends an unfinished line, the next program that opens it is read. Does nothing if stdin is not a
    /// named FIFO, or one that this program may not open itself.
    #[must_use]
    pub fn follow_fifo(mut self) -> Self {
        self.follows_fifo = is_fifo(io::stdin()) && has_name() && reopen().is_ok();
        self
    }

    /// What happens at the end of the pipe. Returns whether the pipe is read again.
    ///
    /// An open file description of a FIFO reports the end of its last writer without end, which would
    /// make the reader spin. A new one does not report a writer that closed before it was opened, so it
    /// waits for the next one. Nothing is lost in between, because the program's descriptor 0 keeps the
    /// FIFO open.
    fn reopen_fifo(&mut self) -> io::Result<bool> {
        if let Some(failure) = self.failure.get() {
            return Err(copy_of(failure));
        }
        if self.follows_fifo {
            // Close the old one first: there may be no other free descriptor.
            self.pipe = None;
            self.pipe = Some(reopen()?);
        }
        Ok(self.follows_fifo)
    }
}

impl AsyncRead for Stdin {
    /// After a short read, Tokio's own `poll_read` assumes that nothing is left, and waits for more to
    /// arrive. But a read of a pipe in packet mode (pipe(2), `O_DIRECT`) returns a single
    /// packet, however many there are. So this one reads until the kernel says that nothing is left.
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        while let Some(pipe) = &this.pipe {
            // This also spends the task's budget, so that a busy stdin lets other tasks run.
            ready!(pipe.poll_read_ready(cx))?;
            match pipe.try_read_buf(buf) {
                Ok(0) if buf.remaining() > 0 => {
                    if !this.reopen_fifo()? {
                        break;
                    }
                    if std::mem::take(&mut this.mid_line) {
                        buf.put_slice(b"\n");
                        break;
                    }
                }
                Ok(_) => {
                    this.mid_line = !buf.filled().ends_with(b"\n");
                    break;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether stdin is open for reading.
fn is_readable() -> io::Result<bool> {
    match fcntl_getfl(io::stdin()) {
        Ok(flags) => Ok(flags & OFlags::ACCMODE != OFlags::WRONLY),
        Err(Errno::BADF) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_fifo(file: impl AsFd) -> bool {
    fstat(file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode).is_fifo())
}

/// Whether stdin has a name in the file system. That of an anonymous pipe reads `pipe:[1234]`.
fn has_name() -> bool {
    fs::read_link(STDIN).is_ok_and(|name| name.is_absolute())
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

/// Opens the pipe at stdin again, which gives it an open file description of its own. Making that one
/// non-blocking does not affect other processes that share the pipe. This fails if `/proc` or the
/// permissions of a named FIFO do not allow it.
fn reopen() -> io::Result<pipe::Receiver> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    pipe::Receiver::from_file(open(STDIN, flags, Mode::empty())?.into())
}

/// Copies an error, because a caller may read again after it.
fn copy_of(error: &io::Error) -> io::Error {
    error.raw_os_error().map_or_else(|| error.kind().into(), io::Error::from_raw_os_error)
}

/// Which outputs have colors. `Auto` means those at a terminal with a line editor.
pub fn colors(color: Color, terminal: Option<&Terminal>) -> Colors {
    match color {
        Color::Always => Colors { out: true, err: true },
        Color::Auto if terminal.is_some_and(Terminal::has_colors) => {
            Colors { out: true, err: io::stderr().is_terminal() }
        }
        Color::Auto | Color::Never => Colors::default(),
    }
}

/// Outputs that render with `renderer`, and write to stdout and stderr without a buffer. What is at a
/// terminal with a line editor is written above the prompt.
///
/// # Errors
///
/// The system's, if it runs out of descriptors.
pub fn outputs<E: 'static>(
    renderer: Box<dyn Render<E>>,
    terminal: Option<&Terminal>,
) -> io::Result<Outputs<E>> {
    let err: Box<dyn Write + Send> = match terminal {
        Some(terminal) => terminal.err_printer(),
        None => Box::new(UnbufferedFd(io::stderr().as_fd().try_clone_to_owned()?.into())),
    };
    if let Some(printer) = terminal.and_then(Terminal::printer) {
        return Ok(Outputs::new(renderer, printer, err));
    }
    let out = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    // With the usual 64 KiB, the two ends of a pipe would take turns sleeping. This fails if stdout is
    // not a pipe, or if the user has many already (pipe(7)); then it stays as it is.
    let _ = fcntl_setpipe_size(&out, PIPE_SIZE);
    let unbuffered = UnbufferedFd(out.try_clone()?);
    Ok(Outputs::new(renderer, unbuffered, err).nonblocking(Some(out)))
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
