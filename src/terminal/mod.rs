//! The line editor: turns typed keys into a stream of lines, and prints arriving lines above the
//! prompt without disturbing a half-typed one.
//!
//! Two kinds of threads write to the terminal: the editor's own, which reads the keys, and those
//! that print. They share the editor's state behind a mutex, and each update of the screen is one
//! write. So printing never waits for the user to finish a line, and no output is queued here.
//!
//! In the background of a shell there is no prompt: arriving lines are printed, and the terminal is
//! otherwise left alone. On a terminal without control codes (`TERM` is `dumb`, empty or unset) the
//! kernel edits the line. `docs/terminal.md` describes the editor for its users.
//!
//! rustyline's `LineBuffer` edits the text; everything else is the project's own. In November 2026
//! rustyline's `Editor`, reedline and rustyline-async were put behind this module's interface, and
//! failed between 6 and 17 of the terminal tests. `ARCHITECTURE.md`, section "Why the line editor is
//! the project's own", says which, and when to look at them again.

mod complete;
mod editor;
mod history;
mod keys;
mod layout;
mod line;
mod options;
mod paste;
mod screen;
mod search;
mod state;
mod tty;
mod wrap;

use std::{
    io::{self, IsTerminal, Write},
    os::unix::net::UnixStream,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError, mpsc},
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

pub use self::options::{Completer, TerminalOptions};
use self::{
    editor::{Editor, Printed},
    history::Writing,
    state::EditorState,
    tty::{Stream, Tty},
};
use crate::blocking;

/// How long a terminal that accepts no output may delay the end of the editor.
const END_TIMEOUT: Duration = Duration::from_secs(1);

/// The terminal at stdin and stdout, or stderr if stdout is for JSON. Dropping it ends the editor as
/// [`closer`](Self::closer) does.
#[derive(Debug)]
pub struct Terminal {
    program: &'static str,
    editor: Arc<Editor>,
    has_colors: bool,
    /// What the lines on stdout are; None if stdout is no terminal.
    stdout: Option<Printed>,
    /// The file of the history, until the editor starts.
    history: Option<PathBuf>,
    writing: WritingSlot,
    /// Notified when the user has asked the program to stop.
    quit: Arc<Notify>,
}

type WritingSlot = Arc<Mutex<Option<Writing>>>;

impl Terminal {
    /// Returns the terminal, or None unless both stdin and the editor's output are terminals. The
    /// editor's output is stdout, or stderr with the option `json`. Does not change the terminal yet.
    ///
    /// # Errors
    ///
    /// The operating system's error if it cannot read the terminal's modes.
    pub fn open(options: TerminalOptions) -> io::Result<Option<Self>> {
        let stream = if options.json { Stream::Stderr } else { Stream::Stdout };
        if !io::stdin().is_terminal() || !stream.is_terminal() {
            return Ok(None);
        }
        let dumb = options.is_dumb();
        let printed = if options.json { Printed::Json } else { Printed::Transcript };
        let stdout = Stream::Stdout.is_terminal().then_some(printed);
        let has_colors = !dumb && !options.no_color;
        let TerminalOptions { program, prompt, help, completer, history, .. } = options;
        let mut state = EditorState::new(stream, dumb, prompt, help, completer);
        // Nothing else would make the prompt appear.
        state.has_printed = stdout.is_none();
        let editor = Arc::new(Editor::new(Tty::open(dumb)?, state));
        let (writing, quit) = (WritingSlot::default(), Arc::default());
        Ok(Some(Self { program, editor, has_colors, stdout, history, writing, quit }))
    }

    /// Whether the terminal can show colors and the user has not turned them off.
    #[must_use]
    pub fn has_colors(&self) -> bool {
        self.has_colors
    }

    /// Returns a writer that prints whole lines above the prompt, or None if stdout is no terminal.
    /// Before the editor starts and after it has ended, the writer prints to the terminal directly.
    #[must_use]
    pub fn printer(&self) -> Option<TerminalPrinter> {
        self.stdout.map(|printed| self.printer_of(printed))
    }

    /// Returns a writer for stderr. It prints above the prompt if stderr is a terminal, too.
    #[must_use]
    pub fn err_printer(&self) -> Box<dyn Write + Send> {
        match io::stderr().is_terminal() {
            true => Box::new(self.printer_of(Printed::Report)),
            false => Box::new(io::stderr()),
        }
    }

    fn printer_of(&self, printed: Printed) -> TerminalPrinter {
        TerminalPrinter { editor: Arc::clone(&self.editor), printed, partial_line: Vec::new() }
    }

    /// Reads the history, if there is a file of it.
    fn open_history(&mut self) -> io::Result<()> {
        let Some(path) = self.history.take() else {
            return Ok(());
        };
        let (editor, program) = (Arc::clone(&self.editor), self.program);
        let report = move |sentence: &str| {
            // If the terminal has hung up, nobody would read it.
            let _ = editor.print(Printed::Report, format!("{program}: {sentence}\n").as_bytes());
        };
        let (history, writing) = history::open(path, report)?;
        self.editor.state().line.set_history(history);
        *self.writing.lock().unwrap_or_else(PoisonError::into_inner) = writing;
        Ok(())
    }

