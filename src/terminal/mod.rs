//! The line editor at a terminal: what is typed is a byte stream, and what arrives is printed
//! above the prompt without touching a half-typed line.
//!
//! Two threads write to the terminal: this module's own, which reads the keys, and that of whoever
//! prints. They take turns at the state behind a mutex, and each turn is one write. Printing
//! therefore never waits for the user, whatever they have begun, and nothing is queued.
//!
//! rustyline's line buffer does the editing. Its `Editor` does not fit a hub: it watches its
//! external printer with `select`, which panics on descriptors from 1024 on; it opens descriptors
//! for every line; an unfinished search blocks whoever prints; and nothing but a key ends it.
//!
//! In the background of a shell there is no editor: what arrives is printed, and nothing else is done
//! to the terminal.
//!
//! With `TERM` dumb, empty or unset the kernel edits the line and no control code is written.

mod editor;
mod keys;
mod line;
mod screen;
mod tty;

use std::{
    env,
    io::{self, IsTerminal, Write},
    os::unix::net::UnixStream,
    pin::Pin,
    sync::{Arc, mpsc},
    task::{Context, Poll},
    thread,
    time::Duration,
};

use bytes::BytesMut;
use rustix::process;
use tokio::{
    io::{AsyncRead, AsyncWriteExt, ReadBuf},
    net::unix::{OwnedReadHalf, OwnedWriteHalf},
    signal::unix::{Signal, SignalKind, signal},
    sync::Notify,
    task::JoinHandle,
};

use self::{editor::Editor, tty::Tty};
use crate::blocking;

/// How long a terminal that takes nothing may hold up the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// The terminal that is both stdin and stdout. Dropping it [ends](Self::ending) the editor.
#[derive(Debug)]
pub struct Terminal {
    editor: Arc<Editor>,
    /// Notified when the user wants no more.
    left: Arc<Notify>,
}

impl Terminal {
    /// The terminal, or None unless stdin and stdout are both one. Nothing changes yet.
    ///
    /// A `prompt` may begin with a newline: an empty row then stands above it, which is where what
    /// arrives goes.
    ///
    /// # Errors
    ///
    /// The system's own, when the terminal does not tell its modes.
    pub fn open(prompt: &'static str) -> io::Result<Option<Self>> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return Ok(None);
        }
        let dumb = env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        let editor = Arc::new(Editor::new(Tty::open(dumb)?, prompt, dumb));
        Ok(Some(Self { editor, left: Arc::default() }))
    }

    /// Where what arrives is to be written. Whole lines go above the prompt; before the start and
    /// after the end everything goes straight to the terminal.
    #[must_use]
    pub fn printer(&self) -> TerminalPrinter {
        TerminalPrinter { editor: Arc::clone(&self.editor), begun: Vec::new() }
    }

    /// Where what stderr is to get is to be written: above the prompt if stderr is a terminal, too.
    #[must_use]
    pub fn err_printer(&self) -> Box<dyn Write + Send> {
        if io::stderr().is_terminal() { Box::new(self.printer()) } else { Box::new(io::stderr()) }
    }

    /// Shows the prompt. What is typed from now on is in the stream, in lines; the stream ends
    /// with Ctrl-C, with Ctrl-D on an empty line, when the terminal hangs up, and at the
    /// [end](Self::ending). When it has ended the terminal is as it was found.
    ///
    /// # Errors
    ///
    /// The system's own, and when it has been started before.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(&mut self) -> io::Result<TerminalInput> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        theirs.set_nonblocking(true)?;
        let (lines, nudge) = tokio::net::UnixStream::from_std(theirs)?.into_split();
        let ours = Arc::new(ours);
        // Before the terminal is looked at, so that no change of place is missed.
        let continued = signal(SignalKind::from_raw(process::Signal::CONT.as_raw()))?;
        self.editor.start(Arc::clone(&ours))?;
        let nudging = tokio::spawn(pass_on(continued, nudge));
        let input = TerminalInput { lines, editor: Arc::clone(&self.editor), nudging };
        let (editor, left) = (Arc::clone(&self.editor), Arc::clone(&self.left));
        let edit = move || {
            let mut entered = BytesMut::new();
            // Input that fails has ended, too: there is no more to be had.
            let wants_no_more = editor.edit(&ours, &mut entered).unwrap_or(true);
            editor.end(false);
            if wants_no_more {
                left.notify_one();
            }
            // This waits until it is taken, and fails if nobody wants it any more.
            let _ = blocking::write_all(&*ours, &entered);
            editor.close();
        };
        thread::Builder::new().name("terminal".to_owned()).spawn(edit)?;
        Ok(input)
    }

    /// Ready when the user has pressed Ctrl-C, or the terminal has hung up. The stream of what was
    /// typed ends then, too, but whoever is not reading it does not learn of that.
    ///
    /// One future at a time is told.
    pub fn left(&self) -> impl Future<Output = ()> + Send + use<> {
        let left = Arc::clone(&self.left);
        async move { left.notified().await }
    }

    /// Ends the editor when called, for whoever does not have the terminal: before an exit that
    /// drops nothing.
    ///
    /// The end puts the terminal back as it was found. The stream of what is typed ends, a prompt
    /// with nothing behind it is taken off, a half-typed line stays with `^C` behind it, and what is
    /// printed from then on begins on a fresh row. Nothing happens if it has ended before. A terminal
    /// that takes nothing is left alone after a second.
    pub fn ending(&self) -> impl FnOnce() + Send + use<> {
        let editor = Arc::clone(&self.editor);
        move || end(&editor)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        end(&self.editor);
    }
}

