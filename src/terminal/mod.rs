//! The line editor at a terminal: what is typed is a byte stream, and what arrives is printed
//! above the prompt without touching a half-typed line.
//!
//! Two threads write to the terminal: this module's own, which reads the keys, and that of whoever
//! prints. They take turns at the state behind a mutex, and each turn is one write. Printing
//! therefore never waits for the user, whatever he has begun, and nothing is queued.
//!
//! rustyline's line buffer does the editing. Its `Editor` does not fit a hub: it watches its
//! external printer with `select`, which panics on descriptors from 1024 on; it opens descriptors
//! for every line; an unfinished search blocks whoever prints; and nothing but a key ends it.
//!
//! With `TERM` dumb, empty or unset the kernel edits the line and no control code is written.

mod keys;
mod line;
mod screen;

use std::{
    env,
    io::{self, IsTerminal, Write},
    net::Shutdown,
    os::{fd::AsFd, unix::net::UnixStream},
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread,
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read, write},
    process::{Signal, getpgrp, kill_current_process_group},
    termios::{
        InputModes, LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetpgrp,
        tcgetwinsize, tcsetattr,
    },
};
use tokio::io::{AsyncRead, ReadBuf};

use self::{
    keys::Keys,
    line::{Line, Outcome},
    screen::{Screen, Window},
};

/// How long a terminal that takes nothing may hold up the end.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the suspended program may take to notice.
const SUSPENDING: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// A terminal's window, where it does not tell.
const WINDOW: Window = Window { columns: 80, rows: 24 };

/// The terminal that is both stdin and stdout. Dropping it [ends](Self::end) the editor.
#[derive(Debug)]
pub struct Terminal {
    shared: Arc<Shared>,
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
        let state = State {
            prompt,
            dumb,
            phase: Phase::Opened,
            line: Line::new(),
            screen: Screen::default(),
        };
        let shared = Shared {
            modes: tcgetattr(io::stdin())?,
            turn: Mutex::new(()),
            state: Mutex::new(state),
            lines: Mutex::new(None),
            ended: AtomicBool::new(false),
        };
        let shared = Arc::new(shared);
        Ok(Some(Self { shared }))
    }

    /// Where what arrives is to be written. Whole lines go above the prompt; before the start and
    /// after the end everything goes straight to the terminal.
    #[must_use]
    pub fn printer(&self) -> TerminalPrinter {
        TerminalPrinter { shared: Arc::clone(&self.shared), begun: Vec::new() }
    }

    /// Where what stderr is to get is to be written: above the prompt if stderr is a terminal, too.
    #[must_use]
    pub fn err_printer(&self) -> Box<dyn Write + Send> {
        if io::stderr().is_terminal() { Box::new(self.printer()) } else { Box::new(io::stderr()) }
    }

    /// Shows the prompt. What is typed from now on is in the stream, in lines; the stream ends
    /// with Ctrl-C, with Ctrl-D on an empty line, when the terminal hangs up, and at the
    /// [end](Self::end). When it has ended the terminal is as it was found.
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
        theirs.set_nonblocking(true)?;
        let lines = tokio::net::UnixStream::from_std(theirs)?;
        let ours = Arc::new(ours);
        self.shared.start(Arc::clone(&ours))?;
        let input = TerminalInput { lines, shared: Arc::clone(&self.shared) };
        let shared = Arc::clone(&self.shared);
        let editor = move || {
            // Input that fails has ended, too: there is no more to be had.
            let _ = shared.edit(&ours);
            shared.end(false);
        };
        thread::Builder::new().name("terminal".to_owned()).spawn(editor)?;
        Ok(input)
    }

    /// Ends the editor and puts the terminal back as it was found. The stream of what is typed
    /// ends, a prompt with nothing behind it is taken off, a half-typed line stays, and what is
    /// printed from now on begins on a fresh row. Nothing happens if it has ended before.
    ///
    /// Dropping the terminal or the input does the same; this is for a program that exits
    /// without. A terminal that takes nothing is left alone after a second.
    pub fn end(&self) {
        end(&self.shared);
    }

    /// [Ends](Self::end) the editor when called, for whoever does not have the terminal.
    pub fn ending(&self) -> impl FnOnce() + Send + use<> {
        let shared = Arc::clone(&self.shared);
        move || end(&shared)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.end();
    }
}