    /// Starts the editor. It shows the prompt as soon as something has been printed, so that a transcript
    /// starts with its first line. Returns the stream of entered lines, each with its
    /// LF. The stream ends at Ctrl-C, at Ctrl-D on an empty line, when the terminal hangs up, and
    /// when the editor is [ended](Self::closer). The terminal's modes have been restored by then.
    ///
    /// # Errors
    ///
    /// The operating system's error, or that the editor has been started before.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn start(&mut self) -> io::Result<TerminalInput> {
        self.open_history()?;
        let (editor_end, reader_end) = UnixStream::pair()?;
        editor_end.set_nonblocking(true)?;
        reader_end.set_nonblocking(true)?;
        let (lines, wakeups) = tokio::net::UnixStream::from_std(reader_end)?.into_split();
        let editor_end = Arc::new(editor_end);
        // Registered before `Editor::start` checks for the foreground, so that no SIGCONT is missed.
        let continued = signal(SignalKind::from_raw(process::Signal::CONT.as_raw()))?;
        self.editor.start(Arc::clone(&editor_end))?;
        let forwarding = tokio::spawn(forward_sigcont(continued, wakeups));
        let input = TerminalInput { lines, editor: Arc::clone(&self.editor), forwarding };
        let (editor, quit) = (Arc::clone(&self.editor), Arc::clone(&self.quit));
        let edit = move || {
            let mut entered = BytesMut::new();
            // A terminal that cannot be read any more has hung up.
            let quit_requested = editor.edit(&editor_end, &mut entered).unwrap_or(true);
            editor.end(false);
            if quit_requested {
                quit.notify_one();
            }
            // This waits for the reader of the lines, and fails if the reader is gone.
            let _ = blocking::write_all(&*editor_end, &entered);
            editor.close_line_socket();
        };
        thread::Builder::new().name("terminal".to_owned()).spawn(edit)?;
        Ok(input)
    }

    /// Completes when the user has pressed Ctrl-C or the terminal has hung up. The stream of entered
    /// lines ends then, too, but code that is not reading it would not notice.
    ///
    /// Each request completes only one of these futures.
    pub fn quit_requested(&self) -> impl Future<Output = ()> + Send + use<> {
        let quit = Arc::clone(&self.quit);
        async move { quit.notified().await }
    }

    /// Returns a function that has a half-typed line marked with `^C` when the editor ends, as if Ctrl-C
    /// had been pressed. It never waits.
    pub fn interrupt_marker(&self) -> impl Fn() + Send + use<> {
        let editor = Arc::clone(&self.editor);
        move || editor.mark_interrupt()
    }

    /// Returns a function that ends the editor. It is for code that exits the process without
    /// dropping the `Terminal`.
    ///
    /// Ending the editor restores the terminal's modes and ends the stream of entered lines. It
    /// erases an empty prompt and leaves a half-typed line on the screen, followed by `^C` if the user
    /// has interrupted the program; later output starts on a new row. It does nothing if the editor has
    /// ended before, and gives up updating the screen after a second if the terminal accepts no output.
    pub fn closer(&self) -> impl FnOnce() + Send + use<> {
        let (editor, writing) = (Arc::clone(&self.editor), Arc::clone(&self.writing));
        move || close(&editor, &writing)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        close(&self.editor, &self.writing);
    }
}

/// Ends the editor, and waits until the history has been written, but not for long.
fn close(editor: &Arc<Editor>, writing: &WritingSlot) {
    end(editor);
    let writing = writing.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(writing) = writing {
        writing.wait();
    }
}

/// Prints above the prompt.
#[derive(Debug)]
pub struct TerminalPrinter {
    editor: Arc<Editor>,
    printed: Printed,
    /// Text after the last LF: it is printed once its line is complete.
    partial_line: Vec<u8>,
}

impl Write for TerminalPrinter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let end_of_lines = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        let (lines, partial_line) = text.split_at(end_of_lines);
        if self.partial_line.is_empty() {
            self.editor.print(self.printed, lines)?;
        } else if !lines.is_empty() {
            let mut all = std::mem::take(&mut self.partial_line);
            all.extend_from_slice(lines);
            self.editor.print(self.printed, &all)?;
        }
        self.partial_line.extend_from_slice(partial_line);
        Ok(text.len())
    }

    /// Prints an incomplete line, too, unless a prompt is on the screen.
    fn flush(&mut self) -> io::Result<()> {
        if !self.partial_line.is_empty() && !self.editor.is_editing() {
            self.editor.print(self.printed, &std::mem::take(&mut self.partial_line))?;
        }
        Ok(())
    }
}

/// Wakes the editor's thread after each SIGCONT: the program may be in the foreground again.
async fn forward_sigcont(mut continued: Signal, mut wakeups: OwnedWriteHalf) {
    while continued.recv().await.is_some() && wakeups.write_all(b"\n").await.is_ok() {}
}

/// The stream of entered lines, each with its LF. Dropping it ends the editor as
/// [`Terminal::closer`] does.
#[derive(Debug)]
pub struct TerminalInput {
    lines: OwnedReadHalf,
    editor: Arc<Editor>,
    /// Runs [`forward_sigcont`], which holds the other half of the socket.
    forwarding: JoinHandle<()>,
}

impl Drop for TerminalInput {
    fn drop(&mut self) {
        self.forwarding.abort();
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

/// Ends the editor. If the terminal accepts no output for [`END_TIMEOUT`], only its modes are
/// restored.
fn end(editor: &Arc<Editor>) {
    if editor.has_ended() {
        return;
    }
    let (done, is_done) = mpsc::channel();
    let editor_to_end = Arc::clone(editor);
    let end = move || {
        editor_to_end.end(true);
        editor_to_end.close_line_socket();
        // This fails if the other side has stopped waiting.
        let _ = done.send(());
    };
    let spawned = thread::Builder::new().spawn(end);
    if spawned.is_err() || is_done.recv_timeout(END_TIMEOUT).is_err() {
        editor.restore_modes();
    }
}