/// Prints above the prompt. Clones print to the same terminal.
#[derive(Debug)]
pub struct TerminalPrinter {
    editor: Arc<Editor>,
    /// A line that has no end yet.
    begun: Vec<u8>,
}

impl Clone for TerminalPrinter {
    fn clone(&self) -> Self {
        Self { editor: Arc::clone(&self.editor), begun: Vec::new() }
    }
}

impl Write for TerminalPrinter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        let (lines, begun) = text.split_at(whole);
        if self.begun.is_empty() {
            self.editor.print(lines)?;
        } else if !lines.is_empty() {
            let mut all = std::mem::take(&mut self.begun);
            all.extend_from_slice(lines);
            self.editor.print(&all)?;
        }
        self.begun.extend_from_slice(begun);
        Ok(text.len())
    }

    /// Prints a line without its end, too, where no prompt is in its way.
    fn flush(&mut self) -> io::Result<()> {
        if !self.begun.is_empty() && !self.editor.is_editing() {
            self.editor.print(&std::mem::take(&mut self.begun))?;
        }
        Ok(())
    }
}

/// Passes on that the program was continued after a stop.
async fn pass_on(mut continued: Signal, mut nudge: OwnedWriteHalf) {
    while continued.recv().await.is_some() && nudge.write_all(b"\n").await.is_ok() {}
}

/// What is typed: lines that end in LF. Dropping it [ends](Terminal::ending) the editor.
#[derive(Debug)]
pub struct TerminalInput {
    lines: OwnedReadHalf,
    editor: Arc<Editor>,
    /// Has the other half of `lines`.
    nudging: JoinHandle<()>,
}

impl Drop for TerminalInput {
    fn drop(&mut self) {
        self.nudging.abort();
        end(&self.editor);
    }
}

impl AsyncRead for TerminalInput {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.lines).poll_read(cx, buf)
    }
}

/// Ends the editor, but does not wait for ever for a terminal that takes nothing.
fn end(editor: &Arc<Editor>) {
    if editor.has_ended() {
        return;
    }
    let (done, is_done) = mpsc::channel();
    let ending = Arc::clone(editor);
    let end = move || {
        ending.end(true);
        ending.close();
        // Nobody may be waiting any more.
        let _ = done.send(());
    };
    let spawned = thread::Builder::new().spawn(end);
    if spawned.is_err() || is_done.recv_timeout(PATIENCE).is_err() {
        editor.restore();
    }
}