/// Prints above the prompt. Clones print to the same terminal.
#[derive(Debug)]
pub struct TerminalPrinter {
    shared: Arc<Shared>,
    /// A line that has no end yet.
    begun: Vec<u8>,
}

impl Clone for TerminalPrinter {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), begun: Vec::new() }
    }
}

impl Write for TerminalPrinter {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let whole = memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
        let (lines, begun) = text.split_at(whole);
        if self.begun.is_empty() {
            self.shared.print(lines)?;
        } else if !lines.is_empty() {
            let mut all = std::mem::take(&mut self.begun);
            all.extend_from_slice(lines);
            self.shared.print(&all)?;
        }
        self.begun.extend_from_slice(begun);
        Ok(text.len())
    }

    /// Prints a line without its end, too, where no prompt is in its way.
    fn flush(&mut self) -> io::Result<()> {
        if !self.begun.is_empty() && self.shared.state().phase != Phase::Editing {
            self.shared.print(&std::mem::take(&mut self.begun))?;
        }
        Ok(())
    }
}

/// What is typed: lines that end in LF. Dropping it [ends](Terminal::end) the editor.
#[derive(Debug)]
pub struct TerminalInput {
    lines: tokio::net::UnixStream,
    shared: Arc<Shared>,
}

impl Drop for TerminalInput {
    fn drop(&mut self) {
        end(&self.shared);
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

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Opened,
    Editing,
    Ended,
}

#[derive(Debug)]
struct Shared {
    /// As the terminal was found.
    modes: Termios,
    /// Whose turn it is next. Taken before the state, so that a flood of arriving text cannot keep
    /// the keys away from it.
    turn: Mutex<()>,
    state: Mutex<State>,
    /// Our end of what is typed. Shutting it down ends the stream and wakes our thread.
    lines: Mutex<Option<Arc<UnixStream>>>,
    ended: AtomicBool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        let _turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, lines: Arc<UnixStream>) -> io::Result<()> {
        let mut state = self.state();
        if state.phase != Phase::Opened {
            return Err(io::Error::other("the line editor has been started before"));
        }
        *self.lines.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        state.phase = Phase::Editing;
        if !state.dumb {
            self.take_over()?;
        }
        let mut out = Vec::new();
        state.prompt(&mut out);
        put(&out)
    }

    /// Reads keys, shows what they do, and hands on the lines.
    fn edit(&self, mut lines: &UnixStream) -> io::Result<()> {
        let mut keys = Keys::default();
        let mut buffer = [0; 4096];
        while wait_for_keys(lines)? {
            let typed = match read(io::stdin(), &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => buffer.get(..length).unwrap_or_default(),
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(error.into()),
            };
            let (entered, ended) = self.typed(typed, &mut keys)?;
            lines.write_all(&entered)?;
            if ended {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Shows what has been typed. Returns the lines that it completes, and whether that was all.
    fn typed(&self, typed: &[u8], keys: &mut Keys) -> io::Result<(Vec<u8>, bool)> {
        let (mut out, mut entered) = (Vec::new(), Vec::new());
        let mut state = self.state();
        if state.phase != Phase::Editing {
            return Ok((entered, true));
        }
        if state.dumb {
            state.prompt(&mut out);
            put(&out)?;
            return Ok((typed.to_vec(), false));
        }
        for key in typed.iter().filter_map(|byte| keys.push(*byte)) {
            match state.line.press(key) {
                Outcome::Edited | Outcome::Nothing => {}
                Outcome::Clear => {
                    state.screen = Screen::default();
                    out.extend_from_slice(b"\x1b[H\x1b[2J");
                }
                Outcome::Entered => {
                    state.leave(&mut out);
                    entered.extend_from_slice(state.line.take().as_bytes());
                    entered.push(b'\n');
                }
                Outcome::Suspend => {
                    state.leave(&mut out);
                    put(&std::mem::take(&mut out))?;
                    self.suspend()?;
                }
                Outcome::Ended => {
                    put(&out)?;
                    return Ok((entered, true));
                }
            }
        }
        state.prompt(&mut out);
        put(&out)?;
        Ok((entered, false))
    }

    fn print(&self, text: &[u8]) -> io::Result<()> {
        if text.is_empty() {
            return Ok(());
        }
        let mut state = self.state();
        if state.phase != Phase::Editing {
            return put(text);
        }
        let mut out = Vec::with_capacity(text.len() + 256);
        state.make_way(&mut out);
        out.extend_from_slice(text);
        state.prompt(&mut out);
        put(&out)
    }

    /// Ends the editor. `tidy`: a prompt with nothing behind it is not left on the screen.
    fn end(&self, tidy: bool) {
        let mut state = self.state();
        if state.phase == Phase::Editing {
            let mut out = Vec::new();
            if tidy && state.line.is_empty() {
                state.make_way(&mut out);
            } else {
                state.leave(&mut out);
            }
            // A terminal that has hung up needs no tidying.
            let _ = put(&out);
            self.restore();
        }
        state.phase = Phase::Ended;
        self.ended.store(true, Ordering::Release);
        drop(state);
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        // It fails when the other end is gone, which is all that is wanted.
        let _ = lines.map(|lines| lines.shutdown(Shutdown::Both));
    }

    /// Keys are to come one by one, unechoed, and to mean nothing to the kernel.
    fn take_over(&self) -> io::Result<()> {
        let mut modes = self.modes.clone();
        modes.input_modes -= InputModes::BRKINT
            | InputModes::ICRNL
            | InputModes::INPCK
            | InputModes::ISTRIP
            | InputModes::IXON;
        modes.local_modes -=
            LocalModes::ECHO | LocalModes::ICANON | LocalModes::IEXTEN | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        Ok(tcsetattr(io::stdin(), OptionalActions::Now, &modes)?)
    }

    fn restore(&self) {
        // In the background this would stop the program; the shell has its own modes there.
        if tcgetpgrp(io::stdin()).is_ok_and(|foreground| foreground != getpgrp()) {
            return;
        }
        // At once, as a terminal that takes nothing would be waited for otherwise. It fails when
        // the terminal has hung up.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.modes);
    }

    /// Ctrl-Z. The signal reaches any thread, but stops all: this one has to wait for it.
    fn suspend(&self) -> io::Result<()> {
        self.restore();
        kill_current_process_group(Signal::TSTP)?;
        let _ = poll(&mut [], Some(&SUSPENDING));
        self.take_over()
    }
}

#[derive(Debug)]
struct State {
    prompt: &'static str,
    dumb: bool,
    phase: Phase,
    line: Line,
    screen: Screen,
}

impl State {
    /// Shows the prompt and the line.
    fn prompt(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.extend_from_slice(self.prompt.as_bytes());
        } else {
            let line = self.line.around_cursor();
            self.screen.show(window(), self.prompt, line, out);
        }
    }

    /// Makes way for what is to stand above the prompt.
    fn make_way(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            self.screen.erase(window(), out);
        }
    }

    /// Leaves the prompt and the line on the screen and goes to a fresh row.
    fn leave(&mut self, out: &mut Vec<u8>) {
        if self.dumb {
            out.push(b'\n');
        } else {
            self.line.move_end();
            self.prompt(out);
            self.screen.leave(window(), out);
        }
    }
}

/// Ends the editor, but does not wait for ever for a terminal that takes nothing.
fn end(shared: &Arc<Shared>) {
    if shared.ended.load(Ordering::Acquire) {
        return;
    }
    let (done, is_done) = mpsc::channel();
    let ending = Arc::clone(shared);
    let end = move || {
        ending.end(true);
        // Nobody may be waiting any more.
        let _ = done.send(());
    };
    let spawned = thread::Builder::new().spawn(end);
    if spawned.is_err() || is_done.recv_timeout(PATIENCE).is_err() {
        shared.restore();
    }
}

fn window() -> Window {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_col > 1 && size.ws_row > 1 => {
            Window { columns: size.ws_col.into(), rows: size.ws_row.into() }
        }
        _ => WINDOW,
    }
}

/// Waits until there are keys to be read: false when nobody wants them any more.
fn wait_for_keys(lines: &UnixStream) -> io::Result<bool> {
    let stdin = io::stdin();
    loop {
        let mut fds = [
            PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN),
            PollFd::from_borrowed_fd(lines.as_fd(), PollFlags::empty()),
        ];
        match poll(&mut fds, None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        let [keys, lines] = fds;
        return Ok(lines.revents().is_empty() && !keys.revents().is_empty());
    }
}

/// Writes to the terminal, past Rust's own buffer. Others may have made it non-blocking.
fn put(mut text: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !text.is_empty() {
        match write(&stdout, text) {
            Ok(written) => text = text.get(written..).unwrap_or_default(),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => {
                let writable = PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::OUT);
                poll(&mut [writable], None)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
